//! The request as policies see it, and the reply to it.

use super::place::Place;
use super::{body, money};
use crate::cases::file::{Case, HeadFile};
use crate::head::{Api, Budget, Head, Retention};
use crate::policy::LoadError;
use crate::request::Headers;
use crate::request::RequestView;
use crate::target::TargetTable;
use crate::vault::Vault;
use crate::verdict::ReplyMeta;
use bytes::Bytes;
use serde_json::Value;
use std::sync::Arc;
use weir_llm::estimate;
use weir_llm::reply::Reply;
use weir_llm::request::Request;
use weir_llm::usage::Source;

/// The key of hashes in cases, so that they are the same in every run.
const SECRET: [u8; 32] = *b"the secret of every golden case!";

/// The request of a case.
pub(in crate::cases) fn request(file: &str, case: &Case) -> Result<RequestView, LoadError> {
    let place = Place::case(file, case);
    let api = api(place, case)?;
    let body = request_body(place, case, api)?;
    let size = body.len() as u64;
    let request = Request::parse(api, body).map_err(|error| {
        let place = case.body.as_ref().map_or(place, |body| place.of(body));
        place.error(format!("the body is no valid request: {}", error.message))
    })?;
    let head = head(place, &case.head, &request, size, case.stream.is_some())?;
    let headers: Headers = case.headers.iter().map(|(name, value)| (&**name, &**value)).collect();
    let view = RequestView::new(head, Arc::new(request), headers);
    Ok(view.with_secret(SECRET).with_vault(Vault::for_cases()))
}

/// The reply of a case, which answers its request.
pub(in crate::cases) fn reply(
    file: &str,
    case: &Case,
    request: &RequestView,
) -> Result<RequestView, LoadError> {
    let place = Place::case(file, case);
    let Some(written) = &case.reply else { return Err(place.error("the key `reply` is missing")) };
    let place = place.of(written);
    let api = request.head().api;
    let body = match texts(&written.value) {
        Some(texts) => body::reply(api, &request.head().requested_model, &texts).ok_or_else(|| {
            place
                .error(format!("a reply of `{}` cannot be given as texts", api.as_str()))
                .hint("write the body out")
        })?,
        None => body::written(&written.value),
    };
    let reply =
        Reply::parse(api, body).map_err(|error| place.error(format!("the reply is no JSON: {error}")))?;
    Ok(request.of_reply(Arc::new(reply)))
}

/// What is known of the reply beside its content.
pub(in crate::cases) fn meta(
    file: &str,
    case: &Case,
    table: &TargetTable,
    reply: &RequestView,
) -> Result<ReplyMeta, LoadError> {
    let place = Place::case(file, case);
    let meta = case.meta.as_ref();
    let named = meta.and_then(|meta| meta.target.as_ref()).or(case.target.as_ref());
    let target = match named {
        Some(id) => super::targets::find(place.of(id), table, &id.value)?,
        None => 0,
    };
    let id = table.get(usize::from(target)).map_or("", |target| &*target.id);
    let told = meta.and_then(|meta| meta.finish_reason.as_deref());
    let finish_reason = told.map_or_else(|| finish_reason(reply), str::to_owned);
    let usage = meta.and_then(|meta| meta.usage.as_ref());
    Ok(ReplyMeta {
        target,
        target_id: id.into(),
        finish_reason: finish_reason.into(),
        usage: usage.map_or_else(|| Ok(Default::default()), |usage| money::usage(place, usage))?,
        source: Source::Provider,
        ttft_ms: meta.map_or(0, |meta| meta.ttft_ms),
        total_ms: meta.map_or(0, |meta| meta.total_ms),
        attempts: meta.and_then(|meta| meta.attempts).unwrap_or(1),
    })
}

fn finish_reason(reply: &RequestView) -> String {
    let reply = Reply::parse(reply.head().api, reply.body().clone()).ok();
    let reason = reply.as_ref().and_then(Reply::finish_reason);
    reason.unwrap_or_default().into_owned()
}

/// A list of texts, unless it is a body.
fn texts(written: &Value) -> Option<Vec<String>> {
    let list = written.as_array()?;
    list.iter().map(|text| text.as_str().map(str::to_owned)).collect()
}

fn api(place: Place<'_>, case: &Case) -> Result<Api, LoadError> {
    let Some(name) = &case.api else { return Ok(Api::Chat) };
    let known = Api::parse(&name.value);
    known.ok_or_else(|| place.of(name).unknown("API", &name.value, Api::ALL.map(Api::as_str)))
}

fn request_body(place: Place<'_>, case: &Case, api: Api) -> Result<Bytes, LoadError> {
    if let Some(body) = &case.body {
        return Ok(body::written(&body.value));
    }
    let default = vec!["Hello.".to_owned()];
    let texts = case.texts.as_ref().unwrap_or(&default);
    let model = case.head.model.as_deref().unwrap_or("model");
    let stream = case.head.stream.unwrap_or(case.stream.is_some());
    body::request(api, model, stream, texts).ok_or_else(|| {
        place
            .error(format!("a request of `{}` cannot be given as texts", api.as_str()))
            .hint("give its `body`")
    })
}

/// The head that is written; what is left out is read from the request.
pub(super) fn head(
    place: Place<'_>,
    written: &HeadFile,
    request: &Request,
    size: u64,
    streamed: bool,
) -> Result<Head, LoadError> {
    let narrow = |tokens: u64| u32::try_from(tokens).unwrap_or(u32::MAX);
    let tags: Vec<_> = written.tags.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
    Ok(Head {
        request_id: written.request_id.as_deref().unwrap_or("req_case").into(),
        api: request.api(),
        requested_model: written.model.as_deref().unwrap_or_else(|| request.model()).into(),
        stream: written.stream.unwrap_or_else(|| request.stream() || streamed),
        tenant: written.tenant.as_str().into(),
        project: written.project.as_str().into(),
        key_id: written.key_id.as_str().into(),
        user_hash: written.user_hash.as_deref().map(Into::into),
        region: written.region.as_str().into(),
        class: written.class,
        retention: retention(place, written.retention.as_deref())?,
        demands: None,
        tags: tags.into(),
        deadline_ms: written.deadline_ms.unwrap_or(600_000),
        est_input_tokens: written.est_input_tokens.unwrap_or_else(|| narrow(estimate::input_guess(request))),
        max_output_tokens: written.max_output_tokens.or_else(|| request.max_output_tokens().map(narrow)),
        segment_count: narrow(request.segments().len() as u64),
        body_bytes: written.body_bytes.unwrap_or(size),
        needs: request.needs(),
        attempt: written.attempt,
        budget: budget(place, written)?,
    })
}

fn budget(place: Place<'_>, written: &HeadFile) -> Result<Option<Budget>, LoadError> {
    let Some(budget) = &written.budget else { return Ok(None) };
    let (limit, left) = (money::nanos(place, &budget.limit)?, money::nanos(place, &budget.left)?);
    Ok(Some(Budget { limit, left }))
}

pub(super) fn retention(place: Place<'_>, name: Option<&str>) -> Result<Retention, LoadError> {
    let Some(name) = name else { return Ok(Retention::Unknown) };
    Retention::parse(name).ok_or_else(|| {
        let error = place.error(format!("unknown retention `{name}`"));
        error.hint("known: zero, zero-except-safety, days-N, unknown")
    })
}
