//! Cold start: from the spawn of the process to the first 200 of a chat request.

use std::time::{Duration, Instant};

use crate::failure::{Context, Failure, Result};
use crate::figures::Series;
use crate::memory::first_key;
use crate::process::{Process, Stop};
use crate::prompt::{self, Api, Kind, Template};
use crate::round::Bench;
use crate::weir::Site;
use crate::wire::Conn;

/// Milliseconds of the start on an empty compile cache (the first of a data folder), and of the later ones.
pub fn measure(bench: &Bench, site: Site) -> Result<(f64, Series)> {
    let system = crate::system::System::Weir(site);
    let key = first_key(bench, &system)?;
    let crate::system::System::Weir(site) = system else { return Err(Failure::new("not Weir")) };
    let first = once(bench, &site, &key)?;
    let starts = (0..bench.pace.starts).map(|_| once(bench, &site, &key)).collect::<Result<_>>()?;
    Ok((first, Series(starts)))
}

fn once(bench: &Bench, site: &Site, key: &str) -> Result<f64> {
    let log = bench.work.join("startup.log");
    let started = Instant::now();
    let process = Process::start("weir", &mut site.serve(), &log)?;
    wait_for_reply(&site.address, key).context(format!("see {}", log.display()))?;
    let taken = started.elapsed();
    process.stop(Stop::Drain)?;
    Ok(taken.as_secs_f64() * 1e3)
}

/// Asks until a chat request is answered with 200, for twenty seconds at most.
pub fn wait_for_reply(address: &str, key: &str) -> Result<()> {
    let body = prompt::body(Api::Chat, "chat", Kind::Plain, false);
    let mut template = Template::new(address, key, Api::Chat, &body);
    let request = template.numbered(0);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let answer = status(address, request).await;
            match answer {
                Ok(200) => return Ok(()),
                _ if Instant::now() < deadline => tokio::time::sleep(Duration::from_millis(1)).await,
                Ok(status) => return Err(Failure::new(format!("status {status}, not 200"))),
                Err(failure) => return Err(failure),
            }
        }
    })
}

async fn status(address: &str, request: &[u8]) -> Result<u16> {
    let mut conn = Conn::open(address).await?;
    conn.send(request).await?;
    let head = conn.head().await?.ok_or_else(|| Failure::new("closed instead of a reply"))?;
    conn.body(head.framing()?).await?;
    Ok(head.status())
}
