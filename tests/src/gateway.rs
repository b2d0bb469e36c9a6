//! A running `weir serve` in a folder of its own, and the commands beside it.

use crate::client::{Client, Reply};
use crate::ledger::{self, Posting};
use crate::{PATIENCE, until};
use serde_json::Value;
use std::fs::{self, File};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Instant;
use tempfile::TempDir;

/// The binary under test from now on, for who has no environment of its own.
///
/// # Errors
/// It has been said before.
pub fn use_binary(path: PathBuf) -> Result<(), PathBuf> {
    BINARY.set(path)
}

static BINARY: OnceLock<PathBuf> = OnceLock::new();

/// The binary under test: the one that was named, `WEIR_BIN`, or the one that was built beside this test.
#[must_use]
pub fn binary() -> PathBuf {
    if let Some(named) = BINARY.get() {
        return named.clone();
    }
    if let Some(named) = std::env::var_os("WEIR_BIN") {
        return named.into();
    }
    let exe = std::env::current_exe().expect("a process knows its own file");
    let beside = exe.parent().and_then(Path::parent).map(|folder| folder.join("weir"));
    beside.filter(|path| path.exists()).expect("build weir first (`cargo build -p weir`), or set WEIR_BIN")
}

/// What a gateway is to run with. The rest of `weir.yaml` is the test's own text.
#[derive(Debug, Clone, Default)]
pub struct Setup {
    server: String,
    rest: String,
    files: Vec<(String, String)>,
    args: Vec<String>,
    env: Vec<(String, String)>,
    cores: bool,
    own_temporary: bool,
    data: Option<PathBuf>,
}

impl Setup {
    /// The top-level keys of `weir.yaml`, but for `server` and `data`.
    #[must_use]
    pub fn new(rest: impl Into<String>) -> Self {
        Self { rest: rest.into(), ..Self::default() }
    }

    /// Two providers `one` and `two` at these addresses, and the alias `m` over `one/m1` and `two/m2` at 1 and 2 dollars
    /// (input), 10 and 20 dollars (output), half price for cached input. `model` adds keys to the alias, `provider` to
    /// both providers; both are flow-style YAML: `retries: 0, max_attempts: 2`.
    #[must_use]
    pub fn pair(one: SocketAddr, two: SocketAddr, model: &str, provider: &str) -> Self {
        let timeouts = "timeouts: { connect: 2s, first_byte: 500ms, idle: 500ms, total: 20s }";
        let provider = if provider.is_empty() { timeouts } else { provider };
        let model = if model.is_empty() { "retries: 0" } else { model };
        Self::new(format!(
            "providers:
  one: {{ base_url: 'http://{one}/v1', keys: [sk-provider-one-secret], {provider} }}
  two: {{ base_url: 'http://{two}/v1', keys: [sk-provider-two-secret], {provider} }}
models:
  m:
    targets:
      - {{ target: one/m1, max_output: 1000, prices: {{ input: 1, cached_input: 0.5, output: 10 }} }}
      - {{ target: two/m2, max_output: 1000, prices: {{ input: 2, cached_input: 1, output: 20 }} }}
    {}
",
            model.replace(", ", "\n    ")
        ))
    }

    /// Adds lines under `server:`, each indented by two spaces.
    #[must_use]
    pub fn server(mut self, lines: &str) -> Self {
        self.server.push_str(lines);
        self.server.push('\n');
        self
    }

    /// Adds top-level lines.
    #[must_use]
    pub fn also(mut self, lines: &str) -> Self {
        self.rest.push_str(lines);
        self.rest.push('\n');
        self
    }

    /// Adds a file beside `weir.yaml`.
    #[must_use]
    pub fn file(mut self, name: &str, text: impl Into<String>) -> Self {
        self.files.push((name.to_owned(), text.into()));
        self
    }

    /// Adds an argument of `weir serve`.
    #[must_use]
    pub fn arg(mut self, arg: &str) -> Self {
        self.args.push(arg.to_owned());
        self
    }

    /// Sets a variable of its environment.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The shell that starts it allows core dumps of any size.
    #[must_use]
    pub fn cores(mut self) -> Self {
        self.cores = true;
        self
    }

    /// What it writes for a while goes into its own folder, not the system's: for who looks at all that it writes.
    #[must_use]
    pub fn own_temporary(mut self) -> Self {
        self.own_temporary = true;
        self
    }

    /// Its data folder, which is one of its own otherwise.
    #[must_use]
    pub fn data(mut self, folder: &Path) -> Self {
        self.data = Some(folder.to_owned());
        self
    }

    /// Starts a gateway with it and waits until it is ready.
    pub async fn start(self) -> Gateway {
        Gateway::start(self).await
    }
}

/// A gateway under test. It is killed when dropped.
pub struct Gateway {
    folder: TempDir,
    /// Where callers go.
    pub address: SocketAddr,
    /// Where health, metrics and the admin API are.
    pub admin: SocketAddr,
    child: Option<Child>,
    starts: u32,
    start: Start,
    data: PathBuf,
}

/// How the process is started.
#[derive(Debug, Clone, Default)]
struct Start {
    args: Vec<String>,
    env: Vec<(String, String)>,
    cores: bool,
    own_temporary: bool,
}

impl Gateway {
    /// Writes the config, starts `weir serve` and waits until `/readyz` says 200.
    pub async fn start(setup: Setup) -> Self {
        let folder = tempfile::Builder::new().prefix("weir-e2e-").tempdir().expect("a folder");
        let (address, admin) = (free_address(), free_address());
        for (name, text) in &setup.files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().expect("a file has a folder")).expect("its folder");
            fs::write(path, text).expect("a file");
        }
        let start = Start {
            args: setup.args.clone(),
            env: setup.env.clone(),
            cores: setup.cores,
            own_temporary: setup.own_temporary,
        };
        let data = setup.data.clone().unwrap_or_else(|| folder.path().join("data"));
        let mut gateway = Self { folder, address, admin, child: None, starts: 0, start, data };
        gateway.write_config(&setup);
        gateway.serve().await;
        gateway
    }

    /// Writes `weir.yaml` anew, in one step; a running gateway sees it.
    pub fn write_config(&self, setup: &Setup) {
        let text = format!(
            "server:\n  listen: {}\n  admin: {}\n{}data: {}\n{}",
            self.address,
            self.admin,
            setup.server,
            self.data.display(),
            setup.rest
        );
        let fresh = self.folder.path().join("weir.yaml.new");
        fs::write(&fresh, text).expect("a config");
        fs::rename(fresh, self.config()).expect("a config");
    }

    /// Starts the process, on the data that is there, and waits until it is ready.
    pub async fn serve(&mut self) {
        assert!(self.child.is_none(), "it runs already");
        self.starts += 1;
        let log = |name: String| File::create(self.folder.path().join(name)).expect("a log file");
        let mut child = self
            .serving()
            .stdin(Stdio::null())
            .stdout(log(format!("stdout.{}", self.starts)))
            .stderr(log(format!("stderr.{}", self.starts)))
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", binary().display()));
        let began = Instant::now();
        while !ready(self.admin).await {
            if let Some(status) = child.try_wait().expect("a child") {
                panic!("weir serve ended with {status}:\n{}{}", self.stderr(), self.stdout());
            }
            assert!(
                began.elapsed() < PATIENCE,
                "weir serve is not ready after {PATIENCE:?}:\n{}",
                self.stderr()
            );
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        self.child = Some(child);
    }

    /// `weir serve`, not started yet.
    fn serving(&self) -> Command {
        let args: Vec<&str> =
            std::iter::once("serve").chain(self.start.args.iter().map(String::as_str)).collect();
        let plain = self.command(&args);
        let mut command = match self.start.cores {
            false => plain,
            true => {
                let mut shell = Command::new("sh");
                shell
                    .current_dir(self.folder.path())
                    .args(["-c", "ulimit -c unlimited && exec \"$0\" \"$@\""]);
                shell.arg(plain.get_program()).args(plain.get_args());
                shell
            }
        };
        if self.start.own_temporary {
            let own = self.folder.path().join("tmp");
            fs::create_dir_all(&own).expect("a folder");
            command.env("TMPDIR", own);
        }
        command.envs(self.start.env.iter().map(|(name, value)| (name, value)));
        command
    }

    /// `weir ARGS` with this gateway's config, not started yet.
    #[must_use]
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(binary());
        command.current_dir(self.folder.path()).arg("--config").arg(self.config()).args(args);
        command
    }

    /// Runs `weir ARGS` to its end.
    #[must_use]
    pub fn run(&self, args: &[&str]) -> Output {
        self.command(args).stdin(Stdio::null()).output().expect("weir runs")
    }

    /// Runs `weir ARGS`, which must succeed; what it printed.
    pub fn print(&self, args: &[&str]) -> String {
        let output = self.run(args);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "weir {args:?}: {error}");
        String::from_utf8(output.stdout).expect("text")
    }

    /// `weir key create test -q ARGS`: the key.
    #[must_use]
    pub fn key(&self, args: &[&str]) -> String {
        let mut all = vec!["key", "create", "test", "-q"];
        all.extend_from_slice(args);
        self.print(&all).trim().to_owned()
    }

    /// `weir usage --json`, by what.
    #[must_use]
    pub fn usage(&self, by: &str) -> Value {
        serde_json::from_str(&self.print(&["usage", "--json", "--by", by])).expect("JSON")
    }

    /// The invariants of the ledger hold, and no hold is left over.
    pub fn ledger_check(&self) {
        let report = weir_ledger::check(&self.data()).expect("a ledger");
        assert!(report.is_clean(), "{report}");
        assert_eq!(report.pending, 0, "{report}");
    }

    /// All postings, oldest first.
    #[must_use]
    pub fn postings(&self) -> Vec<Posting> {
        ledger::postings(&self.data())
    }

    /// Waits until there are so many postings: an exchange whose caller has gone posts on its own time.
    pub async fn posted(&self, count: usize) -> Vec<Posting> {
        let seen = until(&format!("{count} postings"), || {
            Some(self.postings()).filter(|postings| postings.len() >= count)
        })
        .await;
        assert_eq!(seen.len(), count, "{seen:#?}");
        seen
    }

    /// The one posting of an exchange.
    #[must_use]
    pub fn posting(&self, id: &str) -> Posting {
        let mut found: Vec<_> =
            self.postings().into_iter().filter(|posting| posting.exchange == id).collect();
        assert_eq!(found.len(), 1, "postings of {id}: {found:#?}");
        found.remove(0)
    }

    /// A connection of a caller.
    pub async fn client(&self) -> Client {
        Client::connect(self.address).await.expect("the gateway takes connections")
    }

    /// One chat completion on a connection of its own.
    pub async fn chat(&self, key: &str, body: &Value) -> Reply {
        self.chat_with(key, body, &[]).await
    }

    /// As [`Gateway::chat`], with headers.
    pub async fn chat_with(&self, key: &str, body: &Value, headers: &[(&str, &str)]) -> Reply {
        let mut client = self.client().await;
        client.chat(key, body, headers).await.expect("a request is taken");
        client.reply().await.expect("a whole reply")
    }

    /// One request to the admin listener.
    pub async fn get_admin(&self, path: &str) -> Reply {
        let mut client = Client::connect(self.admin).await.expect("the admin listener takes connections");
        client.send("GET", path, &[], b"").await.expect("a request is taken");
        client.reply().await.expect("a whole reply")
    }

    /// The metrics, once each of `lines` is in them: what a request did is counted when its caller has been answered.
    pub async fn metrics_with(&self, lines: &[&str]) -> String {
        let began = Instant::now();
        loop {
            let metrics = self.get_admin("/metrics").await.text();
            let Some(line) = lines.iter().find(|line| !metrics.contains(*line)) else { return metrics };
            assert!(began.elapsed() < PATIENCE, "waited {PATIENCE:?} in vain for {line}:\n{metrics}");
        }
    }

    /// The process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("it runs").id()
    }

    /// Sends SIGTERM.
    pub fn terminate(&self) {
        self.signal("-TERM");
    }

    /// Waits until the process has ended.
    pub async fn ended(&mut self) -> ExitStatus {
        let mut child = self.child.take().expect("it runs");
        until("the gateway ends", || child.try_wait().expect("a child")).await
    }

    /// Stops it by SIGTERM; it must end well.
    pub async fn stop(&mut self) {
        self.terminate();
        let status = self.ended().await;
        assert!(status.success(), "weir serve ended with {status}:\n{}", self.stderr());
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        let mut child = self.child.take().expect("it runs");
        child.kill().expect("a child can be killed");
        child.wait().expect("a child");
    }

    /// Sends a signal, such as `-ABRT`.
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").args([name, &self.pid().to_string()]).status().expect("kill runs");
        assert!(status.success());
    }

    /// The folder that holds everything.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The data folder.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.data.clone()
    }

    /// `weir.yaml`.
    #[must_use]
    pub fn config(&self) -> PathBuf {
        self.folder.path().join("weir.yaml")
    }

    /// What it wrote to standard output (its log), over all starts.
    #[must_use]
    pub fn stdout(&self) -> String {
        self.written("stdout")
    }

    /// What it wrote to standard error, over all starts.
    #[must_use]
    pub fn stderr(&self) -> String {
        self.written("stderr")
    }

    fn written(&self, name: &str) -> String {
        (1..=self.starts)
            .map(|start| fs::read(self.folder.path().join(format!("{name}.{start}"))).unwrap_or_default())
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .collect()
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have ended by itself.
            let _ = (child.kill(), child.wait());
        }
    }
}

async fn ready(admin: SocketAddr) -> bool {
    let Ok(mut client) = Client::connect(admin).await else { return false };
    if client.send("GET", "/readyz", &[], b"").await.is_err() {
        return false;
    }
    client.reply().await.is_ok_and(|reply| reply.head.status == 200)
}

/// An address that nobody uses: on a loopback address of this process's own, where no other test looks for a port.
#[must_use]
pub fn free_address() -> SocketAddr {
    static NEXT: AtomicU16 = AtomicU16::new(1);
    let pid = std::process::id();
    let [.., high, low] = pid.to_be_bytes();
    let host = NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes()[1].max(1);
    let own = IpAddr::V4(Ipv4Addr::new(127, high.max(1), low, host));
    let listener = TcpListener::bind((own, 0)).or_else(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)));
    listener.and_then(|listener| listener.local_addr()).expect("a free port")
}
