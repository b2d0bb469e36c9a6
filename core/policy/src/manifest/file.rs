//! The manifest as it is written, and its checks.

use super::{
    CallsFor, Capability, Declares, FailureMode, Hook, Isolation, Limits, Manifest, MatcherSpec, Reads,
    Redacts, Surface, When, Windows,
};
use crate::nearest::nearest;
use crate::policy::LoadError;
use crate::yaml;
use serde::Deserialize;
use serde_saphyr::Spanned;
use std::collections::BTreeMap;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    name: Spanned<String>,
    version: Spanned<String>,
    #[serde(default)]
    description: String,
    hooks: Spanned<Vec<Spanned<String>>>,
    #[serde(default)]
    reads: Reads,
    #[serde(default)]
    capabilities: Vec<Spanned<Capability>>,
    #[serde(default)]
    matchers: Vec<Spanned<MatcherFile>>,
    config_schema: Option<Spanned<serde_json::Value>>,
    #[serde(default)]
    limits: LimitsFile,
    on_failure: Option<Spanned<FailureMode>>,
    when: Option<Spanned<When>>,
    #[serde(default)]
    isolation: Isolation,
    #[serde(default)]
    shared: bool,
    surfaces: Option<Vec<Surface>>,
    #[serde(default)]
    declares: DeclaresFile,
    stream: Option<Spanned<StreamFile>>,
    buffer_streams: Option<Spanned<bool>>,
    redact: Option<Spanned<RedactFile>>,
    #[serde(default)]
    http: Vec<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MatcherFile {
    name: String,
    #[serde(default)]
    literals: Vec<String>,
    #[serde(default)]
    patterns: Vec<String>,
    #[serde(default)]
    case_insensitive: bool,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct LimitsFile {
    cpu_us: Option<Spanned<u64>>,
    memory_bytes: Option<Spanned<u64>>,
    output_bytes: Option<Spanned<u64>>,
    host_calls: Option<Spanned<u64>>,
    operations: Option<Spanned<u64>>,
    wall_ms: Option<Spanned<u64>>,
    http_calls: Option<Spanned<u64>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct StreamFile {
    bytes: Option<Spanned<u32>>,
    ms: Option<Spanned<u32>>,
    max_hold: Option<Spanned<u32>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct RedactFile {
    masks: Vec<String>,
    classes: Vec<String>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct DeclaresFile {
    rules: Vec<String>,
    reasons: Vec<String>,
    codes: Vec<String>,
    tags: BTreeMap<String, Vec<String>>,
}

pub(super) fn parse(text: &str, file: &str) -> Result<Manifest, LoadError> {
    let raw: File = yaml::parse(file, text)?;
    let hooks = hooks(file, &raw.hooks)?;
    check_failure_mode(file, raw.on_failure.as_ref(), &hooks)?;
    let capabilities = capabilities(file, &raw.capabilities, &hooks)?;
    let (buffer_streams, redact) = replies(file, &raw, &hooks)?;
    let matchers = matchers(file, raw.matchers)?;
    let config_schema = raw.config_schema.map(|schema| schema.value);
    Ok(Manifest {
        name: name(file, raw.name)?,
        version: version(file, raw.version)?,
        description: raw.description,
        reads: raw.reads,
        http: aliases(file, raw.http, &capabilities)?,
        capabilities,
        when: when(file, raw.when, (raw.reads, &hooks), &matchers, config_schema.as_ref())?,
        matchers,
        config_schema,
        limits: limits(file, &raw.limits)?,
        on_failure: raw.on_failure.map(|mode| mode.value),
        isolation: raw.isolation,
        shared: raw.shared,
        surfaces: raw.surfaces.unwrap_or_else(|| Surface::ALL.to_vec()),
        declares: Declares {
            rules: raw.declares.rules,
            reasons: raw.declares.reasons,
            codes: raw.declares.codes,
            tags: raw.declares.tags,
        },
        stream: windows(file, raw.stream)?,
        buffer_streams,
        redact,
        hooks,
    })
}

fn name(file: &str, name: Spanned<String>) -> Result<String, LoadError> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if (1..=64).contains(&name.value.len()) && name.value.chars().all(plain) {
        return Ok(name.value);
    }
    let error = LoadError::new(file, "`name` is not 1 to 64 characters of a-z, 0-9 and -");
    Err(yaml::at(error, name.referenced))
}

/// A version is a label of metrics and logs, so it is short and plain.
fn version(file: &str, version: Spanned<String>) -> Result<String, LoadError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '+' | '_');
    if (1..=64).contains(&version.value.len()) && version.value.chars().all(plain) {
        return Ok(version.value);
    }
    let error = LoadError::new(file, "`version` is not 1 to 64 characters of letters, digits and .-+_");
    Err(yaml::at(error, version.referenced))
}

fn hooks(file: &str, written: &Spanned<Vec<Spanned<String>>>) -> Result<Vec<Hook>, LoadError> {
    let mut hooks = Vec::with_capacity(written.value.len());
    for name in &written.value {
        let hook = hook(file, &name.value).map_err(|error| yaml::at(error, name.referenced))?;
        if hooks.contains(&hook) {
            let error = LoadError::new(file, format!("hook `{}` is named twice", name.value));
            return Err(yaml::at(error, name.referenced));
        }
        hooks.push(hook);
    }
    if hooks.is_empty() {
        return Err(yaml::at(LoadError::new(file, "`hooks` names no hook"), written.referenced));
    }
    Ok(hooks)
}

fn hook(file: &str, name: &str) -> Result<Hook, LoadError> {
    let known = Hook::ALL.into_iter().find(|hook| hook.as_str() == name);
    known.ok_or_else(|| {
        let error = LoadError::new(file, format!("unknown hook `{name}`"));
        match nearest(name, Hook::ALL.map(Hook::as_str)) {
            Some(near) => error.hint(format!("did you mean `{near}`?")),
            None => error.hint(format!("known: {}", Hook::ALL.map(Hook::as_str).join(", "))),
        }
    })
}

fn check_failure_mode(
    file: &str,
    mode: Option<&Spanned<FailureMode>>,
    hooks: &[Hook],
) -> Result<(), LoadError> {
    match mode {
        Some(mode) if mode.value == FailureMode::StaticPlan && hooks != [Hook::Route] => {
            let error =
                LoadError::new(file, "on_failure `static-plan` is for policies whose only hook is `route`");
            Err(yaml::at(
                error.hint("use `closed` or `open`, or leave it out for the default of each hook"),
                mode.referenced,
            ))
        }
        _ => Ok(()),
    }
}

fn capabilities(
    file: &str,
    asked: &[Spanned<Capability>],
    hooks: &[Hook],
) -> Result<Vec<Capability>, LoadError> {
    for capability in asked {
        if let Some(hook) = hooks.iter().find(|hook| !hook.goes_with(capability.value)) {
            let (hook, name) = (hook.as_str(), capability.value.as_str());
            let error = LoadError::new(file, format!("a policy with the hook `{hook}` cannot have `{name}`"))
                .hint("put the hook into a policy of its own");
            return Err(yaml::at(error, capability.referenced));
        }
    }
    let mut list: Vec<Capability> = asked.iter().map(|capability| capability.value).collect();
    list.sort_unstable();
    list.dedup();
    Ok(list)
}

fn aliases(
    file: &str,
    named: Vec<Spanned<String>>,
    capabilities: &[Capability],
) -> Result<Vec<String>, LoadError> {
    match named.first() {
        Some(first) if !capabilities.contains(&Capability::Http) => {
            let error = LoadError::new(file, "`http` names aliases, but the capability is not asked for")
                .hint("add `http` to `capabilities`");
            Err(yaml::at(error, first.referenced))
        }
        _ => Ok(named.into_iter().map(|name| name.value).collect()),
    }
}

/// What concerns the hooks of a reply is refused where there is no such hook: it would promise what nobody does.
fn replies(file: &str, raw: &File, hooks: &[Hook]) -> Result<(bool, Redacts), LoadError> {
    let without = |key: &str, hook: Hook, place| {
        let error = LoadError::new(file, format!("`{key}` needs the hook `{}`", hook.as_str()));
        Err(yaml::at(error, place))
    };
    if let Some(buffer) = &raw.buffer_streams
        && !hooks.contains(&Hook::GuardResponse)
    {
        return without("buffer_streams", Hook::GuardResponse, buffer.referenced);
    }
    if let Some(buffer) = &raw.buffer_streams
        && buffer.value
        && hooks.contains(&Hook::Stream)
    {
        let error = LoadError::new(file, "`buffer_streams` leaves the hook `stream` nothing to see");
        return Err(yaml::at(error, buffer.referenced));
    }
    let redact = match &raw.redact {
        Some(redact) if !hooks.contains(&Hook::Redact) => {
            return without("redact", Hook::Redact, redact.referenced);
        }
        Some(redact) => Redacts { masks: redact.value.masks.clone(), classes: redact.value.classes.clone() },
        None => Redacts::default(),
    };
    Ok((raw.buffer_streams.as_ref().is_some_and(|buffer| buffer.value), redact))
}

/// Longest window: a caller should not wait for more than a few sentences.
const MAX_WINDOW_BYTES: u32 = 64 << 10;
/// Longest wait for the rest of a window.
const MAX_WINDOW_MS: u32 = 5_000;
/// Longest tail that stays back.
const MAX_HOLD_BYTES: u32 = 1 << 20;

fn windows(file: &str, written: Option<Spanned<StreamFile>>) -> Result<Windows, LoadError> {
    let base = Windows::default();
    let Some(Spanned { value: written, .. }) = written else { return Ok(base) };
    let within = |name: &str, value: Option<Spanned<u32>>, default: u32, max: u32| match value {
        None => Ok(default),
        Some(v) if (1..=max).contains(&v.value) => Ok(v.value),
        Some(v) => {
            let error = LoadError::new(file, format!("`stream.{name}` is not between 1 and {max}"));
            Err(yaml::at(error, v.referenced))
        }
    };
    Ok(Windows {
        bytes: within("bytes", written.bytes, base.bytes, MAX_WINDOW_BYTES)?,
        ms: within("ms", written.ms, base.ms, MAX_WINDOW_MS)?,
        max_hold: within("max_hold", written.max_hold, base.max_hold, MAX_HOLD_BYTES)?,
    })
}

fn matchers(file: &str, written: Vec<Spanned<MatcherFile>>) -> Result<Vec<MatcherSpec>, LoadError> {
    let mut list: Vec<MatcherSpec> = Vec::with_capacity(written.len());
    for Spanned { value, referenced, .. } in written {
        let problem = if list.iter().any(|known| known.name == value.name) {
            Some(format!("matcher `{}` is declared twice", value.name))
        } else if value.literals.is_empty() && value.patterns.is_empty() {
            Some(format!("matcher `{}` has neither literals nor patterns", value.name))
        } else {
            None
        };
        if let Some(problem) = problem {
            return Err(yaml::at(LoadError::new(file, problem), referenced));
        }
        list.push(MatcherSpec {
            name: value.name,
            literals: value.literals,
            patterns: value.patterns,
            case_insensitive: value.case_insensitive,
        });
    }
    Ok(list)
}

fn when(
    file: &str,
    written: Option<Spanned<When>>,
    shown: (Reads, &[Hook]),
    matchers: &[MatcherSpec],
    schema: Option<&serde_json::Value>,
) -> Result<Option<When>, LoadError> {
    let Some(Spanned { value: when, referenced, .. }) = written else { return Ok(None) };
    let checked = called_for(&when, shown.1, schema).and_then(|()| sought(&when, shown, matchers));
    checked.map_err(|(message, hint)| yaml::at(LoadError::new(file, message).hint(hint), referenced))?;
    Ok(Some(when))
}

/// A message and a hint.
type Mistake = (String, String);

/// A setting that calls for the policy must be one that an operator can set, and one that bounds a body, a whole number.
fn called_for(when: &When, hooks: &[Hook], schema: Option<&serde_json::Value>) -> Result<(), Mistake> {
    let settings = || schema.and_then(|schema| schema.get("properties")?.as_object());
    for (key, calls) in &when.config {
        let Some(setting) = settings().and_then(|settings| settings.get(key)) else {
            let known = settings().into_iter().flat_map(|settings| settings.keys().map(String::as_str));
            let hint = match nearest(key, known) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "declare it under `properties` of `config_schema`".to_owned(),
            };
            return Err((format!("`when.config` names the setting `{key}`, which is not declared"), hint));
        };
        if *calls != CallsFor::LargerBody {
            continue;
        }
        if setting.get("type").is_none_or(|kind| kind != "integer") {
            let message = format!("`when.config` compares the body with `{key}`, which is no whole number");
            return Err((message, "give it `type: integer` in `config_schema`, or say `any`".into()));
        }
        if let Some(hook) = hooks.iter().find(|hook| hook.sees_replies()) {
            let message = format!(
                "`larger-body` is about the request's body, and the hook `{}` sees replies",
                hook.as_str()
            );
            return Err((message, "put that hook into a policy of its own, or say `any`".into()));
        }
    }
    Ok(())
}

/// What is sought must be there to be sought, and every hook must be one that has all of the text before it: it would not be
/// asked where the host has nothing to look at.
fn sought(when: &When, (reads, hooks): (Reads, &[Hook]), matchers: &[MatcherSpec]) -> Result<(), Mistake> {
    if when.finds.is_empty() {
        return Ok(());
    }
    if reads != Reads::Content {
        return Err(("`when.finds` looks into content".into(), "add `reads: content`".into()));
    }
    if let Some(hook) = hooks.iter().find(|hook| !hook.can_be_spared()) {
        let message =
            format!("`when.finds` is for guards of whole texts, not for the hook `{}`", hook.as_str());
        return Err((message, "put that hook into a policy of its own, or leave `finds` out".into()));
    }
    let known = || matchers.iter().map(|matcher| matcher.name.as_str());
    match when.finds.iter().find(|name| !known().any(|known| known == *name)) {
        Some(name) => {
            let hint = match nearest(name, known()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "declare it under `matchers`".to_owned(),
            };
            Err((format!("`when.finds` names the matcher `{name}`, which is not declared"), hint))
        }
        None => Ok(()),
    }
}

fn limits(file: &str, written: &LimitsFile) -> Result<Limits, LoadError> {
    let (base, max) = (Limits::default(), Limits::MAX);
    let within = |name: &str, value: &Option<Spanned<u64>>, default: u64, max: u64| match value {
        None => Ok(default),
        Some(v) if (1..=max).contains(&v.value) => Ok(v.value),
        Some(v) => {
            let error = LoadError::new(file, format!("limit `{name}` is not between 1 and {max}"));
            Err(yaml::at(error, v.referenced))
        }
    };
    Ok(Limits {
        cpu_us: within("cpu_us", &written.cpu_us, base.cpu_us, max.cpu_us)?,
        memory_bytes: within("memory_bytes", &written.memory_bytes, base.memory_bytes, max.memory_bytes)?,
        output_bytes: within("output_bytes", &written.output_bytes, base.output_bytes, max.output_bytes)?,
        host_calls: within("host_calls", &written.host_calls, base.host_calls, max.host_calls)?,
        operations: within("operations", &written.operations, base.operations, max.operations)?,
        wall_ms: within("wall_ms", &written.wall_ms, base.wall_ms, max.wall_ms)?,
        http_calls: within("http_calls", &written.http_calls, base.http_calls, max.http_calls)?,
    })
}
