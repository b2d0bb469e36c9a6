//! One policy on a stream's way: what waits for it, what it holds back, what it lets go.

use super::checked::code_label;
use super::heard::{Piece, Recorder};
use super::{Refused, TraceLine, Verdict};
use crate::answer;
use crate::manifest::{FailureMode, Hook, Manifest, Windows};
use crate::policy::{Fault, Policy, StreamGuard, StreamRedactor};
use crate::request::RequestView;
use crate::tracker::Tracker;
use crate::verdict::{Deny, Finding, Lane, Next, TextEdit};
use std::sync::Arc;
use std::time::{Duration, Instant};
use weir_llm::usage::Usage;

/// Longest window that a policy may wish for.
const MAX_WINDOW_BYTES: u32 = 64 << 10;

/// One policy and its stream.
pub(super) struct Link {
    policy: Arc<dyn Policy>,
    failure: FailureMode,
    hook: Hook,
    watcher: Watcher,
    windows: Windows,
    lanes: Vec<Waiting>,
    /// Calls of tools that it has not been told of.
    calls: Vec<(Lane, Box<str>)>,
    line: TraceLine,
    refusal: Refused,
    /// Whether it sees what passes.
    watching: bool,
    recorder: Option<Recorder>,
}

enum Watcher {
    Guard(Box<dyn StreamGuard>),
    Redactor(Box<dyn StreamRedactor>),
}

/// What of a lane has come and not gone on.
struct Waiting {
    lane: Lane,
    /// What was held back, then what is new.
    text: String,
    /// Has followed what went on, as it came: edits of JSON keep it JSON.
    json: Tracker,
    /// Bytes at the end that the policy has not seen.
    fresh: usize,
    since: Instant,
}

/// What a policy answered to a window.
struct Step {
    edits: Vec<TextEdit>,
    findings: Vec<Finding>,
    hold: u32,
    next: Next,
}

impl Link {
    /// `line` is what the trace says unless something happens, `refusal` what a failure that closes says.
    pub(super) fn open(
        policy: &Arc<dyn Policy>,
        failure: FailureMode,
        shown: &Arc<RequestView>,
        (line, refusal): (TraceLine, Refused),
    ) -> Result<Self, Fault> {
        let hook = line.hook;
        let watcher = match hook {
            Hook::Redact => Watcher::Redactor(policy.stream_redactor(shown)?),
            _ => Watcher::Guard(policy.stream(shown)?),
        };
        Ok(Self {
            policy: Arc::clone(policy),
            failure,
            hook,
            watcher,
            windows: policy.manifest().stream,
            lanes: Vec::new(),
            calls: Vec::new(),
            line,
            refusal,
            watching: true,
            recorder: None,
        })
    }

    /// Writes down what it hears, for a shadow.
    pub(super) fn recorded_by(mut self, recorder: Option<Recorder>) -> Self {
        self.recorder = recorder;
        self
    }

    /// More of a lane. What may go on is given to `out`; an error ends the stream.
    pub(super) fn push(
        &mut self,
        (lane, text, last): (Lane, &str, bool),
        now: Instant,
        view: &RequestView,
        out: &mut dyn FnMut(&str),
    ) -> Result<(), Refused> {
        let Some(mut recorder) = self.recorder.take() else {
            return self.pushed((lane, text, last), now, view, out);
        };
        if last || !text.is_empty() {
            recorder.heard(Piece::Text { lane, text: text.into(), last });
        }
        let pushed = self.pushed((lane, text, last), now, view, &mut |text| {
            recorder.let_go(lane, text);
            out(text);
        });
        if let Err(refused) = &pushed {
            recorder.stopped(&refused.deny);
        }
        self.recorder = Some(recorder);
        pushed
    }

    fn pushed(
        &mut self,
        (lane, text, last): (Lane, &str, bool),
        now: Instant,
        view: &RequestView,
        out: &mut dyn FnMut(&str),
    ) -> Result<(), Refused> {
        if !self.watching {
            if let Some(at) = self.lanes.iter().position(|waiting| waiting.lane == lane) {
                out(&self.lanes.swap_remove(at).text);
            }
            out(text);
            return Ok(());
        }
        let at = self.lane(lane, now);
        let waiting = &mut self.lanes[at];
        if waiting.fresh == 0 {
            waiting.since = now;
        }
        waiting.text.push_str(text);
        waiting.fresh += text.len();
        let due = waiting.fresh >= self.windows.bytes as usize || self.aged(&self.lanes[at], now);
        if last || due {
            self.ask(at, last, view, out)?;
        }
        if last {
            self.lanes.swap_remove(at);
        }
        Ok(())
    }

    /// The model calls a tool; a redactor is told when there is something of the call to see.
    pub(super) fn called(&mut self, lane: Lane, tool: &str) {
        if let Some(recorder) = &mut self.recorder {
            recorder.heard(Piece::Call { lane, tool: tool.into() });
        }
        if self.watching && matches!(self.watcher, Watcher::Redactor(_)) {
            self.calls.push((lane, tool.into()));
        }
    }

    /// Lanes whose text has waited for long enough.
    pub(super) fn due(&self, now: Instant) -> Vec<Lane> {
        let due = self.lanes.iter().filter(|waiting| waiting.fresh > 0 && self.aged(waiting, now));
        due.map(|waiting| waiting.lane).collect()
    }

    /// When the first of them will have.
    pub(super) fn due_at(&self) -> Option<Instant> {
        let waiting = self.lanes.iter().filter(|waiting| waiting.fresh > 0).map(|waiting| waiting.since);
        waiting.min().map(|since| since + Duration::from_millis(u64::from(self.windows.ms)))
    }

    fn aged(&self, waiting: &Waiting, now: Instant) -> bool {
        now.saturating_duration_since(waiting.since) >= Duration::from_millis(u64::from(self.windows.ms))
    }

    /// The stream has ended: what the policy says last.
    pub(super) fn finish(mut self, usage: &Usage, view: &RequestView) -> (TraceLine, bool) {
        if let (Watcher::Guard(guard), true, None) = (&mut self.watcher, self.watching, &self.line.fault) {
            let start = Instant::now();
            let closing = guard.finish(usage);
            self.line.elapsed += start.elapsed();
            match closing {
                Ok(closing) => {
                    let closing = answer::closing(closing, rules(self.policy.manifest()));
                    view.note_tags(&closing.tags);
                    self.line.findings.extend(closing.findings);
                }
                Err(fault) => self.line.fault = Some(Box::new(fault)),
            }
        }
        let failed = self.line.fault.is_some();
        if failed && self.line.verdict != Verdict::Stop {
            self.line.verdict = Verdict::Fault;
        }
        if let Some(recorder) = self.recorder {
            recorder.tell(usage, &self.line);
        }
        (self.line, failed)
    }

    fn lane(&mut self, lane: Lane, now: Instant) -> usize {
        let known = self.lanes.iter().position(|waiting| waiting.lane == lane);
        known.unwrap_or_else(|| {
            self.lanes.push(Waiting {
                lane,
                text: String::new(),
                json: Tracker::default(),
                fresh: 0,
                since: now,
            });
            self.lanes.len() - 1
        })
    }

    /// One call about a lane, and what follows of it.
    fn ask(
        &mut self,
        at: usize,
        last: bool,
        view: &RequestView,
        out: &mut dyn FnMut(&str),
    ) -> Result<(), Refused> {
        let start = Instant::now();
        let waiting = &self.lanes[at];
        let told = self.calls.iter().position(|(lane, _)| *lane == waiting.lane);
        let told = told.map_or(Ok(()), |call| self.watcher.call(&self.calls.swap_remove(call)));
        let step =
            told.and_then(|()| self.watcher.push(waiting.lane, &waiting.text, last, self.policy.manifest()));
        let checked = step.and_then(|step| waiting.let_go(step, last, self.policy.manifest(), view));
        self.line.elapsed += start.elapsed();
        let LetGo { edited, keep, next, findings } = match checked {
            Ok(let_go) => let_go,
            Err(fault) => return self.failed(at, fault, out),
        };
        let waiting = &mut self.lanes[at];
        waiting.fresh = 0;
        match edited {
            Some(edited) => {
                self.line.verdict = Verdict::Edit;
                out(&edited);
            }
            None => out(&waiting.text[..keep]),
        }
        waiting.json.follow(&waiting.text[..keep]);
        waiting.text.drain(..keep);
        self.line.findings.extend(findings);
        match next {
            Next::More => Ok(()),
            Next::Window(bytes) => {
                self.windows.bytes = bytes.clamp(1, MAX_WINDOW_BYTES);
                Ok(())
            }
            Next::Detach => {
                self.detach(at, out);
                Ok(())
            }
            Next::Stop(deny) => Err(self.stopped(deny)),
        }
    }

    /// What is held of the lane at hand goes now; what is held of others, with their next text.
    fn detach(&mut self, at: usize, out: &mut dyn FnMut(&str)) {
        out(&std::mem::take(&mut self.lanes[at].text));
        self.watching = false;
    }

    fn stopped(&mut self, deny: Deny) -> Refused {
        let deny = answer::deny(deny);
        let declares = &self.policy.manifest().declares;
        self.line.reason = code_label(Some(&deny), declares, true);
        self.line.verdict = Verdict::Stop;
        self.watching = false;
        Refused { deny, failed: false, ..self.refusal.clone() }
    }

    fn failed(&mut self, at: usize, fault: Fault, out: &mut dyn FnMut(&str)) -> Result<(), Refused> {
        let closed = match self.hook.default_failure_mode() {
            FailureMode::Closed if fault.kind.is_from_outside() => true,
            _ => self.failure == FailureMode::Closed,
        };
        self.line.fault = Some(Box::new(fault));
        if closed {
            self.watching = false;
            return Err(self.refusal.clone());
        }
        self.detach(at, out);
        Ok(())
    }
}

impl Watcher {
    fn call(&mut self, (lane, tool): &(Lane, Box<str>)) -> Result<(), Fault> {
        match self {
            Self::Guard(_) => Ok(()),
            Self::Redactor(redactor) => redactor.call(*lane, tool),
        }
    }

    fn push(&mut self, lane: Lane, text: &str, last: bool, manifest: &Manifest) -> Result<Step, Fault> {
        match self {
            Self::Guard(guard) => {
                let step = guard.push(lane, text, last)?;
                Ok(Step { edits: step.edits, findings: Vec::new(), hold: step.hold, next: step.next })
            }
            Self::Redactor(redactor) => {
                let step = redactor.push(lane, text, last)?;
                let swaps = answer::redacted_text(&step.spans, manifest)?;
                let next = swaps.refused.map_or(step.next, Next::Stop);
                Ok(Step { edits: swaps.edits, findings: swaps.findings, hold: step.hold, next })
            }
        }
    }
}

/// A window after its policy's answer.
struct LetGo {
    /// What goes on in place of the first `keep` bytes; `None`: those bytes themselves.
    edited: Option<String>,
    keep: usize,
    next: Next,
    findings: Vec<Finding>,
}

impl Waiting {
    /// Checks an answer against the window that it is about.
    fn let_go(
        &self,
        step: Step,
        last: bool,
        manifest: &Manifest,
        view: &RequestView,
    ) -> Result<LetGo, Fault> {
        let hold = if last { 0 } else { step.hold };
        if hold > manifest.stream.max_hold {
            return Err(answer::bad("more is held back than the manifest's `stream.max_hold`"));
        }
        let mut keep = self.text.len().saturating_sub(hold as usize);
        while !self.text.is_char_boundary(keep) {
            keep -= 1;
        }
        // A window that ends a stream does not leave.
        if matches!(step.next, Next::Stop(_)) {
            return Ok(LetGo { edited: None, keep: 0, next: step.next, findings: step.findings });
        }
        let within = (view, manifest.limits.output_bytes);
        let edited = answer::edited_text((self.lane, &self.text[..keep]), &self.json, &step.edits, within)?;
        Ok(LetGo { edited, keep, next: step.next, findings: step.findings })
    }
}

fn rules(manifest: &Manifest) -> answer::Rules<'_> {
    answer::Rules { limits: &manifest.limits, declares: &manifest.declares, tainted: true }
}
