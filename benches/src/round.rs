//! Systems that are all up at once and are loaded in turn, a second or so each, round by round: what the machine does to one
//! it does to its neighbours in time, and a ratio of the two is about them and not about the minute.

use std::path::{Path, PathBuf};

use crate::audit;
use crate::failure::{Context, Failure, Result};
use crate::load::{Shape, Tally};
use crate::mock::Stats;
use crate::process::{Process, machine_cpu};
use crate::system::{Running, System};
use crate::wire;

/// How long everything takes, and how often.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Interleaved rounds.
    pub rounds: usize,
    /// Seconds of load before anything is measured.
    pub warm: f64,
    /// Seconds of plain requests.
    pub plain: f64,
    /// Seconds of streams.
    pub stream: f64,
    /// Reloads under load.
    pub reloads: u64,
    /// Cold starts.
    pub starts: usize,
}

/// What the rounds share.
pub struct Bench {
    /// Folder for everything the run writes.
    pub work: PathBuf,
    /// The mock.
    pub mock: Process,
    /// The mock's address.
    pub upstream: String,
    /// File with the keys that clients of the baselines send.
    pub any_keys: PathBuf,
    /// How long and how often.
    pub pace: Pace,
}

/// One load's figures.
#[derive(Clone, Debug)]
pub struct Measured {
    /// CPU microseconds of the system for one request.
    pub cpu_us: f64,
    /// Requests a second.
    pub per_second: f64,
    /// Share of its core that the system used: near 1 it was saturated.
    pub busy: f64,
    /// CPU time of everything else on the machine, in cores: near 0 if the figures mean anything.
    pub foreign: f64,
    /// What the clients saw.
    pub tally: Tally,
}

/// One round's figures.
pub struct Round {
    /// Plain requests.
    pub plain: Measured,
    /// Streams.
    pub stream: Measured,
}

/// A system that stays up from the first round to the last, and all that was sent to it.
pub struct Contender<'a> {
    /// What it is.
    pub system: &'a System,
    running: Running,
    since: i64,
    /// What the upstream served through it, and how many masked prompts its clients saw among that.
    seen: Stats,
    due: u64,
    ids: Vec<PathBuf>,
}

impl Bench {
    /// Starts a system and lets it get warm.
    pub fn enter<'a>(&self, system: &'a System) -> Result<Contender<'a>> {
        let since = audit::last_row(system)?;
        let running = system.start(&self.upstream, &self.work)?;
        let mut contender =
            Contender { system, running, since, seen: Stats::default(), due: 0, ids: Vec::new() };
        self.measure(&mut contender, self.pace.warm, false)?;
        Ok(contender)
    }

    /// One round of one system; the others are up and have nothing to do.
    pub fn round(&self, contender: &mut Contender<'_>) -> Result<Round> {
        let plain = self.measure(contender, self.pace.plain, false)?;
        let stream = self.measure(contender, self.pace.stream, true)?;
        Ok(Round { plain, stream })
    }

    /// Stops it and holds all that was sent to it against its ledger. Any wrong reply, or a ledger that does not match, is
    /// an error: no number then.
    pub fn leave(&self, contender: Contender<'_>) -> Result<()> {
        let Contender { system, running, since, seen, due, ids } = contender;
        running.stop()?;
        check_edits(system, &seen, due)?;
        audit::check(system, since, &ids, &seen).context(format!("ledger of {}", system.name()))
    }

    /// Loads the system and reads its CPU time before and after.
    fn measure(&self, contender: &mut Contender<'_>, seconds: f64, streams: bool) -> Result<Measured> {
        let ids = self.work.join(format!("{}-{}.ids", contender.system.name(), contender.ids.len()));
        let running = &contender.running;
        let clocks = || Ok::<_, Failure>((running.process.cpu()?, self.mock.cpu()?, machine_cpu()?));
        let served = self.upstream_stats()?;
        let (system_before, mock_before, machine_before) = clocks()?;
        let tally = self.load(contender.system, running, seconds, streams, &ids)?;
        let (system_after, mock_after, machine_after) = clocks()?;
        contender.seen.add(&difference(&self.upstream_stats()?, &served));
        contender.ids.push(ids);
        contender.due += tally.masked;
        let cpu = system_after - system_before;
        // The callers are a part of the mock.
        let ours = (cpu + (mock_after - mock_before)).as_secs_f64();
        let foreign = (machine_after - machine_before).as_secs_f64() - ours;
        Ok(Measured {
            cpu_us: cpu.as_secs_f64() * 1e6 / tally.ok as f64,
            per_second: tally.ok as f64 / tally.seconds,
            busy: cpu.as_secs_f64() / tally.seconds,
            foreign: (foreign / tally.seconds).max(0.0),
            tally,
        })
    }

    fn load(
        &self,
        system: &System,
        running: &Running,
        seconds: f64,
        streams: bool,
        ids: &Path,
    ) -> Result<Tally> {
        let mut shape = Shape::plain(&running.address, &self.any_keys, seconds);
        shape.stream_every = u64::from(streams);
        if let System::Weir(site) = system {
            shape.api = site.variant.api();
            shape.keys.clone_from(&site.keys);
            shape.ids = Some(ids.to_owned());
        }
        if let Some(variant) = system.variant().filter(|_| !streams) {
            shape.pii_every = variant.pii_every();
        }
        let (status, said) = wire::post(&self.upstream, "/load", &serde_json::to_vec(&shape)?)?;
        if status != 200 {
            return Err(Failure::new(format!("{}: the load ended with {status}", system.name())));
        }
        let tally: Tally = serde_json::from_slice(&said)?;
        if tally.failures() > 0 || tally.ok == 0 {
            return Err(Failure::new(format!("{}: wrong replies: {:?}", system.name(), tally.failed)));
        }
        Ok(tally)
    }

    /// What the upstream has counted so far.
    pub fn upstream_stats(&self) -> Result<Stats> {
        let (_, body) = wire::ask(&self.upstream, "GET", "/stats", None)?;
        Ok(serde_json::from_slice(&body)?)
    }
}

fn difference(after: &Stats, before: &Stats) -> Stats {
    let seen = |model: &String| before.models.get(model).copied().unwrap_or(0);
    let models = after.models.iter().map(|(model, count)| (model.clone(), count - seen(model)));
    Stats {
        models: models.filter(|(_, count)| *count > 0).collect(),
        masked: after.masked - before.masked,
        leaked: after.leaked - before.leaked,
    }
}

/// Each client checked that its own edit arrived; this is the upstream's side of the same count.
fn check_edits(system: &System, seen: &Stats, due: u64) -> Result<()> {
    if seen.leaked > 0 || seen.masked != due {
        return Err(Failure::new(format!(
            "{}: {due} bodies were to be masked, the upstream saw {} masked and {} not",
            system.name(),
            seen.masked,
            seen.leaked
        )));
    }
    Ok(())
}
