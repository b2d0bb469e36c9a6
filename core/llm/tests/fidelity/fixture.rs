//! The files under `tests/fixtures/translate`, and goldens.

use serde_json::{Map, Value};
use std::path::{Path, PathBuf};
use weir_llm::api::{Api, Dialect};
use weir_llm::neutral::{Ask, Target};
use weir_llm::request::Request;
use weir_llm::translate::dialect_of;
use weir_llm::vendor;

/// The APIs whose callers are translated.
pub(crate) const CALLERS: [Api; 3] = [Api::Chat, Api::Responses, Api::Messages];

/// Every caller with every dialect that is not its own: the same dialect passes through byte for byte.
pub(crate) fn pairs() -> impl Iterator<Item = (Api, Dialect)> {
    let all = CALLERS.into_iter().flat_map(|api| Dialect::ALL.map(|dialect| (api, dialect)));
    all.filter(|(api, dialect)| dialect_of(*api) != Some(*dialect))
}

/// One file.
pub(crate) struct Fixture {
    pub(crate) path: PathBuf,
    pub(crate) name: String,
    pub(crate) json: Value,
}

impl Fixture {
    /// All files of a folder, in the order that they give.
    pub(crate) fn all(folder: &str) -> Vec<Self> {
        let folder = root().join(folder);
        let files =
            std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let mut all: Vec<Self> = files.map(|file| Self::read(file.unwrap().path())).collect();
        all.sort_by_key(|fixture| (fixture.json["order"].as_u64(), fixture.name.clone()));
        all
    }

    fn read(path: PathBuf) -> Self {
        let text = std::fs::read(&path).unwrap();
        let json =
            serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        Self { path, name, json }
    }

    pub(crate) fn title(&self) -> &str {
        self.json["title"].as_str().unwrap()
    }

    /// The names in a list of texts.
    pub(crate) fn list(&self, key: &str) -> Vec<&str> {
        self.json[key].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
    }

    /// A model name that the file asks for.
    pub(crate) fn model(&self, dialect: Dialect) -> &str {
        self.json["models"][dialect.as_str()].as_str().unwrap_or(model(dialect))
    }

    /// Compares what came out with what is expected, or makes it what is expected.
    pub(crate) fn settle(&self, found: Map<String, Value>) {
        let found = Value::Object(found);
        if updating() {
            let mut json = self.json.clone();
            json["expected"] = found;
            let text = serde_json::to_string_pretty(&json).unwrap() + "\n";
            if std::fs::read_to_string(&self.path).ok().as_deref() != Some(text.as_str()) {
                std::fs::write(&self.path, text).unwrap();
            }
            return;
        }
        let wanted = &self.json["expected"];
        assert!(
            *wanted == found,
            "{}: not as expected\n{}\nIf it is right now: UPDATE_GOLDENS=1 cargo nextest run -p weir-llm fidelity, and review the difference.",
            self.name,
            difference("", wanted, &found).join("\n"),
        );
    }
}

/// Where two documents differ, one line each.
fn difference(at: &str, wanted: &Value, found: &Value) -> Vec<String> {
    match (wanted, found) {
        (Value::Object(a), Value::Object(b)) => {
            let keys: std::collections::BTreeSet<&String> = a.keys().chain(b.keys()).collect();
            let null = Value::Null;
            let inner = keys.into_iter().map(|key| {
                difference(&format!("{at}/{key}"), a.get(key).unwrap_or(&null), b.get(key).unwrap_or(&null))
            });
            inner.flatten().collect()
        }
        (a, b) if a == b => Vec::new(),
        (a, b) => vec![format!("  {at}: expected {a}, found {b}")],
    }
}

/// Whether goldens are written instead of compared.
pub(crate) fn updating() -> bool {
    std::env::var_os("UPDATE_GOLDENS").is_some_and(|value| value == "1")
}

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/translate")
}

/// The model that stands for a dialect unless a file names another.
pub(crate) const fn model(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::OpenAiChat | Dialect::OpenAiResponses => "gpt-5.2",
        Dialect::Anthropic => "claude-sonnet-4-5",
        Dialect::Gemini => "gemini-3-pro-preview",
    }
}

/// A target of a dialect: its maker's own endpoint.
pub(crate) fn target(dialect: Dialect, model: &str) -> Target<'_> {
    let maker = match dialect {
        Dialect::OpenAiChat | Dialect::OpenAiResponses => "openai",
        Dialect::Anthropic => "anthropic",
        Dialect::Gemini => "gemini",
    };
    let vendor = vendor::all().iter().find(|vendor| vendor.name == maker).unwrap();
    Target { model, cap: None, output_limit: 32_000, vendor }
}

pub(crate) fn parse(api: Api, body: &Value) -> Request {
    Request::parse(api, body.to_string().into())
        .unwrap_or_else(|error| panic!("{}: {error} in {body}", api.as_str()))
}

/// A request that asks for nothing special.
pub(crate) fn plain(api: Api) -> Value {
    let said = serde_json::json!([{"role": "user", "content": "Hello"}]);
    match api {
        Api::Responses => serde_json::json!({"model": "m", "input": "Hello", "store": false}),
        Api::Messages => serde_json::json!({"model": "m", "max_tokens": 1000, "messages": said}),
        _ => serde_json::json!({"model": "m", "messages": said}),
    }
}

pub(crate) fn ask(request: &Request) -> Ask<'_> {
    Ask {
        root: request.json().root(),
        include_usage: true,
        request_id: "req_1",
        now: 1_700_000_000,
        model: "m",
    }
}
