//! How long it takes to read the catalogue that is compiled in: `cargo run --release -p weir-llm --example catalogue`.
#![allow(clippy::print_stdout, clippy::expect_used, reason = "it prints what it measured")]

use std::hint::black_box;
use std::time::Instant;
use weir_llm::catalogue::Catalogue;

fn main() {
    let begun = Instant::now();
    let models = Catalogue::embedded().models().len();
    println!("first read: {:?}, {models} models", begun.elapsed());
    let text = include_bytes!("../data/catalogue.json");
    let begun = Instant::now();
    for _ in 0..100 {
        black_box(Catalogue::parse(black_box(text)).expect("a test proves that it can be read"));
    }
    println!("warm: {:?} a read", begun.elapsed() / 100);
    let begun = Instant::now();
    for _ in 0..1_000_000 {
        black_box(Catalogue::embedded().find(black_box("google"), black_box("gemini-2.5-pro")));
    }
    println!("find: {:?}", begun.elapsed() / 1_000_000);
}
