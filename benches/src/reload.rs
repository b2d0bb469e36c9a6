//! Reloads under load, half of which are streams: a script changes each time, or what a Wasm component is told.

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::audit;
use crate::failure::{Context, Failure, Result};
use crate::load::Tally;
use crate::process::{LOAD_CORE, ourselves, wait_for};
use crate::round::Bench;
use crate::system::System;
use crate::weir::Site;
use crate::wire::Conn;

/// What changes from one reload to the next.
#[derive(Clone, Copy, Debug)]
pub enum Change {
    /// The routing script, by a comment.
    Script,
    /// The config of the site's guard, to and fro between two: each time a component is configured and snapshotted anew.
    Component,
}

/// Two ways for the guard to mask what this load has none of.
const CONFIGS: [&str; 2] = [", config: { mask: '[{class}]' } }", ", config: { mask: '<{class}>' } }"];

impl Change {
    /// How often, of so many that are asked for: components take longer.
    pub const fn count(self, reloads: u64) -> u64 {
        match self {
            Self::Script => reloads,
            Self::Component => reloads / 10,
        }
    }

    /// So long is far more than so many take: whoever needs longer has failed.
    fn longest(self, count: u64) -> Duration {
        let each = match self {
            Self::Script => 60,
            Self::Component => 300,
        };
        Duration::from_secs(30) + Duration::from_millis(each * count)
    }

    fn file(self, site: &Site) -> &Path {
        match self {
            Self::Script => &site.script,
            Self::Component => &site.config,
        }
    }

    /// What the file says at the `n`th reload.
    fn text(self, original: &str, n: u64) -> Result<String> {
        let Self::Component = self else { return Ok(format!("{original}\n// version {n}\n")) };
        let (before, after) =
            original.split_once(".wasm }").ok_or_else(|| Failure::new("the site has no component"))?;
        Ok(format!("{before}.wasm{}{after}", CONFIGS[usize::from(n % 2 == 1)]))
    }
}

/// What a storm of reloads did.
pub struct Storm {
    /// Reloads that were asked for and done.
    pub reloads: u64,
    /// Requests that got the right reply meanwhile.
    pub ok: u64,
    /// Requests that did not, by what was wrong.
    pub tally: Tally,
    /// Milliseconds a reload took, on a core that was busy.
    pub reload_ms: f64,
    /// By how many MiB the resident memory grew from a tenth of the reloads to the last.
    pub grown_mib: f64,
}

/// Reloads `system`, which is Weir, again and again while clients send: as often as is asked for, or it has failed.
pub fn storm(bench: &Bench, system: &System, change: Change) -> Result<Storm> {
    let System::Weir(site) = system else { return Err(Failure::new("only Weir reloads")) };
    let wanted = change.count(bench.pace.reloads);
    let longest = change.longest(wanted);
    let since = audit::last_row(system)?;
    let mut running = system.start(&bench.upstream, &bench.work)?;
    wait_for(&site.admin, &mut running.process)?;
    let (ids, done) = (bench.work.join("storm.ids"), bench.work.join("storm.done"));
    // An earlier storm's end would be this one's.
    drop(fs::remove_file(&done));
    let mut command = ourselves(LOAD_CORE, "load")?;
    command.args(["--target", &running.address, "--connections", "8", "--stream-every", "2"]);
    command.args(["--seconds", &(longest.as_secs() + 50).to_string()]);
    command.arg("--keys").arg(&site.keys).arg("--ids").arg(&ids).arg("--until").arg(&done);
    let load = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;

    let file = change.file(site);
    let original = fs::read_to_string(file)?;
    let started = Instant::now();
    let mut reloads = 0;
    let mut early = None;
    let next = |n| fs::write(file, change.text(&original, n)?).context(file.display());
    let outcome = reload_repeatedly(site, (wanted, longest), next, |done| {
        reloads = done;
        if early.is_none() && done >= wanted / 10 {
            early = Some(running.process.rss_mib()?);
        }
        Ok(())
    });
    let late = running.process.rss_mib()?;
    let taken = started.elapsed();
    fs::write(&done, "")?;
    let output = load.wait_with_output()?;
    fs::write(file, &original)?;
    outcome?;
    running.stop()?;
    if reloads < wanted {
        return Err(Failure::new(format!(
            "{change:?}: only {reloads} of {wanted} reloads were done in {} s",
            taken.as_secs()
        )));
    }
    let early = early.ok_or_else(|| Failure::new("no reload was asked for"))?;
    let tally: Tally = serde_json::from_slice(&output.stdout)?;
    audit::check_ids_only(system, since, &ids, tally.failures())?;
    Ok(Storm {
        reloads,
        ok: tally.ok,
        tally,
        reload_ms: taken.as_secs_f64() * 1e3 / reloads as f64,
        grown_mib: late - early,
    })
}

/// Reloads until so many are done, or so long has passed. `next` writes what the nth one reads, `look` is told how many are
/// done.
fn reload_repeatedly(
    site: &Site,
    (wanted, longest): (u64, Duration),
    mut next: impl FnMut(u64) -> Result<()>,
    mut look: impl FnMut(u64) -> Result<()>,
) -> Result<()> {
    let token = site.admin_token()?;
    let started = Instant::now();
    let mut reloads = 0;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime
        .block_on(async {
            let mut admin = Conn::open(&site.admin).await?;
            while reloads < wanted && started.elapsed() < longest {
                next(reloads)?;
                let (status, body) = admin.ask(&site.admin, "POST", "/admin/v1/reload", Some(&token)).await?;
                if status != 200 {
                    let said = String::from_utf8_lossy(&body);
                    // By design: the storm is faster than the streams that hold older versions. The next try takes it.
                    if said.contains("are held by requests under way") {
                        tokio::time::sleep(Duration::from_millis(5)).await;
                        continue;
                    }
                    return Err(Failure::new(format!("reload {reloads}: status {status}: {said}")));
                }
                reloads += 1;
                look(reloads)?;
            }
            Ok(())
        })
        .context("reload storm")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reload_has_something_to_swap() {
        let config =
            "policies:\n  - { file: /a/mask-pii.wasm }\n  - { file: route.rhai, grants: [targets] }\n";
        for change in [Change::Script, Change::Component] {
            let texts = [0, 1].map(|n| change.text(config, n).expect("a config"));
            assert!(texts[0] != texts[1] && texts.iter().all(|text| text != config), "{texts:?}");
        }
        assert!(Change::Component.text("policies: []", 0).is_err());
        assert_eq!((Change::Script.count(200), Change::Component.count(200)), (200, 20));
    }
}
