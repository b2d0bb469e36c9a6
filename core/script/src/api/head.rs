//! The small facts about a request: `head.tenant`, `head.stream`, `head.needs.tools` …

use super::{int, option, text};
use rhai::{Dynamic, INT, ImmutableString, Map, Module};
use std::sync::Arc;
use weir_policy::{Budget, DataClass, Head, Needs, RequestView};

/// The head of a request; a field is converted when a script reads it.
#[derive(Clone)]
pub(crate) enum HeadHandle {
    /// Of the request that a hook is asked about.
    View(Arc<RequestView>),
    /// Of a settled exchange.
    Settled(Arc<Head>),
}

impl HeadHandle {
    fn head(&self) -> &Head {
        match self {
            Self::View(view) => view.head(),
            Self::Settled(head) => head,
        }
    }
}

pub(super) fn register(module: &mut Module) {
    module.set_custom_type::<HeadHandle>("Head");
    module.set_custom_type::<Needs>("Needs");
    module.set_custom_type::<Budget>("Budget");
    who(module);
    what(module);
    needs(module);
}

fn who(module: &mut Module) {
    module.set_getter_fn("request_id", |h: &mut HeadHandle| Ok(text(&h.head().request_id)));
    module.set_getter_fn("tenant", |h: &mut HeadHandle| Ok(text(&h.head().tenant)));
    module.set_getter_fn("project", |h: &mut HeadHandle| Ok(text(&h.head().project)));
    module.set_getter_fn("key_id", |h: &mut HeadHandle| Ok(text(&h.head().key_id)));
    module
        .set_getter_fn("user_hash", |h: &mut HeadHandle| Ok(option(h.head().user_hash.as_deref().map(text))));
    module.set_getter_fn("region", |h: &mut HeadHandle| Ok(text(&h.head().region)));
    module.set_getter_fn("class", |h: &mut HeadHandle| Ok(text(class_name(h.head().class))));
    module.set_getter_fn("retention", |h: &mut HeadHandle| Ok(h.head().retention.name()));
    module.set_getter_fn("tags", |h: &mut HeadHandle| {
        let tags = h.head().tags.iter();
        Ok(tags.map(|(name, value)| (name.as_str().into(), text(value))).collect::<Map>())
    });
    module.set_native_fn("tag", |h: &mut HeadHandle, name: ImmutableString| {
        let tag = h.head().tags.iter().find(|(known, _)| *known == *name);
        Ok(option(tag.map(|(_, value)| text(value))))
    });
}

fn what(module: &mut Module) {
    module.set_getter_fn("api", |h: &mut HeadHandle| Ok(text(h.head().api.as_str())));
    module.set_getter_fn("requested_model", |h: &mut HeadHandle| Ok(text(&h.head().requested_model)));
    module.set_getter_fn("stream", |h: &mut HeadHandle| Ok(h.head().stream));
    module.set_getter_fn("deadline_ms", |h: &mut HeadHandle| Ok(int(h.head().deadline_ms)));
    module.set_getter_fn("est_input_tokens", |h: &mut HeadHandle| Ok(int(h.head().est_input_tokens)));
    module.set_getter_fn("max_output_tokens", |h: &mut HeadHandle| {
        Ok(option(h.head().max_output_tokens.map(int)))
    });
    module.set_getter_fn("segment_count", |h: &mut HeadHandle| Ok(int(h.head().segment_count)));
    module.set_getter_fn("body_bytes", |h: &mut HeadHandle| Ok(int(h.head().body_bytes)));
    module.set_getter_fn("needs", |h: &mut HeadHandle| Ok(h.head().needs));
    module.set_getter_fn("attempt", |h: &mut HeadHandle| Ok(int(h.head().attempt)));
    module.set_getter_fn("budget", |h: &mut HeadHandle| Ok(option(h.head().budget.map(Dynamic::from))));
    module.set_getter_fn("limit", |budget: &mut Budget| Ok(budget.limit.0 as INT));
    module.set_getter_fn("left", |budget: &mut Budget| Ok(budget.left.0 as INT));
}

/// The WIT name.
pub(crate) const fn class_name(class: DataClass) -> &'static str {
    match class {
        DataClass::Public => "public",
        DataClass::Internal => "internal",
        DataClass::Confidential => "confidential",
        DataClass::Restricted => "restricted",
    }
}

/// A need by name.
type Flag = (&'static str, fn(&Needs) -> bool);

fn needs(module: &mut Module) {
    let flags: [Flag; 9] = [
        ("tools", |n| n.tools),
        ("vision", |n| n.vision),
        ("audio_in", |n| n.audio_in),
        ("audio_out", |n| n.audio_out),
        ("json_schema", |n| n.json_schema),
        ("reasoning", |n| n.reasoning),
        ("logprobs", |n| n.logprobs),
        ("prompt_cache", |n| n.prompt_cache),
        ("parallel_tools", |n| n.parallel_tools),
    ];
    for (name, read) in flags {
        module.set_getter_fn(name, move |needs: &mut Needs| Ok(Dynamic::from(read(needs))));
    }
}
