//! What translation costs, pair by pair: `cargo run --release -p weir-llm --example translate_cost`, with the
//! name of a pair (`chat_gemini`) only that. `make bench` has
//! the same figures among its own.
#![allow(
    clippy::print_stdout,
    unreachable_pub,
    reason = "a program that prints a table, and a module of two"
)]

#[path = "../../../benches/src/translation.rs"]
mod translation;

/// Medians, and the least: on a busy machine that is nearer to the truth.
fn main() {
    let only = std::env::args().nth(1).unwrap_or_default();
    for (name, values) in translation::measure(11, &only) {
        let least = values.iter().copied().fold(f64::INFINITY, f64::min);
        println!("{name:<40} {:>10.2} {least:>10.2}", translation::middle(&values));
    }
}
