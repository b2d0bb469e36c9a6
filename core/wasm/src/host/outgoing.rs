//! Texts on their way out of a call: once content was read, only what the manifest declares.

use crate::state::State;

pub(super) const UNDECLARED: &str = "undeclared";

impl State {
    pub(super) fn outgoing(&self, mut text: String) -> String {
        if !self.call.tainted || text.is_empty() {
            return text;
        }
        let declares = &self.constants.manifest.declares;
        let mut tags = declares.tags.iter().flat_map(|(name, values)| values.iter().chain([name]));
        let mut others = declares.rules.iter().chain(&declares.reasons).chain(&declares.codes);
        if !others.any(|known| *known == text) && !tags.any(|known| *known == text) {
            UNDECLARED.clone_into(&mut text);
        }
        text
    }

    pub(super) fn outgoing_pairs(&self, pairs: Vec<(String, String)>) -> Vec<(String, String)> {
        pairs.into_iter().map(|(name, value)| (self.outgoing(name), self.outgoing(value))).collect()
    }

    /// A tag: its value is one that is declared for its name.
    pub(super) fn outgoing_tag(&self, key: String, value: String) -> (String, String) {
        if !self.call.tainted {
            return (key, value);
        }
        let Some(values) = self.constants.manifest.declares.tags.get(&key) else {
            return (UNDECLARED.into(), UNDECLARED.into());
        };
        let value = if values.contains(&value) { value } else { UNDECLARED.into() };
        (key, value)
    }
}
