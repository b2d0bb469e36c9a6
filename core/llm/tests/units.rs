//! Bills of what is no conversation: which unit counts, at which price, and the most it can come to.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use serde_json::{Value, json};
use weir_llm::api::Api;
use weir_llm::catalogue::Catalogue;
use weir_llm::price::{Nanos, PriceError, Prices, Unit, UnitPrice, unit_price, unit_price_bound};
use weir_llm::request::Request;
use weir_llm::units::{self, Bill, Told};
use weir_llm::usage::{Class, Source, Usage};

fn request(api: Api, body: &Value) -> Request {
    Request::parse(api, body.to_string().into()).unwrap()
}

fn listed(provider: &str, name: &str) -> Prices {
    let catalogue = Catalogue::embedded();
    catalogue.find(provider, name).unwrap().prices(catalogue).unwrap()
}

fn bill(api: Api, prices: Option<&Prices>, asked: &Value, reply: &Value) -> Bill {
    let told = Told::read(api, &reply.to_string().into()).unwrap();
    units::bill(&request(api, asked), 80_001, &told, prices)
}

fn cost(bill: &Bill) -> Result<Nanos, PriceError> {
    bill.prices.as_ref().unwrap().cost(&bill.usage)
}

fn image(usd: u64, size: Option<&str>, quality: Option<&str>) -> UnitPrice {
    let (size, quality) = (size.map(str::to_owned), quality.map(str::to_owned));
    UnitPrice { unit: Unit::Image, pico_per_unit: usd, size, quality }
}

#[test]
fn the_most_particular_price_holds_and_none_that_is_not_sure() {
    let prices = [
        image(1, None, None),
        image(2, None, Some("high")),
        image(3, Some("wide"), None),
        image(4, Some("wide"), Some("high")),
    ];
    let of = |size, quality| unit_price(&prices, Unit::Image, size, quality);
    assert_eq!(
        [of(None, None), of(Some("square"), None), of(Some("square"), Some("high"))],
        [Some(1), Some(1), Some(2)]
    );
    assert_eq!([of(Some("wide"), Some("low")), of(Some("wide"), Some("high"))], [Some(3), Some(4)]);
    assert_eq!(unit_price(&prices, Unit::Second, None, None), None);
    let sized = [
        image(5, Some("a"), Some("low")),
        image(5, Some("b"), Some("low")),
        image(9, Some("a"), Some("high")),
    ];
    let of = |size, quality| unit_price(&sized, Unit::Image, size, quality);
    assert_eq!(of(None, Some("low")), Some(5), "both sizes cost the same");
    assert_eq!([of(Some("a"), None), of(Some("c"), Some("low"))], [None, None]);
    assert_eq!(unit_price_bound(&sized, Unit::Image, Some("a"), None), Some(9));
    assert_eq!(unit_price_bound(&sized, Unit::Image, Some("a"), Some("low")), Some(5));
}

#[test]
fn images_are_billed_by_size_and_quality_unless_the_reply_says_tokens() {
    let prices = listed("openai", "gpt-image-1");
    let asked = json!({ "model": "m", "prompt": "a river", "n": 3, "size": "1024x1024", "quality": "low" });
    let two = bill(Api::Images, Some(&prices), &asked, &json!({ "data": [{}, {}] }));
    assert_eq!((two.usage, two.source), (Usage { images: 2, ..Usage::default() }, Source::GatewayCount));
    assert_eq!(cost(&two), Ok(Nanos(22_000_000)), "two came of three");
    let auto = json!({ "model": "m", "prompt": "a river", "size": "auto" });
    let open = bill(Api::Images, Some(&prices), &auto, &json!({ "data": [{}] }));
    assert_eq!(cost(&open), Err(PriceError::Unpriced(Class::Images)), "which one is not known");
    let said = json!({ "data": [{}], "size": "1024x1024", "quality": "high" });
    assert_eq!(cost(&bill(Api::Images, Some(&prices), &auto, &said)), Ok(Nanos(167_000_000)));
    let mut tokens = said.clone();
    tokens["usage"] = json!({ "input_tokens": 10, "output_tokens": 100 });
    let tokens = bill(Api::Images, Some(&prices), &asked, &tokens);
    assert_eq!((tokens.usage.images, tokens.source), (0, Source::Provider));
    assert_eq!(cost(&tokens), Ok(Nanos(10 * 5_000 + 100 * 40_000)));
    let mut nothing = said;
    nothing["usage"] = json!({ "input_tokens": 0, "output_tokens": 0 });
    assert_eq!(bill(Api::Images, Some(&prices), &asked, &nothing).usage.images, 1);
}

#[test]
fn a_model_with_unit_prices_only_is_billed_by_them_whatever_else_is_said() {
    let prices = listed("gemini", "imagen-3.0-generate-001");
    let reply = json!({ "data": [{}, {}], "usage": { "input_tokens": 7, "output_tokens": 7 } });
    let two = bill(Api::Images, Some(&prices), &json!({ "model": "m", "prompt": "x" }), &reply);
    assert_eq!((two.usage, cost(&two)), (Usage { images: 2, ..Usage::default() }, Ok(Nanos(80_000_000))));
}

#[test]
fn speech_transcription_and_reranking_have_their_own_units() {
    let spoken = bill(
        Api::Speech,
        Some(&listed("openai", "tts-1")),
        &json!({ "model": "m", "input": "Straße 🎉" }),
        &json!({}),
    );
    assert_eq!(
        (spoken.usage.characters, spoken.source, cost(&spoken)),
        (8, Source::GatewayCount, Ok(Nanos(120_000)))
    );

    let whisper = listed("openai", "whisper-1");
    let form = json!({ "model": "m" });
    let heard = json!({ "text": "x", "usage": { "type": "duration", "seconds": 61 } });
    let heard = bill(Api::Transcription, Some(&whisper), &form, &heard);
    assert_eq!(
        (heard.usage.seconds, heard.source, cost(&heard)),
        (61, Source::Provider, Ok(Nanos(6_100_000)))
    );
    let silent = bill(Api::Transcription, Some(&whisper), &form, &json!({ "text": "x" }));
    assert_eq!((silent.usage.seconds, silent.source), (6, Source::Estimate), "80,001 bytes at 128 kbit/s");

    let cohere = listed("cohere", "rerank-v3.5");
    let asked = json!({ "model": "m", "query": "q", "documents": vec!["d"; 101] });
    let said = json!({ "results": [], "meta": { "billed_units": { "search_units": 1 } } });
    let ranked = bill(Api::Rerank, Some(&cohere), &asked, &said);
    assert_eq!(
        (ranked.usage.search_units, ranked.source, cost(&ranked)),
        (1, Source::Provider, Ok(Nanos(2_000_000)))
    );
    let silent = bill(Api::Rerank, Some(&cohere), &asked, &json!({}));
    assert_eq!((silent.usage.search_units, silent.source), (2, Source::Estimate));
}

#[test]
fn units_count_also_where_nobody_knows_a_price_and_what_has_none_is_guessed_in_tokens() {
    let spoken = bill(Api::Speech, None, &json!({ "model": "m", "input": "four" }), &json!({}));
    assert_eq!((spoken.usage, spoken.prices), (Usage { characters: 4, ..Usage::default() }, None));
    let body = json!({ "model": "m", "input": "a river" });
    let embedded = bill(Api::Embeddings, None, &body, &json!({ "data": [] }));
    assert_eq!((embedded.usage.input > 0, embedded.source), (true, Source::Estimate));
    let counted = json!({ "model": "m", "messages": [{ "role": "user", "content": "x" }] });
    let counted = bill(Api::CountTokens, None, &counted, &json!({ "input_tokens": 9 }));
    assert_eq!((counted.usage, counted.source), (Usage::default(), Source::Provider));
}

#[test]
fn a_bound_is_never_below_the_bill() {
    let bound = |api, prices: &Prices, body: &Value| units::bound(&request(api, body), 80_001, prices);
    let image = listed("openai", "gpt-image-1");
    let asked = json!({ "model": "m", "prompt": "x", "n": 2, "size": "1024x1024", "quality": "low" });
    let (named, open) = (bound(Api::Images, &image, &asked), json!({ "model": "m", "prompt": "x", "n": 2 }));
    assert!((22_000_000..30_000_000).contains(&named.unwrap().0), "{named:?}");
    assert!(bound(Api::Images, &image, &open).unwrap().0 > 500_000_000, "the dearest is 0.25");
    let speech = json!({ "model": "m", "input": "four" });
    assert_eq!(bound(Api::Speech, &listed("openai", "tts-1"), &speech), Some(Nanos(60_000)));
    let form = json!({ "model": "m" });
    assert_eq!(bound(Api::Transcription, &listed("openai", "whisper-1"), &form), Some(Nanos(21 * 100_000)));
    let cohere = listed("cohere", "rerank-v3.5");
    let short = json!({ "model": "m", "query": "q", "documents": vec!["d"; 100] });
    let long = json!({ "model": "m", "query": "q", "documents": vec!["d".repeat(600); 100] });
    assert_eq!(bound(Api::Rerank, &cohere, &short), Some(Nanos(2_000_000)));
    assert_eq!(bound(Api::Rerank, &cohere, &long), Some(Nanos(4_000_000)), "each counts as two");
    assert_eq!(bound(Api::Speech, &image, &speech), None);
    assert!(image.covers(Api::Chat) && !cohere.covers(Api::Chat) && cohere.covers(Api::Rerank));
}

#[test]
fn units_are_no_class_of_token_prices() {
    let text = br#"{"version":"1","models":[{"provider":"p","name":"m","usd_per_mtok":{"images":"1"},"source":"s","checked_on":"d"}]}"#;
    assert!(Catalogue::parse(text).is_err());
}
