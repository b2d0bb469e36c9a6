//! Why a reply ended.

use crate::neutral::Finish;

/// The ending that a `stop_reason` means. One that is not known yet is an ordinary end.
pub(super) fn finish(reason: &str, called: bool) -> Finish {
    match reason {
        "stop_sequence" => Finish::StopSequence,
        "tool_use" => Finish::ToolCalls,
        "max_tokens" => Finish::Length,
        "model_context_window_exceeded" => Finish::ContextWindow,
        "refusal" => Finish::Refusal,
        "pause_turn" | "compaction" => Finish::Paused,
        _ if called => Finish::ToolCalls,
        _ => Finish::Stop,
    }
}

/// The `stop_reason` of an ending. `called`: whether the reply calls a tool; `refused`: whether it is a refusal in
/// words, which other dialects end like any other reply.
pub(super) const fn reason(finish: Option<Finish>, called: bool, refused: bool) -> &'static str {
    match finish {
        Some(Finish::StopSequence) => "stop_sequence",
        Some(Finish::Length) => "max_tokens",
        Some(Finish::ContextWindow) => "model_context_window_exceeded",
        Some(Finish::Filter | Finish::Refusal) => "refusal",
        Some(Finish::Paused) => "pause_turn",
        Some(Finish::Stop) | None if refused => "refusal",
        Some(Finish::ToolCalls) => "tool_use",
        Some(Finish::Stop) | None if called => "tool_use",
        Some(Finish::Stop) | None => "end_turn",
    }
}
