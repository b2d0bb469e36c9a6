//! Scripted replies.

use super::with;
use crate::http::{HttpError, Inbound, Outbound};
use std::rc::Rc;

pub(crate) fn send(call: &Outbound) -> Result<Inbound, HttpError> {
    let script = with(|host| host.aliases.get(&call.host_alias).map(Rc::clone));
    script.ok_or(HttpError::NotGranted)?(call)
}

pub(crate) fn send_all(calls: &[Outbound]) -> Vec<Result<Inbound, HttpError>> {
    calls.iter().map(send).collect()
}
