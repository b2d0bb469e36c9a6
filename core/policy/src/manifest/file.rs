//! The manifest as it is written, and its checks.

use super::{
    Capability, Declares, FailureMode, Hook, Isolation, Limits, Manifest, MatcherSpec, Reads, Surface, When,
};
use crate::policy::LoadError;
use crate::yaml::{self, nearest};
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
    when: Option<When>,
    #[serde(default)]
    isolation: Isolation,
    #[serde(default)]
    shared: bool,
    surfaces: Option<Vec<Surface>>,
    #[serde(default)]
    declares: DeclaresFile,
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
    Ok(Manifest {
        name: name(file, raw.name)?,
        version: version(file, raw.version)?,
        description: raw.description,
        reads: raw.reads,
        capabilities: capabilities(file, &raw.capabilities)?,
        matchers: matchers(file, raw.matchers)?,
        config_schema: raw.config_schema.map(|schema| schema.value),
        limits: limits(file, &raw.limits)?,
        on_failure: raw.on_failure.map(|mode| mode.value),
        when: raw.when,
        isolation: raw.isolation,
        shared: raw.shared,
        surfaces: raw.surfaces.unwrap_or_else(|| Surface::ALL.to_vec()),
        declares: Declares {
            rules: raw.declares.rules,
            reasons: raw.declares.reasons,
            codes: raw.declares.codes,
            tags: raw.declares.tags,
        },
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
    let Some(hook) = Hook::ALL.into_iter().find(|hook| hook.as_str() == name) else {
        let error = LoadError::new(file, format!("unknown hook `{name}`"));
        return Err(match nearest(name, Hook::ALL.map(Hook::as_str)) {
            Some(near) => error.hint(format!("did you mean `{near}`?")),
            None => error.hint(format!("supported: {}", supported())),
        });
    };
    if Hook::supported().contains(&hook) {
        return Ok(hook);
    }
    Err(LoadError::new(file, format!("hook \"{name}\" is not in this version of Weir"))
        .hint(format!("supported: {}", supported())))
}

fn supported() -> String {
    Hook::supported().iter().map(|hook| hook.as_str()).collect::<Vec<_>>().join(", ")
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

fn capabilities(file: &str, asked: &[Spanned<Capability>]) -> Result<Vec<Capability>, LoadError> {
    let mut list = Vec::with_capacity(asked.len());
    for capability in asked {
        if !Capability::supported().contains(&capability.value) {
            let name = capability.value.as_str();
            let known = Capability::supported().iter().map(|c| c.as_str()).collect::<Vec<_>>().join(", ");
            let error = LoadError::new(file, format!("capability \"{name}\" is not in this version of Weir"));
            return Err(yaml::at(error.hint(format!("supported: {known}")), capability.referenced));
        }
        list.push(capability.value);
    }
    list.sort_unstable();
    list.dedup();
    Ok(list)
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
    })
}
