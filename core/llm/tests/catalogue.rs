//! The catalogue's facts against figures that people read elsewhere, and its prices against arithmetic.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests, outside test functions"
)]

use proptest::prelude::*;
use weir_llm::catalogue::{Catalogue, Mode, Model, Unit};
use weir_llm::price::{LongPrompt, OPERATOR, Prices, Rate, RateSet, pico_from_usd};
use weir_llm::usage::{Class, ServiceTier, Usage};

fn found(vendor: &str, name: &str) -> &'static Model {
    Catalogue::embedded().find(vendor, name).unwrap_or_else(|| panic!("{vendor}/{name}"))
}

fn prices(vendor: &str, name: &str) -> Prices {
    found(vendor, name).prices(Catalogue::embedded()).unwrap()
}

/// Rates of input, cached input, five-minute write, one-hour write and output as one writes them: thousandths of a dollar
/// per million tokens.
fn listed(rates: &[Rate]) -> [u64; 5] {
    [Class::Input, Class::CachedInput, Class::CacheWrite5m, Class::CacheWrite1h, Class::Output].map(|class| {
        rates.iter().find(|rate| rate.class == class).map_or(0, |rate| rate.pico_per_unit / 1000)
    })
}

#[test]
fn there_are_models_of_every_kind_and_maker() {
    let catalogue = Catalogue::embedded();
    assert!(catalogue.models().len() >= 200, "{}", catalogue.models().len());
    let count = |mode| catalogue.models().iter().filter(|model| model.mode == mode).count();
    for (mode, least) in [
        (Mode::Chat, 200),
        (Mode::Embedding, 10),
        (Mode::Image, 10),
        (Mode::Speech, 5),
        (Mode::Transcription, 5),
        (Mode::Moderation, 1),
        (Mode::Rerank, 5),
    ] {
        assert!(count(mode) >= least, "{mode:?}: {}", count(mode));
    }
    for provider in [
        "openai",
        "anthropic",
        "gemini",
        "mistral",
        "deepseek",
        "xai",
        "cohere",
        "perplexity",
        "groq",
        "cerebras",
        "together",
        "fireworks",
        "openrouter",
        "sim",
    ] {
        assert!(catalogue.provider(provider).is_some(), "{provider}");
        assert!(catalogue.models().iter().any(|model| model.provider == provider), "{provider}");
    }
    for class in Class::ALL.into_iter().filter(|class| class.is_token()) {
        let priced = |model: &Model| model.rates.iter().any(|rate| rate.class == class);
        assert!(catalogue.models().iter().any(priced), "{}", class.as_str());
    }
    let prefixed = |model: &&Model| {
        ["gemini/", "xai/", "groq/", "mistral/", "deepseek/", "together_ai/", "fireworks_ai/", "ft:"]
            .iter()
            .any(|prefix| model.provider != "openrouter" && model.name.starts_with(prefix))
    };
    assert_eq!(catalogue.models().iter().find(prefixed).map(Model::id), None, "litellm's prefixes are gone");
}

#[test]
fn what_is_listed_is_priced_and_has_witnesses() {
    for model in Catalogue::embedded().models() {
        let name = model.id();
        assert!(!model.source.is_empty() && model.checked_on.len() == 10, "{name}");
        assert!(!model.rates.is_empty() || !model.units.is_empty(), "{name}");
        if model.mode == Mode::Chat && model.provider != "sim" {
            assert!(model.source.contains(", "), "{name}: a chat model has two witnesses at least");
        }
        for set in std::iter::once(&RateSet { rates: model.rates.clone(), long: model.long.clone() })
            .chain(model.tiers.iter().map(|(_, set)| set))
        {
            let mut shorter = &set.rates;
            let nothing = model.rates.iter().all(|rate| rate.pico_per_unit == 0);
            assert!(
                set.rates.iter().all(|rate| rate.pico_per_unit > 0 || nothing),
                "{name}: free by accident"
            );
            for LongPrompt { over, rates } in &set.long {
                for rate in shorter {
                    let longer = rates.iter().find(|longer| longer.class == rate.class).unwrap();
                    assert!(longer.pico_per_unit >= rate.pico_per_unit, "{name} over {over}: {rate:?}");
                }
                shorter = rates;
            }
        }
    }
}

#[test]
fn openai_prices_are_those_of_its_page() {
    // https://developers.openai.com/api/docs/pricing
    for (name, rates) in [
        ("gpt-4o", [2500, 1250, 0, 0, 10_000]),
        ("gpt-4o-mini", [150, 75, 0, 0, 600]),
        ("gpt-4.1", [2000, 500, 0, 0, 8000]),
        ("o3", [2000, 500, 0, 0, 8000]),
        ("gpt-5", [1250, 125, 0, 0, 10_000]),
        ("gpt-5-mini", [250, 25, 0, 0, 2000]),
        ("gpt-5.4", [2500, 250, 0, 0, 15_000]),
        ("text-embedding-3-small", [20, 0, 0, 0, 0]),
        ("text-embedding-3-large", [130, 0, 0, 0, 0]),
    ] {
        assert_eq!(listed(&found("openai", name).rates), rates, "{name}");
    }
    // https://developers.openai.com/api/docs/models/gpt-4o-transcribe: audio 2.5 in, 10 out.
    let transcribe = prices("openai", "gpt-4o-transcribe");
    assert_eq!(
        (transcribe.rate(Class::InputAudio), transcribe.rate(Class::Output)),
        (Some(2_500_000), Some(10_000_000))
    );
    // https://developers.openai.com/api/docs/models/gpt-4o-audio-preview's successor gpt-audio: audio 32 in, 64 out.
    let audio = prices("openai", "gpt-audio");
    assert_eq!(
        (audio.rate(Class::InputAudio), audio.rate(Class::OutputAudio)),
        (Some(32_000_000), Some(64_000_000))
    );
    // Flex and batch halve it, priority doubles it; over 272,000 tokens of input twice the input and 1.5 times the output.
    let model = found("openai", "gpt-5.4");
    assert_eq!(listed(model.tier("flex").unwrap()), [1250, 130, 0, 0, 7500]);
    assert_eq!(listed(model.tier("priority").unwrap()), [5000, 500, 0, 0, 30_000]);
    assert_eq!((model.long[0].over, listed(&model.long[0].rates)), (272_000, [5000, 500, 0, 0, 22_500]));
    assert_eq!(model.tier("scale"), None);
    let dated = found("openai", "gpt-5.4-2026-03-05");
    assert_eq!(dated.name, "gpt-5.4", "a snapshot of the same facts is an alias");
    assert_eq!(found("openai", "omni-moderation-latest").rates[0].pico_per_unit, 0, "moderation is free");
}

#[test]
fn anthropic_prices_are_those_of_its_page() {
    // https://platform.claude.com/docs/en/about-claude/pricing: a read is a tenth of input, a write 1.25 or 2 times.
    for (name, rates) in [
        ("claude-sonnet-4-5", [3000, 300, 3750, 6000, 15_000]),
        ("claude-haiku-4-5", [1000, 100, 1250, 2000, 5000]),
        ("claude-opus-4-5", [5000, 500, 6250, 10_000, 25_000]),
        ("claude-opus-4-6", [5000, 500, 6250, 10_000, 25_000]),
    ] {
        assert_eq!(listed(&found("anthropic", name).rates), rates, "{name}");
    }
    assert_eq!(
        listed(found("anthropic", "claude-sonnet-4-5").tier("batch").unwrap()),
        [1500, 150, 1875, 3000, 7500]
    );
    assert!(found("anthropic", "claude-sonnet-4-5").long.is_empty(), "its 1M beta ended");
    let haiku = found("anthropic", "claude-haiku-5-5");
    assert_eq!((haiku.long[0].over, listed(&haiku.long[0].rates)), (100_000, [500, 50, 625, 1000, 2500]));
}

#[test]
fn other_prices_are_those_of_their_pages() {
    // https://ai.google.dev/gemini-api/docs/pricing
    let pro = found("gemini", "gemini-2.5-pro");
    assert_eq!(listed(&pro.rates), [1250, 125, 0, 0, 10_000]);
    assert_eq!((pro.long[0].over, listed(&pro.long[0].rates)), (200_000, [2500, 250, 0, 0, 15_000]));
    let flash = prices("google", "gemini-2.5-flash");
    assert_eq!((flash.rate(Class::Input), flash.rate(Class::InputAudio)), (Some(300_000), Some(1_000_000)));
    // https://docs.x.ai/docs/models: the dearer rates begin at 200,000 tokens, not over them.
    let grok = found("x-ai", "grok-4.3");
    assert_eq!((grok.long[0].over, listed(&grok.long[0].rates)), (199_999, [2500, 400, 0, 0, 5000]));
    // https://api-docs.deepseek.com/quick_start/pricing: peak hours, and half of it off peak.
    let deepseek = found("deepseek", "deepseek-v4-pro");
    assert_eq!(listed(&deepseek.rates), [1320, 44, 0, 0, 3960]);
    assert_eq!(listed(deepseek.tier("off-peak").unwrap()), [660, 22, 0, 0, 1980]);
    // https://mistral.ai/pricing/api
    assert_eq!(listed(&found("mistral", "mistral-large-2512").rates), [500, 50, 0, 0, 1500]);
    // https://groq.com/pricing
    assert_eq!(listed(&found("groq", "openai/gpt-oss-120b").rates), [150, 75, 0, 0, 600]);
}

#[test]
fn what_is_not_tokens_has_a_unit() {
    let unit = |vendor, name, unit, size, quality| found(vendor, name).unit(unit, size, quality);
    // OpenAI's page: $15 per million characters, $0.006 a minute.
    assert_eq!(unit("openai", "tts-1", Unit::Character, None, None), pico_from_usd("0.000015").ok());
    assert_eq!(unit("openai", "whisper-1", Unit::Second, None, None), pico_from_usd("0.0001").ok());
    // Its image guide: a square image is $0.011 at low and $0.167 at high quality.
    let image = |quality| unit("openai", "gpt-image-1", Unit::Image, Some("1024x1024"), Some(quality));
    assert_eq!((image("low"), image("high")), (pico_from_usd("0.011").ok(), pico_from_usd("0.167").ok()));
    assert_eq!(
        unit("openai", "gpt-image-1", Unit::Image, None, None),
        None,
        "which size is part of the price"
    );
    // https://cohere.com/pricing: $2 per thousand searches.
    assert_eq!(unit("cohere", "rerank-v3.5", Unit::SearchUnit, None, None), pico_from_usd("0.002").ok());
}

#[test]
fn a_strangers_model_has_limits_but_no_price() {
    let catalogue = Catalogue::embedded();
    assert_eq!(catalogue.find("my-proxy", "gpt-4o"), None);
    assert_eq!(catalogue.model("my-proxy", "gpt-4o").map(|model| model.ctx_tokens), Some(128_000));
    assert_eq!(catalogue.find("google", "gemini-2.5-pro"), catalogue.find("gemini", "gemini-2.5-pro"));
    assert_eq!(catalogue.find("openai", "claude-sonnet-4-5"), None);
    assert_eq!(
        catalogue.find("openai", "gpt-4o-2024-11-20").map(|model| model.name.as_str()),
        Some("gpt-4o")
    );
}

#[test]
fn retention_is_known_with_evidence_or_not_at_all() {
    let catalogue = Catalogue::embedded();
    let openai = catalogue.provider("openai").unwrap().retention.as_ref().unwrap();
    assert_eq!((openai.terms.as_str(), openai.trains), ("days-30", Some(false)));
    for terms in catalogue.models().iter().filter_map(|m| catalogue.provider(&m.provider)?.retention.as_ref())
    {
        assert!(terms.evidence.starts_with("https://") && terms.checked_on.len() == 10);
    }
    assert_eq!(catalogue.provider("deepseek").unwrap().retention, None);
}

#[test]
fn a_file_says_tiers_and_units_strictly() {
    let parse = |model: &str| {
        let text = format!(
            r#"{{"version":"1","models":[{{"provider":"p","name":"m","source":"s","checked_on":"d",{model}}}]}}"#
        );
        Catalogue::parse(text.as_bytes())
            .map(|catalogue| catalogue.models()[0].clone())
            .map_err(|e| e.to_string())
    };
    let long = r#""usd_per_mtok":{"input":"1","input.cached":"0.1","input.cache-write.1h":"2","input.audio":"9","output":"5"},"over":[{"tokens":10,"usd_per_mtok":{"input":"3","output":"6"}}]"#;
    let rates = parse(long).unwrap().long[0].rates.clone();
    assert_eq!(listed(&rates), [3000, 3000, 0, 3000, 6000], "what is left out is never cheap");
    assert!(rates.contains(&Rate { class: Class::InputAudio, pico_per_unit: 9_000_000 }));
    let error = |model: &str| parse(model).unwrap_err();
    let twice = r#""over":[{"tokens":10,"usd_per_mtok":{}},{"tokens":10,"usd_per_mtok":{}}]"#;
    assert!(error(twice).contains("p/m: `over` wants growing"), "{}", error(twice));
    assert!(error(r#""tiers":{"flex":{"usd_per_mtok":{"inptu":"1"}}}"#).contains("unknown token class"));
    assert!(error(r#""units":[{"unit":"furlong","usd":"1"}]"#).contains("unknown variant `furlong`"));
    assert!(error(r#""units":[{"unit":"image","usd":"0.0000000000001"}]"#).contains("p/m: units: finer"));
    assert!(error(r#""mood":"good""#).contains("unknown field `mood`"));
    let unsourced = br#"{"version":"1","models":[{"provider":"p","name":"m","by":["nobody"]}]}"#;
    assert!(Catalogue::parse(unsourced).unwrap_err().to_string().contains("p/m: say where"));
}

#[test]
fn an_unknown_service_tier_has_no_price() {
    let used = Usage { input: 1000, output: 1000, ..Usage::default() };
    let cost = |prices: &Prices, tier: &str| {
        prices.for_tier(ServiceTier::parse(tier)).map(|sheet| sheet.cost(&used).unwrap().0)
    };
    let gpt = prices("openai", "gpt-5.4");
    for usual in ["", "auto", "default", "standard", "on_demand"] {
        assert_eq!(cost(&gpt, usual), Some(17_500_000), "{usual}");
    }
    assert_eq!((cost(&gpt, "flex"), cost(&gpt, "priority")), (Some(8_750_000), Some(35_000_000)));
    assert_eq!((cost(&gpt, "scale"), cost(&gpt, "ultrafast")), (None, None));
    assert_eq!(cost(&prices("openai", "gpt-6-astra"), "ultrafast"), Some(360_000_000));
    let opus = prices("anthropic", "claude-opus-5-5");
    let at = |tier| opus.for_tier(tier).unwrap().cost(&used).unwrap().0;
    let tiers = [ServiceTier::Ordinary, ServiceTier::Fast, ServiceTier::Us, ServiceTier::FastUs];
    assert_eq!(tiers.map(at), [24_000_000, 48_000_000, 26_400_000, 52_800_000]);
    let mut own = gpt;
    own.source = OPERATOR.into();
    assert_eq!(
        cost(&own, "scale"),
        Some(17_500_000),
        "what an operator says of a price, it says of every tier"
    );
}

#[test]
fn what_a_request_can_cost_is_that_of_the_tier_it_asks_for() {
    let prices = prices("openai", "gpt-5.4");
    let at = |tier: &str| prices.bound(ServiceTier::parse(tier), 1000, 1000).unwrap();
    let used = Usage { input: 1000, output: 1000, ..Usage::default() };
    assert_eq!(at("priority"), prices.for_tier(ServiceTier::Priority).unwrap().cost(&used).unwrap());
    assert!(at("priority") > at("default"));
    assert_eq!(
        (at("flex"), at("scale")),
        (at("default"), at("default")),
        "it may be served at the usual one"
    );
}

/// Rates of which a longer prompt's are never the cheaper.
fn growing() -> impl Strategy<Value = Prices> {
    let base = prop::collection::vec(0u64..1_000_000, 9);
    let tiers = prop::collection::vec((1u64..100_000, prop::collection::vec(0u64..1_000_000, 9)), 0..4);
    (base, tiers).prop_map(|(base, tiers)| {
        let rates = |sums: &[u64]| {
            Class::ALL
                .into_iter()
                .zip(sums)
                .map(|(class, &pico_per_unit)| Rate { class, pico_per_unit })
                .collect()
        };
        let (mut sums, mut over, mut long) = (base.clone(), 0, Vec::new());
        for (step, more) in tiers {
            over += step;
            sums.iter_mut().zip(&more).for_each(|(sum, more)| *sum += more);
            long.push(LongPrompt { over, rates: rates(&sums) });
        }
        Prices { rates: rates(&base), long, ..Prices::default() }
    })
}

fn usage(units: &[u64]) -> Usage {
    let [
        input,
        cached_input,
        cache_write_5m,
        cache_write_1h,
        output,
        reasoning,
        input_audio,
        output_audio,
        image,
    ]: [u64; 9] = units.to_vec().try_into().unwrap();
    Usage {
        input,
        cached_input,
        cache_write_5m,
        cache_write_1h,
        output,
        reasoning,
        input_audio,
        output_audio,
        image,
        ..Usage::default()
    }
}

proptest! {
    #[test]
    fn a_threshold_is_exact_and_counts_all_input(prices in growing(), cached in 0u64..1_000_000, output in 0u64..1_000) {
        for tier in &prices.long {
            let cached_input = cached % tier.over;
            let at = Usage { input: tier.over - cached_input, cached_input, output, ..Usage::default() };
            let over = Usage { input: at.input + 1, ..at };
            let before = prices.long.iter().rev().find(|t| t.over < tier.over).map_or(&prices.rates, |t| &t.rates);
            prop_assert_eq!(prices.cost(&at), weir_llm::price::cost(before, &at), "on the threshold");
            prop_assert_eq!(prices.cost(&over), weir_llm::price::cost(&tier.rates, &over), "one over it");
        }
    }

    #[test]
    fn more_never_costs_less_and_the_bound_holds(
        prices in growing(),
        units in prop::collection::vec(0u64..50_000, 9),
        more in prop::collection::vec(0u64..50_000, 9),
    ) {
        let less = usage(&units);
        let grown: Vec<_> = units.iter().zip(&more).map(|(a, b)| a + b).collect();
        let grown = usage(&grown);
        prop_assert!(prices.cost(&less).unwrap() <= prices.cost(&grown).unwrap());
        let bound = prices.bound(ServiceTier::Ordinary, grown.total_input(), grown.total_output()).unwrap();
        prop_assert!(prices.cost(&less).unwrap() <= bound && prices.cost(&grown).unwrap() <= bound);
    }

    #[test]
    fn no_listed_price_falls_with_use(
        at in any::<prop::sample::Index>(),
        units in prop::collection::vec(0u64..400_000, 4),
        more in prop::collection::vec(0u64..400_000, 4),
    ) {
        let model = at.get(Catalogue::embedded().models());
        let Some(prices) = model.prices(Catalogue::embedded()) else { return Ok(()) };
        let used = |u: &[u64]| Usage { input: u[0], cached_input: u[1], output: u[2], reasoning: u[3], ..Usage::default() };
        let grown: Vec<_> = units.iter().zip(&more).map(|(a, b)| a + b).collect();
        let (less, more) = (used(&units), used(&grown));
        if let (Ok(less), Ok(cost)) = (prices.cost(&less), prices.cost(&more)) {
            prop_assert!(less <= cost, "{}", model.id());
            prop_assert!(cost <= prices.bound(ServiceTier::Ordinary, more.total_input(), more.total_output()).unwrap());
        }
    }
}
