//! What came of a case, to be printed or read by a program.

use super::host::Did;
use super::say;
use super::seen::{Answer, Seen};
use crate::manifest::Hook;
use crate::pipeline::TraceLine;
use crate::verdict::{Deny, Finding, Severity};
use serde_json::{Map, Value, json};
use std::fmt;

/// What came of a case.
pub struct Told {
    /// The case's name.
    pub name: String,
    /// The hook that was asked.
    pub hook: Hook,
    pub(super) seen: Seen,
    pub(super) did: Did,
    pub(super) kept: Vec<(String, String)>,
}

impl Told {
    /// Whether the policy failed.
    #[must_use]
    pub const fn failed(&self) -> bool {
        self.seen.fault.is_some()
    }

    /// The same for a program.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let seen = &self.seen;
        let findings = seen.trace.iter().flat_map(|line| &line.findings).map(finding);
        json!({
            "hook": self.hook.as_str(),
            "answer": answer(&seen.answer),
            "fault": seen.fault.as_ref().map(|fault| json!({
                "kind": fault.kind.as_str(), "message": fault.message, "place": fault.place,
                "excerpt": fault.excerpt, "hint": fault.kind.hint(),
            })),
            "reason": seen.reason,
            "findings": findings.collect::<Vec<_>>(),
            "tags": seen.notes,
            "records": self.did.records,
            "calls": self.did.calls,
            "kv": self.kept.iter().cloned().collect::<std::collections::BTreeMap<_, _>>(),
            "trace": seen.trace.iter().map(line).collect::<Vec<_>>(),
        })
    }
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seen = &self.seen;
        writeln!(f, "{}: {}", self.hook.as_str(), say::got(seen))?;
        if let Answer::Edited(edited) = &seen.answer {
            edited.texts.iter().try_for_each(|text| writeln!(f, "  text      {text:?}"))?;
        }
        for found in seen.trace.iter().flat_map(|line| &line.findings) {
            let segment = found.segment.map(|segment| format!(" segment {segment}")).unwrap_or_default();
            let (rule, severity) = (&found.rule, severity(found.severity));
            writeln!(f, "  finding   {rule} ({severity}){segment} bytes {}..{}", found.start, found.end)?;
        }
        for (name, value) in &seen.notes {
            writeln!(f, "  tag       {name} = {value}")?;
        }
        self.did.records.iter().try_for_each(|record| writeln!(f, "  record    {record}"))?;
        self.did.calls.iter().try_for_each(|call| writeln!(f, "  call      {call}"))?;
        for (key, value) in &self.kept {
            writeln!(f, "  kv        {key} = {value}")?;
        }
        for line in &seen.trace {
            let reason = line.reason.as_ref().map(|reason| format!(" ({reason})")).unwrap_or_default();
            let (policy, version, verdict) = (&line.policy, &line.version, line.verdict.as_str());
            let micros = line.elapsed.as_micros();
            writeln!(
                f,
                "  trace     {policy}@{version} {}: {verdict}{reason}, {micros} µs",
                line.hook.as_str()
            )?;
        }
        Ok(())
    }
}

fn answer(answer: &Answer) -> Value {
    match answer {
        Answer::Pass => json!("pass"),
        Answer::Edited(edited) => {
            let mut fields = Map::new();
            fields.insert("texts".into(), json!(edited.texts));
            let body = serde_json::from_str(&edited.body).unwrap_or_else(|_| json!(edited.body));
            fields.insert("body".into(), body);
            if !edited.headers.is_empty() {
                fields.insert("headers".into(), json!(edited.headers));
            }
            json!({ "edit": fields })
        }
        Answer::Answered(text) => json!({ "answer": text }),
        Answer::Allowed => json!("allow"),
        Answer::Refused(refused) => json!({ "deny": deny(refused) }),
        Answer::Plan(ids) => json!({ "plan": ids }),
        Answer::Abstained => json!("abstain"),
        Answer::Skipped(reason) => json!({ "skip": reason }),
        Answer::FollowPlan => json!("follow-plan"),
        Answer::RetryAfter(ms) => json!({ "retry-after": ms }),
        Answer::Switch(id) => json!({ "switch": id }),
        Answer::Streamed(lanes) => json!({ "passes": lanes.0 }),
        Answer::Stopped { deny: refused, left } => json!({ "stop": deny(refused), "after": left.0 }),
        Answer::Charged(charge) => {
            let items: Vec<_> = charge.items.iter().map(|(name, nanos)| json!([name, nanos.0])).collect();
            json!({ "charge_nanos": charge.total.0, "items": items })
        }
        Answer::Quoted(quote) => json!({ "quote_nanos": quote.0 }),
        Answer::ListPrice => json!("list-price"),
        Answer::Done => json!("done"),
    }
}

fn deny(deny: &Deny) -> Value {
    let Deny { status, code, message, retry_after_ms } = deny;
    json!({ "status": status, "code": code, "message": message, "retry_after_ms": retry_after_ms })
}

fn finding(finding: &Finding) -> Value {
    json!({
        "rule": finding.rule, "severity": severity(finding.severity), "segment": finding.segment,
        "start": finding.start, "end": finding.end, "score": finding.score,
    })
}

const fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "info",
        Severity::Low => "low",
        Severity::Medium => "medium",
        Severity::High => "high",
        Severity::Critical => "critical",
    }
}

fn line(line: &TraceLine) -> Value {
    json!({
        "policy": &*line.policy, "version": &*line.version, "hook": line.hook.as_str(),
        "verdict": line.verdict.as_str(), "reason": line.reason.as_deref(),
        "elapsed_us": u64::try_from(line.elapsed.as_micros()).unwrap_or(u64::MAX),
        "fault": line.fault.as_ref().map(ToString::to_string),
    })
}
