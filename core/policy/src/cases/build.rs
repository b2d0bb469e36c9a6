//! From a written case to a call: the request, the targets and the failed attempts.

use super::expect::Seen;
use super::file::{BreakerName, Case, Cases, HeadFile, LiveFile, TargetFile};
use crate::head::{Api, Head, Retention};
use crate::manifest::Hook;
use crate::pipeline::{Pipeline, Trace};
use crate::policy::{LoadError, Policy};
use crate::request::RequestView;
use crate::target::{Breaker, Candidates, Live, LiveFacts, Target, TargetTable};
use crate::verdict::{AttemptError, ErrorClass};
use crate::yaml::{self, nearest};
use bytes::Bytes;
use futures::executor::block_on;
use serde_json::{Value, json};
use serde_saphyr::Spanned;
use std::sync::Arc;
use weir_llm::estimate;
use weir_llm::price::{Rate, pico_per_token_from_usd_per_mtok};
use weir_llm::request::Request;
use weir_llm::usage::Class;

/// The target table of all cases.
pub(super) fn table(file: &str, cases: &Cases) -> Result<TargetTable, LoadError> {
    cases.targets.iter().map(|written| target(file, written)).collect()
}

/// Asks the policy what a case asks.
pub(super) fn ask(
    file: &str,
    table: &TargetTable,
    case: &Case,
    policy: &dyn Policy,
    pipeline: &Pipeline,
) -> Result<Seen, LoadError> {
    let hook = hook(file, case, policy)?;
    let view = Arc::new(view(file, case)?);
    let candidates = Arc::new(candidates(file, table, case)?);
    let mut trace = Trace::new();
    let mut seen = match hook {
        Hook::Guard => {
            let outcome = block_on(pipeline.guard(&view, &mut trace));
            Seen::guard(outcome.end, outcome.edited, &outcome.view)
        }
        Hook::OnError => {
            let errors: Arc<[AttemptError]> = errors(file, case, &candidates)?.into();
            let recovery = block_on(pipeline.on_error(&view, &candidates, &errors, None, &mut trace));
            Seen::recovery(recovery, &candidates)
        }
        _ => {
            let outcome = block_on(pipeline.route(&view, &candidates, &mut trace));
            Seen::route(outcome.decision, &candidates)
        }
    };
    for line in trace {
        seen.findings.extend(line.findings.into_iter().map(|finding| finding.rule));
        seen.fault = line.fault.or(seen.fault);
    }
    Ok(seen)
}

fn hook(file: &str, case: &Case, policy: &dyn Policy) -> Result<Hook, LoadError> {
    let here = |message: String| yaml::at(LoadError::new(file, message), case.name.referenced);
    let hooks = &policy.manifest().hooks;
    let only = if let [only] = hooks.as_slice() { Some(*only) } else { None };
    let Some(hook) = case.hook.map(Hook::from).or(case.expect.hook()).or(only) else {
        return Err(here(format!("case `{}` does not say its `hook`", case.name.value)));
    };
    if case.expect.hook().is_some_and(|expected| expected != hook) {
        return Err(here(format!(
            "what case `{}` expects is no answer of `{}`",
            case.name.value,
            hook.as_str()
        )));
    }
    if hooks.contains(&hook) {
        return Ok(hook);
    }
    Err(here(format!("case `{}` asks `{}`, a hook that the policy has not", case.name.value, hook.as_str())))
}

fn view(file: &str, case: &Case) -> Result<RequestView, LoadError> {
    let body = body(case);
    let size = body.len() as u64;
    let chat = Request::parse(Api::Chat, body).map_err(|error| {
        let place = case.body.as_ref().map_or(case.name.referenced, |body| body.referenced);
        yaml::at(LoadError::new(file, format!("the body is no valid request: {}", error.message)), place)
    })?;
    let head = head(file, case, &chat, size)?;
    let headers = case.headers.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
    Ok(RequestView::new(head, Arc::new(chat), headers))
}

fn body(case: &Case) -> Bytes {
    match case.body.as_ref().map(|body| &body.value) {
        Some(Value::String(raw)) => Bytes::from(raw.clone()),
        Some(value) => Bytes::from(value.to_string()),
        None => {
            let default = vec!["Hello.".to_owned()];
            let texts = case.texts.as_ref().unwrap_or(&default);
            let messages: Vec<_> =
                texts.iter().map(|text| json!({"role": "user", "content": text})).collect();
            let model = case.head.model.as_deref().unwrap_or("model");
            let stream = case.head.stream.unwrap_or(false);
            Bytes::from(json!({"model": model, "stream": stream, "messages": messages}).to_string())
        }
    }
}

fn head(file: &str, case: &Case, chat: &Request, size: u64) -> Result<Head, LoadError> {
    let written: &HeadFile = &case.head;
    let narrow = |tokens: u64| u32::try_from(tokens).unwrap_or(u32::MAX);
    let tags: Vec<_> = written.tags.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
    Ok(Head {
        request_id: "req_case".into(),
        api: Api::Chat,
        requested_model: written.model.as_deref().unwrap_or_else(|| chat.model()).into(),
        stream: written.stream.unwrap_or_else(|| chat.stream()),
        tenant: written.tenant.as_str().into(),
        project: written.project.as_str().into(),
        key_id: written.key_id.as_str().into(),
        user_hash: written.user_hash.as_deref().map(Into::into),
        region: written.region.as_str().into(),
        class: written.class.into(),
        retention: retention(file, written.retention.as_deref(), case.name.referenced)?,
        tags: tags.into(),
        deadline_ms: written.deadline_ms.unwrap_or(600_000),
        est_input_tokens: written.est_input_tokens.unwrap_or_else(|| narrow(estimate::input_guess(chat))),
        max_output_tokens: written.max_output_tokens.or_else(|| chat.max_output_tokens().map(narrow)),
        segment_count: narrow(chat.segments().len() as u64),
        body_bytes: written.body_bytes.unwrap_or(size),
        needs: chat.needs(),
        attempt: written.attempt,
        budget: None,
    })
}

fn retention(file: &str, name: Option<&str>, place: serde_saphyr::Location) -> Result<Retention, LoadError> {
    let Some(name) = name else { return Ok(Retention::Unknown) };
    Retention::parse(name).ok_or_else(|| {
        let error = LoadError::new(file, format!("unknown retention `{name}`"));
        yaml::at(error.hint("known: zero, zero-except-safety, days-N, unknown"), place)
    })
}

/// The live facts that a case states.
struct Stated(Vec<LiveFile>);

impl LiveFacts for Stated {
    fn live(&self, target: u16) -> Live {
        let stated = self.0.get(usize::from(target)).copied().unwrap_or_default();
        Live {
            target,
            healthy: stated.healthy,
            in_flight: stated.in_flight,
            ttft_p50_ms: stated.ttft_p50_ms,
            ttft_p95_ms: stated.ttft_p95_ms,
            tps_p50: stated.tps_p50,
            err_rate_1m: stated.err_rate_1m,
            headroom: stated.headroom,
            breaker: match stated.breaker {
                BreakerName::Closed => Breaker::Closed,
                BreakerName::HalfOpen => Breaker::HalfOpen,
                BreakerName::Open => Breaker::Open,
            },
            prompt_cache_warm: stated.prompt_cache_warm,
        }
    }
}

fn candidates(file: &str, table: &TargetTable, case: &Case) -> Result<Candidates, LoadError> {
    let index = |id: &str| find(file, table, id, case.name.referenced);
    let allowed = match &case.candidates {
        Some(ids) => ids.iter().map(|id| index(id)).collect::<Result<Vec<_>, _>>()?,
        None => (0..u16::try_from(table.len()).unwrap_or(u16::MAX)).collect(),
    };
    let mut facts = vec![LiveFile::default(); table.len()];
    for (id, stated) in &case.live {
        facts[usize::from(index(id)?)] = *stated;
    }
    Ok(Candidates { table: Arc::clone(table), allowed: allowed.into(), facts: Arc::new(Stated(facts)) })
}

fn find(file: &str, table: &[Target], id: &str, place: serde_saphyr::Location) -> Result<u16, LoadError> {
    let found = table.iter().position(|target| *target.id == *id);
    found.and_then(|index| u16::try_from(index).ok()).ok_or_else(|| {
        let error = yaml::at(LoadError::new(file, format!("unknown target `{id}`")), place);
        match nearest(id, table.iter().map(|target| &*target.id)) {
            Some(near) => error.hint(format!("did you mean `{near}`?")),
            None => error,
        }
    })
}

fn target(file: &str, written: &TargetFile) -> Result<Target, LoadError> {
    let id = written.id.value.as_str();
    let (provider, model) = id.split_once('/').unwrap_or(("", id));
    let retention_place = written.retention.as_ref().map_or(written.id.referenced, |name| name.referenced);
    Ok(Target {
        id: id.into(),
        provider: written.provider.as_deref().unwrap_or(provider).into(),
        model: written.model.as_deref().unwrap_or(model).into(),
        region: written.region.as_str().into(),
        retention: retention(
            file,
            written.retention.as_ref().map(|name| name.value.as_str()),
            retention_place,
        )?,
        trains: written.trains,
        ctx_tokens: written.context,
        max_output_tokens: written.max_output,
        quality: written.quality,
        rates: written.rates.iter().map(|(class, usd)| rate(file, class, usd)).collect::<Result<_, _>>()?,
        tags: written.tags.clone().into(),
        weight: written.weight,
    })
}

fn rate(file: &str, class: &str, usd: &Spanned<String>) -> Result<Rate, LoadError> {
    let here = |message: String| yaml::at(LoadError::new(file, message), usd.referenced);
    let class = Class::parse(class)
        .filter(|class| class.is_token())
        .ok_or_else(|| here(format!("unknown token class `{class}`")))?;
    let pico_per_unit = pico_per_token_from_usd_per_mtok(&usd.value)
        .map_err(|error| here(format!("`{}` is no price: {error}", usd.value)))?;
    Ok(Rate { class, pico_per_unit })
}

fn errors(file: &str, case: &Case, candidates: &Candidates) -> Result<Vec<AttemptError>, LoadError> {
    let convert = |written: &super::file::ErrorFile| {
        let target = find(file, &candidates.table, &written.target.value, written.target.referenced)?;
        let class = ErrorClass::ALL.into_iter().find(|class| class.as_str() == written.class.value);
        let class = class.ok_or_else(|| {
            let error = LoadError::new(file, format!("unknown error class `{}`", written.class.value));
            let near = nearest(&written.class.value, ErrorClass::ALL.map(ErrorClass::as_str));
            let error = near.map_or(error.clone(), |near| error.hint(format!("did you mean `{near}`?")));
            yaml::at(error, written.class.referenced)
        })?;
        Ok(AttemptError {
            target,
            target_id: written.target.value.as_str().into(),
            class,
            status: written.status,
            provider_code: written.provider_code.clone(),
            retry_after_ms: written.retry_after_ms,
            elapsed_ms: written.elapsed_ms,
        })
    };
    case.errors.iter().map(convert).collect()
}
