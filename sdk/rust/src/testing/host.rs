//! The host behind the capabilities: each thread has its own.
#![cfg_attr(target_arch = "wasm32", allow(dead_code, reason = "the capabilities are the real ones there"))]

use crate::annotate::AnnotateError;
use crate::http::{HttpError, Inbound, Outbound};
use crate::telemetry::Level;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

pub(crate) mod http;
pub(crate) mod kv;

/// What a plugin recorded.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "the parameters of the functions in `telemetry`")]
pub enum Record {
    Log { level: Level, message: String, fields: Vec<(String, String)> },
    Counter { name: String, by: u64, labels: Vec<(String, String)> },
    Observe { name: String, value: f64, labels: Vec<(String, String)> },
    Explain { rule: String, because: String },
}

type Script = Rc<dyn Fn(&Outbound) -> Result<Inbound, HttpError>>;

#[derive(Default)]
struct Host {
    now_ms: u64,
    config: Option<String>,
    records: Vec<Record>,
    notes: Vec<(String, String)>,
    kv: kv::Store,
    aliases: BTreeMap<String, Script>,
}

thread_local!(static HOST: RefCell<Host> = RefCell::default());

fn with<R>(work: impl FnOnce(&mut Host) -> R) -> R {
    HOST.with_borrow_mut(work)
}

/// Everything that was recorded so far in this test.
#[must_use]
pub fn records() -> Vec<Record> {
    with(|host| host.records.clone())
}

/// Every note so far in this test.
#[must_use]
pub fn notes() -> Vec<(String, String)> {
    with(|host| host.notes.clone())
}

/// Sets the clock.
pub fn set_now_ms(ms: u64) {
    with(|host| host.now_ms = ms);
}

/// Sets what [`env::config`](crate::env::config) answers.
pub fn set_config(json: &str) {
    with(|host| host.config = Some(json.to_owned()));
}

/// Answers the calls to an alias; an alias without answers is not granted.
pub fn on_http(alias: &str, answer: impl Fn(&Outbound) -> Result<Inbound, HttpError> + 'static) {
    with(|host| host.aliases.insert(alias.to_owned(), Rc::new(answer)));
}

pub(crate) fn config() -> String {
    with(|host| host.config.clone().unwrap_or_else(|| "{}".into()))
}

pub(crate) fn now_ms() -> u64 {
    with(|host| host.now_ms)
}

pub(crate) fn record(record: Record) {
    with(|host| host.records.push(record));
}

pub(crate) fn note(key: &str, value: &str) -> Result<(), AnnotateError> {
    with(|host| {
        let known = host.notes.iter().position(|(known, _)| known == key);
        if key.len() > 128 || value.len() > 128 || (known.is_none() && host.notes.len() >= 32) {
            return Err(AnnotateError::Budget);
        }
        match known {
            Some(at) => value.clone_into(&mut host.notes[at].1),
            None => host.notes.push((key.to_owned(), value.to_owned())),
        }
        Ok(())
    })
}
