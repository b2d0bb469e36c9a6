//! A text that comes in pieces.

use crate::detect::Leave;
use crate::scan::{Found, State};

/// Scans one text that comes in windows: what was held back, followed by what is new. However it is cut, the same is
/// found as in the whole.
///
/// ```
/// use weir_plugin_redact_pii::{Leave, Stream};
///
/// let mut stream = Stream::new(Leave::default());
/// let (found, decided) = stream.push("write to ada@exam");
/// assert!(found.is_empty());
/// assert_eq!(decided, "write to ".len());
/// let found = stream.finish("ada@example.org");
/// assert_eq!((found[0].start, found[0].end), (0, 15));
/// ```
#[derive(Debug, Clone)]
pub struct Stream {
    state: State,
    leave: Leave,
}

impl Stream {
    /// A text begins.
    #[must_use]
    pub fn new(leave: Leave) -> Self {
        Self { state: State::default(), leave }
    }

    /// What is found in the bytes of a window that are decided, and how many those are. The others are to be shown again at the
    /// start of the next window.
    pub fn push(&mut self, window: &str) -> (Vec<Found>, usize) {
        let step = self.state.step(window, self.leave, true);
        (step.found, step.decided)
    }

    /// What is found in the last window, all of which is decided.
    pub fn finish(&mut self, window: &str) -> Vec<Found> {
        self.state.step(window, self.leave, false).found
    }
}
