//! What providers do with content: how long they keep it, whether they train on it, and for which of their features
//! that does not hold.
//!
//! These are the terms of an account without any signed agreement. Where a public page of the provider does not say so
//! plainly the row says unknown, and unknown counts as kept and as trained on.
//!
//! # Layout
//!
//! - `class`: how sensitive a caller's content is.
//! - `table`: the rows, each with its evidence.

mod class;
mod table;

pub use class::DataClass;

/// What a target does with content; ordered from strictest to loosest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum Retention {
    /// Nothing is stored at rest once the reply has been sent.
    Zero,
    /// Nothing is stored but what abuse screening flags.
    ZeroExceptSafety,
    /// Stored for this many days.
    Days(u16),
    /// Not known: counts as retained.
    #[default]
    Unknown,
}

impl Retention {
    /// `zero`, `zero-except-safety`, `days-30`, `unknown`.
    #[must_use]
    pub fn name(self) -> String {
        match self {
            Self::Zero => "zero".into(),
            Self::ZeroExceptSafety => "zero-except-safety".into(),
            Self::Days(n) => format!("days-{n}"),
            Self::Unknown => "unknown".into(),
        }
    }

    /// The inverse of [`Retention::name`].
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "zero" => Some(Self::Zero),
            "zero-except-safety" => Some(Self::ZeroExceptSafety),
            "unknown" => Some(Self::Unknown),
            _ => name.strip_prefix("days-")?.parse().ok().map(Self::Days),
        }
    }

    /// Whether a target with terms `self` may serve a request that asks for `wanted`.
    #[must_use]
    pub fn satisfies(self, wanted: Self) -> bool {
        self <= wanted
    }

    /// Whether it is so strict that features with a memory of their own matter.
    #[must_use]
    pub fn is_zero(self) -> bool {
        self <= Self::ZeroExceptSafety
    }
}

/// What a provider does beside running the model. Each may keep content, or hand it to somebody else, whatever the terms
/// of the model itself are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Feature {
    /// Requests that are answered later, as a file.
    Batch,
    /// Files that were uploaded before, named by their id.
    Files,
    /// Replies that are made later and fetched.
    Background,
    /// Conversations, prompts and replies that the provider keeps for later requests.
    State,
    /// Searches and fetches on the web.
    WebSearch,
    /// Searches in what was uploaded.
    FileSearch,
    /// Programs that the model writes and the provider runs.
    CodeExecution,
    /// Tools of third parties that the provider calls.
    Connectors,
    /// Any other tool that the provider runs.
    OtherTools,
}

impl Feature {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Batch,
        Self::Files,
        Self::Background,
        Self::State,
        Self::WebSearch,
        Self::FileSearch,
        Self::CodeExecution,
        Self::Connectors,
        Self::OtherTools,
    ];

    /// `web-search`, as in config and in listings.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Batch => "batch",
            Self::Files => "files",
            Self::Background => "background",
            Self::State => "state",
            Self::WebSearch => "web-search",
            Self::FileSearch => "file-search",
            Self::CodeExecution => "code-execution",
            Self::Connectors => "connectors",
            Self::OtherTools => "other-tools",
        }
    }

    /// The inverse of [`Feature::name`].
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|feature| feature.name() == name)
    }

    /// What a tool is that the provider runs, by its `type`; `None`: the caller runs it.
    #[must_use]
    pub fn of_tool(kind: &str) -> Option<Self> {
        Some(match kind {
            "function" | "custom" | "" => return None,
            // What Anthropic only defines, the caller runs.
            _ if ["bash_", "text_editor_", "memory_", "computer_"]
                .iter()
                .any(|own| kind.starts_with(own)) =>
            {
                return None;
            }
            "local_shell" | "apply_patch" | "computer_use_preview" => return None,
            _ if kind.starts_with("web_") || kind.ends_with("_search") && kind != "file_search" => {
                Self::WebSearch
            }
            _ if kind.starts_with("file_search") => Self::FileSearch,
            _ if kind.starts_with("code_") => Self::CodeExecution,
            _ if kind.starts_with("mcp") => Self::Connectors,
            _ => Self::OtherTools,
        })
    }
}

/// The terms of one provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// Its name, as in config and in the catalogue.
    pub provider: &'static str,
    /// Where it answers: a host, one below it (`*.host`), or with a `*` for what differs.
    pub hosts: &'static [&'static str],
    /// How long it keeps content.
    pub retention: Retention,
    /// Whether it trains on content; `None`: not known.
    pub trains: Option<bool>,
    /// Features for which `retention` does not hold.
    pub excluded: &'static [Feature],
    /// Beginnings of model names for which nothing of this holds: somebody else serves them.
    pub not_models: &'static [&'static str],
    /// The page that says so, or does not.
    pub evidence: &'static str,
    /// The day on which it was looked up, `YYYY-MM-DD`.
    pub checked: &'static str,
    /// What else there is to know.
    pub note: &'static str,
}

impl Terms {
    /// Whether the provider may train on content: unknown counts as yes.
    #[must_use]
    pub fn may_train(&self) -> bool {
        self.trains != Some(false)
    }

    /// Whether the terms hold for a model.
    #[must_use]
    pub fn covers_model(&self, model: &str) -> bool {
        !self.not_models.iter().any(|start| model.starts_with(start))
    }
}

/// All that are known.
#[must_use]
pub const fn all() -> &'static [Terms] {
    table::TERMS
}

/// The terms of whoever answers at a host (without port). A name alone proves nothing, so there is no look-up by name.
#[must_use]
pub fn of_host(host: &str) -> Option<&'static Terms> {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    table::TERMS.iter().find(|terms| terms.hosts.iter().any(|pattern| fits(pattern, &host)))
}

fn fits(pattern: &str, host: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == host,
        Some((start, end)) => {
            host.len() > start.len() + end.len() && host.starts_with(start) && host.ends_with(end)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_has_its_evidence() {
        for (at, terms) in all().iter().enumerate() {
            let name = terms.provider;
            assert!(all()[..at].iter().all(|other| other.provider != name), "{name} stands twice");
            assert!(terms.evidence.starts_with("https://"), "{name}");
            let date: Vec<u32> = terms.checked.split('-').map(|part| part.parse().unwrap()).collect();
            assert!(matches!(date[..], [2026..=2099, 1..=12, 1..=31]) && terms.checked.len() == 10, "{name}");
            assert!(!terms.hosts.is_empty(), "{name}");
            // Who keeps nothing has nothing to train on; who is not known to forget is not known not to learn.
            assert!(terms.retention != Retention::Zero || terms.trains == Some(false), "{name}");
            // State, files and batches are storage: no row may claim that they are not.
            for stored in [Feature::State, Feature::Files, Feature::Batch, Feature::Background] {
                assert!(!terms.retention.is_zero() || terms.excluded.contains(&stored), "{name} {stored:?}");
            }
        }
    }

    #[test]
    fn terms_belong_to_hosts_and_never_to_names() {
        for (host, provider) in [
            ("api.openai.com", "openai"),
            ("EU.api.openai.com", "openai"),
            ("api.anthropic.com", "anthropic"),
            ("my-resource.openai.azure.com", "azure"),
            ("bedrock-runtime.eu-central-1.amazonaws.com", "bedrock"),
            ("europe-west4-aiplatform.googleapis.com", "vertex"),
            ("aiplatform.googleapis.com", "vertex"),
            ("api.perplexity.ai", "perplexity"),
            ("evil-api.openai.com.example", ""),
            ("openai.azure.com.example", ""),
            ("notapi.groq.com", ""),
            ("127.0.0.1", ""),
        ] {
            assert_eq!(of_host(host).map_or("", |terms| terms.provider), provider, "{host}");
        }
    }

    #[test]
    fn names_and_words_are_each_others_inverse() {
        for feature in Feature::ALL {
            assert_eq!(Feature::parse(feature.name()), Some(feature));
        }
        for retention in
            [Retention::Zero, Retention::ZeroExceptSafety, Retention::Days(30), Retention::Unknown]
        {
            assert_eq!(Retention::parse(&retention.name()), Some(retention));
        }
    }

    #[test]
    fn tools_that_the_provider_runs_are_told_from_the_callers_own() {
        for (kind, feature) in [
            ("function", None),
            ("custom", None),
            ("bash_20250124", None),
            ("text_editor_20250728", None),
            ("web_search", Some(Feature::WebSearch)),
            ("web_search_20250305", Some(Feature::WebSearch)),
            ("web_fetch_20250910", Some(Feature::WebSearch)),
            ("google_search", Some(Feature::WebSearch)),
            ("file_search", Some(Feature::FileSearch)),
            ("code_interpreter", Some(Feature::CodeExecution)),
            ("code_execution_20250825", Some(Feature::CodeExecution)),
            ("mcp", Some(Feature::Connectors)),
            ("mcp_toolset", Some(Feature::Connectors)),
            ("image_generation", Some(Feature::OtherTools)),
            ("whatever_comes_next", Some(Feature::OtherTools)),
        ] {
            assert_eq!(Feature::of_tool(kind), feature, "{kind}");
        }
    }
}
