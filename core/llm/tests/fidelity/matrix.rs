//! `docs/fidelity.md`, derived from what the code does with the fixtures.

use crate::fixture::{CALLERS, Fixture, model, pairs, updating};
use crate::replies;
use crate::requests::{self, Fate, HARMLESS};
use std::fmt::Write as _;
use std::path::Path;
use weir_llm::api::{Api, Dialect};

const HEAD: &str = "# Fidelity

What becomes of each feature on its way through Weir when the caller's API and the provider's dialect differ. Where they
are the same, bytes pass through as they came, and every field with them.

This file is generated from `core/llm/tests/fixtures/translate` by `UPDATE_GOLDENS=1 cargo nextest run -p weir-llm
fidelity`; without that, the same command fails if the file is stale. Each cell is found out by translating a fixture,
reading what came out again and comparing the two; what is lost without a word fails the tests.

- **kept**: the provider is told, or the caller gets, the same.
- *adapted*: the same in the other's words, or as near as the other has words: a budget of thinking tokens as an effort, a
  subset of the tools by leaving out the others, a system message in the middle as the user's words.
- dropped: left out. What could change the answer is named in `x-weir-dropped-params`, and refused with 400 in strict
  mode; what cannot is listed at the end.
- refused: the caller gets a 400 that says why.
- –: the caller's API, or the provider's, has no words for it.

";

fn word(fate: Option<Fate>) -> &'static str {
    match fate {
        Some(Fate::Kept) => "**kept**",
        Some(Fate::Adapted) => "*adapted*",
        Some(Fate::Dropped) => "dropped",
        Some(Fate::Refused) => "refused",
        None => "–",
    }
}

fn short(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::OpenAiChat => "chat",
        Dialect::OpenAiResponses => "responses",
        Dialect::Anthropic => "anthropic",
        Dialect::Gemini => "gemini",
    }
}

fn table(
    out: &mut String,
    folder: &str,
    heads: &[String],
    cell: impl Fn(&Fixture, Api, Dialect) -> Option<Fate>,
) {
    let _ = writeln!(out, "| feature | {} |\n|---|{}", heads.join(" | "), "---|".repeat(heads.len()));
    for fixture in Fixture::all(folder) {
        let cells: Vec<&str> = pairs().map(|(api, dialect)| word(cell(&fixture, api, dialect))).collect();
        let _ = writeln!(out, "| {} | {} |", fixture.title(), cells.join(" | "));
    }
}

fn matrix() -> String {
    let mut out = HEAD.to_owned();
    let models = [Dialect::OpenAiChat, Dialect::Anthropic, Dialect::Gemini]
        .map(|dialect| format!("`{}`", model(dialect)));
    let _ = writeln!(
        out,
        "## Requests, from caller to provider\n\nThe providers are the dialects' own makers; the models {} unless the row or its \
         fixture says otherwise.\n",
        models.join(", ")
    );
    let heads: Vec<String> =
        pairs().map(|(api, dialect)| format!("{} → {}", api.as_str(), short(dialect))).collect();
    table(&mut out, "requests", &heads, requests::cell);
    out.push_str("\n## Replies, from provider to caller\n\nWhole replies and streams alike.\n\n");
    let heads: Vec<String> =
        pairs().map(|(api, dialect)| format!("{} → {}", short(dialect), api.as_str())).collect();
    table(&mut out, "replies", &heads, replies::cell);
    out.push_str("\n## Left out without a word\n\nOn the way to the provider:\n\n");
    for (aspect, dialects, why) in HARMLESS {
        let to: Vec<&str> = if dialects.len() == Dialect::ALL.len() {
            vec!["all"]
        } else {
            dialects.iter().map(|dialect| short(*dialect)).collect()
        };
        let _ = writeln!(out, "- `{aspect}` (to {}): {why}", to.join(", "));
    }
    out.push_str("\nOn the way to the caller:\n\n");
    for (aspect, apis, why) in replies::PLACELESS {
        let to: Vec<&str> = if apis.len() == CALLERS.len() {
            vec!["all"]
        } else {
            apis.iter().map(|api| api.as_str()).collect()
        };
        let _ = writeln!(out, "- `{aspect}` (to {}): {why}", to.join(", "));
    }
    out
}

#[test]
fn fidelity_matrix_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/fidelity.md");
    let matrix = matrix();
    if updating() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, matrix).unwrap();
        return;
    }
    let known = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        known == matrix,
        "docs/fidelity.md is stale: UPDATE_GOLDENS=1 cargo nextest run -p weir-llm fidelity, and review the difference."
    );
}

/// No exception outlives its reason: each must be met by a fixture.
#[test]
fn fidelity_every_exception_is_needed() {
    for (aspect, dialects, _) in HARMLESS {
        let used = Fixture::all("requests").iter().any(|fixture| {
            pairs()
                .filter(|(_, dialect)| dialects.contains(dialect))
                .any(|(api, dialect)| requests::loses(fixture, api, dialect, aspect))
        });
        assert!(used, "{aspect} is never lost on the way out");
    }
    for (aspect, apis, _) in replies::PLACELESS {
        let used = Fixture::all("replies").iter().any(|fixture| {
            pairs()
                .filter(|(api, _)| apis.contains(api))
                .any(|(api, dialect)| replies::loses(fixture, api, dialect, aspect))
        });
        assert!(used, "{aspect} is never lost on the way back");
    }
}
