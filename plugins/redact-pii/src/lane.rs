//! One text of an exchange, read on and on: a segment of a request, a lane of a streamed reply.

use crate::action::{Action, to_redaction};
use crate::config::{Place, Policy};
use crate::keys::Keys;
use crate::scan::Found;
use crate::stream::Stream;
use std::rc::Rc;
use weir_sdk::{Direction, Role, Span};

/// What has been read of a text.
pub(crate) struct Reader {
    policy: Rc<Policy>,
    tenant: Rc<str>,
    direction: Direction,
    role: Role,
    stream: Stream,
    /// Only for arguments of a tool, if it matters.
    keys: Option<Keys>,
}

/// What a window was decided to be.
pub(crate) struct Read {
    pub(crate) spans: Vec<Span>,
    /// How many bytes are decided.
    pub(crate) decided: usize,
}

impl Reader {
    pub(crate) fn new(policy: Rc<Policy>, tenant: Rc<str>, direction: Direction, role: Role) -> Self {
        let stream = Stream::new(policy.leave());
        Self { policy, tenant, direction, role, stream, keys: None }
    }

    /// The same for arguments of a tool, which are JSON.
    pub(crate) fn of_arguments(mut self) -> Self {
        self.keys = self.policy.knows_arguments().then(Keys::default);
        self
    }

    /// Reads a window; spans are those of its decided bytes.
    pub(crate) fn push(&mut self, window: &str) -> Read {
        let (found, decided) = self.stream.push(window);
        self.read(window, &found, decided)
    }

    /// Reads the last window.
    pub(crate) fn finish(&mut self, window: &str) -> Read {
        let found = self.stream.finish(window);
        self.read(window, &found, window.len())
    }

    fn read(&mut self, window: &str, found: &[Found], decided: usize) -> Read {
        let mut spans = Vec::with_capacity(found.len());
        let mut at = 0;
        for found in found {
            self.pass(&window[at..found.start]);
            spans.extend(self.span(found));
            self.pass(&window[found.start..found.end]);
            at = found.end;
        }
        self.pass(&window[at.min(decided)..decided]);
        Read { spans, decided }
    }

    fn pass(&mut self, text: &str) {
        if let Some(keys) = &mut self.keys {
            keys.read(text);
        }
    }

    fn span(&self, found: &Found) -> Option<Span> {
        let class = found.class;
        let argument = self.keys.as_ref().and_then(Keys::key);
        let place = Place { tenant: &self.tenant, direction: self.direction, role: self.role, argument };
        let action = self.policy.action(class, &place);
        // Of a reply nothing goes to a vault, so nothing of its rest is dropped for it either.
        let kept = action == Action::Vault && self.direction == Direction::Reply;
        let action = if found.continues && !kept { action.on_rest() } else { action };
        let replace = to_redaction(action, class, self.direction)?;
        let span = Span::in_stream(found.start..found.end, class.index(), replace);
        Some(Span { severity: class.severity(), ..span })
    }
}
