//! Proofs of other providers in a body that goes to a provider of the caller's own dialect: a caller that switched models
//! sends back what the earlier one had sealed. The target would refuse them, so they are cut out; all else stays byte for
//! byte.

use super::Request;
use crate::api::Api;
use crate::json::{Value, quote};
use crate::neutral::names::fitted_id;
use crate::neutral::seal::split_id;
use crate::{anthropic, responses};
use memchr::memmem;
use std::ops::Range;

/// Members that name a call.
const ID_KEYS: [&str; 4] = ["id", "tool_use_id", "call_id", "tool_call_id"];

impl Request {
    /// Cuts out proofs that are not of the target's kind.
    pub(super) fn unseal(&self, splices: &mut Vec<(Range<usize>, Vec<u8>)>) {
        let sealed = memmem::find(self.body(), b"weir1_").is_some();
        if !sealed && !self.fields.unsigned {
            return;
        }
        let root = self.json().root();
        let gone: &dyn Fn(Value<'_>) -> bool = match self.api() {
            Api::Responses => &responses::read::is_foreign,
            Api::Messages | Api::CountTokens => &anthropic::read::is_foreign,
            _ => &|_| false,
        };
        let lists = match self.api() {
            Api::Responses => root.get("input").into_iter().collect(),
            _ => contents(root),
        };
        let empty: &[u8] = match self.api() {
            Api::Responses => br#"{"type":"message","role":"assistant","content":"(no content)"}"#,
            _ => br#"{"type":"text","text":"(no content)"}"#,
        };
        for list in lists {
            cut(list, gone, empty, splices);
        }
        restore_ids(root, gone, splices);
    }
}

/// The content lists of the messages.
fn contents(root: Value<'_>) -> Vec<Value<'_>> {
    let messages = root.get("messages");
    messages
        .iter()
        .flat_map(|messages| messages.elements())
        .filter_map(|message| message.get("content"))
        .collect()
}

/// Cuts elements out of a list, with one comma each.
fn cut(
    list: Value<'_>,
    gone: &dyn Fn(Value<'_>) -> bool,
    empty: &[u8],
    splices: &mut Vec<(Range<usize>, Vec<u8>)>,
) {
    let elements: Vec<(Range<usize>, bool)> = list.elements().map(|item| (item.span(), gone(item))).collect();
    if elements.iter().all(|(_, gone)| !gone) {
        return;
    }
    let kept = elements.iter().filter(|(_, gone)| !gone);
    let inside: Vec<&Range<usize>> = kept.map(|(span, _)| span).collect();
    let Some((first, last)) = inside.first().zip(inside.last()) else {
        // A message without content is refused too.
        let span = list.span();
        splices.push((span.start + 1..span.end - 1, empty.to_vec()));
        return;
    };
    let (before, after) = (elements[0].0.start..first.start, last.end..elements[elements.len() - 1].0.end);
    splices.extend([before, after].into_iter().filter(|gap| !gap.is_empty()).map(|gap| (gap, Vec::new())));
    for pair in inside.windows(2) {
        let between =
            elements.iter().any(|(span, gone)| *gone && pair[0].end < span.start && span.end < pair[1].start);
        if between {
            splices.push((pair[0].end..pair[1].start, b",".to_vec()));
        }
    }
}

/// Gives calls back the ids that their provider or the gateway first gave them.
fn restore_ids(
    value: Value<'_>,
    gone: &dyn Fn(Value<'_>) -> bool,
    splices: &mut Vec<(Range<usize>, Vec<u8>)>,
) {
    if gone(value) {
        return;
    }
    for (key, inner) in value.members() {
        let id = ID_KEYS.contains(&key.as_ref()).then(|| inner.as_str()).flatten();
        let own = id.as_deref().and_then(|id| split_id(id).1.map(|_| fitted_id(split_id(id).0).into_owned()));
        match own {
            Some(own) => {
                let mut quoted = Vec::with_capacity(own.len() + 2);
                quote(&own, &mut quoted);
                splices.push((inner.span(), quoted));
            }
            None => restore_ids(inner, gone, splices),
        }
    }
    value.elements().for_each(|inner| restore_ids(inner, gone, splices));
}
