//! Tool names, custom tools and proofs on the way back.

use crate::neutral::arguments::unwrapped;
use crate::neutral::event::Event;
use crate::neutral::{Call, Content, Names, Reply};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Restores a whole reply.
pub(super) fn reply(reply: &mut Reply, names: &Names) {
    let parts = reply.choices.iter_mut().flat_map(|choice| &mut choice.parts);
    for part in parts {
        if let Content::Call(call) = part {
            restore(call, names);
        }
    }
}

fn restore(call: &mut Call<'static>, names: &Names) {
    let name = names.at_caller(&call.name).to_owned();
    if names.is_wrapped(&name) {
        call.custom = true;
        call.arguments = Cow::Owned(unwrapped(&call.arguments).into_owned());
    }
    call.name = name.into();
    if let Some(seal) = call.seal.take() {
        call.id = seal.into_id(&call.id).into();
    }
}

/// Restores a stream event by event.
pub(super) struct Restorer {
    names: Names,
    /// What custom tools were told so far, in its wrapping: its text cannot be had before the wrapping is whole.
    wrapped: BTreeMap<u32, String>,
}

impl Restorer {
    pub(super) const fn new(names: Names) -> Self {
        Self { names, wrapped: BTreeMap::new() }
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
