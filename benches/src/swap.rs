//! How long a changed policy takes to have effect: from the file's last byte to the answer of the reload, after which every
//! new request meets it. The gateway is idle, both versions have been compiled before.

use std::fs;
use std::path::Path;
use std::time::Instant;

use crate::failure::{Context, Failure, Result};
use crate::figures::Series;
use crate::process::wait_for;
use crate::round::Bench;
use crate::system::System;
use crate::weir::{Shipped, Site, Variant};
use crate::wire::Conn;

/// Milliseconds of swaps of the routing script, and of a Wasm guard.
pub fn measure(bench: &Bench, shipped: &Shipped) -> Result<(Series, Series)> {
    let home = bench.work.join("swap");
    fs::create_dir_all(&home)?;
    // The guard of the site is a copy, which may be rewritten.
    let guard = home.join("mask-pii.wasm");
    fs::copy(&shipped.guard, &guard).context(shipped.guard.display())?;
    let shipped = Shipped { guard: guard.clone(), ..shipped.clone() };
    let site = Site::lay_out(Variant::Guard, &shipped, &bench.upstream, &home)?;
    let script = site.script.clone();
    let system = System::Weir(site);
    let System::Weir(site) = &system else { return Err(Failure::new("only Weir reloads")) };
    let mut running = system.start(&bench.upstream, &home)?;
    wait_for(&site.admin, &mut running.process)?;
    let scripts = versions(&script, |n| format!("\n// version {n}\n").into_bytes())?;
    let components = versions(&guard, custom_section)?;
    let token = site.admin_token()?;
    let count = bench.pace.starts * 4;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let taken = runtime.block_on(async {
        let mut admin = Conn::open(&site.admin).await?;
        let scripts = swaps(&mut admin, (&site.admin, &token), &script, &scripts, count).await?;
        let components = swaps(&mut admin, (&site.admin, &token), &guard, &components, count).await?;
        Ok::<_, Failure>((scripts, components))
    })?;
    running.stop()?;
    Ok(taken)
}

/// The file as it is with either of two endings that change nothing.
fn versions(file: &Path, ending: impl Fn(u8) -> Vec<u8>) -> Result<[Vec<u8>; 2]> {
    let text = fs::read(file).context(file.display())?;
    Ok([1, 2].map(|n| [text.clone(), ending(n)].concat()))
}

/// A custom section of a component: id 0, its length, its name's length, the name.
fn custom_section(n: u8) -> Vec<u8> {
    vec![0, 2, 1, b'0' + n]
}

async fn swaps(
    admin: &mut Conn,
    (address, token): (&str, &str),
    file: &Path,
    versions: &[Vec<u8>; 2],
    count: usize,
) -> Result<Series> {
    let mut taken = Vec::with_capacity(count);
    for n in 0..count + 2 {
        fs::write(file, &versions[n % 2])?;
        let started = Instant::now();
        let (status, body) = admin.ask(address, "POST", "/admin/v1/reload", Some(token)).await?;
        let ms = started.elapsed().as_secs_f64() * 1e3;
        if status != 200 {
            let said = String::from_utf8_lossy(&body);
            return Err(Failure::new(format!("swap {n}: status {status}: {said}")));
        }
        // The first two are compiled.
        if n >= 2 {
            taken.push(ms);
        }
    }
    Ok(Series(taken))
}
