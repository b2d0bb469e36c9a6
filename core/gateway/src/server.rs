//! Start and stop: listeners, the threads behind them, and a drain that lets what is under way finish.

use crate::admin;
use crate::buffered::Budget;
use crate::cache::Replies;
use crate::collector;
use crate::completions;
use crate::config::{Config, LedgerSync};
use crate::connections::{Connection, Connections};
use crate::door::Door;
use crate::drain::{Drain, Phase};
use crate::gateway::{self, Gateway, Ids};
use crate::ingress::head::Watch;
use crate::overload::{self, Pressure};
use crate::privacy;
use crate::recover;
use crate::reload::build::{Builder, Refused};
use crate::reload::policies::Compiled;
use crate::reload::{self, Reloader};
use crate::services::traces::Traces;
use crate::services::{Host, Overlay};
use crate::sim;
use crate::slots::Slots;
use crate::telemetry::live::Clock;
use crate::telemetry::{self, Telemetry};
use crate::upstream::Upstreams;
use crate::warmth::Warmth;
use arc_swap::ArcSwap;
use hmac::{Hmac, Mac};
use pingora::apps::{HttpServerOptions, ServerApp};
use pingora::listeners::{ListenerConfig, TcpSocketOptions};
use pingora::protocols::TcpKeepalive;
use pingora::protocols::l4::stream::L4BufferSettings;
use pingora::services::Service as _;
use pingora::services::listening::Service;
use sha2::Sha256;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{oneshot, watch};
use weir_ledger::{Ledger, OpenError, Pepper};

/// Most instances of Wasm policies at one time: each reserves 4 GiB of the address space, which is 128 TiB.
const MOST_INSTANCES: u32 = 2048;
/// At least: what policies keep between calls and what shadows take needs some where few requests are let in.
const FEWEST_INSTANCES: u32 = 64;
/// When an idle connection is asked whether somebody is still there, how often, and how often in vain.
const PROBE_AFTER: Duration = Duration::from_secs(60);
const PROBE_EVERY: Duration = Duration::from_secs(10);
const PROBES: usize = 3;
/// The longest record of TLS.
const TLS_RECORD: usize = 16 << 10;
/// How long the ledger may take to write what is queued, at the very end.
const FLUSH: Duration = Duration::from_secs(5);

/// Why the gateway did not start, or stopped.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The config or a policy is wrong.
    #[error("{0}")]
    Refused(#[from] Refused),
    /// The ledger cannot be had.
    #[error("{0}")]
    Ledger(#[from] OpenError),
    /// An address cannot be listened on.
    #[error("cannot listen on {address}: {source}; change server.{key} in weir.yaml or stop who uses it")]
    Listen {
        /// Which.
        address: SocketAddr,
        /// `listen` or `admin`.
        key: &'static str,
        /// Why.
        source: io::Error,
    },
    /// The certificate or its key is not usable.
    #[error("server.tls: the certificate or key cannot be used: {0}")]
    Tls(String),
    /// The system gives no thread, socket or random number.
    #[error("{0}")]
    System(String),
}

/// A gateway that is ready to take requests.
pub struct Server {
    config: Config,
    gateway: Arc<Gateway>,
    reloader: Reloader,
    admin: admin::Admin,
    sim: Socket,
    worker: completions::Worker,
}

/// What the command line wants to do between the start and the first request.
pub struct Ready<'a> {
    /// The ledger, open.
    pub ledger: &'a Ledger,
    /// The config in force.
    pub config: &'a Config,
}

/// Runs a gateway until it is told to stop. `ready` is called once, when everything is set up.
///
/// # Errors
/// [`ServeError`] says what is missing.
pub fn serve(file: Option<PathBuf>, ready: impl FnOnce(&Ready<'_>)) -> Result<(), ServeError> {
    let config = reload::read(file.as_ref())?;
    privacy::apply(&config)
        .map_err(|error| ServeError::System(format!("core dumps cannot be forbidden: {error}")))?;
    small_pages();
    check_listen(config.server.listen, "listen")?;
    check_listen(config.server.admin, "admin")?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(config.server.workers.get())
        .thread_name("weir-worker")
        .enable_all()
        .build()
        .map_err(|error| ServeError::System(format!("no threads: {error}")))?;
    let server = Server::new(config, file)?;
    ready(&Ready { ledger: &server.gateway.ledger, config: &server.config });
    runtime.block_on(server.run())?;
    // Whatever still waits is an idle connection.
    runtime.shutdown_timeout(Duration::from_millis(100));
    Ok(())
}

/// A connection owns buffers and touches a page or two of each. The allocator asks the kernel for huge pages, and then all
/// of them is resident: more than twice the memory a stream. A kernel that has none needs not be told.
fn small_pages() {
    if let Err(error) = rustix::thread::disable_transparent_huge_pages(true) {
        tracing::debug!(%error, "huge pages stay");
    }
}

/// Says at once and in one sentence what pingora would say by a panic on another thread.
fn check_listen(address: SocketAddr, key: &'static str) -> Result<(), ServeError> {
    TcpListener::bind(address).map(drop).map_err(|source| ServeError::Listen { address, key, source })
}

impl Server {
    fn new(config: Config, file: Option<PathBuf>) -> Result<Self, ServeError> {
        let system = |error: &dyn std::fmt::Display| ServeError::System(error.to_string());
        // Timers of pingora's own need a thread that wakes a hundred times a second, whether there is a timer or not.
        pingora::time::fast_timeout::set_fast_timeout_to_tokio_threshold(Some(Duration::ZERO));
        let telemetry = Arc::new(start_telemetry(&config).map_err(|error| system(&error))?);
        let wal_bytes = recover::wal_bytes(&config.data);
        let ledger = open_ledger(&config)?;
        let (files, sockets) = recover::sweep(&config.data, &std::env::temp_dir());
        let stats = ledger.stats();
        let (holds, postings) = (stats.adopted as u64, stats.replayed);
        recover::Found { wal_bytes, postings, holds, files, sockets }.tell(telemetry.metrics());
        for damage in ledger.damage() {
            tracing::error!(%damage, "account for what the ledger has lost");
        }
        // Who sees that it is ready sees this too, and so does who looks why it did not get there.
        telemetry.flush_log();
        let token = admin::token(&config).map_err(|error| system(&error))?;
        let sim = Socket::new().map_err(|error| system(&error))?;
        let upstreams = Arc::new(Upstreams::default());
        let wasm = weir_wasm::Engine::new(weir_wasm::Options {
            cache_dir: Some(config.data.join("compiled")),
            mac_key: derived(&config.data, b"weir compiled code").map_err(|error| system(&error))?,
            max_instances: instances(config.server.limits.in_flight),
        })
        .map_err(|error| system(&error))?;
        let services = Host::new(&config, Arc::clone(&upstreams), telemetry.metrics())
            .map(Arc::new)
            .map_err(|error| system(&error))?;
        let (live, host) = (Arc::clone(&services), Arc::clone(&services));
        let quiet =
            Box::new(move || Arc::new(Overlay::new(Arc::clone(&host))) as Arc<dyn weir_policy::Services>);
        let compiled = Compiled::new(wasm).with(live, quiet);
        let mut builder = Builder::new(
            config.clone(),
            Arc::clone(&upstreams),
            Arc::clone(&telemetry),
            compiled,
            sim.path.clone(),
        );
        let snapshot = builder.first()?;
        telemetry.metrics().generation.set(1);
        let (completions, worker) = completions::queue(telemetry.metrics().completions_dropped.clone());
        let users = derived(&config.data, b"weir user hashes").map_err(|error| system(&error))?;
        let limits = config.server.limits;
        let gateway = Arc::new(Gateway {
            snapshot: ArcSwap::from_pointee(snapshot),
            ledger,
            upstreams,
            services,
            replies: Replies::new(config.cache_bytes).map_err(|error| system(&error))?,
            telemetry,
            buffered: Budget::new(limits.buffered),
            drain: Drain::new(limits.in_flight as usize),
            slots: Slots::new(slots(limits.in_flight, config.server.workers)),
            connections: Connections::new(limits.connections as usize),
            pressure: Pressure::default(),
            ids: Ids::new().map_err(|error| system(&error))?,
            options: options(&config),
            users: Hmac::new_from_slice(&users).map_err(|error| system(&error))?,
            hashes: derived(&config.data, b"weir policy hashes").map_err(|error| system(&error))?,
            warmth: Arc::new(Warmth::new(Clock::system())),
            traces: Traces::new(config.explain_kept as usize),
            completions,
        });
        refresh_gauges(&gateway);
        let reloader = reload::start(Arc::clone(&gateway), builder, file).map_err(|error| system(&error))?;
        let admin = admin::Admin::new(Arc::clone(&gateway), reloader.clone(), token);
        Ok(Self { config, gateway, reloader, admin, sim, worker })
    }

    async fn run(self) -> Result<(), ServeError> {
        let (stop, stopping) = watch::channel(false);
        let listen = self.config.server.listen.to_string();
        let door = Door::new(self.config.server.tls.as_ref()).map_err(ServeError::Tls)?;
        let mut callers =
            Service::new("weir".to_owned(), Shared { gateway: Arc::clone(&self.gateway), door });
        // What is read and written here has a buffer of its own, but TLS reads in small pieces.
        let read = if self.config.server.tls.is_some() { TLS_RECORD } else { 0 };
        let listener = ListenerConfig::tcp(listen).tcp_socket_options(socket_options(&self.config));
        callers.add_listener(listener.l4_buffer(L4BufferSettings::new(read, 0)));
        let mut admin = Service::new("weir-admin".to_owned(), self.admin);
        admin.add_tcp(&self.config.server.admin.to_string());
        let mut sim = sim::service(sim::App::default(), &sim::Listen::Unix(self.sim.path.clone()));
        let (for_callers, for_admin, for_sim) =
            (stopping.clone(), watch::channel(false), watch::channel(false));
        let (stop_admin, admin_stops) = for_admin;
        let (stop_sim, sim_stops) = for_sim;
        let taking = tokio::spawn(async move { callers.start_service(None, for_callers, 1).await });
        // Who asks whether Weir is ready is told so only when callers can come in.
        listening(self.config.server.listen).await;
        let services = [
            taking,
            tokio::spawn(async move { admin.start_service(None, admin_stops, 1).await }),
            tokio::spawn(async move { sim.start_service(None, sim_stops, 1).await }),
        ];
        let (end_worker, worker_ends) = oneshot::channel::<()>();
        let gateway = Arc::clone(&self.gateway);
        let live = move || gateway.snapshot.load_full();
        let worker = tokio::spawn(self.worker.run(live, async move { drop(worker_ends.await) }));
        let watch = tokio::spawn(overload::watch(Arc::clone(&self.gateway)));
        let tidy = tokio::spawn(Arc::clone(&self.gateway.upstreams).tidy());
        let mut signals =
            Signals::new().map_err(|error| ServeError::System(format!("no signals: {error}")))?;
        signals.next().await;
        tracing::info!(under_way = self.gateway.drain.under_way(), "stopping");
        drain(&self.gateway, &stop, self.config.server.timeouts.grace, &mut signals).await;
        watch.abort();
        tidy.abort();
        self.reloader.stop().await;
        // Health checks are answered, and the simulator answers what is under way, until nothing is.
        let _ = (stop_admin.send(true), stop_sim.send(true));
        for service in services {
            // A service that panicked has said so itself.
            let _ = tokio::time::timeout(Duration::from_millis(100), service).await;
        }
        // Policies that want to know of finished exchanges hear of the last of them.
        drop(end_worker);
        let _ = tokio::time::timeout(FLUSH, worker).await;
        let _ = tokio::time::timeout(FLUSH, self.gateway.ledger.flush()).await;
        self.gateway.ledger.close();
        let unwritten = self.gateway.ledger.stats().unwritten;
        if unwritten > 0 {
            tracing::error!(
                unwritten,
                "postings could not be written: each is in the journal, for the next start, or has a line in the log"
            );
        }
        tracing::info!("stopped");
        self.gateway.telemetry.shutdown();
        Ok(())
    }
}

/// Waits until somebody listens at an address, for a few seconds at most.
async fn listening(mut address: SocketAddr) {
    if address.ip().is_unspecified() {
        let own: std::net::IpAddr = match address {
            SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        };
        address.set_ip(own);
    }
    for _ in 0..500 {
        if tokio::net::TcpStream::connect(address).await.is_ok() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Takes no more connections, lets what is under way finish, and ends the rest when the grace period is over, or when
/// it is told to stop again.
async fn drain(gateway: &Gateway, stop: &watch::Sender<bool>, grace: Duration, signals: &mut Signals) {
    gateway.drain.advance(Phase::Draining);
    // Nobody listens any more if the service has ended by itself.
    let _ = stop.send(true);
    let why = tokio::select! {
        () = gateway.drain.idle() => return,
        () = tokio::time::sleep(grace) => "the grace period is over",
        () = signals.next() => "told to stop again",
    };
    tracing::warn!(under_way = gateway.drain.under_way(), "{why}");
    gateway.drain.advance(Phase::Ending);
    let _ = tokio::time::timeout(FLUSH, gateway.drain.idle()).await;
}

/// The signals that mean: stop.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

fn start_telemetry(config: &Config) -> Result<Telemetry, telemetry::SetupError> {
    let options = telemetry::Options::of(config);
    let telemetry = Telemetry::start(&options, io::stdout(), collector::carry)?;
    telemetry.install(&options);
    Ok(telemetry)
}

/// Instance slots of Wasm policies: every exchange may be a stream that one of them watches, and may have a call that waits.
fn instances(in_flight: u32) -> u32 {
    in_flight.saturating_add(in_flight / 4).saturating_add(32).clamp(FEWEST_INSTANCES, MOST_INSTANCES)
}

/// Those of them that streams may keep: the rest is for calls that are answered at once, a few for each worker, and an
/// eighth for those that wait.
fn slots(in_flight: u32, workers: NonZeroUsize) -> u32 {
    let all = instances(in_flight);
    let at_once = u32::try_from(workers.get().saturating_mul(4)).unwrap_or(u32::MAX);
    all - all / 8 - at_once.min(all / 2)
}

/// Opens the ledger as the config says.
///
/// # Errors
/// Another process has it, or it cannot be read.
pub fn open_ledger(config: &Config) -> Result<Ledger, OpenError> {
    let placed = |error: io::Error| {
        let data = config.data.display();
        let whose = "it is `data` in weir.yaml, and belongs to the user who runs the gateway";
        io::Error::new(error.kind(), format!("{data}: {error}; {whose}"))
    };
    let pepper = Pepper::load_or_create(&config.data).map_err(placed)?;
    let mut options = weir_ledger::Options::new(pepper);
    options.sync = match config.ledger_sync {
        LedgerSync::Normal => weir_ledger::Sync::Normal,
        LedgerSync::Full => weir_ledger::Sync::Full,
    };
    options.admin_addr = Some(config.server.admin.to_string());
    options.hold_timeout = hold_timeout(config);
    Ledger::open(&config.data, options).map_err(|error| match error {
        OpenError::Io(error) => placed(error).into(),
        other => other,
    })
}

/// How long a hard budget's hold stands if nobody resolves it: every attempt at its slowest, the reply of another request
/// that is waited for before the first of them, and a margin for what is between them.
pub fn hold_timeout(config: &Config) -> Duration {
    let slowest = config.providers.iter().map(|provider| provider.timeouts.total).max().unwrap_or_default();
    let attempts = config.models.iter().map(|alias| alias.max_attempts).max().unwrap_or(1);
    slowest.saturating_mul(u32::from(attempts.max(1)) + 1) + Duration::from_secs(60)
}

/// A key of this installation for one purpose, from the pepper's file.
fn derived(data: &Path, purpose: &[u8]) -> io::Result<[u8; 32]> {
    let secret = std::fs::read(data.join("pepper"))?;
    let mut hash = Hmac::<Sha256>::new_from_slice(&secret).map_err(io::Error::other)?;
    hash.update(purpose);
    Ok(hash.finalize().into_bytes().into())
}

fn options(config: &Config) -> HttpServerOptions {
    let mut options = HttpServerOptions::default();
    options.h2c = config.server.tls.is_none();
    options.h2_idle_timeout = Some(config.server.timeouts.idle);
    options
}

/// Callers that are gone, or take nothing, are noticed by the kernel: it ends a connection whose other side acknowledges
/// nothing, or leaves no room, for so long.
fn socket_options(config: &Config) -> TcpSocketOptions {
    let mut options = TcpSocketOptions::default();
    options.tcp_keepalive = Some(TcpKeepalive {
        idle: PROBE_AFTER,
        interval: PROBE_EVERY,
        count: PROBES,
        #[cfg(target_os = "linux")]
        user_timeout: config.server.timeouts.stall,
    });
    options
}

fn refresh_gauges(gateway: &Arc<Gateway>) {
    let weak = Arc::downgrade(gateway);
    gateway.telemetry.metrics().on_scrape(move |metrics| {
        let Some(gateway) = weak.upgrade() else { return };
        let number = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        let stats = gateway.ledger.stats();
        metrics.ledger_queue_depth.set(number(stats.queued as u64));
        metrics.ledger_pending_reservations.set(number(stats.pending as u64));
        metrics.ledger_commits.inc_by(stats.commits.saturating_sub(metrics.ledger_commits.get()));
        let failed = stats.failed_commits.saturating_sub(metrics.ledger_failed_commits.get());
        metrics.ledger_failed_commits.inc_by(failed);
        let (times, sum) = (&stats.commit_times, stats.committing.as_secs_f64());
        metrics.ledger_commit_seconds.set(&weir_ledger::COMMIT_SECONDS, times, sum);
        metrics.ledger_unwritten_postings.set(number(stats.unwritten));
        metrics.requests_in_flight.set(number(gateway.drain.under_way() as u64));
        metrics.connections.set(number(gateway.connections.open() as u64));
        metrics.runtime_lag.set(gateway.pressure.take_worst().as_secs_f64());
        metrics.buffered_bytes.set(number(gateway.buffered.used() as u64));
        metrics.cache_bytes.set(number(gateway.replies.bytes()));
        metrics.cache_entries.set(number(gateway.replies.entries()));
        let snapshot = gateway.snapshot.load();
        snapshot.meters.show(|target| weir_policy::LiveFacts::live(&snapshot.live, target));
        metrics.provider_key_state.reset();
        for ((provider, place), condition) in gateway.upstreams.keys.conditions() {
            let labels = [&*provider, &place.to_string()];
            metrics.provider_key_state.with_label_values(&labels).set(condition as i64);
        }
    });
}

/// The gateway outlives its listener.
struct Shared {
    gateway: Arc<Gateway>,
    door: Door,
}

#[async_trait::async_trait]
impl ServerApp for Shared {
    async fn process_new(
        self: &Arc<Self>,
        session: pingora::protocols::Stream,
        shutdown: &watch::Receiver<bool>,
    ) -> Option<pingora::protocols::Stream> {
        let socket = session.get_socket_digest()?;
        let gateway = &self.gateway;
        let Some(open) = gateway.connections.enter(gateway::key(&socket)) else {
            gateway.telemetry.metrics().shed("connections");
            return None;
        };
        // The connection is known by its socket's address: that outlives its entry.
        let watch = Watch::new(gateway.patience(), Some(Arc::clone(&socket)), Some(0));
        let watch = if self.door.is_secure() { watch.begun() } else { watch };
        let served = async {
            let stream = self.door.pass(session).await?;
            gateway.take(stream, &open.connection, shutdown).await
        };
        tokio::select! {
            biased;
            stream = served => stream,
            () = open.connection.told_to_close() => None,
            () = without_request(&open.connection, watch) => None,
        }
    }
}

/// Resolves when a new connection has had its time and no request has come. Pingora waits for the preface of HTTP/2, and
/// for its first request, without a deadline.
async fn without_request(connection: &Connection, mut watch: Watch) {
    loop {
        tokio::time::sleep(watch.step()).await;
        if connection.is_used() {
            return std::future::pending().await;
        }
        if watch.is_over() {
            return;
        }
    }
}

/// A folder of our own for the simulator's socket: socket paths are short, data folders need not be.
struct Socket {
    folder: PathBuf,
    path: PathBuf,
}

impl Socket {
    fn new() -> io::Result<Self> {
        use std::os::unix::fs::DirBuilderExt;
        let mut name = [0; 8];
        getrandom::fill(&mut name).map_err(io::Error::other)?;
        let folder = std::env::temp_dir().join(format!("weir-{}-{}", std::process::id(), hex::encode(name)));
        std::fs::DirBuilder::new().mode(0o700).create(&folder)?;
        Ok(Self { path: folder.join("sim.sock"), folder })
    }
}

// A folder that cannot be removed is in nobody's way.
impl Drop for Socket {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
