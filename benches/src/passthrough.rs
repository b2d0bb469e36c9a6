//! The baseline: `pingora-proxy` with nothing but an upstream, on the keep-alive and timeouts that Weir ships with.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pingora::prelude::HttpPeer;
use pingora::server::configuration::ServerConf;
use pingora::server::{RunArgs, Server};
use pingora_proxy::{ProxyHttp, Session, http_proxy_service};

use crate::failure::{Context, Result};

/// Weir's shipped upstream timeouts (README, *Config*): connect, between two reads, idle in the pool.
const CONNECT: Duration = Duration::from_secs(5);
const READ: Duration = Duration::from_secs(60);
const IDLE: Duration = Duration::from_secs(60);

/// Serves until the process is told to stop.
pub fn serve(listen: &str, upstream: &str, threads: usize) -> Result<()> {
    let upstream = upstream.parse().context("upstream address")?;
    let conf = ServerConf { threads, grace_period_seconds: Some(0), ..ServerConf::default() };
    let conf = ServerConf { graceful_shutdown_timeout_seconds: Some(1), ..conf };
    let mut server = Server::new_with_opt_and_conf(None, conf);
    server.bootstrap();
    let mut service = http_proxy_service(&Arc::clone(&server.configuration), Passthrough { upstream });
    service.add_tcp(listen);
    server.add_service(service);
    server.run(RunArgs::default());
    Ok(())
}

struct Passthrough {
    upstream: std::net::SocketAddr,
}

#[async_trait]
impl ProxyHttp for Passthrough {
    type CTX = ();

    fn new_ctx(&self) -> Self::CTX {}

    async fn upstream_peer(&self, _: &mut Session, (): &mut ()) -> pingora::Result<Box<HttpPeer>> {
        let mut peer = HttpPeer::new(self.upstream, false, String::new());
        peer.options.connection_timeout = Some(CONNECT);
        peer.options.total_connection_timeout = Some(CONNECT);
        peer.options.read_timeout = Some(READ);
        peer.options.write_timeout = Some(READ);
        peer.options.idle_timeout = Some(IDLE);
        Ok(Box::new(peer))
    }
}
