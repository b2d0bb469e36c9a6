//! What can happen to a request, and how it must end: what is proved of what never happened is nothing.

use weir_tests::Dialect;

/// How a provider fares, and how a policy answers; what becomes of it whole, and streamed.
pub(crate) const WAYS: [Way; 14] = [
    way("ok", "pass", [(200, "ok", 1); 2]),
    way("odd", "pass", [(200, "ok", 1); 2]),
    way("echo", "pass", [(400, "failed", 1); 2]),
    way("flaky", "pass", [(200, "ok", 3); 2]),
    way("boom", "pass", [(500, "failed", 2); 2]),
    way("hang", "pass", [(504, "failed", 1); 2]),
    way("cut", "pass", [(502, "failed", 1), (CUT, "upstream-cut", 1)]),
    way("garbage", "pass", [(502, "failed", 1); 2]),
    way("said", "pass", [(400, "failed", 1), (502, "failed", 1)]),
    way("loose", "pass", [(403, NOTHING, 0); 2]),
    way("ok", "block", [(451, "refused", 0); 2]),
    way("ok", "answer", [(200, "ok", 0); 2]),
    way("ok", "panic", [(503, "refused", 0); 2]),
    way("ok", "skip", [(503, "failed", 0); 2]),
];

/// What plugins do to a request of their own models.
pub(crate) const TRAPS: [Way; 2] =
    [way("trapped", "pass", [(503, "refused", 0); 2]), way("hooked", "pass", [(200, "ok", 0); 2])];

/// The status of a stream that is cut: 502 if no guard has let anything pass by then, else 200.
pub(crate) const CUT: u16 = 0;
/// Of what may be asked of nobody nothing is posted.
pub(crate) const NOTHING: &str = "";

/// What a provider of any dialect may do.
pub(crate) const FARES: [&str; 7] = ["ok", "odd", "echo", "boom", "cut", "garbage", "said"];

/// Dialects beside chat.
pub(crate) const OTHERS: [Dialect; 3] = [Dialect::Responses, Dialect::Anthropic, Dialect::Gemini];

/// One thing that can happen to a request.
#[derive(Clone, Copy)]
pub(crate) struct Way {
    pub(crate) model: &'static str,
    /// How a policy answers.
    pub(crate) how: &'static str,
    /// Status, the ledger's word and attempts: whole, and streamed.
    pub(crate) ends: [End; 2],
}

pub(crate) type End = (u16, &'static str, i64);

const fn way(model: &'static str, how: &'static str, ends: [End; 2]) -> Way {
    Way { model, how, ends }
}

/// What becomes of a request to a provider of a dialect that is asked but once.
pub(crate) fn once(dialect: Dialect, fare: &str) -> Way {
    let known = WAYS.iter().find(|way| way.model == fare && way.how == "pass").expect("a way");
    let [whole, streamed] = known.ends.map(|(status, outcome, _)| (status, outcome, 1));
    let streamed = match (dialect, fare) {
        // Google's error says which status it would have had.
        (Dialect::Gemini, "said") => (400, "failed", 1),
        _ => streamed,
    };
    Way { ends: [whole, streamed], ..*known }
}

/// The dialect of an API's callers.
pub(crate) fn own(path: &str) -> Dialect {
    match path {
        "/v1/responses" => Dialect::Responses,
        "/v1/messages" => Dialect::Anthropic,
        _ => Dialect::Chat,
    }
}
