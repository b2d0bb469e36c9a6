//! A guard that does its worst: loops, eats memory, panics or recurses, as its config says.

use weir_sdk::{Config, Guard, Plugin, Request, Verdict};

/// The plugin.
pub struct Hostile {
    how: String,
}

impl Plugin for Hostile {
    fn configure(config: Config<'_>) -> Result<Self, String> {
        Ok(Self { how: config.json().to_owned() })
    }
}

impl Guard for Hostile {
    fn guard(&self, request: &dyn Request) -> Verdict {
        let seed = request.segments().count() as u64;
        if self.how.contains("loop") {
            let mut n = seed;
            loop {
                n = std::hint::black_box(n.wrapping_add(1));
            }
        }
        if self.how.contains("memory") {
            let mut hoard: Vec<Vec<u8>> = Vec::new();
            loop {
                hoard.push(std::hint::black_box(vec![1; 1 << 20]));
            }
        }
        if self.how.contains("recursion") {
            std::hint::black_box(deeper(seed));
            return Verdict::pass();
        }
        let nothing: Option<u8> = std::hint::black_box(None);
        #[allow(clippy::expect_used, reason = "what this guest is for")]
        let _ = nothing.expect("as the config says");
        Verdict::pass()
    }
}

fn deeper(n: u64) -> u64 {
    let frame = std::hint::black_box([n; 64]);
    if n == u64::MAX { frame[0] } else { deeper(n + 1).wrapping_add(frame[63]) }
}

weir_sdk::export!(Hostile: guard);
