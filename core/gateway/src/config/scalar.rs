//! What a single value may be: how it is parsed, how an error speaks of it, how an editor checks it.
//!
//! A message completes the sentence "`value` …": it never holds the value itself.

use super::problem::did_you_mean;
use schemars::{Schema, json_schema};
use std::net::SocketAddr;
use std::time::Duration;
use weir_llm::vendor::{self, Vendor};

/// A kind of scalar.
pub(super) trait Scalar {
    /// What it parses to.
    type Value;
    /// What errors and the reference call it.
    const NAME: &'static str;
    /// Whether errors must not quote what is written.
    fn hides(_written: &str) -> bool {
        false
    }
    /// Reads it after interpolation.
    fn parse(text: &str) -> Result<Self::Value, String>;
    /// What an editor checks; interpolation must pass.
    fn schema() -> Schema {
        json_schema!({ "type": "string" })
    }
}

/// Bytes: `32MiB`, `64 KiB`, `1MB`, `4096`.
pub(super) struct Size;

const UNITS: [(&str, u64); 8] = [
    ("", 1),
    ("B", 1),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
];

impl Scalar for Size {
    type Value = u64;
    const NAME: &'static str = "size";

    fn parse(text: &str) -> Result<u64, String> {
        let (number, unit) = split_unit(text);
        let scale = UNITS.iter().find(|(name, _)| *name == unit).map(|(_, scale)| *scale);
        let bytes = number.parse::<u64>().ok().zip(scale).and_then(|(n, scale)| n.checked_mul(scale));
        bytes.ok_or_else(|| "is not a size: write bytes, or a whole number with KiB, MiB or GiB".to_owned())
    }

    fn schema() -> Schema {
        json_schema!({ "type": ["string", "integer"], "pattern": r"^([0-9]+ ?([KMG]i?B|B)?|\$\{.+\})$" })
    }
}

/// A span of time: `5s`, `100ms`, `2m`, `1h`.
pub(super) struct Span;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

impl Scalar for Span {
    type Value = Duration;
    const NAME: &'static str = "duration";

    fn parse(text: &str) -> Result<Duration, String> {
        let (number, unit) = split_unit(text);
        let millis = match unit {
            "ms" => Some(1),
            "s" => Some(1_000),
            "m" => Some(60_000),
            "h" => Some(3_600_000),
            _ => None,
        };
        let millis = number.parse::<u64>().ok().zip(millis).and_then(|(n, scale)| n.checked_mul(scale));
        let span = millis.map(Duration::from_millis);
        match span.ok_or("is not a duration: write a whole number with ms, s, m or h")? {
            Duration::ZERO => Err("must be longer than zero".to_owned()),
            span if span > DAY => Err("is longer than a day".to_owned()),
            span => Ok(span),
        }
    }

    fn schema() -> Schema {
        json_schema!({ "type": "string", "pattern": r"^([0-9]+ ?(ms|s|m|h)|\$\{.+\})$" })
    }
}

fn split_unit(text: &str) -> (&str, &str) {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    (number, unit.trim_start())
}

/// An address to listen on.
pub(super) struct Address;

impl Scalar for Address {
    type Value = SocketAddr;
    const NAME: &'static str = "address";

    fn parse(text: &str) -> Result<SocketAddr, String> {
        let parsed = match text.strip_prefix("localhost:") {
            Some(port) => format!("127.0.0.1:{port}").parse(),
            None => text.parse(),
        };
        parsed.map_err(|_| "is not an address: write IP:PORT, such as 127.0.0.1:8080 or [::]:8080".to_owned())
    }
}

/// Any text.
pub(super) struct Text;

impl Scalar for Text {
    type Value = String;
    const NAME: &'static str = "string";

    fn parse(text: &str) -> Result<String, String> {
        Ok(text.to_owned())
    }
}

/// A name that appears in headers, metrics and paths.
pub(super) struct Name;

impl Scalar for Name {
    type Value = String;
    const NAME: &'static str = "name";

    fn parse(text: &str) -> Result<String, String> {
        let known = |c: char| c.is_ascii_alphanumeric() || "._-:".contains(c);
        match text {
            "" => Err("is empty: a name is needed".to_owned()),
            _ if text.contains('/') => Err("must not hold `/`: it divides provider and model".to_owned()),
            _ if !text.chars().all(known) => {
                Err("may hold only letters, digits, `.`, `_`, `-` and `:`".to_owned())
            }
            _ if text.len() > 64 => Err("is longer than 64 characters".to_owned()),
            _ => Ok(text.to_owned()),
        }
    }
}

/// `provider/model`.
pub(super) struct TargetName;

impl Scalar for TargetName {
    type Value = (String, String);
    const NAME: &'static str = "target";

    fn parse(text: &str) -> Result<(String, String), String> {
        match text.split_once('/') {
            Some((provider, model)) if !provider.is_empty() && !model.is_empty() => {
                Ok((provider.to_owned(), model.to_owned()))
            }
            _ => Err("is not a target: write `provider/model`".to_owned()),
        }
    }
}

/// A path; relative ones start at the config file's folder.
pub(super) struct FilePath;

impl Scalar for FilePath {
    type Value = String;
    const NAME: &'static str = "path";

    fn parse(text: &str) -> Result<String, String> {
        if text.is_empty() { Err("is empty: a path is needed".to_owned()) } else { Ok(text.to_owned()) }
    }
}

/// A credential, or a header that may be one.
pub(super) struct Hidden;

impl Scalar for Hidden {
    type Value = String;
    const NAME: &'static str = "secret";

    fn hides(_: &str) -> bool {
        true
    }

    fn parse(text: &str) -> Result<String, String> {
        match text {
            "" => Err("is empty".to_owned()),
            _ if !text.bytes().all(|b| (b' '..=b'~').contains(&b)) => {
                Err("holds a line break or another character that no header can carry".to_owned())
            }
            _ if text.trim() != text => Err("begins or ends with a space".to_owned()),
            _ => Ok(text.to_owned()),
        }
    }
}

/// `true` or `false`.
pub(super) struct Flag;

impl Scalar for Flag {
    type Value = bool;
    const NAME: &'static str = "flag";

    fn parse(text: &str) -> Result<bool, String> {
        text.parse().map_err(|_| "is not `true` or `false`".to_owned())
    }

    fn schema() -> Schema {
        json_schema!({ "type": "boolean" })
    }
}

/// A whole number from `MIN` to `MAX`.
pub(super) struct Count<const MIN: u32, const MAX: u32>;

impl<const MIN: u32, const MAX: u32> Scalar for Count<MIN, MAX> {
    type Value = u32;
    const NAME: &'static str = "number";

    fn parse(text: &str) -> Result<u32, String> {
        let number = text.parse().ok().filter(|n| (MIN..=MAX).contains(n));
        number.ok_or_else(|| format!("is not a whole number from {MIN} to {MAX}"))
    }

    fn schema() -> Schema {
        json_schema!({ "type": "integer", "minimum": MIN, "maximum": MAX })
    }
}

/// From 0 to 1.
pub(super) struct Share;

impl Scalar for Share {
    type Value = f32;
    const NAME: &'static str = "share";

    fn parse(text: &str) -> Result<f32, String> {
        let share = text.parse().ok().filter(|n| (0.0..=1.0).contains(n));
        share.ok_or_else(|| "is not a number from 0 to 1".to_owned())
    }

    fn schema() -> Schema {
        json_schema!({ "type": "number", "minimum": 0, "maximum": 1 })
    }
}

/// A share in per cent, to a hundredth: `5%`, `0.25%`; parses to parts of 10,000.
pub(super) struct Percent;

impl Scalar for Percent {
    type Value = u16;
    const NAME: &'static str = "percentage";

    fn parse(text: &str) -> Result<u16, String> {
        let number = text.strip_suffix('%').map(str::trim_end);
        let (whole, part) = number.map_or(("", ""), |number| number.split_once('.').unwrap_or((number, "0")));
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let parts = (digits(whole) && digits(part) && (1..=2).contains(&part.len())).then(|| {
            let part = if part.len() == 1 { format!("{part}0") } else { part.to_owned() };
            whole.parse::<u16>().ok()?.checked_mul(100)?.checked_add(part.parse().ok()?)
        });
        let parts = parts.flatten().filter(|parts| *parts <= 10_000);
        parts.ok_or_else(|| "is not a percentage: write 0% to 100%, such as 5% or 0.25%".to_owned())
    }

    fn schema() -> Schema {
        json_schema!({ "type": "string", "pattern": r"^([0-9]+(\.[0-9]{1,2})? ?%|\$\{.+\})$" })
    }
}

/// A public key of minisign.
pub(super) struct SigningKey;

impl Scalar for SigningKey {
    type Value = minisign_verify::PublicKey;
    const NAME: &'static str = "minisign key";

    fn parse(text: &str) -> Result<Self::Value, String> {
        minisign_verify::PublicKey::from_base64(text.trim()).map_err(|_| {
            "is not a public key of minisign: it begins with `RW` and has 56 characters".to_owned()
        })
    }
}

/// USD per million tokens, as an exact decimal; parses to pico-dollars per token.
pub(super) struct Price;

impl Scalar for Price {
    type Value = u64;
    const NAME: &'static str = "price";

    fn parse(text: &str) -> Result<u64, String> {
        use weir_llm::price::{DecimalError, pico_per_token_from_usd_per_mtok};
        pico_per_token_from_usd_per_mtok(text).map_err(|error| {
            match error {
                DecimalError::NotDecimal => {
                    "is not a price: write USD per million tokens as a plain decimal, such as 0.15"
                }
                DecimalError::TooFine => "is finer than a millionth of a USD per million tokens",
                DecimalError::TooLarge => "is too large",
            }
            .to_owned()
        })
    }

    fn schema() -> Schema {
        json_schema!({ "type": ["number", "string"], "minimum": 0 })
    }
}

/// A URL.
pub(super) struct Url;

impl Scalar for Url {
    type Value = super::endpoint::Endpoint;
    const NAME: &'static str = "URL";

    /// A user with password, or a query with a key.
    fn hides(written: &str) -> bool {
        written.contains(['@', '?'])
    }

    fn parse(text: &str) -> Result<Self::Value, String> {
        super::endpoint::parse(text)
    }
}

/// How long content is kept.
pub(super) struct Kept;

impl Scalar for Kept {
    type Value = weir_policy::Retention;
    const NAME: &'static str = "retention";

    fn parse(text: &str) -> Result<Self::Value, String> {
        let known = ["zero", "zero-except-safety", "unknown", "days-30"];
        weir_policy::Retention::parse(text).ok_or_else(|| {
            let hint = did_you_mean(text, known);
            format!("is not a retention: `zero`, `zero-except-safety`, `days-N` or `unknown`{hint}")
        })
    }

    fn schema() -> Schema {
        json_schema!({ "type": "string", "pattern": r"^(zero|zero-except-safety|unknown|days-[0-9]+|\$\{.+\})$" })
    }
}

/// Any YAML.
pub(super) struct Any;

impl Scalar for Any {
    type Value = ();
    const NAME: &'static str = "value";

    fn parse(_: &str) -> Result<(), String> {
        Ok(())
    }

    fn schema() -> Schema {
        json_schema!({})
    }
}

/// The name of a vendor that Weir knows, or `other`.
pub(super) struct VendorName;

impl Scalar for VendorName {
    type Value = &'static Vendor;
    const NAME: &'static str = "vendor";

    fn parse(text: &str) -> Result<&'static Vendor, String> {
        if text == "other" {
            return Ok(&vendor::UNKNOWN);
        }
        vendor::by_name(text).ok_or_else(|| {
            let names: Vec<&str> = vendor::all().iter().map(|vendor| vendor.name).collect();
            format!("is not a vendor: `other`, `{}`{}", names.join("`, `"), did_you_mean(text, names))
        })
    }
}
