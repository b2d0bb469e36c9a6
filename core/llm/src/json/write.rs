//! Writing JSON, value by value. Commas come by themselves.

use super::string::quote;

/// Writes one document into a growing buffer. It does not check that begins and ends match: its users are small
/// functions that write one object each, and their tests parse what came out.
#[derive(Clone, Default)]
pub struct Writer {
    out: Vec<u8>,
    comma: bool,
}

impl Writer {
    /// Nothing written yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { out: Vec::new(), comma: false }
    }

    /// Nothing written yet, with room for so many bytes.
    #[must_use]
    pub fn with_capacity(bytes: usize) -> Self {
        Self { out: Vec::with_capacity(bytes), comma: false }
    }

    /// What was written.
    #[must_use]
    pub fn finish(self) -> Vec<u8> {
        self.out
    }

    /// What was written, as text.
    #[must_use]
    pub fn into_text(self) -> String {
        // Only quoted strings and JSON texts go in.
        String::from_utf8(self.out).unwrap_or_default()
    }

    /// `{`
    pub fn begin_object(&mut self) -> &mut Self {
        self.open(b'{')
    }

    /// `}`
    pub fn end_object(&mut self) -> &mut Self {
        self.close(b'}')
    }

    /// `[`
    pub fn begin_array(&mut self) -> &mut Self {
        self.open(b'[')
    }

    /// `]`
    pub fn end_array(&mut self) -> &mut Self {
        self.close(b']')
    }

    /// A member's key; its value comes next.
    pub fn key(&mut self, key: &str) -> &mut Self {
        self.separate();
        quote(key, &mut self.out);
        self.out.push(b':');
        self.comma = false;
        self
    }

    /// A string.
    pub fn string(&mut self, text: &str) -> &mut Self {
        self.separate();
        quote(text, &mut self.out);
        self
    }

    /// A whole number.
    pub fn number(&mut self, number: u64) -> &mut Self {
        self.raw(itoa::Buffer::new().format(number))
    }

    /// `true` or `false`.
    pub fn bool(&mut self, flag: bool) -> &mut Self {
        self.raw(if flag { "true" } else { "false" })
    }

    /// `null`
    pub fn null(&mut self) -> &mut Self {
        self.raw("null")
    }

    /// A value that is JSON text already.
    pub fn raw(&mut self, json: &str) -> &mut Self {
        self.separate();
        self.out.extend_from_slice(json.as_bytes());
        self
    }

    /// A member whose value is a string.
    pub fn text(&mut self, key: &str, value: &str) -> &mut Self {
        self.key(key).string(value)
    }

    /// A member whose value is a string or, if there is none, `null`.
    pub fn text_or_null(&mut self, key: &str, value: Option<&str>) -> &mut Self {
        match value {
            Some(value) => self.text(key, value),
            None => self.key(key).null(),
        }
    }

    /// A member whose value is a string; no member if there is none.
    pub fn maybe_text(&mut self, key: &str, value: Option<&str>) -> &mut Self {
        if let Some(value) = value {
            self.text(key, value);
        }
        self
    }

    /// A member whose value is JSON text already; no member if there is none.
    pub fn maybe_raw(&mut self, key: &str, json: Option<&str>) -> &mut Self {
        if let Some(json) = json {
            self.key(key).raw(json);
        }
        self
    }

    fn open(&mut self, bracket: u8) -> &mut Self {
        self.separate();
        self.out.push(bracket);
        self.comma = false;
        self
    }

    fn close(&mut self, bracket: u8) -> &mut Self {
        self.out.push(bracket);
        self.comma = true;
        self
    }

    fn separate(&mut self) {
        if self.comma {
            self.out.push(b',');
        }
        self.comma = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commas_come_by_themselves() {
        let mut json = Writer::new();
        json.begin_object().text("a", "\"\n").key("b").begin_array().number(1).bool(true).null();
        json.begin_object().end_object().end_array().maybe_text("c", None).text_or_null("d", None);
        json.maybe_raw("e", Some("[1]")).end_object();
        assert_eq!(json.into_text(), r#"{"a":"\"\n","b":[1,true,null,{}],"d":null,"e":[1]}"#);
    }
}
