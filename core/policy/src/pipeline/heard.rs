//! What a policy heard of a stream and what it let go: kept for a version in shadow, which is asked the same when the
//! stream is over.

use super::link::Link;
use super::outcome::TraceLine;
use super::stage::Shadow;
use super::{Refused, Verdict, policy_failed};
use crate::manifest::Hook;
use crate::policy::{Fault, Policy};
use crate::question::{Answer, Question};
use crate::request::RequestView;
use crate::verdict::{Deny, Lane};
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};
use weir_llm::usage::Usage;

/// Most bytes of one stream; of a longer one a shadow is not asked.
const MOST: usize = 256 << 10;

/// What a piece takes beside its text.
const PIECE: usize = 64;

/// A stream as it came to one policy.
#[derive(Debug, Clone, PartialEq)]
pub struct Heard {
    /// `stream`, or `redact`.
    pub hook: Hook,
    /// In order.
    pub pieces: Vec<Piece>,
    /// What was used, as the policy was told at the end.
    pub usage: Usage,
}

/// One thing that a policy was told of a stream.
#[derive(Clone, PartialEq, Eq)]
pub enum Piece {
    /// More of a lane.
    Text {
        /// Which.
        lane: Lane,
        /// What.
        text: Box<str>,
        /// Whether the lane ends with it.
        last: bool,
    },
    /// The model calls a tool, whose arguments come in this lane.
    Call {
        /// Which.
        lane: Lane,
        /// Its name.
        tool: Box<str>,
    },
}

/// What a policy made of a stream.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Passed {
    /// What it let go, by lane.
    pub lanes: Vec<(Lane, String)>,
    /// Whether that is another text than came.
    pub edited: bool,
    /// Why it ended the stream, if it did.
    pub stopped: Option<Deny>,
}

impl fmt::Debug for Piece {
    /// Where, and how much: a model's text is never printed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text { lane, text, last } => {
                write!(f, "Text({lane:?}, {} bytes, last: {last})", text.len())
            }
            Self::Call { lane, .. } => write!(f, "Call({lane:?})"),
        }
    }
}

impl fmt::Debug for Passed {
    /// How much of each lane.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lanes: Vec<_> = self.lanes.iter().map(|(lane, text)| (lane, text.len())).collect();
        let mut passed = f.debug_struct("Passed");
        passed.field("lanes", &lanes).field("edited", &self.edited).field("stopped", &self.stopped).finish()
    }
}

impl Heard {
    /// Bytes of its texts.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.pieces.iter().map(Piece::bytes).sum()
    }
}

impl Piece {
    /// With what it costs to keep it: most pieces are a few bytes long.
    const fn bytes(&self) -> usize {
        match self {
            Self::Text { text, .. } => text.len() + PIECE,
            Self::Call { tool, .. } => tool.len() + PIECE,
        }
    }
}

impl Passed {
    fn let_go(&mut self, lane: Lane, text: &str) {
        match self.lanes.iter_mut().find(|(known, _)| *known == lane) {
            Some((_, all)) => all.push_str(text),
            None => self.lanes.push((lane, text.to_owned())),
        }
    }
}

/// Writes down what one policy hears, while a version of it is in shadow.
pub(super) struct Recorder {
    shadow: Arc<dyn Shadow>,
    view: Arc<RequestView>,
    heard: Heard,
    passed: Passed,
    bytes: usize,
}

impl Recorder {
    pub(super) fn new(shadow: &Arc<dyn Shadow>, hook: Hook, view: &Arc<RequestView>) -> Self {
        let heard = Heard { hook, pieces: Vec::new(), usage: Usage::default() };
        let (shadow, view) = (Arc::clone(shadow), Arc::clone(view));
        Self { shadow, view, heard, passed: Passed::default(), bytes: 0 }
    }

    pub(super) fn heard(&mut self, piece: Piece) {
        self.bytes += piece.bytes();
        if self.bytes <= MOST {
            self.heard.pieces.push(piece);
        } else {
            self.heard.pieces = Vec::new();
        }
    }

    pub(super) fn let_go(&mut self, lane: Lane, text: &str) {
        if self.bytes <= MOST {
            self.passed.let_go(lane, text);
        } else {
            self.passed.lanes = Vec::new();
        }
    }

    pub(super) fn stopped(&mut self, deny: &Deny) {
        self.passed.stopped = Some(deny.clone());
    }

    /// The stream is over: tells the shadow, if all of it is here.
    pub(super) fn tell(mut self, usage: &Usage, line: &TraceLine) {
        if self.bytes > MOST {
            return;
        }
        self.heard.usage = *usage;
        self.passed.edited = line.verdict == Verdict::Edit;
        let live = match &line.fault {
            Some(fault) => Err((**fault).clone()),
            None => Ok(Answer::Stream(self.passed)),
        };
        let question = Question::Stream { view: self.view, heard: Arc::new(self.heard) };
        self.shadow.asked(question, &live, line.elapsed);
    }
}

/// What a version makes of a stream that is over.
///
/// # Errors
/// The policy failed.
pub fn replayed(policy: &Arc<dyn Policy>, view: &Arc<RequestView>, heard: &Heard) -> Result<Passed, Fault> {
    let manifest = policy.manifest();
    let name: Arc<str> = manifest.name.as_str().into();
    let version = manifest.version.as_str().into();
    let line = TraceLine {
        policy: Arc::clone(&name),
        version,
        hook: heard.hook,
        verdict: Verdict::Pass,
        reason: None,
        findings: Vec::new(),
        elapsed: Duration::ZERO,
        ended: None,
        fault: None,
    };
    let refusal = Refused { deny: policy_failed(&name), policy: name, failed: true };
    let mut link = Link::open(policy, manifest.failure_mode(heard.hook), view, (line, refusal))?;
    let (mut passed, now) = (Passed::default(), Instant::now());
    for piece in &heard.pieces {
        match piece {
            Piece::Call { lane, tool } => link.called(*lane, tool),
            Piece::Text { lane, text, last } => {
                let pushed =
                    link.push((*lane, text, *last), now, view, &mut |text| passed.let_go(*lane, text));
                if let Err(refused) = pushed {
                    passed.stopped = Some(refused.deny);
                    break;
                }
            }
        }
    }
    let (line, _) = link.finish(&heard.usage, view);
    passed.edited = line.verdict == Verdict::Edit;
    line.fault.map_or(Ok(passed), |fault| Err(*fault))
}
