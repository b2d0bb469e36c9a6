//! A disk that is full, fails, may not be written, or has forgotten.
//!
//! The declared mode is *closed*: as long as the ledger cannot be written, nothing that costs money is begun (503 and
//! `/readyz` says why), what was under way is withheld, and its row is written when the disk takes it again. So, in the
//! end, every request that reached the upstream has one posting, every reply that was handed out the right one, and the
//! gateway was never restarted.

use super::ask::{self, Acknowledged, Lost, Order};
use super::mock::{Mock, Plan};
use super::{Outcome, config};
use crate::{Client, Gateway, Setup, until};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

const CALLERS: usize = 8;

/// What a file system that has become read-only refuses on files that are open already.
const WRITES: &str = "pwrite64,fallocate,ftruncate,fsync,fdatasync";

/// Everything.
pub async fn run() -> Outcome {
    let mut outcome = Outcome::new(
        "a full disk, EIO on sync, EIO on write, EROFS on all writes, a remount under load, a start on a read-only disk, a flipped byte in the log, one in a key's row",
    );
    outcome.include(full().await);
    outcome.include(fails("fsync,fdatasync", "EIO", "full").await);
    outcome.include(fails("pwrite64", "EIO", "normal").await);
    outcome.include(fails(WRITES, "EROFS", "normal").await);
    outcome.include(refused_remount().await);
    outcome.include(read_only().await);
    outcome.include(flipped_byte().await);
    outcome.include(lost_key().await);
    outcome
}

/// What callers saw.
#[derive(Default)]
struct Saw {
    acknowledged: Acknowledged,
    withheld: usize,
    refused: usize,
    wrong: Vec<String>,
}

/// Callers that go on whatever they are told.
struct Crowd {
    stop: Arc<AtomicBool>,
    served: Arc<AtomicUsize>,
    callers: tokio::task::JoinSet<Saw>,
}

impl Crowd {
    fn come(gateway: &Gateway, keys: &[String]) -> Self {
        let (stop, served) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let mut callers = tokio::task::JoinSet::new();
        for number in 0..CALLERS {
            let key = keys[number % keys.len()].clone();
            callers.spawn(caller(gateway.address, key, number, Arc::clone(&stop), Arc::clone(&served)));
        }
        Self { stop, served, callers }
    }

    fn served(&self) -> usize {
        self.served.load(Ordering::Relaxed)
    }

    async fn go(mut self) -> Saw {
        self.stop.store(true, Ordering::Relaxed);
        let mut all = Saw::default();
        while let Some(saw) = self.callers.join_next().await {
            let saw = saw.expect("a caller");
            all.acknowledged.extend(saw.acknowledged);
            all.withheld += saw.withheld;
            all.refused += saw.refused;
            all.wrong.extend(saw.wrong);
        }
        all
    }
}

async fn caller(
    address: SocketAddr,
    key: String,
    number: usize,
    stop: Arc<AtomicBool>,
    served: Arc<AtomicUsize>,
) -> Saw {
    let mut saw = Saw::default();
    let mut client = Client::connect(address).await.expect("it listens");
    let mut turn = number;
    while !stop.load(Ordering::Relaxed) {
        turn += 1;
        let order =
            Order { seed: turn as u64, pieces: 1 + turn % 9, length: 0, stream: turn.is_multiple_of(2) };
        match order.ask(&mut client, &key, || {}).await {
            Ok(answer) => {
                served.fetch_add(1, Ordering::Relaxed);
                saw.acknowledged.insert(answer.id, ask::charge(order.pieces));
                continue;
            }
            Err(Lost::Refused(503, body)) if body.contains("ledger_unavailable") => {
                if body.contains("withheld") {
                    saw.withheld += 1;
                } else {
                    saw.refused += 1;
                }
                // As `Retry-After` asks, but sooner.
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            // The end of a stream is withheld, and says so.
            Err(Lost::Wrong(why)) if why.contains("could not be written to the ledger") => saw.withheld += 1,
            Err(lost) => saw.wrong.push(super::idle::told(&lost)),
        }
        client = Client::connect(address).await.expect("it listens");
    }
    saw
}

async fn readyz(gateway: &Gateway) -> (u16, String) {
    let reply = gateway.get_admin("/readyz").await;
    (reply.status(), reply.text())
}

/// Waits until the gateway is ready, or no more.
async fn wait_for(gateway: &Gateway, status: u16) -> Result<String, String> {
    for _ in 0..600 {
        let (found, text) = readyz(gateway).await;
        if found == status {
            return Ok(text);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Err(format!("/readyz was never {status} in 30 s: {}", readyz(gateway).await.1.trim()))
}

/// One trouble from beginning to end: `ail` brings it about under load, `cure` ends it.
async fn suffer(
    what: &str,
    gateway: &mut Gateway,
    upstream: &Mock,
    ail: impl FnOnce(&Gateway) -> Option<Child>,
    cure: impl FnOnce(Option<Child>),
) -> Outcome {
    let mut outcome = Outcome::default();
    let keys = [gateway.key(&[]), gateway.key(&["--budget", "1000000"])];
    let crowd = Crowd::come(gateway, &keys);
    until("replies", || (crowd.served() > 50).then_some(())).await;
    let ailing = ail(gateway);
    match wait_for(gateway, 503).await {
        Ok(why) => outcome.require(
            why.contains("the ledger cannot be written"),
            format!("{what}: /readyz does not say why: {why}"),
        ),
        Err(why) => outcome.broken.push(format!("{what}: {why}")),
    }
    // Nothing more goes up, for anybody.
    tokio::time::sleep(Duration::from_millis(300)).await;
    let before = upstream.requests();
    for key in keys.iter().cycle().take(20) {
        let order = Order { seed: 1, pieces: 1, length: 0, stream: false };
        let mut client = gateway.client().await;
        match order.ask(&mut client, key, || {}).await {
            Err(Lost::Refused(503, body)) if body.contains("ledger_unavailable") => {}
            other => outcome.broken.push(format!("{what}: a new request was not refused: {other:?}")),
        }
    }
    let more = upstream.requests() - before;
    outcome
        .require(more == 0, format!("{what}: {more} requests went up while the ledger could not be written"));
    let served = crowd.served();
    cure(ailing);
    if let Err(why) = wait_for(gateway, 200).await {
        outcome.broken.push(format!("{what}, cured: {why}"));
    }
    until("replies again", || (crowd.served() > served + 50).then_some(())).await;
    let saw = crowd.go().await;
    outcome.broken.extend(saw.wrong.into_iter().map(|why| format!("{what}: {why}")));
    outcome.broken.extend(ask::misposted(gateway, &saw.acknowledged));
    gateway.stop().await;
    let report = weir_ledger::check(&gateway.data()).expect("a ledger");
    outcome.require(report.is_clean() && report.pending == 0, format!("{what}: {report}"));
    let asked = upstream.requests();
    outcome.require(
        report.postings as usize == asked,
        format!("{what}: {} postings for {asked} requests that reached the upstream", report.postings),
    );
    outcome.require(saw.refused > 0, format!("{what}: nobody was refused"));
    outcome.figures = match what {
        "full" => vec![("full: served", 0.0), ("withheld", 0.0), ("refused", 0.0)],
        WRITES => vec![("EROFS: served", 0.0), ("withheld", 0.0), ("refused", 0.0)],
        "pwrite64" => vec![("EIO on write: served", 0.0), ("withheld", 0.0), ("refused", 0.0)],
        _ => vec![("EIO on sync: served", 0.0), ("withheld", 0.0), ("refused", 0.0)],
    };
    for (figure, count) in outcome.figures.iter_mut().zip([saw.acknowledged.len(), saw.withheld, saw.refused])
    {
        figure.1 = count as f64;
    }
    outcome
}

/// A file system in memory of so many MiB; it is gone when dropped.
struct Disk(PathBuf);

impl Disk {
    fn mount(name: &str, mib: u32) -> Result<Self, String> {
        let path = std::env::temp_dir().join(format!("weir-drill-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).map_err(|error| error.to_string())?;
        run_mount(&["-t", "tmpfs", "-o", &format!("size={mib}m"), "weir-drill"], &path)?;
        Ok(Self(path))
    }

    fn remount(&self, options: &str) {
        run_mount(&["-o", &format!("remount,{options}")], &self.0)
            .expect("what is mounted can be mounted anew");
    }
}

fn run_mount(args: &[&str], path: &Path) -> Result<(), String> {
    let done =
        Command::new("mount").args(args).arg(path).output().map_err(|error| format!("mount: {error}"))?;
    let said = String::from_utf8_lossy(&done.stderr).trim().to_owned();
    if done.status.success() {
        Ok(())
    } else {
        Err(format!("this drill mounts a disk of its own, as root: {said}"))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
        let _ = std::fs::remove_dir(&self.0);
    }
}

fn failed(why: String) -> Outcome {
    Outcome { broken: vec![why], ..Outcome::default() }
}

/// The log fills the disk by itself; then the disk grows.
async fn full() -> Outcome {
    let disk = match Disk::mount("full", 4) {
        Ok(disk) => disk,
        Err(why) => return failed(why),
    };
    let upstream = Mock::start(|_| Plan::default()).await;
    let mut gateway = Setup::new(config(upstream.address)).data(&disk.0).start().await;
    suffer("full", &mut gateway, &upstream, |_| None, |_| disk.remount("size=256m")).await
}

/// System calls of the running gateway fail in one way, for as long as `strace` says so.
///
/// EROFS is what a disk says that the kernel has made read-only because of an error on it. To bring that about in earnest
/// leaves a disk that cannot be written again before it is mounted anew, and so no recovery to look at.
async fn fails(calls: &'static str, error: &str, sync: &str) -> Outcome {
    let upstream = Mock::start(|_| Plan::default()).await;
    let setup = Setup::new(config(upstream.address)).also(&format!("ledger: {{ sync: {sync} }}"));
    let mut gateway = setup.start().await;
    let ail = |gateway: &Gateway| {
        let strace = Command::new("strace")
            .args(["-f", "-qq", "-o", "/dev/null", "-e", &format!("trace={calls}")])
            .args(["-e", &format!("inject={calls}:error={error}"), "-p", &gateway.pid().to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        strace.ok()
    };
    let cure = |strace: Option<Child>| {
        let Some(mut strace) = strace else { return };
        // It lets go of the gateway before it ends.
        let _ = Command::new("kill").args(["-TERM", &strace.id().to_string()]).status();
        let _ = strace.wait();
    };
    if Command::new("strace").arg("-V").output().is_err() {
        return failed(
            "failing calls are brought about by strace, which is not here (apt install strace)".to_owned(),
        );
    }
    suffer(calls, &mut gateway, &upstream, ail, cure).await
}

/// Whoever asks for a disk to be read-only while the ledger is open is refused by the kernel, and no caller notices.
async fn refused_remount() -> Outcome {
    let mut outcome = Outcome::default();
    let disk = match Disk::mount("busy", 64) {
        Ok(disk) => disk,
        Err(why) => return failed(why),
    };
    let upstream = Mock::start(|_| Plan::default()).await;
    let mut gateway = Setup::new(config(upstream.address)).data(&disk.0).start().await;
    let keys = [gateway.key(&[]), gateway.key(&["--budget", "1000000"])];
    let crowd = Crowd::come(&gateway, &keys);
    until("replies", || (crowd.served() > 50).then_some(())).await;
    let refused = run_mount(&["-o", "remount,ro"], &disk.0);
    outcome.require(refused.is_err(), "a disk with an open ledger on it was made read-only");
    let served = crowd.served();
    until("more replies", || (crowd.served() > served + 50).then_some(())).await;
    let saw = crowd.go().await;
    outcome.require(saw.refused + saw.withheld == 0, "callers noticed a remount that was refused");
    outcome.broken.extend(saw.wrong.into_iter().map(|why| format!("remount: {why}")));
    outcome.broken.extend(ask::misposted(&gateway, &saw.acknowledged));
    super::idle::settled(&mut gateway, &mut outcome, upstream.requests()).await;
    outcome
}

/// A folder that may not be written: no start, a sentence, and no harm done.
async fn read_only() -> Outcome {
    let mut outcome = Outcome::default();
    let disk = match Disk::mount("ro", 64) {
        Ok(disk) => disk,
        Err(why) => return failed(why),
    };
    let upstream = Mock::start(|_| Plan::default()).await;
    let mut gateway = Setup::new(config(upstream.address)).data(&disk.0).start().await;
    let key = gateway.key(&[]);
    let order = Order { seed: 1, pieces: 1, length: 0, stream: false };
    order.ask(&mut gateway.client().await, &key, || {}).await.expect("a reply");
    gateway.stop().await;
    disk.remount("ro");
    let mut command = gateway.command(&["serve"]);
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("weir");
    let mut ended = None;
    for _ in 0..200 {
        ended = child.try_wait().expect("a child");
        if ended.is_some() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let _ = child.kill();
    let said = child.wait_with_output().map(|done| String::from_utf8_lossy(&done.stderr).into_owned());
    let said = said.unwrap_or_default();
    outcome.require(
        ended.is_some_and(|status| !status.success()),
        "it started in a folder that may not be written",
    );
    outcome.require(
        said.to_lowercase().contains("read-only") || said.contains("readonly"),
        format!("it does not say that the folder is read-only: {said}"),
    );
    disk.remount("rw");
    gateway.serve().await;
    order.ask(&mut gateway.client().await, &key, || {}).await.expect("a reply");
    gateway.stop().await;
    let report = weir_ledger::check(&gateway.data()).expect("a ledger");
    outcome.require(report.is_clean() && report.postings == 2, format!("after a read-only start: {report}"));
    outcome
}

/// A byte of the log changes while nobody looks, and then one of the log and one of the journal: the start says what is
/// lost and keeps the files. What only one of them has lost the other one has.
pub async fn flipped_byte() -> Outcome {
    let mut outcome = Outcome::default();
    let upstream = Mock::start(|_| Plan::default()).await;
    let mut gateway = Setup::new(config(upstream.address)).start().await;
    let keys = [gateway.key(&[]), gateway.key(&["--budget", "1000000"])];
    let names: [&[(&str, &str)]; 2] = [
        &[("ledger.sqlite3-wal", "write-ahead log is damaged")],
        &[
            ("ledger.sqlite3-wal", "write-ahead log is damaged"),
            ("ledger.journal-000002", "journal is damaged"),
        ],
    ];
    for files in names {
        let crowd = Crowd::come(&gateway, &keys);
        until("replies", || (crowd.served() > 100).then_some(())).await;
        // The byte is to lie among rows of replies, which are committed some forty times a second; the keys' stand before.
        tokio::time::sleep(Duration::from_millis(500)).await;
        let saw = crowd.go().await;
        gateway.kill();
        let flipped: Vec<_> = files
            .iter()
            .map(|(name, _)| flip(&gateway.data().join(name), |length| length * 9 / 10))
            .collect();
        let before = gateway.stdout() + &gateway.stderr();
        gateway.serve().await;
        let written = gateway.stdout() + &gateway.stderr();
        for ((name, words), bytes) in files.iter().zip(flipped) {
            let told = written.matches(words).count() - before.matches(words).count();
            outcome.require(told == 1, format!("the start does not say that {name} is damaged"));
            let aside = gateway.data().join(format!("{name}.damaged-1"));
            let kept = std::fs::read(&aside).is_ok_and(|kept| kept == bytes);
            outcome.require(kept, format!("{name} was not kept"));
        }
        let check = gateway.run(&["ledger", "check"]);
        let said =
            String::from_utf8_lossy(&check.stdout).into_owned() + &String::from_utf8_lossy(&check.stderr);
        let laws = said.lines().filter(|line| line.starts_with('L')).map(|line| &line[..2]);
        outcome.require(
            !check.status.success() && laws.eq(files.iter().map(|_| "L7")),
            format!("`weir ledger check` says {said}"),
        );
        let lost = ask::misposted(&gateway, &saw.acknowledged).len();
        outcome.require(lost < files.len(), format!("{lost} postings are lost with {} bytes", files.len()));
        outcome.count("flipped bytes: lost and told of", lost);
        for (name, _) in files {
            let _ = std::fs::remove_file(gateway.data().join(format!("{name}.damaged-1")));
        }
    }
    let order = Order { seed: 1, pieces: 1, length: 0, stream: false };
    let again = order.ask(&mut gateway.client().await, &keys[0], || {}).await;
    outcome.require(again.is_ok(), format!("it does not serve after that: {again:?}"));
    outcome.require(
        gateway.run(&["ledger", "check"]).status.success(),
        "accounted for, it is still not content",
    );
    gateway.stop().await;
    outcome
}

/// A byte changes in the row of a key that has been used: it starts, and what the journal has of that key is put aside
/// and told of. What it has of the other one is in the ledger.
pub async fn lost_key() -> Outcome {
    const LOG: &str = "ledger.sqlite3-wal";
    let mut outcome = Outcome::default();
    let upstream = Mock::start(|_| Plan::default()).await;
    let mut gateway = Setup::new(config(upstream.address)).start().await;
    let kept = [gateway.key(&[])];
    let sound = std::fs::metadata(gateway.data().join(LOG)).expect("a log").len();
    let lost = [gateway.key(&["--budget", "1000000"])];
    let crowds = [&kept, &lost].map(|keys| Crowd::come(&gateway, keys));
    until("replies", || crowds.iter().all(|crowd| crowd.served() > 50).then_some(())).await;
    let [saw, saw_lost] = crowds.map(Crowd::go);
    let (saw, saw_lost) = (saw.await, saw_lost.await);
    gateway.kill();
    flip(&gateway.data().join(LOG), |_| usize::try_from(sound).expect("a length") + 100);

    gateway.serve().await;
    let written = gateway.stdout() + &gateway.stderr();
    for words in ["write-ahead log is damaged", "are of keys that the database has lost"] {
        outcome.require(written.matches(words).count() == 1, format!("the start does not say: {words}"));
    }
    outcome
        .require(gateway.data().join("ledger.journal-000001.damaged-1").exists(), "the journal was not kept");
    let wrong = ask::misposted(&gateway, &saw.acknowledged);
    outcome.require(wrong.is_empty(), format!("of the key that is there: {wrong:?}"));
    let owned = ask::misposted(&gateway, &saw_lost.acknowledged).len();
    outcome.require(owned == saw_lost.acknowledged.len(), "postings without a key are in the ledger");
    outcome.count("postings of a lost key, kept aside and told of", owned);
    let order = Order { seed: 1, pieces: 1, length: 0, stream: false };
    let mut client = gateway.client().await;
    let again = order.ask(&mut client, &kept[0], || {}).await;
    outcome.require(again.is_ok(), format!("it does not serve after that: {again:?}"));
    let again = order.ask(&mut client, &lost[0], || {}).await;
    outcome.require(again.is_err(), "it serves a key that it does not have");
    outcome.require(!gateway.run(&["ledger", "check"]).status.success(), "nobody is asked to account for it");
    gateway.stop().await;
    outcome
}

/// The file as it is then.
fn flip(file: &Path, place: impl Fn(usize) -> usize) -> Vec<u8> {
    let mut bytes = std::fs::read(file).expect("a file of the ledger");
    let place = place(bytes.len());
    bytes[place] ^= 0x10;
    std::fs::write(file, &bytes).expect("a file of the ledger");
    bytes
}
