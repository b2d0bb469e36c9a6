//! Whether the time of a reply tells one organisation what another has asked: the response cache is warm with the first
//! one's prompts, and the second asks for those and for prompts that nobody ever asked. If the two sets of times come from
//! one distribution, there is nothing to learn.

use std::process::Command;
use std::time::Instant;

use crate::failure::{Failure, Result};
use crate::process::output;
use crate::prompt::{self, Api, Kind, Template};
use crate::round::Bench;
use crate::system::System;
use crate::weir::{Shipped, Site, Variant};
use crate::wire::Conn;

/// Times of each kind; quick runs take a tenth.
const SAMPLES: u64 = 2_000;

/// The probability that both sets of times come from one distribution (two-sample Kolmogorov-Smirnov).
pub fn across_organisations(bench: &Bench, shipped: &Shipped, quick: bool) -> Result<f64> {
    let site = Site::lay_out(Variant::Cached, shipped, &bench.upstream, &bench.work)?;
    let keys = [own_key(&site, "one")?, own_key(&site, "two")?];
    let system = System::Weir(site);
    let running = system.start(&bench.upstream, &bench.work)?;
    let samples = if quick { SAMPLES / 10 } else { SAMPLES };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (asked, fresh) = runtime.block_on(times(&running.address, &keys, samples))?;
    running.stop()?;
    Ok(same_distribution(asked, fresh))
}

/// A key of an organisation of its own.
fn own_key(site: &Site, name: &str) -> Result<String> {
    let weir = |args: &[&str]| {
        let mut command = Command::new(&site.weir);
        command.arg("--config").arg(&site.config).args(args);
        Ok::<_, Failure>(output(&mut command)?.trim().to_owned())
    };
    let organisation = weir(&["organisation", "create", name])?;
    let team = weir(&["team", "create", name, "--organisation", &organisation])?;
    weir(&["key", "create", "--quiet", name, "--team", &team])
}

/// Microseconds of the second organisation's requests: for what the first has asked, and for what nobody has.
async fn times(address: &str, keys: &[String; 2], samples: u64) -> Result<(Vec<f64>, Vec<f64>)> {
    let body = prompt::body(Api::Chat, "chat", Kind::Plain, false);
    let [mut first, mut second] =
        [&keys[0], &keys[1]].map(|key| Template::new(address, key, Api::Chat, &body));
    let mut conn = Conn::open(address).await?;
    for serial in 0..samples {
        ask(&mut conn, first.numbered(serial)).await?;
        // The cache works: what the same organisation asks again is a hit.
        if serial == 0 && ask(&mut conn, first.numbered(serial)).await? != "hit" {
            return Err(Failure::new("the cache did not answer its own organisation"));
        }
    }
    let (mut asked, mut fresh) = (Vec::new(), Vec::new());
    for serial in 0..samples {
        // In turns, so that a machine that slows down slows both.
        for (serial, times) in [(serial, &mut asked), (serial + samples, &mut fresh)] {
            let request = second.numbered(serial).to_vec();
            let started = Instant::now();
            if ask(&mut conn, &request).await? == "hit" {
                return Err(Failure::new("one organisation was answered with another's reply"));
            }
            times.push(started.elapsed().as_secs_f64() * 1e6);
        }
    }
    Ok((asked, fresh))
}

/// What the cache says of the reply.
async fn ask(conn: &mut Conn, request: &[u8]) -> Result<String> {
    conn.send(request).await?;
    let head = conn.head().await?.ok_or_else(|| Failure::new("closed instead of a reply"))?;
    conn.body(head.framing()?).await?;
    match head.status() {
        200 => Ok(head.header("x-weir-cache").unwrap_or("none").to_owned()),
        status => Err(Failure::new(format!("status {status}, not 200"))),
    }
}

/// The p value of the two-sample test, by its asymptotic distribution.
fn same_distribution(mut one: Vec<f64>, mut two: Vec<f64>) -> f64 {
    one.sort_by(f64::total_cmp);
    two.sort_by(f64::total_cmp);
    let (n, m) = (one.len() as f64, two.len() as f64);
    let below = |sorted: &[f64], value: f64| sorted.partition_point(|known| *known <= value) as f64;
    let gap = |value: &f64| (below(&one, *value) / n - below(&two, *value) / m).abs();
    let largest = one.iter().chain(&two).map(gap).fold(0.0, f64::max);
    let root = (n * m / (n + m)).sqrt();
    let lambda = (root + 0.12 + 0.11 / root) * largest;
    if lambda < 0.2 {
        return 1.0;
    }
    let term = |k: i32| {
        let sign = if k % 2 == 0 { -1.0 } else { 1.0 };
        sign * (-2.0 * f64::from(k * k) * lambda * lambda).exp()
    };
    (2.0 * (1..=100).map(term).sum::<f64>()).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::same_distribution;

    #[test]
    fn equal_times_tell_nothing_and_shifted_ones_do() {
        let times = |shift: f64| (0..500).map(|n| f64::from(n * 7919 % 500) + shift).collect::<Vec<_>>();
        assert!(same_distribution(times(0.0), times(0.5)) > 0.9);
        assert!(same_distribution(times(0.0), times(100.0)) < 1e-6);
    }
}
