//! Reloads under load: the routing script changes each time, half of the requests are streams.

use std::fs;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::audit;
use crate::failure::{Context, Failure, Result};
use crate::load::Tally;
use crate::process::{LOAD_CORE, ourselves, wait_for};
use crate::round::Bench;
use crate::system::System;
use crate::wire::Conn;

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

/// No storm takes longer than this; what it managed is reported.
const LONGEST: Duration = Duration::from_secs(150);

/// Reloads `system`, which is Weir, again and again while clients send.
pub fn storm(bench: &Bench, system: &System) -> Result<Storm> {
    let System::Weir(site) = system else { return Err(Failure::new("only Weir reloads")) };
    let since = audit::last_row(system)?;
    let mut running = system.start(&bench.upstream, &bench.work)?;
    wait_for(&site.admin, &mut running.process)?;
    let (ids, done) = (bench.work.join("storm.ids"), bench.work.join("storm.done"));
    let mut command = ourselves(LOAD_CORE, "load")?;
    command.args([
        "--target",
        &running.address,
        "--connections",
        "8",
        "--seconds",
        "200",
        "--stream-every",
        "2",
    ]);
    command.arg("--keys").arg(&site.keys).arg("--ids").arg(&ids).arg("--until").arg(&done);
    let load = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;

    let script = fs::read_to_string(&site.script)?;
    let started = Instant::now();
    let mut reloads = 0;
    let mut early = None;
    let outcome = reload_repeatedly(bench, site, &script, &mut reloads, |done| {
        if early.is_none() && done >= bench.pace.reloads / 10 {
            early = Some(running.process.rss_mib()?);
        }
        Ok(())
    });
    let grown_mib = early.map_or(Ok(0.0), |early| running.process.rss_mib().map(|late| late - early))?;
    let taken = started.elapsed();
    fs::write(&done, "")?;
    let output = load.wait_with_output()?;
    fs::write(&site.script, script)?;
    outcome?;
    running.stop()?;
    let tally: Tally = serde_json::from_slice(&output.stdout)?;
    audit::check_ids_only(system, since, &ids, tally.failures())?;
    Ok(Storm {
        reloads,
        ok: tally.ok,
        tally,
        reload_ms: taken.as_secs_f64() * 1e3 / reloads as f64,
        grown_mib,
    })
}

fn reload_repeatedly(
    bench: &Bench,
    site: &crate::weir::Site,
    script: &str,
    reloads: &mut u64,
    mut look: impl FnMut(u64) -> Result<()>,
) -> Result<()> {
    let token = site.admin_token()?;
    let started = Instant::now();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime
        .block_on(async {
            let mut admin = Conn::open(&site.admin).await?;
            while *reloads < bench.pace.reloads && started.elapsed() < LONGEST {
                fs::write(&site.script, format!("{script}\n// version {reloads}\n"))?;
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
                *reloads += 1;
                look(*reloads)?;
            }
            Ok(())
        })
        .context("reload storm")
}
