//! The texts of a form as one JSON object.

use super::head::About;
use super::{broken, write};
use crate::refusal::Refusal;
use bytes::Bytes;
use serde_json::{Map, Value, json};
use std::collections::HashMap;

/// Fields that the gateway or a provider acts on. Some parsers read `model[]` or `Model` as `model`.
const PLAIN: [&str; 6] = ["model", "stream", "n", "user", "file", "_charset_"];

/// What a form says, so far.
#[derive(Default)]
pub(super) struct Fields {
    object: Map<String, Value>,
    /// By the part of their name before a bracket, in lower case: that part as it stands there, and what follows it.
    seen: HashMap<String, (String, Shape)>,
}

/// What a name says of its field.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// `name`
    One,
    /// `name[]`
    List,
    /// `name[key]`
    Member,
}

impl Fields {
    /// Adds a text.
    pub(super) fn text(&mut self, name: &str, content: &[u8]) -> Result<(), Refusal> {
        let text = std::str::from_utf8(content)
            .map_err(|_| broken("a text in it is not UTF-8").about(name.to_owned()))?;
        if name == "file" {
            return Err(broken("its file has no filename").about("file"));
        }
        self.admit(name)?;
        let value = match (name, text) {
            ("stream", "true" | "True" | "1") => Value::Bool(true),
            ("stream", "false" | "False" | "0") => Value::Bool(false),
            _ => Value::from(text),
        };
        match (name.ends_with("[]"), self.object.get_mut(name)) {
            (true, Some(Value::Array(list))) => list.push(value),
            (true, _) => drop(self.object.insert(name.to_owned(), Value::Array(vec![value]))),
            (false, Some(_)) => return Err(twice(name)),
            (false, None) => drop(self.object.insert(name.to_owned(), value)),
        }
        Ok(())
    }

    /// Adds what is told of the file: it reaches the provider, so policies are to see it.
    pub(super) fn file(&mut self, name: &str, about: &About<'_>) -> Result<(), Refusal> {
        if name != "file" {
            return Err(broken("a file in it is not named `file`"));
        }
        self.admit(name)?;
        let mut file = json!({ "filename": write::filename(about.filename) });
        if let Some(kind) = about.kind {
            file["type"] = kind.into();
        }
        self.object.insert(name.to_owned(), file);
        Ok(())
    }

    /// The JSON body.
    pub(super) fn json(self) -> Bytes {
        Value::Object(self.object).to_string().into()
    }

    /// Refuses a name that a parser could take for one that stood there before, or for one that we act on.
    fn admit(&mut self, name: &str) -> Result<(), Refusal> {
        let (base, rest) = name.split_at(name.find('[').unwrap_or(name.len()));
        let shape = match rest {
            "" => Shape::One,
            "[]" => Shape::List,
            _ => Shape::Member,
        };
        let folded = base.to_ascii_lowercase();
        if PLAIN.contains(&folded.as_str())
            && (shape != Shape::One || base != folded || folded == "_charset_")
        {
            return Err(broken("some parsers would read a field in it as another one").about(name.to_owned()));
        }
        match self.seen.insert(folded, (base.to_owned(), shape)) {
            Some(known) if shape == Shape::One || known != (base.to_owned(), shape) => Err(twice(name)),
            _ => Ok(()),
        }
    }
}

fn twice(name: &str) -> Refusal {
    broken("a field stands in it twice").about(name.to_owned())
}
