//! What may leave through telemetry and notes once a call has read content: texts that the manifest declares.

use weir_policy::manifest::Declares;

/// What stands in place of a text that is not declared.
const UNDECLARED: &str = "undeclared";
/// Longest text of a log line or explanation.
const MAX_TEXT_BYTES: usize = 1024;
/// Longest name or value of a label.
const MAX_LABEL_BYTES: usize = 128;

/// A message, a metric's name, a rule or a reason: a declared reason, rule, code or tag name.
pub(crate) fn text(declares: &Declares, tainted: bool, said: &str) -> String {
    let declared = || {
        let lists = [&declares.reasons, &declares.rules, &declares.codes];
        lists.into_iter().flatten().any(|known| known == said) || declares.tags.contains_key(said)
    };
    if !tainted || declared() { cut(said, MAX_TEXT_BYTES) } else { UNDECLARED.to_owned() }
}

/// A name and value of a label or note: those of a declared tag.
pub(crate) fn label(declares: &Declares, tainted: bool, name: &str, value: &str) -> (String, String) {
    let declared = declares.tags.get(name);
    let short = |said: &str, known: bool| {
        if !tainted || known { cut(said, MAX_LABEL_BYTES) } else { UNDECLARED.to_owned() }
    };
    let known = declared.is_some_and(|values| values.iter().any(|known| known == value));
    (short(name, declared.is_some()), short(value, known))
}

fn cut(said: &str, most: usize) -> String {
    said[..said.floor_char_boundary(most)].to_owned()
}
