//! What the operating system says of a process, and what is made of many figures.

use std::fs;

/// Resident memory, in MiB.
#[must_use]
pub fn rss_mib(pid: u32) -> f64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.split_whitespace().next().and_then(|kib| kib.parse::<f64>().ok()).map_or(0.0, |kib| kib / 1024.0)
}

/// Open descriptors.
#[must_use]
pub fn descriptors(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count)
}

/// What so large a share of the values is at most. The values are sorted afterwards.
pub fn quantile(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let last = values.len().saturating_sub(1);
    values.get(((values.len() as f64 * share) as usize).min(last)).copied().unwrap_or_default()
}

/// The slope of the line through points `(x, y)` that misses them least, by squares.
#[must_use]
pub fn slope(points: &[(f64, f64)]) -> f64 {
    let n = points.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / n;
    let (x, y) = (mean(|point| point.0), mean(|point| point.1));
    let over: f64 = points.iter().map(|point| (point.0 - x) * (point.1 - y)).sum();
    let under: f64 = points.iter().map(|point| (point.0 - x).powi(2)).sum();
    if under == 0.0 { 0.0 } else { over / under }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slopes_and_quantiles() {
        let points: Vec<_> = (0..10).map(|x| (f64::from(x), f64::from(3 * x + 1 + x % 2))).collect();
        assert!((slope(&points) - 3.0).abs() < 0.1);
        assert_eq!(slope(&[(1.0, 5.0)]), 0.0);
        let mut values: Vec<_> = (0..100).rev().map(f64::from).collect();
        assert_eq!((quantile(&mut values, 0.5), quantile(&mut values, 0.99)), (50.0, 99.0));
        assert_eq!(quantile(&mut values, 1.0), 99.0);
    }

    #[test]
    fn a_process_has_memory_and_descriptors() {
        assert!(rss_mib(std::process::id()) > 1.0 && descriptors(std::process::id()) > 2);
    }
}
