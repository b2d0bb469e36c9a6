//! Signatures of versions that are loaded again: config may ask for more than it did when they came.

use super::{Yard, content, good, push};
use crate::config::{ShadowOptions, ShipOptions, Signing};
use crate::ship::order::{No, Order};
use crate::ship::unit::Running;
use minisign_verify::PublicKey;

/// A key that was made for this test, and its signatures over `good("file")` and `good("pushed")`.
const KEY: &str = "RWTcukjkvb6yOwQwxTVSzx62ztY3aXUygHAWNxWAA/GxJ1n0Ekv7MCya";
/// A key that signed neither.
const OTHER: &str = "RWQKnqosFeMh6gu9R6V3x/VvOtTnhftFudjD+x3zN+NrXVhc2GCgbveq";
const OVER_FILE: &str = "untrusted comment: test\nRUTcukjkvb6yOxuYcf+vRuJG0F4k0JpCQoKCEQSZyotnG5b9Of/2SPHgmFVU/CoNCxOMdyqZ7hiEIssVV1q4D37JYRhnkpEPbAE=\ntrusted comment: test\nOCbmFFaaB0hJu5l9flNaOl27NzxEVishOpXZ2pjPMG1+3cngojLcT6Idvv7n0dOTUrKBzmkNzRP2Jm81tm9zDA==\n";
const OVER_PUSHED: &str = "untrusted comment: test\nRUTcukjkvb6yOx5yuy1dDex06RUFnBkO7CXea1AcEwEatpaZUB0dWeMgMldG5X2dawlt3PmqXgcHfrzxO+W4FaSAWmp7pJqYiAI=\ntrusted comment: test\nXotQHlLFEyw9Wdtp6NYfW77jxRNTSHXwjfoxArNjRrE10VMokFizdbWzZFNAU33NgD+FZCtg0Ki6D0o2pW0JBg==\n";

const AT_ONCE: ShipOptions = ShipOptions {
    shadow: None,
    canary: None,
    max_changed: 2_000,
    rollback_window: std::time::Duration::from_secs(600),
};

fn asks(key: &str) -> Signing {
    Signing { keys: vec![PublicKey::from_base64(key).unwrap()], required: true }
}

fn signed(text: &str, signature: &str) -> Order {
    let Order::Push(mut push) = push(text, AT_ONCE) else { unreachable!() };
    push.signature = Some(signature.to_owned());
    Order::Push(push)
}

/// A file `good("file")`, signed if its signature is given, and `good("pushed")` live, with its signature if so.
fn yard(file: Option<&str>, pushed: Option<&str>) -> Yard {
    let mut yard = Yard::new("", &good("file"));
    if let Some(signature) = file {
        std::fs::write(yard.folder.path().join("p.rhai.minisig"), signature).unwrap();
    }
    let order = match pushed {
        Some(signature) => signed(&good("pushed"), signature),
        None => push(&good("pushed"), AT_ONCE),
    };
    yard.order(order).unwrap();
    assert_eq!(yard.live(), content(&good("pushed")));
    yard
}

#[test]
fn a_live_version_without_a_signature_gives_way_to_the_file_when_one_is_asked_for() {
    let mut yard = yard(Some(OVER_FILE), None);
    yard.config.signing = asks(KEY);
    yard.reload().unwrap();
    assert_eq!(yard.live(), content(&good("file")));
    let history = yard.ship.history("p").unwrap();
    let why = history["history"][0]["why"].as_str().unwrap();
    assert!(why.contains("version 1.0.0") && why.contains("is not signed as `signing`"), "{why}");
    assert!(why.contains("minisign -S -m FILE") && why.contains("weir policy push FILE"), "{why}");
    // The way back leads to what is not signed.
    match yard.order(Order::Rollback { to: None }) {
        Err(No::Refused(why)) => assert!(why.contains("is not signed"), "{why}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(yard.live(), content(&good("file")));
}

#[test]
fn where_the_file_is_not_signed_either_the_load_is_refused() {
    let mut yard = yard(None, None);
    yard.config.signing = asks(KEY);
    let why = yard.reload().unwrap_err().join("\n");
    assert!(why.contains("p.rhai: signature: there is none"), "{why}");
    assert_eq!(yard.live(), content(&good("pushed")), "what runs was not touched");
}

#[test]
fn a_signed_version_stays_and_outlives_the_process_as_long_as_its_key_does() {
    let mut yard = yard(Some(OVER_FILE), Some(OVER_PUSHED));
    yard.config.signing = asks(KEY);
    yard.reload().unwrap();
    assert_eq!(yard.live(), content(&good("pushed")));
    let mut yard = yard.reopened("");
    yard.config.signing = asks(KEY);
    yard.reload().unwrap();
    assert_eq!(yard.live(), content(&good("pushed")), "its signature is remembered");
    assert_eq!(yard.ship.status("p").unwrap()["live"]["signed"], true);

    // Its key is taken out: neither the live version nor the file may be loaded any more.
    yard.config.signing = asks(OTHER);
    let why = yard.reload().unwrap_err().join("\n");
    assert!(why.contains("p.rhai: signature: it is not by any key"), "{why}");
}

#[test]
fn the_signature_of_a_file_that_is_live_may_come_later() {
    let mut yard = Yard::new("", &good("file"));
    yard.config.signing = asks(KEY);
    assert!(yard.reload().is_err());
    std::fs::write(yard.folder.path().join("p.rhai.minisig"), OVER_FILE).unwrap();
    yard.reload().unwrap();
    assert_eq!(yard.ship.status("p").unwrap()["live"]["signed"], true);
}

#[test]
fn a_reload_that_is_not_made_leaves_the_shadow_running() {
    let mut yard = Yard::new("", &good("file"));
    std::fs::write(yard.folder.path().join("p.rhai.minisig"), OVER_FILE).unwrap();
    yard.config.signing = asks(KEY);
    yard.reload().unwrap();
    yard.config.signing = Signing::default();
    let shadow = Some(ShadowOptions { requests: None, span: None });
    yard.push(&good("pushed"), ShipOptions { shadow, ..AT_ONCE }).unwrap();
    yard.config.signing = asks(KEY);
    // What comes after the policies may refuse a reload still.
    drop(yard.ship.bind(&yard.config).unwrap());
    super::orders::ask(&yard, 1);
    let running = yard.ship.units()["p"].candidate.as_ref().map(|candidate| &candidate.kind);
    let Some(Running::Shadow(shadows)) = running else { panic!("it is in shadow") };
    super::shadows::report(&shadows[0], 1);
}
