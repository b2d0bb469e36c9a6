//! `http`: calls to the operator's aliases. Reasons for failure are thrown as words: `not-granted`, `invalid`, `timeout`,
//! `connect`, `tls`, `too-large`, `budget`; of several calls each answer carries its own.

use super::{Answer, pairs};
use crate::api::config::plain;
use crate::api::plan::{kind, ms_of};
use crate::api::registrar::Api;
use crate::api::{option, text};
use crate::call;
use crate::fault::{misuse, word};
use crate::meter;
use crate::waiting::{self, Replies};
use rhai::{Array, Blob, Dynamic, INT, ImmutableString, Map};
use std::sync::Arc;
use weir_policy::Capability;
use weir_policy::services::{HttpError, Inbound, Outbound};

/// What the map of a call may hold.
pub(crate) const OUTBOUND: [&str; 6] = ["method", "host_alias", "path", "headers", "body", "timeout_ms"];

/// What came of one call.
#[derive(Clone)]
pub(crate) struct Reply(Arc<Result<Inbound, HttpError>>);

impl Reply {
    fn read<T: Into<Dynamic>>(&self, read: impl FnOnce(&Inbound) -> T) -> Dynamic {
        self.0.as_ref().as_ref().map_or(Dynamic::UNIT, |inbound| read(inbound).into())
    }
}

pub(super) fn register(api: &mut Api<'_>) {
    api.custom_type::<Reply>("Reply");
    api.function("http_send", |call: Map| {
        let mut replies = send(vec![outbound(call)?])?;
        match replies.pop() {
            Some(Ok(inbound)) => Ok(Reply(Arc::new(Ok(inbound)))),
            Some(Err(error)) => Err(word(error.as_str())),
            None => Err(misuse("the host answered with nothing")),
        }
    });
    api.function("http_send_all", |calls: Array| {
        let calls = calls.into_iter().map(|call| match call.try_cast_result::<Map>() {
            Ok(call) => outbound(call),
            Err(call) => Err(misuse(format!("{} where a map is needed", kind(&call)))),
        });
        let replies = send(calls.collect::<Answer<_>>()?)?;
        Ok(replies.into_iter().map(|reply| Dynamic::from(Reply(Arc::new(reply)))).collect::<Array>())
    });
    replies(api);
}

fn replies(api: &mut Api<'_>) {
    api.getter("error", |r: &mut Reply| {
        Ok(option(r.0.as_ref().as_ref().err().map(|error| text(error.as_str()))))
    });
    api.getter("status", |r: &mut Reply| Ok(r.read(|inbound| INT::from(inbound.status))));
    // What is no UTF-8 is replaced; `bytes` has it as it came.
    api.getter("body", |r: &mut Reply| Ok(r.read(|inbound| text(&String::from_utf8_lossy(&inbound.body)))));
    api.getter("bytes", |r: &mut Reply| Ok(r.read(|inbound| inbound.body.clone())));
    api.getter("truncated", |r: &mut Reply| Ok(r.read(|inbound| inbound.truncated)));
    api.getter("headers", |r: &mut Reply| {
        let all = |inbound: &Inbound| {
            let headers = inbound.headers.iter();
            headers.map(|(name, value)| (name.as_str().into(), text(value))).collect::<Map>()
        };
        Ok(r.read(all))
    });
    api.function("header", |r: &mut Reply, name: ImmutableString| {
        let find = |inbound: &Inbound| {
            let found = inbound.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(&name));
            option(found.map(|(_, value)| text(value)))
        };
        Ok(r.read(find))
    });
    api.function("json", |r: &mut Reply| match r.0.as_ref() {
        Ok(inbound) if inbound.body.len() > call::plain(|call| Ok(call.most_text()))? => {
            Err(word(HttpError::TooLarge.as_str()))
        }
        Ok(inbound) => serde_json::from_slice(&inbound.body)
            .map(|value| plain(&value))
            .map_err(|_| misuse("the reply is no JSON")),
        Err(_) => Ok(Dynamic::UNIT),
    });
}

fn send(calls: Vec<Outbound>) -> Answer<Replies> {
    let origin = call::with(Capability::Http, |call| {
        let known = |outbound: &Outbound| call.manifest().http.contains(&outbound.host_alias);
        if !calls.iter().all(known) {
            return Err(misuse("not-granted: the manifest's `http` does not name the alias"));
        }
        if !call.may_send(calls.len() as u64) {
            return Err(word(HttpError::Budget.as_str()));
        }
        Ok(call.origin())
    })?;
    let calls = calls.into_iter().map(|call| (origin.clone(), call)).collect();
    let replies = waiting::send(calls).ok_or_else(|| misuse("this call cannot wait for an answer"))??;
    meter::keep(replies.iter().flatten().map(|inbound| inbound.body.len()).sum())?;
    Ok(replies)
}

fn outbound(call: Map) -> Answer<Outbound> {
    let mut outbound = Outbound {
        method: "GET".to_owned(),
        host_alias: String::new(),
        path: "/".to_owned(),
        headers: Vec::new(),
        body: Vec::new(),
        timeout_ms: 0,
    };
    for (name, value) in call {
        match name.as_str() {
            "method" => outbound.method = word_of(&name, value)?,
            "host_alias" => outbound.host_alias = word_of(&name, value)?,
            "path" => outbound.path = word_of(&name, value)?,
            "headers" => match value.try_cast_result::<Map>() {
                Ok(headers) => outbound.headers = pairs(&headers)?,
                Err(value) => return Err(misuse(format!("`headers` is {}, not a map", kind(&value)))),
            },
            "body" => outbound.body = body(value)?,
            "timeout_ms" => match value.as_int() {
                Ok(ms) => outbound.timeout_ms = ms_of(ms)?,
                Err(_) => return Err(misuse("`timeout_ms` is a whole number of milliseconds")),
            },
            _ => {
                return Err(misuse(format!("a call has {}, nothing else", OUTBOUND.join(", "))));
            }
        }
    }
    Ok(outbound)
}

fn word_of(name: &str, value: Dynamic) -> Answer<String> {
    value.into_string().map_err(|_| misuse(format!("`{name}` is a text")))
}

/// A text or blob as it is, a map or array as JSON.
fn body(value: Dynamic) -> Answer<Vec<u8>> {
    if let Some(text) = value.read_lock::<ImmutableString>() {
        return Ok(text.as_bytes().to_vec());
    }
    if let Some(blob) = value.read_lock::<Blob>() {
        return Ok(blob.clone());
    }
    crate::api::json::of(&value).map(|json| json.to_string().into_bytes())
}
