//! The small facts about a request: `head.tenant`, `head.stream`, `head.needs.tools` …

use super::{int, option, text};
use rhai::{Dynamic, ImmutableString, Map, Module};
use std::sync::Arc;
use weir_policy::{DataClass, Needs, RequestView};

/// The head of the current request; a field is converted when a script reads it.
#[derive(Clone)]
pub(crate) struct HeadHandle(pub(crate) Arc<RequestView>);

pub(super) fn register(module: &mut Module) {
    module.set_custom_type::<HeadHandle>("Head");
    module.set_custom_type::<Needs>("Needs");
    who(module);
    what(module);
    needs(module);
}

fn who(module: &mut Module) {
    module.set_getter_fn("request_id", |h: &mut HeadHandle| Ok(text(&h.0.head().request_id)));
    module.set_getter_fn("tenant", |h: &mut HeadHandle| Ok(text(&h.0.head().tenant)));
    module.set_getter_fn("project", |h: &mut HeadHandle| Ok(text(&h.0.head().project)));
    module.set_getter_fn("key_id", |h: &mut HeadHandle| Ok(text(&h.0.head().key_id)));
    module.set_getter_fn("user_hash", |h: &mut HeadHandle| {
        Ok(option(h.0.head().user_hash.as_deref().map(text)))
    });
    module.set_getter_fn("region", |h: &mut HeadHandle| Ok(text(&h.0.head().region)));
    module.set_getter_fn("class", |h: &mut HeadHandle| {
        Ok(text(match h.0.head().class {
            DataClass::Public => "public",
            DataClass::Internal => "internal",
            DataClass::Confidential => "confidential",
            DataClass::Restricted => "restricted",
        }))
    });
    module.set_getter_fn("retention", |h: &mut HeadHandle| Ok(h.0.head().retention.name()));
    module.set_getter_fn("tags", |h: &mut HeadHandle| {
        let tags = h.0.head().tags.iter();
        Ok(tags.map(|(name, value)| (name.as_str().into(), text(value))).collect::<Map>())
    });
    module.set_native_fn("tag", |h: &mut HeadHandle, name: ImmutableString| {
        let tag = h.0.head().tags.iter().find(|(known, _)| *known == *name);
        Ok(option(tag.map(|(_, value)| text(value))))
    });
}

fn what(module: &mut Module) {
    module.set_getter_fn("api", |h: &mut HeadHandle| Ok(text(h.0.head().api.as_str())));
    module.set_getter_fn("requested_model", |h: &mut HeadHandle| Ok(text(&h.0.head().requested_model)));
    module.set_getter_fn("stream", |h: &mut HeadHandle| Ok(h.0.head().stream));
    module.set_getter_fn("deadline_ms", |h: &mut HeadHandle| Ok(int(h.0.head().deadline_ms)));
    module.set_getter_fn("est_input_tokens", |h: &mut HeadHandle| Ok(int(h.0.head().est_input_tokens)));
    module.set_getter_fn("max_output_tokens", |h: &mut HeadHandle| {
        Ok(option(h.0.head().max_output_tokens.map(int)))
    });
    module.set_getter_fn("segment_count", |h: &mut HeadHandle| Ok(int(h.0.head().segment_count)));
    module.set_getter_fn("body_bytes", |h: &mut HeadHandle| Ok(int(h.0.head().body_bytes)));
    module.set_getter_fn("needs", |h: &mut HeadHandle| Ok(h.0.head().needs));
    module.set_getter_fn("attempt", |h: &mut HeadHandle| Ok(int(h.0.head().attempt)));
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
