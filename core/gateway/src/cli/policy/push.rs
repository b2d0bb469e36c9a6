//! `weir policy push`: a new version, and the way it goes.

use super::{inspect, moved, path, percent, show, span};
use crate::admin::policies::{BODY, Options, Pushed};
use crate::cli::client::Client;
use crate::cli::{Failed, Printed};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use serde_json::Value;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How often the way of a version is looked at.
const LOOK: Duration = Duration::from_millis(300);

/// `weir policy push`
#[derive(Debug, Args)]
pub struct Push {
    /// The script or component; its signature (FILE.minisig) and golden cases are taken from beside it
    file: PathBuf,
    /// The policy [default: as its manifest says]
    #[arg(long)]
    name: Option<String>,
    /// Its golden cases [default: NAME.cases.yaml beside it, if it is there]
    #[arg(long, value_name = "FILE")]
    cases: Option<PathBuf>,
    /// Ask it in shadow for so many questions first
    #[arg(long, value_name = "N")]
    shadow: Option<u32>,
    /// Ask it in shadow for so long first, such as 5m
    #[arg(long, value_name = "TIME", value_parser = span)]
    shadow_for: Option<String>,
    /// Let it decide for a share of the keys then, such as 5%
    #[arg(long, value_name = "SHARE", value_parser = percent)]
    canary: Option<String>,
    /// For so long; until it is promoted unless set
    #[arg(long, value_name = "TIME", value_parser = span, requires = "canary")]
    canary_for: Option<String>,
    /// The share of decisions that may change for it to go on by itself [default: 20%]
    #[arg(long, value_name = "SHARE", value_parser = percent)]
    max_changed: Option<String>,
    /// Let it go live at once, whatever config says
    #[arg(long, conflicts_with_all = ["shadow", "shadow_for", "canary", "max_changed"])]
    yes: bool,
    /// Wait until it is live, and say how far it is; fails if it is taken back
    #[arg(long)]
    wait: bool,
}

/// Runs it.
///
/// # Errors
/// The step that refused, or why it was taken back.
pub fn run(client: &Client, push: &Push) -> Printed {
    let bytes = std::fs::read(&push.file).map_err(|error| unreadable(&push.file, &error))?;
    let name = match &push.name {
        Some(name) => name.clone(),
        None => inspect::manifest(&push.file, &bytes)?.name,
    };
    let body = serde_json::to_value(push.body(&bytes)?)?;
    if body.to_string().len() > BODY {
        return Err(Failed(format!(
            "{}: too large to be pushed; put it where `file` of weir.yaml says, the gateway takes it up by itself",
            push.file.display()
        )));
    }
    let answer = client.call("POST", &path(&name, "push"), Some(&body))?;
    let text = format!("{}{}", show::steps(&answer), moved(&answer)?);
    let digest = answer.pointer("/version/content").and_then(Value::as_str).unwrap_or_default();
    if push.wait && answer.get("stage").and_then(Value::as_str) != Some("live") {
        say(&text);
        return wait(client, &name, digest);
    }
    Ok(text)
}

impl Push {
    fn body(&self, bytes: &[u8]) -> Result<Pushed, Failed> {
        let beside = self.file.with_extension("cases.yaml");
        let cases = match &self.cases {
            Some(cases) => Some(cases),
            None => Some(&beside).filter(|path| path.exists()),
        };
        let cases = cases.map(|path| std::fs::read_to_string(path).map_err(|error| unreadable(path, &error)));
        let mut signature = self.file.clone().into_os_string();
        signature.push(".minisig");
        Ok(Pushed {
            bytes: STANDARD.encode(bytes),
            cases: cases.transpose()?,
            signature: std::fs::read_to_string(signature).ok(),
            options: self.options(),
        })
    }

    /// `None`: as config says.
    fn options(&self) -> Option<Options> {
        let options = Options {
            shadow: self.shadow,
            shadow_for: self.shadow_for.clone(),
            canary: self.canary.clone(),
            canary_for: self.canary_for.clone(),
            max_changed: self.max_changed.clone(),
        };
        (self.yes || options != Options::default()).then_some(options)
    }
}

/// Says how far a version is until it is live or taken back.
fn wait(client: &Client, name: &str, content: &str) -> Printed {
    let mut last = String::new();
    loop {
        std::thread::sleep(LOOK);
        let status = client.call("GET", &format!("/admin/v1/policies/{name}"), None)?;
        let is = |pointer: &str| status.pointer(pointer).and_then(Value::as_str) == Some(content);
        if is("/live/content") {
            return Ok(format!("{name}: live\n"));
        }
        if !is("/candidate/content") {
            let history = client.call("GET", &path(name, "history"), None)?;
            return Err(Failed(format!("{name}: {}", show::ended(&history, content))));
        }
        let now = show::progress(&status);
        if now != last {
            say(&format!("{name}: {now}\n"));
            last = now;
        }
    }
}

/// While it goes on: to whoever reads standard output.
fn say(text: &str) {
    // A reader that has gone has seen enough.
    let _ = std::io::stdout().write_all(text.as_bytes());
}

fn unreadable(path: &Path, error: &std::io::Error) -> Failed {
    Failed(format!("{}: {error}", path.display()))
}
