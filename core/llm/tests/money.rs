//! Prices and the catalogue: exact, or an error.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests, outside test functions"
)]

use proptest::prelude::*;
use weir_llm::catalogue::Catalogue;
use weir_llm::price::{
    DecimalError, Nanos, PriceError, Prices, Rate, cost, pico_per_token_from_usd_per_mtok,
};
use weir_llm::usage::{Class, Usage};

fn rates(list: &[(Class, u64)]) -> Vec<Rate> {
    list.iter().map(|&(class, pico_per_unit)| Rate { class, pico_per_unit }).collect()
}

#[test]
fn decimals_are_exact() {
    for (text, pico) in [
        ("0.15", 150_000),
        ("10", 10_000_000),
        ("0.000001", 1),
        ("0.0750000000", 75_000),
        ("0", 0),
        ("18446744073709.551615", u64::MAX),
    ] {
        assert_eq!(pico_per_token_from_usd_per_mtok(text), Ok(pico), "{text}");
    }
    for (text, error) in [
        ("0.0000001", DecimalError::TooFine),
        ("18446744073709.551616", DecimalError::TooLarge),
        ("", DecimalError::NotDecimal),
        (".5", DecimalError::NotDecimal),
        ("1.", DecimalError::NotDecimal),
        ("-1", DecimalError::NotDecimal),
        ("1e3", DecimalError::NotDecimal),
        ("1.2.3", DecimalError::NotDecimal),
        (" 1", DecimalError::NotDecimal),
        ("١", DecimalError::NotDecimal),
    ] {
        assert_eq!(pico_per_token_from_usd_per_mtok(text), Err(error), "{text}");
    }
    assert_eq!(Nanos::from_usd("12.50"), Ok(Nanos(12_500_000_000)));
    assert_eq!(Nanos::from_usd("-0.000000001"), Ok(Nanos(-1)));
    assert_eq!(
        (Nanos(123_456).to_string(), Nanos(-1).to_string()),
        ("0.000123456 USD".into(), "-0.000000001 USD".into())
    );
    assert_eq!(Nanos(i64::MIN).to_string(), "-9223372036.854775808 USD");
}

#[test]
fn one_rounding_half_up_at_the_end() {
    let half = rates(&[(Class::Input, 250), (Class::Output, 249)]);
    let used = |input, output| Usage { input, output, ..Usage::default() };
    assert_eq!(cost(&half, &used(1, 1)), Ok(Nanos(0)), "499 pico");
    assert_eq!(cost(&half, &used(2, 0)), Ok(Nanos(1)), "500 pico");
    assert_eq!(cost(&half, &used(1, 3)), Ok(Nanos(1)), "997 pico: lines are not rounded one by one");
}

#[test]
fn classes_without_a_rate_fall_back_or_are_unpriced() {
    let plain = rates(&[(Class::Input, 1_000), (Class::Output, 3_000)]);
    let used = Usage {
        cached_input: 1,
        cache_write_5m: 1,
        cache_write_1h: 1,
        image: 1,
        reasoning: 2,
        ..Usage::default()
    };
    assert_eq!(cost(&plain, &used), Ok(Nanos(4 + 6)));
    let audio = Usage { input_audio: 1, ..Usage::default() };
    assert_eq!(cost(&plain, &audio), Err(PriceError::Unpriced(Class::InputAudio)));
    assert_eq!(cost(&[], &Usage::default()), Ok(Nanos(0)), "nothing used costs nothing");
    assert_eq!(cost(&[], &Usage { output: 1, ..Usage::default() }), Err(PriceError::Unpriced(Class::Output)));
    let prices =
        Prices { rates: rates(&[(Class::Input, 1_000), (Class::CachedInput, 100)]), ..Prices::default() };
    let used = Usage { input: 5, cached_input: 10, ..Usage::default() };
    assert_eq!((prices.cost(&used), prices.list_cost_without_cache(&used)), (Ok(Nanos(6)), Ok(Nanos(15))));
}

/// Schoolbook arithmetic on decimal digits, least first: shares no code with what it checks.
fn add_product(sum: &mut Vec<u32>, a: u64, b: u64) {
    let digits = |n: u64| n.to_string().bytes().rev().map(|d| u32::from(d - b'0')).collect::<Vec<_>>();
    for (i, x) in digits(a).into_iter().enumerate() {
        for (j, y) in digits(b).into_iter().enumerate() {
            let mut carry = x * y;
            let mut at = i + j;
            while carry > 0 {
                if sum.len() <= at {
                    sum.push(0);
                }
                carry += sum[at];
                sum[at] = carry % 10;
                carry /= 10;
                at += 1;
            }
        }
    }
}

proptest! {
    #[test]
    fn cost_agrees_with_schoolbook_arithmetic(
        units in prop::collection::vec(prop_oneof![0u64..10_000_000, any::<u64>()], 13),
        prices in prop::collection::vec(prop_oneof![0u64..100_000_000, any::<u64>()], 13),
    ) {
        let list: Vec<_> = Class::ALL.into_iter().zip(prices.iter().copied()).collect();
        let [input, cached_input, cache_write_5m, cache_write_1h, output, reasoning, input_audio, output_audio, image, images, seconds, characters, search_units]: [u64; 13] =
            units.clone().try_into().unwrap();
        let used = Usage { input, cached_input, cache_write_5m, cache_write_1h, output, reasoning, input_audio, output_audio, image, images, seconds, characters, search_units, ..Usage::default() };
        let mut sum = vec![0; 60];
        for (units, price) in units.iter().zip(&prices) {
            add_product(&mut sum, *units, *price);
        }
        let up = sum[2] >= 5;
        let whole: String = sum[3..].iter().rev().map(|d| char::from_digit(*d, 10).unwrap()).collect();
        let whole = whole.trim_start_matches('0');
        let expected = if whole.is_empty() { Some(0) } else { whole.parse::<i64>().ok() };
        let expected = expected.and_then(|nanos| nanos.checked_add(i64::from(up))).map(Nanos).ok_or(PriceError::Overflow);
        prop_assert_eq!(cost(&rates(&list), &used), expected);
    }

    #[test]
    fn decimals_agree_with_integers(whole in 0u64..1_000_000, fraction in 0u64..1_000_000) {
        let text = format!("{whole}.{fraction:06}");
        prop_assert_eq!(pico_per_token_from_usd_per_mtok(&text), Ok(whole * 1_000_000 + fraction));
    }
}

#[test]
fn the_embedded_catalogue_is_read() {
    let catalogue = Catalogue::parse(include_bytes!("../data/catalogue.json")).unwrap();
    assert_eq!(Catalogue::embedded().models(), catalogue.models());
    let mini = catalogue.model("openai", "gpt-4o-mini").unwrap();
    assert_eq!(mini.rates[0], Rate { class: Class::Input, pico_per_unit: 150_000 });
    assert_eq!(
        catalogue.model("my-proxy", "gpt-4o-mini-2024-07-18"),
        Some(mini),
        "by bare name, and by alias"
    );
    assert_eq!(catalogue.model("openai", "nonesuch"), None);
    let prices = catalogue.find("sim", "sim-small").unwrap().prices(&catalogue).unwrap();
    assert_eq!(prices.source, "weir-sim");
    let whisper = catalogue.find("openai", "whisper-1").unwrap().prices(&catalogue).unwrap();
    let used = Usage { seconds: 61, ..Usage::default() };
    assert_eq!(whisper.cost(&used), Err(PriceError::Unpriced(Class::Seconds)), "nothing is chosen yet");
    assert_eq!(whisper.for_units(None, None).cost(&used), Ok(Nanos(6_100_000)));
    assert_eq!(whisper.rate(Class::Input), None, "what is not billed by tokens has no price for them");
}

#[test]
fn an_operators_catalogue_comes_first_and_errors_name_the_model() {
    let own = br#"{"version":"ours-1","models":[{"provider":"openai","name":"gpt-4o-mini","usd_per_mtok":{"input":"1","output":"2"},"source":"contract","checked_on":"2026-11-01"}]}"#;
    let merged = Catalogue::embedded().extended_by(&Catalogue::parse(own).unwrap()).unwrap();
    assert_eq!(merged.model("openai", "gpt-4o-mini").unwrap().source, "contract");
    assert_eq!(merged.model("openai", "gpt-4o").unwrap().name, "gpt-4o");
    assert!(merged.version.ends_with("+ours-1"));
    let error = |rates: &str| {
        let text = format!(
            r#"{{"version":"1","models":[{{"provider":"p","name":"m","usd_per_mtok":{rates},"source":"s","checked_on":"d"}}]}}"#
        );
        Catalogue::parse(text.as_bytes()).unwrap_err().to_string()
    };
    assert_eq!(error(r#"{"inptu":"1"}"#), "catalogue: p/m: unknown token class \"inptu\"");
    assert_eq!(error(r#"{"input":"0.0000001"}"#), "catalogue: p/m: input: finer than the unit of account");
    assert!(error(r#"{"input":0.15}"#).contains("expected a string"), "floats are no prices");
}
