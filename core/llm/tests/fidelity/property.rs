//! What the matrix says is kept survives whatever the request: neutral, to a dialect, and read again.

use crate::aspects::{self, Aspects};
use crate::fixture::{Fixture, model, pairs, parse, target};
use crate::requests::{Fate, caller_of, cell};
use proptest::prelude::*;
use proptest::sample::select;
use std::collections::BTreeSet;
use std::sync::OnceLock;
use weir_llm::api::Dialect;
use weir_llm::neutral::{
    Body, CacheTtl, Call, Content, Format, Media, MediaKind, Part, Prompt, Reasoning, Role, Source, Tool,
    ToolChoice, ToolResult, Turn,
};
use weir_llm::{anthropic, chat, responses};

/// The dialects that have a reader of requests.
const READ: [Dialect; 3] = [Dialect::OpenAiChat, Dialect::OpenAiResponses, Dialect::Anthropic];

/// The aspects that every fixture and every caller keep on the way to a dialect.
fn kept(dialect: Dialect) -> &'static BTreeSet<String> {
    static KEPT: OnceLock<Vec<BTreeSet<String>>> = OnceLock::new();
    let all = KEPT.get_or_init(|| READ.into_iter().map(find_kept).collect());
    &all[READ.iter().position(|known| *known == dialect).unwrap()]
}

fn find_kept(dialect: Dialect) -> BTreeSet<String> {
    let (mut kept, mut changed) = (BTreeSet::new(), BTreeSet::new());
    // What the generator does not draw: other models, values that are too much, tools and documents of other kinds.
    let special = [
        "json_object",
        "temperature_above_one",
        "temperature_fixed",
        "odd_tool_name",
        "stop_many",
        "allowed_tools",
        "allowed_tools_required",
        "custom_tool_call",
        "tool_without_parameters",
        "text_document",
        "file_id",
        "pdf_url",
    ];
    let fixtures = Fixture::all("requests");
    for fixture in fixtures.iter().filter(|fixture| !special.contains(&fixture.name.as_str())) {
        for (api, _) in pairs().filter(|(_, to)| *to == dialect) {
            let Some(fate) = cell(fixture, api, dialect) else { continue };
            let into = if fate == Fate::Kept { &mut kept } else { &mut changed };
            into.extend(fixture.list("aspects").into_iter().map(str::to_owned));
        }
    }
    kept.difference(&changed).cloned().collect()
}

fn body(dialect: Dialect, prompt: &Prompt<'_>) -> Body {
    let target = target(dialect, model(dialect));
    let body = match dialect {
        Dialect::OpenAiChat => chat::body(prompt, &target),
        Dialect::OpenAiResponses => responses::body(prompt, &target),
        Dialect::Anthropic | Dialect::Gemini => anthropic::body(prompt, &target),
    };
    body.unwrap()
}

fn read_again(dialect: Dialect, prompt: &Prompt<'_>) -> Aspects {
    let body = serde_json::from_slice(&body(dialect, prompt).json).unwrap();
    aspects::of(&parse(caller_of(dialect), &body).prompt().unwrap())
}

/// A request as the generator draws it: prompts themselves are never printed, since they hold content.
#[derive(Debug, Clone)]
struct Sketch {
    system: Option<String>,
    first: Said,
    exchanges: Vec<Exchange>,
    tools: Vec<(Option<String>, bool)>,
    choice: Choice,
    parallel: Option<bool>,
    form: bool,
    most: Option<u64>,
    stop: Vec<String>,
    stream: bool,
    /// `temperature` or `top_p`: newer models of Anthropic's take only one of them.
    heat: Option<(bool, f64)>,
    off: bool,
    marked: bool,
    labels: Labels,
}

/// What the user says.
#[derive(Debug, Clone)]
struct Said {
    texts: Vec<String>,
    shown: Option<Shown>,
}

#[derive(Debug, Clone)]
enum Shown {
    Url(String),
    Image(&'static str),
    Pdf(String),
}

/// The model answers with words, or calls tools, which answer, and the user adds something.
#[derive(Debug, Clone)]
struct Exchange {
    words: String,
    silent: bool,
    /// Name, arguments, what the tool answered.
    calls: Vec<(&'static str, String, String)>,
    next: Said,
}

#[derive(Debug, Clone)]
enum Choice {
    Unsaid,
    Auto,
    None,
    Required,
    One(&'static str),
}

#[derive(Debug, Clone)]
struct Labels {
    user: Option<String>,
    cache_key: Option<String>,
    tier: Option<&'static str>,
    verbosity: Option<&'static str>,
    store: Option<bool>,
    seed: Option<u32>,
    penalty: Option<f64>,
    logprobs: Option<u64>,
}

const NAMES: [&str; 3] = ["weather", "read-file_2", "T"];
const CLOSED: &str =
    r#"{"type":"object","properties":{"a":{"type":"string"}},"required":["a"],"additionalProperties":false}"#;

/// Text that says something: blank text is left out on purpose.
fn text() -> impl Strategy<Value = String> {
    "\\PC{0,6}[a-z]\\PC{0,6}"
}

fn said() -> impl Strategy<Value = Said> {
    let shown = prop_oneof![
        "[a-z]{1,8}".prop_map(Shown::Url),
        select(vec!["image/png", "image/jpeg", "image/webp"]).prop_map(Shown::Image),
        "[a-z]{1,8}\\.pdf".prop_map(Shown::Pdf),
    ];
    (prop::collection::vec(text(), 1..3), prop::option::of(shown))
        .prop_map(|(texts, shown)| Said { texts, shown })
}

fn exchange() -> impl Strategy<Value = Exchange> {
    let arguments = prop::collection::btree_map("[a-z]{1,4}", "\\PC{0,6}", 0..3)
        .prop_map(|members| serde_json::to_string(&members).unwrap());
    let calls = prop::collection::vec((select(NAMES.to_vec()), arguments, "\\PC{0,10}"), 0..3);
    (text(), any::<bool>(), calls, said()).prop_map(|(words, silent, calls, next)| Exchange {
        words,
        silent,
        calls,
        next,
    })
}

fn choice() -> impl Strategy<Value = Choice> {
    prop_oneof![
        Just(Choice::Unsaid),
        Just(Choice::Auto),
        Just(Choice::None),
        Just(Choice::Required),
        select(NAMES.to_vec()).prop_map(Choice::One),
    ]
}

prop_compose! {
    fn labels()(
        user in prop::option::of("[a-z]{1,60}"),
        cache_key in prop::option::of("[a-z]{1,60}"),
        tier in prop::option::of(select(vec!["auto", "default", "flex", "priority"])),
        verbosity in prop::option::of(select(vec!["low", "medium", "high"])),
        store in prop::option::of(any::<bool>()),
        seed in prop::option::of(0..1000u32),
        penalty in prop::option::of(0.1..2.0f64),
        logprobs in prop::option::of(1..5u64),
    ) -> Labels {
        Labels { user, cache_key, tier, verbosity, store, seed, penalty, logprobs }
    }
}

prop_compose! {
    fn sketches()(
        (system, first, exchanges) in
            (prop::option::of(text()), said(), prop::collection::vec(exchange(), 0..3)),
        tools in prop::collection::vec((prop::option::of(text()), any::<bool>()), NAMES.len()),
        (choice, parallel, form) in (choice(), prop::option::of(any::<bool>()), any::<bool>()),
        most in prop::option::of(1024..30_000u64),
        stop in prop::collection::vec("[a-z]{1,5}", 0..4),
        heat in prop::option::of((any::<bool>(), 0.0..0.99f64)),
        (stream, off, marked) in (any::<bool>(), any::<bool>(), any::<bool>()),
        labels in labels(),
    ) -> Sketch {
        Sketch {
            system, first, exchanges, tools, choice, parallel, form, most, stop, stream, heat, off, marked, labels,
        }
    }
}

impl Said {
    fn turn(&self) -> Turn<'_> {
        let mut parts: Vec<Part<'_>> = self.texts.iter().map(|text| Part::text(text.as_str())).collect();
        parts.extend(self.shown.as_ref().map(|shown| Part::new(Content::Media(shown.media()))));
        Turn { role: Role::User, parts, name: None }
    }
}

impl Shown {
    fn media(&self) -> Media<'_> {
        let image = |source, mime: Option<&'static str>| Media {
            kind: MediaKind::Image,
            source,
            mime: mime.map(Into::into),
            name: None,
            detail: None,
        };
        match self {
            Self::Url(name) => image(Source::Url(format!("https://example.com/{name}.png").into()), None),
            Self::Image(mime) => image(Source::Base64("iVBORw0KGgo=".into()), Some(mime)),
            Self::Pdf(name) => Media {
                kind: MediaKind::Document,
                source: Source::Base64("JVBERi0xLjQK".into()),
                mime: Some("application/pdf".into()),
                name: Some(name.into()),
                detail: None,
            },
        }
    }
}

impl Exchange {
    fn turns(&self, at: usize) -> Vec<Turn<'_>> {
        let turn = |role, parts| Turn { role, parts, name: None };
        let mut assistant = Vec::new();
        if self.calls.is_empty() || !self.silent {
            assistant.push(Part::text(self.words.as_str()));
        }
        let mut results = Vec::new();
        for (number, (name, arguments, answer)) in self.calls.iter().enumerate() {
            let id = format!("call_{at}_{number}");
            let (name, arguments) = ((*name).into(), arguments.into());
            assistant.push(Part::new(Content::Call(Call {
                id: id.clone().into(),
                name,
                arguments,
                custom: false,
                seal: None,
            })));
            let said = !answer.trim().is_empty();
            let parts = said.then(|| Part::text(answer.as_str())).into_iter().collect();
            let result = ToolResult { id: id.into(), parts, is_error: false, custom: false };
            results.push(Part::new(Content::Result(result)));
        }
        let mut turns = vec![turn(Role::Assistant, assistant)];
        if !results.is_empty() {
            turns.push(turn(Role::User, results));
        }
        turns.push(self.next.turn());
        turns
    }
}

impl Sketch {
    fn prompt(&self) -> Prompt<'_> {
        let mut turns = Vec::new();
        turns.extend(self.system.as_ref().map(|text| Turn {
            role: Role::System,
            parts: vec![Part::text(text.as_str())],
            name: None,
        }));
        turns.push(self.first.turn());
        turns.extend(self.exchanges.iter().enumerate().flat_map(|(at, exchange)| exchange.turns(at)));
        let first = turns.first_mut().and_then(|turn| turn.parts.first_mut());
        if let Some(part) = first.filter(|_| self.marked) {
            part.cache = Some(CacheTtl::OneHour);
        }
        let heat =
            |is: bool| self.heat.filter(|(which, _)| *which == is).map(|(_, heat)| heat.to_string().into());
        let off = Reasoning { off: true, ..Reasoning::default() };
        Prompt {
            model: "m".into(),
            turns,
            tools: self.tools(),
            tool_choice: self.choice(),
            // Who may call nothing need not be told to call one at a time.
            parallel_tools: self.parallel.filter(|_| !matches!(self.choice, Choice::None)),
            format: self.form.then(|| Format::JsonSchema {
                name: Some("answer".into()),
                description: None,
                schema: CLOSED.into(),
                strict: Some(true),
            }),
            max_output: self.most,
            stop: self.stop.iter().map(Into::into).collect(),
            stream: self.stream,
            temperature: heat(true),
            top_p: heat(false),
            reasoning: self.off.then_some(off),
            ..self.labels.prompt()
        }
    }

    fn tools(&self) -> Vec<Tool<'_>> {
        NAMES
            .iter()
            .zip(&self.tools)
            .map(|(name, (description, strict))| Tool::Function {
                name: (*name).into(),
                description: description.as_ref().map(Into::into),
                parameters: Some(CLOSED.into()),
                strict: strict.then_some(true),
                cache: None,
            })
            .collect()
    }

    fn choice(&self) -> Option<ToolChoice<'_>> {
        match self.choice {
            Choice::Unsaid => None,
            Choice::Auto => Some(ToolChoice::Auto),
            Choice::None => Some(ToolChoice::None),
            Choice::Required => Some(ToolChoice::Required),
            Choice::One(name) => Some(ToolChoice::Tool(name.into())),
        }
    }
}

impl Labels {
    fn prompt(&self) -> Prompt<'_> {
        Prompt {
            user: self.user.as_ref().map(Into::into),
            cache_key: self.cache_key.as_ref().map(Into::into),
            service_tier: self.tier.map(Into::into),
            verbosity: self.verbosity.map(Into::into),
            store: self.store,
            seed: self.seed.map(|seed| seed.to_string().into()),
            frequency_penalty: self.penalty.map(|penalty| penalty.to_string().into()),
            presence_penalty: self.penalty.map(|penalty| (-penalty).to_string().into()),
            logprobs: self.logprobs,
            ..Prompt::default()
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn fidelity_what_is_kept_survives_every_request(sketch in sketches()) {
        let prompt = sketch.prompt();
        let given = aspects::of(&prompt);
        for dialect in READ {
            let found = read_again(dialect, &prompt);
            for (name, value) in given.iter().filter(|(name, _)| kept(dialect).contains(*name)) {
                prop_assert_eq!(found.get(name), Some(value), "{} at {}", name, dialect.as_str());
            }
        }
    }
}

/// The property speaks of something: of what it is about, each dialect keeps at least this.
#[test]
fn fidelity_much_is_kept_everywhere() {
    for dialect in READ {
        for name in [
            "said",
            "images",
            "tools",
            "calls",
            "results",
            "tool_choice",
            "format",
            "max_output",
            "temperature",
        ] {
            assert!(kept(dialect).contains(name), "{name} at {}", dialect.as_str());
        }
    }
}
