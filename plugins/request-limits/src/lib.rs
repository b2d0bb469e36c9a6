//! A guard that bounds requests: how large they are, which tools they declare, who may write the system prompt.
//!
//! What is cheap comes first: the body's length is in the head, sizes of texts are shapes that the host knows, tokens are
//! counted by the host. Only the names of tools are read. A rule that the config does not set costs nothing.
//!
//! # Layout
//!
//! - `config`: what the operator bounds.
//! - `size`: bytes, tokens, segments.
//! - `system`: who may write instructions.
//! - `tools`: which tools a request declares, and whether they may be.
//! - [`names`]: names with `*`.

mod config;
pub mod names;
mod size;
mod system;
mod tools;

use config::Settings;
use weir_sdk::{Config, Deny, Guard, Plugin, Request, Verdict};

/// The plugin.
pub struct RequestLimits {
    settings: Settings,
}

impl Plugin for RequestLimits {
    fn configure(config: Config<'_>) -> Result<Self, String> {
        Ok(Self { settings: config.parse()? })
    }
}

impl Guard for RequestLimits {
    fn guard(&self, request: &dyn Request) -> Verdict {
        check(request, &self.settings).map_or_else(Verdict::block, |()| Verdict::pass())
    }
}

fn check(request: &dyn Request, settings: &Settings) -> Result<(), Deny> {
    size::check_body(request, settings)?;
    if settings.looks_at_segments() {
        let seen = size::measure(request, settings)?;
        system::check(&seen, settings)?;
        size::check_text(request, &seen, settings)?;
    }
    if settings.looks_at_tools() {
        tools::check(request, settings)?;
    }
    if settings.looks_at_tools() || settings.forbids_a_role() {
        system::check_stored(request)?;
    }
    Ok(())
}

/// What cannot be checked does not pass.
pub(crate) fn not_checked() -> Deny {
    Deny::new(400, "not_checked", "This request could not be checked against the limits of this gateway.")
}

weir_sdk::export!(RequestLimits: guard);

#[cfg(test)]
mod tests {
    use super::*;
    use weir_sdk::testing::FakeRequest;
    use weir_sdk::{Api, Outcome, Role, SegKind};

    /// The code of the refusal, or nothing.
    fn refusal(config: &str, request: &FakeRequest) -> String {
        let plugin = RequestLimits::configure(Config::new(config)).expect("a config");
        match plugin.guard(request).outcome {
            Outcome::Pass => String::new(),
            Outcome::Block(deny) => deny.code,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn without_a_config_everything_passes_and_nothing_is_read() {
        let request = FakeRequest::new()
            .segment(Role::System, SegKind::Text, "be kind")
            .json("/tools", r#"[{"name":"anything"}]"#)
            .head(|head| head.body_bytes = u64::MAX);
        assert_eq!(refusal("{}", &request), "");
    }

    #[test]
    fn bounds_hold_at_the_byte() {
        let request = FakeRequest::new().user("12345").user("67890").head(|head| head.body_bytes = 100);
        assert_eq!(refusal(r#"{"max_body_bytes":100}"#, &request), "");
        assert_eq!(refusal(r#"{"max_body_bytes":99}"#, &request), "body_too_large");
        assert_eq!(refusal(r#"{"max_text_bytes":10}"#, &request), "");
        assert_eq!(refusal(r#"{"max_text_bytes":9}"#, &request), "text_too_large");
    }

    #[test]
    fn media_are_not_text() {
        let request = FakeRequest::new().user("hi").segment(
            Role::User,
            SegKind::ImageBytes,
            "data:image/png;base64,AAAA",
        );
        assert_eq!(refusal(r#"{"max_text_bytes":2}"#, &request), "");
    }

    #[test]
    fn more_segments_than_can_be_looked_at_do_not_pass() {
        let request = (0..70).fold(FakeRequest::new(), |request, _| request.user("x"));
        assert_eq!(refusal(r#"{"max_segments":70,"max_text_bytes":1000}"#, &request), "");
        assert_eq!(refusal(r#"{"max_segments":69,"max_text_bytes":1000}"#, &request), "too_many_segments");
        assert_eq!(refusal(r#"{"max_segments":69}"#, &request), "too_many_segments");
    }

    #[test]
    fn above_many_segments_the_hosts_guess_counts() {
        let many = |guess| {
            let request = (0..4_097).fold(FakeRequest::new(), |request, _| request.user("x"));
            request.head(|head| head.est_input_tokens = guess)
        };
        assert_eq!(refusal(r#"{"max_input_tokens":1000}"#, &many(1_000)), "");
        assert_eq!(refusal(r#"{"max_input_tokens":1000}"#, &many(1_001)), "too_many_tokens");
    }

    #[test]
    fn only_the_named_roles_may_write_instructions() {
        let by = |role| FakeRequest::new().segment(role, SegKind::Text, "obey").user("hi");
        let only_developer = r#"{"system_prompts":["developer"]}"#;
        assert_eq!(refusal(only_developer, &by(Role::System)), "system_prompt_not_allowed");
        assert_eq!(refusal(only_developer, &by(Role::Developer)), "");
        assert_eq!(refusal(r#"{"system_prompts":[]}"#, &by(Role::Developer)), "system_prompt_not_allowed");
        let tool = FakeRequest::new().segment(Role::System, SegKind::ToolSchema, "find").user("hi");
        assert_eq!(refusal(r#"{"system_prompts":[]}"#, &tool), "");
    }

    #[test]
    fn tools_pass_by_all_their_names() {
        let tools = |json: &str| FakeRequest::new().json("/tools", json);
        let find = tools(r#"[{"type":"function","function":{"name":"db_find"}}]"#);
        assert_eq!(refusal(r#"{"allow_tools":["db_*"]}"#, &find), "");
        assert_eq!(refusal(r#"{"allow_tools":["db_*"],"deny_tools":["*_find"]}"#, &find), "tool_not_allowed");
        assert_eq!(refusal(r#"{"allow_tools":[]}"#, &find), "tool_not_allowed");
        assert_eq!(refusal(r#"{"max_tools":0}"#, &find), "too_many_tools");
        assert_eq!(refusal(r#"{"max_tools":1}"#, &find), "");
        let two = tools(r#"[{"name":"db_find","function":{"name":"rm"}}]"#);
        assert_eq!(refusal(r#"{"allow_tools":["db_*"]}"#, &two), "tool_not_allowed");
        assert_eq!(refusal(r#"{"deny_tools":["x"]}"#, &tools("[{}]")), "tool_not_allowed");
    }

    #[test]
    fn a_stored_prompt_passes_only_where_nothing_of_it_matters() {
        let stored =
            |json: &str| FakeRequest::new().head(|head| head.api = Api::Responses).json("/prompt", json);
        let long = r#"{"id":"pmpt_1"}"#;
        assert_eq!(refusal(r#"{"allow_tools":["*"]}"#, &stored(long)), "stored_prompt_not_allowed");
        assert_eq!(refusal(r#"{"system_prompts":[]}"#, &stored("{}")), "stored_prompt_not_allowed");
        assert_eq!(refusal(r#"{"system_prompts":[]}"#, &stored("null")), "");
        assert_eq!(refusal(r#"{"max_text_bytes":5}"#, &stored(long)), "");
    }

    #[test]
    fn a_config_that_is_not_understood_is_refused() {
        for config in [r#"{"max_bytes":1}"#, r#"{"system_prompts":["user"]}"#, r#"{"max_tools":-1}"#] {
            assert!(RequestLimits::configure(Config::new(config)).is_err(), "{config}");
        }
    }
}
