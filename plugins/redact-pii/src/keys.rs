//! Under which key of a JSON text one is, while it is read: `{"to": "ada@…"}` is under `to`, and so is all that an array there
//! holds. Text that is no JSON has no keys.

/// Objects and arrays within each other beyond this are not told apart.
const DEEPEST: usize = 64;
/// Longer keys are cut.
const LONGEST_KEY: usize = 128;

/// A reader of keys; it keeps no more than the keys that it is under.
#[derive(Debug, Clone, Default)]
pub(crate) struct Keys {
    levels: Vec<Level>,
    /// How many more are open than are kept.
    deeper: usize,
    string: Option<String>,
    is_escaped: bool,
    /// The last string that ended.
    last: String,
}

#[derive(Debug, Clone)]
struct Level {
    key: String,
}

impl Keys {
    /// Reads on.
    pub(crate) fn read(&mut self, text: &str) {
        for c in text.chars() {
            match self.string.is_some() {
                true => self.in_string(c),
                false => self.outside(c),
            }
        }
    }

    /// The key that what comes next is under.
    pub(crate) fn key(&self) -> Option<&str> {
        self.levels.last().map(|level| level.key.as_str())
    }

    fn in_string(&mut self, c: char) {
        match c {
            _ if self.is_escaped => self.is_escaped = false,
            '\\' => self.is_escaped = true,
            '"' => self.last = self.string.take().unwrap_or_default(),
            _ => match &mut self.string {
                Some(string) if string.len() < LONGEST_KEY => string.push(c),
                _ => {}
            },
        }
    }

    fn outside(&mut self, c: char) {
        match c {
            '"' => self.string = Some(String::new()),
            '{' | '[' if self.levels.len() == DEEPEST => self.deeper += 1,
            '{' => self.levels.push(Level { key: String::new() }),
            '[' => self.levels.push(Level { key: self.key().unwrap_or_default().to_owned() }),
            '}' | ']' if self.deeper > 0 => self.deeper -= 1,
            '}' | ']' => drop(self.levels.pop()),
            ':' if self.deeper == 0 => {
                if let Some(level) = self.levels.last_mut() {
                    level.key = std::mem::take(&mut self.last);
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_under_the_nearest_key() {
        let json =
            r#"{"a": 1, "to": ["x", {"cc": "CC"}, "LIST"], "q\"{": "ODD", "b": {"c": ":{"}, "last": "END"}"#;
        for (value, key) in
            [("x\"", "to"), ("CC", "cc"), ("LIST", "to"), ("ODD", "q{"), (":{", "c"), ("END", "last")]
        {
            let mut keys = Keys::default();
            keys.read(&json[..json.find(value).expect("there")]);
            assert_eq!(keys.key(), Some(key), "{value}");
        }
    }

    #[test]
    fn what_is_no_json_does_no_harm() {
        let mut keys = Keys::default();
        keys.read("}}]]:: \"");
        assert_eq!(keys.key(), None);
        let mut deep = Keys::default();
        deep.read(&"[".repeat(10_000));
        deep.read(&"]".repeat(10_000));
        assert_eq!(deep.key(), None);
    }
}
