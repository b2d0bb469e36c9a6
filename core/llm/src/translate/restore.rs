//! Tool names, custom tools and proofs on the way back.

use crate::api::Api;
use crate::neutral::arguments::unwrapped;
use crate::neutral::event::Event;
use crate::neutral::{Call, Content, Names, Reply, Seal, Thinking};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Restores a whole reply.
pub(super) fn reply(reply: &mut Reply, names: &Names, api: Api) {
    for choice in &mut reply.choices {
        let mut parts = Vec::with_capacity(choice.parts.len());
        for mut part in std::mem::take(&mut choice.parts) {
            if let Content::Call(call) = &mut part
                && let Some(proof) = restore(call, names, api)
            {
                parts.push(Content::Thinking(Thinking { text: "".into(), seal: Some(proof) }));
            }
            parts.push(part);
        }
        choice.parts = parts;
    }
}

/// Whether callers of an API carry a call's proof in an item of its own: Responses has one, and its clients bound the
/// length of ids.
const fn has_item_for_proofs(api: Api) -> bool {
    matches!(api, Api::Responses)
}

/// Restores a call; the proof that is to stand before it.
fn restore(call: &mut Call<'static>, names: &Names, api: Api) -> Option<Seal<'static>> {
    let name = names.at_caller(&call.name).to_owned();
    if names.is_wrapped(&name) {
        call.custom = true;
        call.arguments = Cow::Owned(unwrapped(&call.arguments).into_owned());
    }
    call.name = name.into();
    let seal = call.seal.take()?;
    if has_item_for_proofs(api) {
        return Some(seal.before_call(&call.id));
    }
    call.id = seal.into_id(&call.id).into();
    None
}

/// Restores a stream event by event.
pub(super) struct Restorer {
    names: Names,
    api: Api,
    /// What custom tools were told so far, in its wrapping: its text cannot be had before the wrapping is whole.
    wrapped: BTreeMap<u32, String>,
}

impl Restorer {
    pub(super) const fn new(names: Names, api: Api) -> Self {
        Self { names, api, wrapped: BTreeMap::new() }
    }

    /// Hands on what an event becomes.
    pub(super) fn push(&mut self, event: Event<'_>, sink: &mut dyn FnMut(Event<'_>)) {
        match event {
            Event::CallStart { choice, call, id, name, custom, seal } => {
                let name = self.names.at_caller(&name);
                let wrapped = self.names.is_wrapped(name);
                if wrapped {
                    self.wrapped.insert(call, String::new());
                }
                let id = match &seal {
                    Some(seal) if has_item_for_proofs(self.api) => {
                        sink(Event::Sealed { choice, seal: seal.before_call(&id) });
                        id
                    }
                    Some(seal) => Cow::Owned(seal.into_id(&id)),
                    None => id,
                };
                sink(Event::CallStart {
                    choice,
                    call,
                    id,
                    name: Cow::Borrowed(name),
                    custom: custom || wrapped,
                    seal: None,
                });
            }
            Event::CallArguments { call, text } => match self.wrapped.get_mut(&call) {
                Some(known) => known.push_str(&text),
                None => sink(Event::CallArguments { call, text }),
            },
            Event::CallEnd { call } => {
                if let Some(known) = self.wrapped.remove(&call) {
                    sink(Event::CallArguments { call, text: unwrapped(&known) });
                }
                sink(Event::CallEnd { call });
            }
            other => sink(other),
        }
    }
}
