//! Prefixes of keys and tokens, from their providers' documentation; where a provider states no length, the shortest that was
//! seen.

/// What a token is written with after its prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Signs {
    /// Letters and digits.
    Alnum,
    /// Letters, digits, `-` and `_`.
    Url,
    /// As `Url`, and dots.
    Dotted,
    /// Capitals and digits.
    Upper,
    /// `0` to `9` and `a` to `f`.
    Hex,
}

/// What else must be true.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Check {
    /// The prefix and the length are enough.
    Shape,
    /// Letters and digits, not a word or a placeholder.
    Mixed,
    /// Three parts: 22 and 43 signs after the prefix.
    SendGrid,
    /// The last six signs are the CRC-32 of what precedes them, in base 62.
    Crc,
}

/// A kind of token.
pub(super) struct Row {
    pub(super) prefix: &'static [u8],
    pub(super) signs: Signs,
    /// How many signs follow the prefix.
    pub(super) least: usize,
    pub(super) most: usize,
    pub(super) check: Check,
}

const fn row(prefix: &'static [u8], signs: Signs, least: usize, most: usize, check: Check) -> Row {
    Row { prefix, signs, least, most, check }
}

/// No token is longer.
const ANY: usize = 600;

use Check::{Crc, Mixed, SendGrid, Shape};
use Signs::{Alnum, Dotted, Hex, Upper, Url};

/// All of them, by first letter. Of two that fit, the first in the list is taken.
pub(super) const ROWS: &[Row] = &[
    row(b"AC", Hex, 32, 32, Mixed),                 // Twilio account
    row(b"AIza", Url, 35, 35, Mixed),               // Google
    row(b"AKIA", Upper, 16, 16, Shape),             // AWS
    row(b"ASIA", Upper, 16, 16, Mixed),             // AWS, temporary
    row(b"ABIA", Upper, 16, 16, Mixed),             // AWS, bearer
    row(b"ACCA", Upper, 16, 16, Mixed),             // AWS, context
    row(b"AGE-SECRET-KEY-1", Upper, 58, 58, Mixed), // age
    row(b"ATATT3xFfGF0", Url, 150, ANY, Mixed),     // Atlassian
    row(b"GOCSPX-", Url, 28, 28, Mixed),            // Google OAuth client
    row(b"LTAI", Alnum, 16, 24, Mixed),             // Alibaba
    row(b"NRAK-", Upper, 27, 27, Mixed),            // New Relic
    row(b"PMAK-", Url, 50, 70, Mixed),              // Postman
    row(b"SG.", Dotted, 66, 66, SendGrid),          // SendGrid
    row(b"SK", Hex, 32, 32, Mixed),                 // Twilio key
    row(b"dapi", Hex, 32, 34, Mixed),               // Databricks
    row(b"dckr_pat_", Url, 27, 40, Mixed),          // Docker
    row(b"doo_v1_", Hex, 64, 64, Mixed),            // DigitalOcean
    row(b"dop_v1_", Hex, 64, 64, Mixed),
    row(b"dor_v1_", Hex, 64, 64, Mixed),
    row(b"figd_", Url, 38, 60, Mixed), // Figma
    row(b"gho_", Alnum, 36, 36, Crc),  // GitHub
    row(b"ghp_", Alnum, 36, 36, Crc),
    row(b"ghr_", Alnum, 36, 76, Crc),
    row(b"ghs_", Alnum, 36, 36, Crc),
    row(b"ghu_", Alnum, 36, 36, Crc),
    row(b"github_pat_", Url, 60, 100, Mixed),
    row(b"glagent-", Url, 20, 60, Mixed), // GitLab
    row(b"glcbt-", Url, 20, 60, Mixed),
    row(b"gldt-", Url, 20, 60, Mixed),
    row(b"glft-", Url, 20, 60, Mixed),
    row(b"glpat-", Dotted, 20, 320, Mixed),
    row(b"glptt-", Url, 20, 60, Mixed),
    row(b"glrt-", Dotted, 20, 320, Mixed),
    row(b"glsa_", Url, 32, 60, Mixed), // Grafana
    row(b"glc_", Url, 32, 400, Mixed),
    row(b"glsoat-", Url, 20, 60, Mixed),
    row(b"gsk_", Alnum, 40, 80, Mixed),        // Groq
    row(b"hf_", Alnum, 30, 44, Mixed),         // Hugging Face
    row(b"hvs.", Url, 24, 400, Mixed),         // HashiCorp Vault
    row(b"lin_api_", Alnum, 32, 60, Mixed),    // Linear
    row(b"npm_", Alnum, 36, 36, Crc),          // npm
    row(b"nvapi-", Url, 40, 100, Mixed),       // NVIDIA
    row(b"phc_", Alnum, 40, 50, Mixed),        // PostHog
    row(b"pplx-", Alnum, 40, 64, Mixed),       // Perplexity
    row(b"pscale_pw_", Dotted, 32, 80, Mixed), // PlanetScale
    row(b"pscale_tkn_", Dotted, 32, 80, Mixed),
    row(b"pypi-", Url, 50, ANY, Mixed),      // PyPI
    row(b"r8_", Alnum, 37, 37, Mixed),       // Replicate
    row(b"rk_live_", Alnum, 16, 260, Mixed), // Stripe
    row(b"rk_test_", Alnum, 16, 260, Mixed),
    row(b"rubygems_", Hex, 48, 48, Mixed), // RubyGems
    row(b"shpat_", Hex, 32, 32, Mixed),    // Shopify
    row(b"shpss_", Hex, 32, 32, Mixed),
    row(b"sk-ant-", Url, 20, 200, Mixed),  // Anthropic
    row(b"sk-or-v1-", Hex, 64, 64, Mixed), // OpenRouter
    row(b"sk-proj-", Url, 20, 260, Mixed), // OpenAI
    row(b"sk-svcacct-", Url, 20, 260, Mixed),
    row(b"sk-admin-", Url, 20, 260, Mixed),
    row(b"sk-None-", Url, 20, 260, Mixed),
    row(b"sk-", Alnum, 32, 64, Mixed),       // OpenAI, DeepSeek and others
    row(b"sk_live_", Alnum, 16, 260, Mixed), // Stripe
    row(b"sk_test_", Alnum, 16, 260, Mixed),
    row(b"sntrys_", Dotted, 60, 400, Mixed), // Sentry
    row(b"sntryu_", Hex, 64, 64, Mixed),
    row(b"sq0atp-", Url, 22, 22, Mixed), // Square
    row(b"sq0csp-", Url, 43, 43, Mixed),
    row(b"tskey-api-", Url, 30, 80, Mixed), // Tailscale
    row(b"tskey-auth-", Url, 30, 80, Mixed),
    row(b"weir_sk_", Alnum, 49, 49, Crc), // Weir
    row(b"whsec_", Alnum, 24, 80, Mixed), // Stripe, Svix
    row(b"xai-", Alnum, 70, 90, Mixed),   // xAI
    row(b"xapp-", Url, 20, 200, Mixed),   // Slack
    row(b"xoxa-", Url, 10, 250, Mixed),
    row(b"xoxb-", Url, 10, 250, Mixed),
    row(b"xoxe-", Url, 10, 250, Mixed),
    row(b"xoxe.xoxb-", Url, 10, 250, Mixed),
    row(b"xoxe.xoxp-", Url, 10, 250, Mixed),
    row(b"xoxo-", Url, 10, 250, Mixed),
    row(b"xoxp-", Url, 10, 250, Mixed),
    row(b"xoxr-", Url, 10, 250, Mixed),
    row(b"xoxs-", Url, 10, 250, Mixed),
    row(b"ya29.", Url, 30, 400, Mixed), // Google OAuth
];

/// The rows whose prefix begins with a byte: the first and how many.
pub(super) static BY_FIRST: [(u8, u8); 128] = by_first();

const fn by_first() -> [(u8, u8); 128] {
    let mut table = [(0, 0); 128];
    let mut at = 0;
    while at < ROWS.len() {
        let first = ROWS[at].prefix[0] as usize;
        if table[first].1 == 0 {
            table[first].0 = at as u8;
        }
        table[first].1 += 1;
        at += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_with_one_first_letter_stand_together() {
        let firsts: Vec<u8> = ROWS.iter().map(|row| row.prefix[0]).collect();
        assert!(firsts.is_sorted(), "{firsts:?}");
        assert!(ROWS.len() < 256);
    }

    /// [`crate::detect::is_dull`] counts on it.
    #[test]
    fn no_token_is_short_and_without_digits() {
        for row in ROWS {
            let length = row.prefix.len() + row.least;
            let has_digit = row.check != Check::Shape;
            assert!(
                length >= crate::detect::SHORTEST || has_digit,
                "{}",
                String::from_utf8_lossy(row.prefix)
            );
        }
    }
}
