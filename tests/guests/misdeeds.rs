//! What a hostile guest does, in the hook and in the way that its config names: `{"hook": "guard", "how": "loop"}`.

/// The ways, and in which hook.
pub(crate) struct Misdeeds {
    config: String,
}

impl Misdeeds {
    /// As the config says.
    pub(crate) fn new(config: &str) -> Self {
        Self { config: config.replace(' ', "") }
    }

    fn says(&self, key: &str, value: &str) -> bool {
        self.config.contains(&format!("\"{key}\":\"{value}\""))
    }

    /// Does it, if this is the hook; otherwise nothing.
    pub(crate) fn commit(&self, hook: &str) {
        if !self.says("hook", hook) {
            return;
        }
        if self.says("how", "loop") {
            let mut n = 0_u64;
            loop {
                n = std::hint::black_box(n.wrapping_add(1));
            }
        }
        if self.says("how", "memory") {
            let mut hoard: Vec<Vec<u8>> = Vec::new();
            loop {
                hoard.push(std::hint::black_box(vec![1; 1 << 20]));
            }
        }
        if self.says("how", "recursion") {
            std::hint::black_box(deeper(1));
        }
        if self.says("how", "panic") {
            let nothing: Option<u8> = std::hint::black_box(None);
            #[allow(clippy::expect_used, reason = "what this guest is for")]
            let _ = nothing.expect("as the config says");
        }
    }

    #[allow(dead_code, reason = "a redactor has no text of its own")]
    /// A text far beyond `output_bytes`, if this is the hook and the way.
    pub(crate) fn huge(&self, hook: &str) -> Option<String> {
        (self.says("hook", hook) && self.says("how", "huge")).then(|| "x".repeat(4 << 20))
    }
}

fn deeper(n: u64) -> u64 {
    let frame = std::hint::black_box([n; 64]);
    if n == u64::MAX { frame[0] } else { deeper(n + 1).wrapping_add(frame[63]) }
}
