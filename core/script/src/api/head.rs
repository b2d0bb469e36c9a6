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
    api.getter("tenant", |h: &mut HeadHandle| Ok(text(&h.head().tenant)));
    api.getter("project", |h: &mut HeadHandle| Ok(text(&h.head().project)));
    api.getter("key_id", |h: &mut HeadHandle| Ok(text(&h.head().key_id)));
    api.getter("user_hash", |h: &mut HeadHandle| Ok(option(h.head().user_hash.as_deref().map(text))));
    api.getter("region", |h: &mut HeadHandle| Ok(text(&h.head().region)));
    api.getter("class", |h: &mut HeadHandle| Ok(text(h.head().class.name())));
    api.getter("retention", |h: &mut HeadHandle| Ok(h.head().retention.name()));
    api.getter("tags", |h: &mut HeadHandle| {
        let tags = h.head().tags.iter();
        Ok(tags.map(|(name, value)| (name.as_str().into(), text(value))).collect::<Map>())
    });
    api.function("tag", |h: &mut HeadHandle, name: ImmutableString| {
        let tag = h.head().tags.iter().find(|(known, _)| *known == *name);
        Ok(option(tag.map(|(_, value)| text(value))))
    });
}

fn what(api: &mut Api<'_>) {
    api.getter("api", |h: &mut HeadHandle| Ok(text(h.head().api.as_str())));
    api.getter("requested_model", |h: &mut HeadHandle| Ok(text(&h.head().requested_model)));
    api.getter("stream", |h: &mut HeadHandle| Ok(h.head().stream));
    api.changing("deadline_ms", |h: &mut HeadHandle| Ok(int(h.head().deadline_ms)));
    api.getter("est_input_tokens", |h: &mut HeadHandle| Ok(int(h.head().est_input_tokens)));
    api.getter("max_output_tokens", |h: &mut HeadHandle| Ok(option(h.head().max_output_tokens.map(int))));
    api.getter("segment_count", |h: &mut HeadHandle| Ok(int(h.head().segment_count)));
    api.getter("body_bytes", |h: &mut HeadHandle| Ok(int(h.head().body_bytes)));
    api.getter("needs", |h: &mut HeadHandle| Ok(h.head().needs));
    api.getter("attempt", |h: &mut HeadHandle| Ok(int(h.head().attempt)));
    api.getter("budget", |h: &mut HeadHandle| Ok(option(h.head().budget.map(Dynamic::from))));
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
