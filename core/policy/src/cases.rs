//! Golden cases: a request and facts in, the expected verdict out.
//!
//! A policy `route.rhai` has its cases beside it in `route.cases.yaml`. They go through a
//! [`Pipeline`](crate::Pipeline) of this one policy, so `when`, the checks of answers and the limits hold as they do in the gateway.
//!
//! ```yaml
//! config: { strategy: cheapest }            # the policy's config; a case may bring its own
//! targets:                                  # the target table of all cases
//!   - id: sim/cheap                         # provider/model
//!     rates: { input: 0.10, output: 0.40 }  # USD per million tokens, by class
//!   - { id: sim/good, rates: { input: 2.5, output: 10 }, quality: 0.9, region: eu, retention: zero,
//!       context: 128000, max_output: 16384, trains: false, tags: [eu], weight: 1 }
//! cases:
//!   - name: the cheapest target comes first
//!     head: { model: fast, tenant: acme, tags: { tier: gold } }
//!     live: { sim/good: { ttft_p50_ms: 120, err_rate_1m: 0.02 } }   # default: healthy, idle, never measured
//!     expect: { plan: [sim/cheap, sim/good] }
//!     reason: cheapest                      # optional
//!   - name: a narrowed list is respected
//!     candidates: [sim/good]                # default: all targets
//!     config: { strategy: best }
//!     expect: { plan: [sim/good] }
//!   - name: an address is masked
//!     texts: ["write to ada@example.org"]   # one user message each; or `body: { model: …, messages: … }`,
//!     headers: { accept-language: de }      # or `body:` as a string, taken byte for byte
//!     expect: { texts: ["write to [email]"] }
//!     findings: [email]                     # optional: the rules, in order
//!   - name: an overload moves on at once
//!     errors: [{ target: sim/cheap, class: overloaded, status: 529, retry_after_ms: 9000 }]
//!     expect: { switch: sim/good }
//! ```
//!
//! # What a hook is asked, and what it may answer
//!
//! | hook | the case brings | `expect` |
//! |---|---|---|
//! | admit | `head` | `allow`, `{ allow: { tag: value } }` (all tags), `{ deny: D }` |
//! | guard | `texts` or `body` | `pass`, `{ texts: [...] }` (all segments after the edits; an empty text is none), `{ body: ... }`, `{ block: D }`, `{ answer: text }` |
//! | redact | the same; with `reply` a reply; with `stream` a streamed one | `pass`, `{ texts: [...] }`, `{ body: ... }`, `{ block: D }`; of a stream as `stream` |
//! | route | `head`, `live`, `candidates` | `{ plan: [ids] }`, `{ deny: D }`, `abstain` |
//! | attempt | `attempt: { target: id, number: 1 }` | `pass`, `{ texts: [...] }`, `{ headers: { name: value } }`, `{ changes: { texts, headers } }`, `{ skip: reason }` |
//! | on-error | `errors` | `follow-plan`, `{ retry-after: ms }`, `{ switch: id }`, `{ fail: D }` |
//! | guard-response | `reply: [text, ...]` or a body; `meta: { target, finish_reason, usage, ttft_ms, total_ms, attempts }` | as guard |
//! | stream | `stream: [text, ...]`, or of `{ lane: tool-args, index: 0, tool: name, text }` | `pass`, `{ passes: text }`, `{ passes: { content: text, tool-args: text } }`, `{ stop: D }` with `after: text` in it |
//! | price | `target: id`, `usage: { input: 1000, cached_input: 10, output: 50 }`, `list_price` | `{ charge: USD }`, `{ charge-nanos: n }`, `{ quote: USD }`, `{ quote-nanos: n }`, `list-price` (not asked) |
//! | complete | `complete: [{ outcome: ok, target: id, charged: USD, ... }]` | `done` |
//! | any | | `{ fault: kind }`; `hook:` says which if several would do |
//!
//! `D` is any of `status`, `code`, `message`, `retry_after_ms`; what is left out may be anything. `api: messages` (or any
//! other) says in whose form `texts`, `body` and `reply` are; `chat` if it does not.
//!
//! A lane is named `content`, `reasoning`, `refusal`, `tool-args`, of the second call `tool-args/1`, of the second choice
//! `content@1`. A lane that `passes` does not name passes as it came. In a case a policy is shown each piece of a stream
//! by itself; and every case of a stream is played again in one piece, cut at every place, character by character and at
//! random: it must come out the same, or be stopped by the same refusal.
//!
//! # What the host does
//!
//! | key | |
//! |---|---|
//! | `now_ms`, `random` | what the clock and chance say |
//! | `kv: { plugin/KEY: value }` | what is kept already: `plugin/`, `tenant/` (of the case's), `tenant@ID/`, `request/` |
//! | `http: [{ alias, method, path, status, headers, body, error }]` | replies of other hosts; a call that none fits gets the error `connect` |
//! | `times: 3`, `every_ms: 1000` | how often it is asked (the last answer counts), and how time passes between |
//!
//! And what it must have done with it, each optional: `tags: { name: value }` (all notes about the exchange),
//! `records: [counter blocked, log warn, observe bytes, explain rule]` (all, in order; by their first words),
//! `calls: [ALIAS METHOD PATH]`, `kv_after: { plugin/KEY: value }` (`null`: no such key), `items: [[name, USD]]` of a
//! charge, `restores: { "what a model says": "what the caller gets" }` (whole, and cut at every place; a text that begins
//! with `{` is a tool's arguments).
//!
//! The nonce of vault tokens is `case00`: the first e-mail address that a case hides is `[EMAIL-1-case00]`.

mod ask;
mod expect;
mod file;
mod host;
mod plan;
mod play;
mod probe;
mod report;
mod restore;
mod run;
mod say;
mod seen;
mod split;
mod suite;
mod told;
mod world;

pub use probe::Probe;
pub use report::{Failure, Report};
pub use suite::Suite;
pub use told::Told;

use crate::policy::{LoadError, Policy};
use crate::services::Grants;
use std::path::Path;
use std::sync::Arc;

/// Compiles the policy under test with a config, for the host that the cases speak of.
pub type Compile<'a> = dyn Fn(&serde_json::Value, &Grants) -> Result<Arc<dyn Policy>, LoadError> + 'a;

/// Runs the cases of a file against a compiled policy; the file may bring neither a config nor anything of a host then.
///
/// # Errors
/// The file cannot be read or is no cases file, with the line.
pub fn run(path: &Path, policy: &Arc<dyn Policy>) -> Result<Report, LoadError> {
    let suite = Suite::read(path)?;
    suite.needs_no_host()?;
    let name = path.display().to_string();
    suite.run(&|config, _| match config {
        serde_json::Value::Null => Ok(Arc::clone(policy)),
        _ => Err(LoadError::new(&name, "the cases bring a config but the policy is already compiled")),
    })
}

/// Runs the cases of a file; the policy is compiled for every config they bring (`null` if none).
///
/// # Errors
/// As [`run`], or the policy does not compile.
pub fn run_with(path: &Path, compile: &Compile<'_>) -> Result<Report, LoadError> {
    Suite::read(path)?.run(compile)
}
