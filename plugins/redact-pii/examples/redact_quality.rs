//! Prints precision and recall by class over the corpora, and how fast texts are scanned: `cargo run --release --example
//! redact_quality`; with `--wrong` each line that is not right. The last line is one JSON object for `make bench`.

#![allow(clippy::print_stdout, reason = "that is what it is for")]

#[allow(dead_code, clippy::expect_used, reason = "the corpora are ours; kinds are for tests/quality.rs")]
#[path = "../corpus/corpus.rs"]
mod corpus;

use std::hint::black_box;
use std::time::Instant;
use weir_plugin_redact_pii::scan;

fn main() {
    let tells = std::env::args().any(|argument| argument == "--wrong");
    let scores = corpus::scores(|line, found| {
        if tells {
            println!("{} {:?}\n  expected {:?}\n  found    {found:?}", line.set, line.text, line.spans);
        }
    });
    println!(
        "{:<6} {:<12} {:>6} {:>6} {:>6} {:>10} {:>7}",
        "set", "class", "right", "wrong", "missed", "precision", "recall"
    );
    let mut rows = Vec::new();
    for ((set, class), score) in &scores {
        let (name, precision, recall) = (class.as_str(), score.precision(), score.recall());
        println!(
            "{set:<6} {name:<12} {:>6} {:>6} {:>6} {precision:>10.4} {recall:>7.4}",
            score.right, score.wrong, score.missed
        );
        rows.push(serde_json::json!({ "set": set, "class": name, "precision": precision, "recall": recall }));
    }
    let prose = PROSE.repeat(40);
    let dense: String = corpus::lines().into_iter().map(|line| line.text + "\n").collect();
    let (prose, dense) = (speed(&prose), speed(&dense));
    println!("scan of ordinary text {prose:.0} MB/s, of the corpora themselves {dense:.0} MB/s");
    println!("{}", serde_json::json!({ "classes": rows, "mb_per_s": prose, "mb_per_s_dense": dense }));
}

/// What people and models write, with lists, code and figures.
const PROSE: &str = concat!(
    include_str!("../../../README.md"),
    include_str!("../../../docs/src/shipping.md"),
    include_str!("../../../docs/src/first-plugin.md")
);

/// The best of many short runs, in 10⁶ bytes a second: a busy machine takes its time from the others.
#[allow(clippy::cast_precision_loss, reason = "megabytes")]
fn speed(text: &str) -> f64 {
    let one = || {
        let start = Instant::now();
        black_box(scan(black_box(text)));
        text.len() as f64 / 1e6 / start.elapsed().as_secs_f64()
    };
    (0..60).map(|_| one()).fold(0.0, f64::max)
}
