//! Tokens of a stream on their way past one policy: most of them only wait for their window.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use weir_policy::pipeline::{Bound, Pipeline, Trace};
use weir_policy::{DeltaKind, Lane, Policy, RequestView};

use crate::failure::{Context, Failure, Result};

const LANE: Lane = Lane { choice: 0, kind: DeltaKind::Content, index: 0 };
/// Four bytes, as English tokens are.
const TOKENS: [&str; 4] = [" the", " or ", "less", " fox"];
/// A long answer.
const TOKENS_A_STREAM: usize = 2_000;

/// Microseconds a token, one stream a round; that of opening and ending the stream is in it.
pub(super) fn per_token(
    rounds: usize,
    policy: Arc<dyn Policy>,
    request: &Arc<RequestView>,
) -> Result<Vec<f64>> {
    let pipeline = Pipeline::new(vec![Bound::everywhere(policy)]).context("pipeline")?;
    stream(&pipeline, request)?; // warms caches, is not counted
    (0..rounds).map(|_| stream(&pipeline, request)).collect()
}

fn stream(pipeline: &Pipeline, request: &Arc<RequestView>) -> Result<f64> {
    let mut trace = Trace::new();
    let started = Instant::now();
    let streams = pipeline.stream(request, &mut trace).map_err(|_| Failure::new("the stream was refused"))?;
    let mut streams = streams.ok_or_else(|| Failure::new("no policy watches the stream"))?;
    let mut out = 0;
    for n in 1..=TOKENS_A_STREAM {
        let pushed = streams.push(LANE, TOKENS[n % 4], n == TOKENS_A_STREAM, &mut |text| out += text.len());
        pushed.map_err(|_| Failure::new("the stream was stopped"))?;
    }
    pipeline.streamed(streams.finish(&Default::default()), &mut trace);
    let taken = started.elapsed();
    if black_box(out) != TOKENS_A_STREAM * 4 {
        return Err(Failure::new(format!("{out} bytes came out of the stream")));
    }
    Ok(taken.as_secs_f64() * 1e6 / TOKENS_A_STREAM as f64)
}
