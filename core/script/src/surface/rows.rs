//! The table: `interface.type.name` or `interface.function`, as in the WIT, and how Rhai says it. Enums are in `words`.

use super::Said::{self, Function, Hook, Key, Otherwise, Property};

/// Every name of the WIT that is no case of an enum.
#[rustfmt::skip]
pub const ROWS: &[(&str, &[(&str, Said)])] = &[
    ("types.api", &[
        ("chat", Otherwise("the text `chat`")), ("responses", Otherwise("the text `responses`")),
        ("messages", Otherwise("the text `messages`")), ("embeddings", Otherwise("the text `embeddings`")),
        ("rerank", Otherwise("the text `rerank`")), ("images", Otherwise("the text `images`")),
        ("moderations", Otherwise("the text `moderations`")), ("speech", Otherwise("the text `speech`")),
        ("transcription", Otherwise("the text `transcription`")),
        ("realtime", Otherwise("not served yet; will be the text `realtime`")),
        ("batch", Otherwise("not served yet; will be the text `batch`")),
        ("other", Otherwise("any other name as a text: `count-tokens`")),
    ]),
    ("types.retention", &[
        ("zero", Otherwise("the text `zero`")),
        ("zero-except-safety", Otherwise("the text `zero-except-safety`")),
        ("days", Otherwise("a text with the number: `days-30`")),
        ("unknown", Otherwise("the text `unknown`")),
    ]),
    ("types.head", &[
        ("request-id", Property("Head", "request_id")), ("api", Property("Head", "api")),
        ("requested-model", Property("Head", "requested_model")), ("stream", Property("Head", "stream")),
        ("tenant", Property("Head", "tenant")), ("project", Property("Head", "project")),
        ("key-id", Property("Head", "key_id")), ("user-hash", Property("Head", "user_hash")),
        ("region", Property("Head", "region")), ("class", Property("Head", "class")),
        ("retention", Property("Head", "retention")), ("tags", Property("Head", "tags")),
        ("deadline-ms", Property("Head", "deadline_ms")),
        ("est-input-tokens", Property("Head", "est_input_tokens")),
        ("max-output-tokens", Property("Head", "max_output_tokens")),
        ("segment-count", Property("Head", "segment_count")), ("body-bytes", Property("Head", "body_bytes")),
        ("needs", Property("Head", "needs")), ("attempt", Property("Head", "attempt")),
        ("budget", Property("Head", "budget")),
    ]),
    ("types.budget", &[
        ("limit", Property("Budget", "limit")), ("left", Property("Budget", "left")),
    ]),
    ("types.needs", &[
        ("tools", Property("Needs", "tools")), ("vision", Property("Needs", "vision")),
        ("audio-in", Property("Needs", "audio_in")), ("audio-out", Property("Needs", "audio_out")),
        ("json-schema", Property("Needs", "json_schema")), ("reasoning", Property("Needs", "reasoning")),
        ("logprobs", Property("Needs", "logprobs")), ("prompt-cache", Property("Needs", "prompt_cache")),
        ("parallel-tools", Property("Needs", "parallel_tools")),
    ]),
    ("types.seg-info", &[
        ("index", Property("Segment", "index")), ("role", Property("Segment", "role")),
        ("kind", Property("Segment", "kind")), ("bytes", Property("Segment", "bytes")),
        ("tokens", Property("Segment", "tokens")), ("name", Property("Segment", "name")),
    ]),
    ("types.edit", &[
        ("segment", Function("edit")), ("start", Function("edit")), ("end", Function("edit")),
        ("replace", Function("edit")),
    ]),
    ("types.replacement", &[
        ("text", Function("text")), ("drop", Function("drop")), ("vault", Function("vault")),
        ("hash", Function("hash")),
    ]),
    ("types.text-edit", &[
        ("start", Function("edit")), ("end", Function("edit")), ("replace", Function("edit")),
    ]),
    ("types.finding", &[
        ("rule", Function("finding")), ("severity", Function("finding")), ("segment", Function("finding")),
        ("start", Function("finding")), ("end", Function("finding")), ("score", Function("finding")),
    ]),
    ("types.deny", &[
        ("status", Function("deny")), ("code", Function("deny")), ("message", Function("deny")),
        ("retry-after-ms", Function("retry_after_ms")),
    ]),
    ("types.outcome", &[
        ("pass", Function("pass")), ("edit", Function("edit")), ("block", Function("block")),
        ("answer", Function("answer")),
    ]),
    ("types.verdict", &[
        ("outcome", Otherwise("the answer itself: pass(), edit(…), block(…), answer(…)")),
        ("findings", Function("finding")), ("tags", Function("tag")),
    ]),
    ("types.lane", &[
        ("choice", Property("Lane", "choice")), ("kind", Property("Lane", "kind")),
        ("index", Property("Lane", "index")),
    ]),
    ("types.next", &[
        ("more", Otherwise("what an answer means that says nothing else")), ("window", Function("window")),
        ("detach", Function("detach")), ("stop", Function("stop")),
    ]),
    ("request.request-view", &[
        ("head", Property("Request", "head")),
        ("size", Otherwise("the head has it: request.head.body_bytes")), ("segments", Function("segments")), ("text", Function("text")),
        ("bytes", Function("bytes")), ("header", Function("header")), ("json", Function("json")),
        ("scan", Function("scan")), ("attr", Function("attr")), ("session", Function("session")),
    ]),
    ("request.size", &[
        ("body-bytes", Property("Head", "body_bytes")), ("segment-count", Property("Head", "segment_count")),
        ("est-input-tokens", Property("Head", "est_input_tokens")),
        ("max-output-tokens", Property("Head", "max_output_tokens")),
    ]),
    ("request.hit", &[
        ("pattern", Property("Hit", "pattern")), ("segment", Property("Hit", "segment")),
        ("start", Property("Hit", "start")), ("end", Property("Hit", "end")),
    ]),
    ("fault", &[
        ("panicked", Otherwise("a fault has its place by itself: file, line and column of the script")),
    ]),
    ("types.attempt-error", &[
        ("target", Property("AttemptError", "index")), ("target-id", Property("AttemptError", "target")),
        ("class", Property("AttemptError", "class")), ("status", Property("AttemptError", "status")),
        ("provider-code", Property("AttemptError", "provider_code")),
        ("retry-after-ms", Property("AttemptError", "retry_after_ms")),
        ("elapsed-ms", Property("AttemptError", "elapsed_ms")),
    ]),
    ("types.step", &[
        ("target", Function("step")), ("weight", Function("weight")),
        ("timeout-first-token-ms", Function("timeout_first_token_ms")),
        ("timeout-total-ms", Function("timeout_total_ms")), ("max-retries", Function("max_retries")),
        ("max-tokens", Function("max_tokens")),
    ]),
    ("types.strategy", &[
        ("ordered", Function("ordered")), ("weighted", Function("weighted")), ("hedge", Function("hedge")),
    ]),
    ("types.plan", &[
        ("strategy", Otherwise("plan(…).ordered(), .weighted(), .hedge(ms)")), ("steps", Function("plan")),
        ("retry-on", Function("retry_on")), ("budget-nanos", Function("budget_nanos")),
        ("ask-on-error", Function("ask_on_error")), ("sticky", Function("sticky")),
        ("reason", Function("reason")),
    ]),
    ("targets.target", &[
        ("id", Property("Target", "id")), ("provider", Property("Target", "provider")),
        ("model", Property("Target", "model")), ("region", Property("Target", "region")),
        ("retention", Property("Target", "retention")), ("trains", Property("Target", "trains")),
        ("ctx-tokens", Property("Target", "ctx_tokens")),
        ("max-output-tokens", Property("Target", "max_output_tokens")),
        ("quality", Property("Target", "quality")), ("rates", Property("Target", "rates")),
        ("tags", Property("Target", "tags")), ("weight", Property("Target", "weight")),
    ]),
    ("targets.live", &[
        ("target", Property("Target", "index")), ("healthy", Property("Target", "healthy")),
        ("in-flight", Property("Target", "in_flight")), ("ttft-p50-ms", Property("Target", "ttft_p50_ms")),
        ("ttft-p95-ms", Property("Target", "ttft_p95_ms")), ("tps-p50", Property("Target", "tps_p50")),
        ("err-rate1m", Property("Target", "err_rate_1m")), ("headroom", Property("Target", "headroom")),
        ("breaker", Property("Target", "breaker")),
        ("prompt-cache-warm", Property("Target", "prompt_cache_warm")),
    ]),
    ("targets", &[
        ("table", Otherwise("the parameter `targets`: each has its static facts")),
        ("candidates", Otherwise("the parameter `targets`: only candidates are in it, with their live facts")),
    ]),
    ("types.line", &[
        ("class", Property("Line", "class")), ("quantity", Property("Line", "quantity")),
    ]),
    ("types.rate", &[
        ("class", Property("Rate", "class")), ("pico-per-unit", Property("Rate", "pico_per_unit")),
    ]),
    ("types.usage", &[
        ("lines", Property("Usage", "lines")), ("source", Property("Usage", "source")),
    ]),
    ("hook-price.base", &[
        ("lines", Property("Base", "lines")), ("rates", Property("Base", "rates")),
        ("list-price", Property("Base", "list_price")),
    ]),
    ("hook-price.charge", &[
        ("total", Function("charge")), ("items", Function("item")), ("tags", Function("tag")),
    ]),
    ("hook-price", &[
        ("quote", Hook("quote")), ("price", Hook("price")),
    ]),
    ("hook-complete.summary", &[
        ("head", Property("Summary", "head")), ("outcome", Property("Summary", "outcome")),
        ("target-id", Property("Summary", "target")), ("status", Property("Summary", "status")),
        ("usage", Property("Summary", "usage")), ("charged", Property("Summary", "charged")),
        ("provider-cost", Property("Summary", "provider_cost")), ("ttft-ms", Property("Summary", "ttft_ms")),
        ("total-ms", Property("Summary", "total_ms")), ("errors", Property("Summary", "errors")),
        ("attempts", Property("Summary", "attempts")), ("tags", Property("Summary", "tags")),
        ("cache", Property("Summary", "cache")),
    ]),
    ("hook-complete", &[
        ("complete", Hook("complete")),
    ]),
    ("annotate", &[
        ("set", Function("annotate")),
    ]),
    ("tokens", &[
        ("count", Function("count")), ("count-segment", Function("count_segment")),
    ]),
    ("kv.entry", &[
        ("value", Property("Entry", "value")), ("version", Property("Entry", "version")),
        ("ttl-ms", Property("Entry", "ttl_ms")),
    ]),
    ("kv", &[
        ("get", Function("kv_get")), ("put", Function("kv_put")), ("cas", Function("kv_cas")),
        ("delete", Function("kv_delete")), ("incr", Function("kv_incr")), ("take", Function("kv_take")),
    ]),
    ("http.outbound", &[
        ("method", Key("method")), ("host-alias", Key("host_alias")), ("path", Key("path")),
        ("headers", Key("headers")), ("body", Key("body")), ("timeout-ms", Key("timeout_ms")),
    ]),
    ("http.inbound", &[
        ("status", Property("Reply", "status")), ("headers", Property("Reply", "headers")),
        ("body", Property("Reply", "body")), ("truncated", Property("Reply", "truncated")),
    ]),
    ("http", &[
        ("send", Function("http_send")), ("send-all", Function("http_send_all")),
    ]),
    ("telemetry", &[
        ("log", Function("log")), ("counter", Function("counter")), ("observe", Function("observe")),
        ("explain", Function("explain")),
    ]),
    ("env", &[
        ("config", Otherwise("the parameter `config` of every hook")), ("now-ms", Function("now_ms")),
        ("random", Function("random")), ("bucket", Function("bucket")),
    ]),
    ("lifecycle", &[
        ("configure", Otherwise("`config` is checked against `config_schema` and handed to every hook; `self_test(config)` may refuse it")),
        ("self-test", Hook("self_test")),
    ]),
    ("hook-admit.admission", &[
        ("allow", Function("allow")), ("deny", Function("deny")),
    ]),
    ("hook-admit", &[
        ("admit", Hook("admit")),
    ]),
    ("hook-guard", &[
        ("guard", Hook("guard")),
    ]),
    ("hook-redact.redaction", &[
        ("mask", Function("mask")), ("vault", Function("vault")), ("hash", Function("hash")),
        ("drop", Function("drop")), ("refuse", Function("refuse")), ("report", Function("report")),
    ]),
    ("hook-redact.span", &[
        ("segment", Function("span")), ("start", Function("span")), ("end", Function("span")),
        ("rule", Function("span")), ("severity", Function("span")), ("replace", Function("span")),
    ]),
    ("hook-redact.redact-step", &[
        ("spans", Function("redacted")), ("hold", Function("hold")),
        ("next", Otherwise(".window(n), .detach(), .stop(deny)")),
    ]),
    ("hook-redact.stream-redactor", &[
        ("constructor", Hook("redact_open")), ("call", Hook("redact_call")),
        ("push", Hook("redact_stream")), ("finish", Otherwise("redact_stream with `last` true")),
    ]),
    ("hook-redact", &[
        ("redact", Hook("redact")),
    ]),
    ("hook-route.decision", &[
        ("plan", Function("plan")), ("deny", Function("deny")), ("abstain", Function("abstain")),
    ]),
    ("hook-route", &[
        ("route", Hook("route")),
    ]),
    ("hook-attempt.attempt-facts", &[
        ("target", Property("Attempt", "index")), ("target-id", Property("Attempt", "target")),
        ("number", Property("Attempt", "number")),
    ]),
    ("hook-attempt.changes", &[
        ("edits", Function("edit")), ("headers", Function("set_header")),
    ]),
    ("hook-attempt.preparation", &[
        ("pass", Function("pass")), ("edit", Function("edit")), ("skip", Function("skip")),
    ]),
    ("hook-attempt", &[
        ("attempt", Hook("attempt")),
    ]),
    ("hook-on-error.recovery", &[
        ("follow-plan", Function("follow_plan")), ("retry-after", Function("retry_after")),
        ("switch", Function("switch_to")), ("fail", Function("fail")),
    ]),
    ("hook-on-error", &[
        ("on-error", Hook("on_error")),
    ]),
    ("hook-guard-response.meta", &[
        ("target", Property("Meta", "index")), ("target-id", Property("Meta", "target")),
        ("finish-reason", Property("Meta", "finish_reason")), ("usage", Property("Meta", "usage")),
        ("ttft-ms", Property("Meta", "ttft_ms")), ("total-ms", Property("Meta", "total_ms")),
        ("attempts", Property("Meta", "attempts")),
    ]),
    ("hook-guard-response", &[
        ("guard-response", Hook("guard_response")),
    ]),
    ("hook-stream.stream-step", &[
        ("edits", Function("edit")), ("hold", Function("hold")),
        ("next", Otherwise(".window(n), .detach(), .stop(deny)")),
    ]),
    ("hook-stream.closing", &[
        ("findings", Function("finding")), ("tags", Function("tag")),
    ]),
    ("hook-stream.stream-guard", &[
        ("constructor", Hook("stream_open")), ("push", Hook("stream")),
        ("finish-lane", Otherwise("`stream` with `last` true")), ("finish", Hook("stream_finish")),
    ]),
];
