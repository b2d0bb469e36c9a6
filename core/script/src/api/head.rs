//! The small facts about a request: `head.tenant`, `head.stream`, `head.needs.tools` …

use super::{int, option, text};
use crate::api::registrar::Api;
use rhai::{Dynamic, INT, ImmutableString, Map};
use std::sync::Arc;
use weir_policy::{Budget, Head, Needs, RequestView};

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

pub(super) fn register(api: &mut Api<'_>) {
    api.custom_type::<HeadHandle>("Head");
    api.custom_type::<Needs>("Needs");
    api.custom_type::<Budget>("Budget");
    who(api);
    what(api);
    needs(api);
}

fn who(api: &mut Api<'_>) {
    api.changing("request_id", |h: &mut HeadHandle| Ok(text(&h.head().request_id)));
    api.has("tenant", |h: &HeadHandle| Ok(text(&h.head().tenant)));
    api.has("project", |h: &HeadHandle| Ok(text(&h.head().project)));
    api.has("key_id", |h: &HeadHandle| Ok(text(&h.head().key_id)));
    api.has("user_hash", |h: &HeadHandle| Ok(option(h.head().user_hash.as_deref().map(text))));
    api.has("region", |h: &HeadHandle| Ok(text(&h.head().region)));
    api.has("class", |h: &HeadHandle| Ok(text(h.head().class.name())));
    api.has("retention", |h: &HeadHandle| Ok(h.head().retention.name()));
    api.has("tags", |h: &HeadHandle| {
        let tags = h.head().tags.iter();
        Ok(tags.map(|(name, value)| (name.as_str().into(), text(value))).collect::<Map>())
    });
    api.tells_with("tag", |h: &HeadHandle, name: ImmutableString| {
        let tag = h.head().tags.iter().find(|(known, _)| *known == *name);
        Ok(option(tag.map(|(_, value)| text(value))))
    });
}

fn what(api: &mut Api<'_>) {
    api.has("api", |h: &HeadHandle| Ok(text(h.head().api.as_str())));
    api.has("requested_model", |h: &HeadHandle| Ok(text(&h.head().requested_model)));
    api.has("stream", |h: &HeadHandle| Ok(h.head().stream));
    api.changing("deadline_ms", |h: &mut HeadHandle| Ok(int(h.head().deadline_ms)));
    api.has("est_input_tokens", |h: &HeadHandle| Ok(int(h.head().est_input_tokens)));
    api.has("max_output_tokens", |h: &HeadHandle| Ok(option(h.head().max_output_tokens.map(int))));
    api.has("segment_count", |h: &HeadHandle| Ok(int(h.head().segment_count)));
    api.has("body_bytes", |h: &HeadHandle| Ok(int(h.head().body_bytes)));
    api.has("needs", |h: &HeadHandle| Ok(h.head().needs));
    api.has("attempt", |h: &HeadHandle| Ok(int(h.head().attempt)));
    api.has("budget", |h: &HeadHandle| Ok(option(h.head().budget.map(Dynamic::from))));
    api.getter("limit", |budget: &mut Budget| Ok(budget.limit.0 as INT));
    api.getter("left", |budget: &mut Budget| Ok(budget.left.0 as INT));
}

/// A need by name.
type Flag = (&'static str, fn(&Needs) -> bool);

fn needs(api: &mut Api<'_>) {
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
        api.getter(name, move |needs: &mut Needs| Ok(Dynamic::from(read(needs))));
    }
}
