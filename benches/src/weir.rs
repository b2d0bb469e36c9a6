//! Weir for the benchmark: the shipped config, with our address and upstream, a hundred keys, eight targets.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::failure::{Context, Failure, Result};
use crate::process::{SYSTEM_CORE, free_address, output, pinned};
use crate::prompt::Api;

/// What is added to the shipped config.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variant {
    /// Nothing.
    Default,
    /// A hard budget on every key.
    Budget,
    /// The Wasm guard that masks addresses and card numbers.
    Guard,
    /// The same, and every prompt has something to mask.
    Masked,
    /// Nothing; the callers speak Messages, so that every request and reply is translated.
    Messages,
    /// Nothing; the callers speak Responses.
    Responses,
    /// No policy at all.
    Bare,
    /// Five policies of the catalogue in place of the shipped ones: bodies bounded, addresses masked, the cheapest target that
    /// keeps its service levels, chains for what fails, the customer's price.
    Five,
    /// The same with the router in Wasm: a plugin is asked about every request.
    FiveWasm,
    /// The response cache, switched on.
    Cached,
    /// A second model, `hostile`, with a guard that does its worst.
    Hostile,
    /// The redactor of personal data, which hides it from models and takes it out of what they say.
    Redacted,
}

/// A config, a data folder and its keys.
pub struct Site {
    /// What it adds to the shipped config.
    pub variant: Variant,
    /// The binary.
    pub weir: PathBuf,
    /// Its config file.
    pub config: PathBuf,
    /// The routing script, which a reload may rewrite.
    pub script: PathBuf,
    /// Its data folder.
    pub data: PathBuf,
    /// File with its keys, one a line.
    pub keys: PathBuf,
    /// Where it takes chat requests.
    pub address: String,
    /// Its admin listener.
    pub admin: String,
}

/// Where Weir's shipped parts are: all of them, or none.
#[derive(Clone, Debug, clap::Args)]
pub struct Shipped {
    /// The binary.
    #[arg(long, required = false)]
    pub weir: PathBuf,
    /// Folder of the scripts.
    #[arg(long, required = false)]
    pub policies: PathBuf,
    /// The guard, built.
    #[arg(long, required = false)]
    pub guard: PathBuf,
    /// Folder of the benchmark's own guests, built: `kept.wasm`, `waits.wasm`, `every-hook.wasm`.
    #[arg(long, required = false)]
    pub guests: PathBuf,
}

/// The price of target `n` in pico-dollars a token: input, cached input, output. Each is a little dearer than the last.
pub fn prices(n: u64) -> (u64, u64, u64) {
    (150_000 + 10_000 * n, 75_000 + 5_000 * n, 600_000 + 40_000 * n)
}

/// What the guard leaves where an address was.
pub const MASK: &str = "[email]";

const KEYS: usize = 100;
const TARGETS: u64 = 8;
/// High enough never to refuse, so that the limit is reckoned and the load goes through.
const REQUESTS_A_MINUTE: &str = "60000000";
/// The same for money: a hard budget that is never reached.
const BUDGET_USD: &str = "1000000";

impl Variant {
    /// All of them, in the order of the table.
    pub const ALL: [Variant; 9] = [
        Variant::Default,
        Variant::Budget,
        Variant::Guard,
        Variant::Masked,
        Variant::Messages,
        Variant::Responses,
        Variant::Bare,
        Variant::Five,
        Variant::FiveWasm,
    ];

    /// Its name in figures and in the table.
    pub fn name(self) -> &'static str {
        match self {
            Variant::Default => "weir",
            Variant::Budget => "weir_budget",
            Variant::Guard => "weir_guard",
            Variant::Masked => "weir_masked",
            Variant::Messages => "weir_messages",
            Variant::Responses => "weir_responses",
            Variant::Bare => "weir_bare",
            Variant::Five => "weir_five",
            Variant::FiveWasm => "weir_five_wasm",
            Variant::Cached => "weir_cached",
            Variant::Hostile => "weir_hostile",
            Variant::Redacted => "weir_redacted",
        }
    }

    /// One plain prompt in so many has something to mask; 0: none.
    pub fn pii_every(self) -> u64 {
        match self {
            Variant::Guard => 100,
            Variant::Masked => 1,
            _ => 0,
        }
    }

    /// What its callers speak.
    pub fn api(self) -> Api {
        match self {
            Variant::Messages => Api::Messages,
            Variant::Responses => Api::Responses,
            _ => Api::Chat,
        }
    }
}

impl Site {
    /// Lays out config, data folder and keys below `work`.
    pub fn lay_out(variant: Variant, shipped: &Shipped, upstream: &str, work: &Path) -> Result<Site> {
        let home = work.join(format!("site-{}", variant.name()));
        fs::create_dir_all(&home)?;
        for name in SCRIPTS {
            let from = shipped.policies.join(name);
            fs::copy(&from, home.join(name)).context(from.display())?;
        }
        let site = Site {
            variant,
            weir: shipped.weir.canonicalize().context(shipped.weir.display())?,
            config: home.join("weir.yaml"),
            script: home.join("route.rhai"),
            data: home.join("data"),
            keys: home.join("keys"),
            address: free_address()?,
            admin: free_address()?,
        };
        fs::write(&site.config, site.yaml(upstream, shipped)?)?;
        site.create_keys()?;
        Ok(site)
    }

    /// The command that serves it.
    pub fn serve(&self) -> Command {
        let mut command = pinned(SYSTEM_CORE, &self.weir);
        command.arg("serve").arg("--config").arg(&self.config);
        command
    }

    /// The admin API's token.
    pub fn admin_token(&self) -> Result<String> {
        let file = self.data.join("admin.token");
        Ok(fs::read_to_string(&file).context(file.display())?.trim().to_owned())
    }

    fn create_keys(&self) -> Result<()> {
        let mut keys = String::new();
        for n in 0..KEYS {
            let mut command = Command::new(&self.weir);
            command.arg("--config").arg(&self.config).args(["key", "create", "--quiet"]);
            command.args([&format!("bench-{n}"), "--rpm", REQUESTS_A_MINUTE]);
            if self.variant == Variant::Budget {
                command.args(["--budget", BUDGET_USD]);
            }
            writeln!(keys, "{}", output(&mut command)?.trim()).context("key")?;
        }
        Ok(fs::write(&self.keys, keys)?)
    }

    /// All that a config file says that the embedded defaults do not.
    fn yaml(&self, upstream: &str, shipped: &Shipped) -> Result<String> {
        let mut targets = String::new();
        for n in 0..TARGETS {
            let (input, cached, output) = prices(n);
            // A pico-dollar a token is a millionth of a dollar a million tokens.
            let prices =
                format!("{{ input: 0.{input:06}, cached_input: 0.{cached:06}, output: 0.{output:06} }}");
            writeln!(targets, "      - {{ target: mock/m{n}, prices: {prices} }}").context("config")?;
        }
        let policies = self.policies(shipped)?;
        let more = match self.variant {
            Variant::Cached => "    cache: { ttl: 1h }\n".to_owned(),
            Variant::Hostile => format!("  hostile:\n    targets:\n{targets}"),
            _ => String::new(),
        };
        Ok(format!(
            "server:\n  listen: {}\n  admin: {}\ndata: {}\n\
             providers:\n  mock:\n    base_url: http://{upstream}/v1\n    keys: [mock-key]\n\
             models:\n  chat:\n    targets:\n{targets}{more}\
             policies:{policies}",
            self.address,
            self.admin,
            self.data.display(),
        ))
    }

    /// What stands below `policies`.
    fn policies(&self, shipped: &Shipped) -> Result<String> {
        let line = |file: &str, rest: &str| format!("\n  - {{ file: {file}{rest} }}");
        let plugin = |file: &Path, rest: &str| Ok::<_, Failure>(line(&absolute(file)?, rest));
        let first = match self.variant {
            Variant::Bare => return Ok(" []\n".to_owned()),
            Variant::Five | Variant::FiveWasm => {
                let beside = |name| shipped.guard.with_file_name(name);
                let router = match self.variant {
                    Variant::Five => line("cheapest-slo.rhai", SEES_TARGETS),
                    _ => plugin(&beside("route-slo.wasm"), SEES_TARGETS)?,
                };
                let limits = plugin(&beside("request-limits.wasm"), LIMITS)?;
                let rest = [line("fallback-chains.rhai", SEES_TARGETS), line("pricing.rhai", "")];
                return Ok(
                    [limits, plugin(&shipped.guard, "")?, router, rest.concat(), "\n".to_owned()].concat()
                );
            }
            Variant::Guard | Variant::Masked => plugin(&shipped.guard, "")?,
            Variant::Redacted => plugin(&shipped.redactor(), REDACTS)?,
            // Which of the ways is said later: see `Site::misbehave`.
            Variant::Hostile => plugin(&shipped.guests.join("every-hook.wasm"), MISDEED)?,
            _ => String::new(),
        };
        let scripts = [line("route.rhai", SEES_TARGETS), line("fallback.rhai", SEES_TARGETS)];
        Ok([first, scripts.concat(), "\n".to_owned()].concat())
    }

    /// Lets the hostile policy do its worst in another way; none: it is harmless.
    pub fn misbehave(&self, way: Option<&str>) -> Result<()> {
        let text = fs::read_to_string(&self.config)?;
        let (before, rest) =
            text.split_once("hook: ").ok_or_else(|| Failure::new("the site has no hostile policy"))?;
        let (_, after) =
            rest.split_once(" }").ok_or_else(|| Failure::new("the site has no hostile policy"))?;
        let how = way.map_or_else(|| "nothing, how: loop".to_owned(), |way| format!("guard, how: {way}"));
        Ok(fs::write(&self.config, format!("{before}hook: {how} }}{after}"))?)
    }
}

impl Shipped {
    /// The redactor, which is built into the guard's folder.
    pub fn redactor(&self) -> PathBuf {
        self.guard.with_file_name("redact-pii.wasm")
    }
}

/// As it is shipped it gives the caller back what stands in replies, and only notes what a model says of its own.
const REDACTS: &str = ", config: { reply: { email: mask, phone: mask, card: mask, iban: mask, ssn: mask, ip: mask, key: mask, private-key: mask, jwt: mask } }";

/// For every request of one model.
const MISDEED: &str = ", models: [hostile], grants: [targets, env, telemetry, annotate, tokens, kv], config: { hook: nothing, how: loop }";

/// A bound that each request is held against, and keeps: by its `when` the host sees to that.
const LIMITS: &str = ", grants: [tokens], config: { max_body_bytes: 1048576 }";

/// The scripts of all variants.
const SCRIPTS: [&str; 5] =
    ["route.rhai", "fallback.rhai", "cheapest-slo.rhai", "fallback-chains.rhai", "pricing.rhai"];

/// What a policy that routes may see.
const SEES_TARGETS: &str = ", grants: [targets]";

fn absolute(file: &Path) -> Result<String> {
    Ok(file.canonicalize().context(file.display())?.display().to_string())
}
