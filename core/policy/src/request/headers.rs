//! The headers of a request as policies see them, in one piece of memory: most of them are never asked for.

use std::sync::Arc;

/// Credentials never reach a policy, whoever makes its view.
const HIDDEN: [&str; 6] =
    ["authorization", "proxy-authorization", "cookie", "x-api-key", "api-key", "x-goog-api-key"];

/// Headers by name. Those that carry credentials and `x-weir-*` are left out.
#[derive(Debug, Clone, Default)]
pub struct Headers(Option<Arc<Text>>);

#[derive(Debug, Default)]
struct Text {
    /// Name and value of the first, of the second, and so on.
    all: String,
    /// Where each name ends, and its value.
    ends: Vec<(usize, usize)>,
}

impl Headers {
    /// The value of the first of a name, any case.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        let text = self.0.as_ref()?;
        let mut start = 0;
        for &(middle, end) in &text.ends {
            let (known, value) = (text.all.get(start..middle)?, text.all.get(middle..end)?);
            if known.eq_ignore_ascii_case(name) {
                return Some(value);
            }
            start = end;
        }
        None
    }
}

impl<'h> FromIterator<(&'h str, &'h str)> for Headers {
    fn from_iter<T: IntoIterator<Item = (&'h str, &'h str)>>(headers: T) -> Self {
        let mut text = Text { all: String::with_capacity(256), ends: Vec::with_capacity(16) };
        for (name, value) in headers.into_iter().filter(|(name, _)| !is_hidden(name)) {
            text.all.push_str(name);
            let middle = text.all.len();
            text.all.push_str(value);
            text.ends.push((middle, text.all.len()));
        }
        Self((!text.ends.is_empty()).then(|| Arc::new(text)))
    }
}

impl From<Vec<(String, String)>> for Headers {
    fn from(headers: Vec<(String, String)>) -> Self {
        headers.iter().map(|(name, value)| (&**name, &**value)).collect()
    }
}

fn is_hidden(name: &str) -> bool {
    let weir = name.get(..7).is_some_and(|start| start.eq_ignore_ascii_case("x-weir-"));
    weir || HIDDEN.iter().any(|known| known.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_found_by_name_and_credentials_are_not() {
        let headers: Headers =
            [("X", "1"), ("x-y", ""), ("x", "2"), ("Authorization", "k"), ("X-Weir-Tag", "t"), ("Z", "é")]
                .into_iter()
                .collect();
        let got = ["x", "X-Y", "z", "authorization", "x-weir-tag", "none", ""].map(|name| headers.get(name));
        assert_eq!(got, [Some("1"), Some(""), Some("é"), None, None, None, None]);
        assert_eq!(Headers::default().get("x"), None);
    }
}
