//! `weir policy inspect`: everything that a script or component says of itself, and what follows from it.

use crate::cli::{Failed, Printed};
use crate::reload::policies::{self, Source};
use crate::ship::record::Kind;
use std::fmt::{Display, Write};
use std::path::Path;
use weir_policy::manifest::{Isolation, MatcherSpec, Reads, Surface};
use weir_policy::{Hook, LoadError, Manifest, coverage};

/// So many literals, and so many patterns, of one matcher are printed: lists of words may be long.
const SHOWN: usize = 20;

/// Prints it.
///
/// # Errors
/// The file cannot be read or is no policy.
pub fn print(file: &Path) -> Printed {
    let bytes = std::fs::read(file).map_err(|error| Failed(format!("{}: {error}", file.display())))?;
    let manifest = manifest(file, &bytes)?;
    let mut out = Out(String::new());
    out.head(file, &bytes, &manifest);
    out.hooks(&manifest);
    out.authority(&manifest);
    out.matchers(&manifest.matchers);
    out.limits(&manifest);
    out.replies(&manifest);
    out.concerns(&manifest);
    out.cells(&manifest);
    out.declares(&manifest);
    if let Some(schema) = &manifest.config_schema {
        let _ = writeln!(out.0, "config schema\n{}", indented(&format!("{schema:#}")));
    }
    if Kind::of(&bytes) == Kind::Wasm {
        let found = weir_wasm::inspect(&bytes)?;
        out.list("imports", &found.imports);
        out.list("exports", &found.exports);
    }
    Ok(out.0)
}

/// The manifest of a script or component, without compiling it.
///
/// # Errors
/// There is none, or it is wrong.
pub fn manifest(file: &Path, bytes: &[u8]) -> Result<Manifest, LoadError> {
    policies::manifest(&file.display().to_string(), Source { engine: Kind::of(bytes).engine(), bytes })
}

/// Writing to a string cannot fail.
struct Out(String);

impl Out {
    fn line(&mut self, name: &str, value: impl Display) {
        let _ = writeln!(self.0, "{name:<14} {value}");
    }

    fn list(&mut self, name: &str, values: &[String]) {
        let _ = writeln!(self.0, "{name}");
        for value in values {
            let _ = writeln!(self.0, "  {value}");
        }
    }

    fn head(&mut self, file: &Path, bytes: &[u8], manifest: &Manifest) {
        self.line("file", format_args!("{} ({} bytes)", file.display(), bytes.len()));
        self.line("content", crate::ship::store::content(bytes));
        self.line("name", &manifest.name);
        self.line("version", &manifest.version);
        self.line("description", &manifest.description);
        let reads = if manifest.reads == Reads::Content { "content" } else { "head" };
        self.line("reads", reads);
        let isolation = if manifest.isolation == Isolation::Strict { "strict" } else { "auto" };
        self.line("isolation", format_args!("{isolation}, shared: {}", manifest.shared));
    }

    /// What follows a failure, hook by hook.
    fn hooks(&mut self, manifest: &Manifest) {
        let _ = writeln!(self.0, "hooks");
        for hook in &manifest.hooks {
            let failure = match manifest.failure_mode(*hook) {
                weir_policy::FailureMode::Closed => "closed: the request is refused",
                weir_policy::FailureMode::Open => "open: as if it had not been there",
                weir_policy::FailureMode::StaticPlan => "static-plan: the plan from config",
            };
            let _ = writeln!(self.0, "  {:<16} on failure {failure}", hook.as_str());
        }
    }

    fn authority(&mut self, manifest: &Manifest) {
        let capabilities: Vec<&str> = manifest.capabilities.iter().map(|c| c.as_str()).collect();
        self.line("capabilities", some(&capabilities));
        if !manifest.http.is_empty() {
            self.line("http", manifest.http.join(", "));
        }
    }

    fn matchers(&mut self, matchers: &[MatcherSpec]) {
        if !matchers.is_empty() {
            let _ = writeln!(self.0, "matchers");
        }
        for matcher in matchers {
            let case = if matcher.case_insensitive { ", any case" } else { "" };
            let (literals, patterns) = (matcher.literals.len(), matcher.patterns.len());
            let _ = writeln!(self.0, "  {:<16} {literals} literals, {patterns} patterns{case}", matcher.name);
            let quoted: Vec<String> = matcher.literals.iter().map(|literal| format!("{literal:?}")).collect();
            self.few(&quoted);
            self.few(&matcher.patterns);
        }
    }

    /// The first of many, a line each.
    fn few(&mut self, values: &[String]) {
        for value in values.iter().take(SHOWN) {
            let _ = writeln!(self.0, "    {value}");
        }
        if let Some(more) = values.len().checked_sub(SHOWN).filter(|more| *more > 0) {
            let _ = writeln!(self.0, "    and {more} more");
        }
    }

    fn limits(&mut self, manifest: &Manifest) {
        let limits = &manifest.limits;
        let _ = writeln!(self.0, "limits");
        for (name, value) in [
            ("cpu_us", limits.cpu_us),
            ("memory_bytes", limits.memory_bytes),
            ("output_bytes", limits.output_bytes),
            ("host_calls", limits.host_calls),
            ("operations", limits.operations),
            ("wall_ms", limits.wall_ms),
            ("http_calls", limits.http_calls),
        ] {
            let _ = writeln!(self.0, "  {name:<16} {value}");
        }
    }

    fn replies(&mut self, manifest: &Manifest) {
        if manifest.has(Hook::Stream) || manifest.has(Hook::Redact) {
            let windows = &manifest.stream;
            let (bytes, ms, hold) = (windows.bytes, windows.ms, windows.max_hold);
            self.line(
                "stream",
                format_args!("windows of {bytes} bytes or {ms} ms, holds back {hold} at most"),
            );
        }
        if manifest.has(Hook::GuardResponse) {
            self.line("buffer_streams", manifest.buffer_streams);
        }
        if manifest.has(Hook::Redact) {
            self.line("masks", manifest.redact.masks.join(", "));
            self.line("classes", manifest.redact.classes.join(", "));
        }
    }

    fn concerns(&mut self, manifest: &Manifest) {
        let surfaces: Vec<&str> = manifest.surfaces.iter().map(|surface| surface.as_str()).collect();
        let surfaces =
            if surfaces.len() == Surface::ALL.len() { "all".to_owned() } else { surfaces.join(", ") };
        self.line("surfaces", surfaces);
        let Some(when) = &manifest.when else { return self.line("when", "always") };
        let _ = writeln!(self.0, "when");
        let mut line = |name: &str, value: Option<String>| {
            if let Some(value) = value {
                let _ = writeln!(self.0, "  {name:<16} {value}");
            }
        };
        line("models", when.models.as_ref().map(|models| models.join(", ")));
        line(
            "apis",
            when.apis
                .as_ref()
                .map(|apis| apis.iter().map(|api| api.0.as_str()).collect::<Vec<_>>().join(", ")),
        );
        line("stream", when.stream.map(|stream| stream.to_string()));
        line("tenants", when.tenants.as_ref().map(|tenants| tenants.join(", ")));
        line(
            "classes",
            when.classes
                .as_ref()
                .map(|classes| classes.iter().map(|class| class.name()).collect::<Vec<_>>().join(", ")),
        );
        for (tag, value) in &when.tags {
            line("tag", Some(format!("{tag}={value}")));
        }
        for (setting, calls) in &when.config {
            line("config", Some(format!("{setting}: {}", calls.as_str())));
        }
        line("finds", (!when.finds.is_empty()).then(|| when.finds.join(", ")));
        line("min_body_bytes", (when.min_body_bytes > 0).then(|| when.min_body_bytes.to_string()));
    }

    /// What it means to protect, and which part of that would pass it if it were bound everywhere.
    fn cells(&mut self, manifest: &Manifest) {
        let mut blind = manifest.clone();
        blind.surfaces.clear();
        let protected = coverage::missing(&blind, &Surface::ALL);
        if protected.is_empty() {
            return self.line("coverage", "none: it protects nothing");
        }
        let missing = coverage::missing(manifest, &Surface::ALL);
        let _ = writeln!(self.0, "coverage");
        for cell in protected {
            let seen = if missing.contains(&cell) { "UNSEEN" } else { "seen" };
            let _ = writeln!(self.0, "  {seen:<8} {cell}");
        }
    }

    fn declares(&mut self, manifest: &Manifest) {
        let declares = &manifest.declares;
        let _ = writeln!(self.0, "declares");
        for (name, values) in
            [("rules", &declares.rules), ("reasons", &declares.reasons), ("codes", &declares.codes)]
        {
            let _ = writeln!(self.0, "  {name:<16} {}", some(values));
        }
        for (tag, values) in &declares.tags {
            let _ = writeln!(self.0, "  tag {tag:<12} {}", values.join(", "));
        }
    }
}

fn some(values: &[impl AsRef<str>]) -> String {
    let values: Vec<&str> = values.iter().map(AsRef::as_ref).collect();
    if values.is_empty() { "none".to_owned() } else { values.join(", ") }
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
}
