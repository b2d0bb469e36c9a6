//! What is measured, and how each is started. All of them: one core, keep-alive both ways, the same timeouts.

use std::fs;
use std::path::{Path, PathBuf};

use crate::failure::{Context, Result};
use crate::process::{Process, SYSTEM_CORE, Stop, free_address, ourselves, pinned, wait_for};
use crate::weir::{Site, Variant};

/// A system under test.
pub enum System {
    /// nginx from Debian, one worker, proxying.
    Nginx,
    /// A bare `pingora-proxy`: the base of every ratio.
    Passthrough,
    /// Weir, as shipped or a little more.
    Weir(Site),
}

/// A system that accepts connections.
pub struct Running {
    /// Its process.
    pub process: Process,
    /// Where it takes chat requests.
    pub address: String,
    stop: Stop,
}

impl Running {
    /// Stops it; what it had in flight or in its queue is done by then.
    pub fn stop(self) -> Result<()> {
        self.process.stop(self.stop).map(drop)
    }
}

impl System {
    /// The system's name in figures and in the table.
    pub fn name(&self) -> &'static str {
        match self {
            System::Nginx => "nginx",
            System::Passthrough => "pingora",
            System::Weir(site) => site.variant.name(),
        }
    }

    /// The variant, if this is Weir.
    pub fn variant(&self) -> Option<Variant> {
        match self {
            System::Weir(site) => Some(site.variant),
            System::Nginx | System::Passthrough => None,
        }
    }

    /// Starts it in front of `upstream`, with what it writes in `work`.
    pub fn start(&self, upstream: &str, work: &Path) -> Result<Running> {
        let log = work.join(format!("{}.log", self.name()));
        match self {
            System::Nginx => start_nginx(upstream, work, &log),
            System::Passthrough => start_passthrough(upstream, &log),
            System::Weir(site) => start_weir(site, &log),
        }
    }

    /// Whether this machine has nginx.
    pub fn has_nginx() -> bool {
        nginx_program().is_some()
    }
}

fn start_weir(site: &Site, log: &Path) -> Result<Running> {
    let mut process = Process::start(site.variant.name(), &mut site.serve(), log)?;
    wait_for(&site.address, &mut process).context(format!("see {}", log.display()))?;
    Ok(Running { process, address: site.address.clone(), stop: Stop::Drain })
}

fn start_passthrough(upstream: &str, log: &Path) -> Result<Running> {
    let address = free_address()?;
    let mut command = ourselves(SYSTEM_CORE, "passthrough")?;
    command.args(["--listen", &address, "--upstream", upstream]);
    let mut process = Process::start("pingora", &mut command, log)?;
    wait_for(&address, &mut process)?;
    Ok(Running { process, address, stop: Stop::Now })
}

fn start_nginx(upstream: &str, work: &Path, log: &Path) -> Result<Running> {
    let address = free_address()?;
    let prefix = work.join("nginx");
    fs::create_dir_all(prefix.join("logs"))?;
    let conf = prefix.join("nginx.conf");
    fs::write(&conf, nginx_conf(&address, upstream))?;
    let mut command = pinned(SYSTEM_CORE, nginx_program().unwrap_or_else(|| PathBuf::from("nginx")));
    command.arg("-p").arg(&prefix).arg("-c").arg(&conf).args(["-e", "logs/error.log"]);
    let mut process = Process::start("nginx", &mut command, log)?;
    wait_for(&address, &mut process)?;
    Ok(Running { process, address, stop: Stop::Drain })
}

fn nginx_program() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let folders = std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
    folders.map(|folder| folder.join("nginx")).find(|file| file.is_file())
}

/// Weir's shipped timeouts; no access log, which Weir and not this baseline writes; a worker that may read its files
/// when root runs the benchmark.
fn nginx_conf(address: &str, upstream: &str) -> String {
    format!(
        "daemon off;
worker_processes 1;
user root;
pid logs/nginx.pid;
events {{ worker_connections 8192; }}
http {{
  access_log off;
  client_body_temp_path logs/body; proxy_temp_path logs/proxy; fastcgi_temp_path logs/fastcgi;
  uwsgi_temp_path logs/uwsgi; scgi_temp_path logs/scgi;
  client_max_body_size 32m; client_body_buffer_size 64k;
  keepalive_timeout 75s; keepalive_requests 100000000;
  upstream mock {{ server {upstream}; keepalive 128; keepalive_requests 100000000; keepalive_timeout 60s; }}
  server {{
    listen {address};
    location / {{
      proxy_pass http://mock;
      proxy_http_version 1.1;
      proxy_set_header Connection \"\";
      proxy_buffering off;
      proxy_connect_timeout 5s; proxy_read_timeout 60s; proxy_send_timeout 60s;
    }}
  }}
}}
"
    )
}
