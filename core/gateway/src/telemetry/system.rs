//! What the operating system says of us, under the names that Prometheus clients share. Linux only; elsewhere 0.

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Counter, Error, Gauge, IntGauge};
use std::time::{SystemTime, UNIX_EPOCH};

/// Ticks a second in `/proc/self/stat`: 100 on every Linux that Rust runs on.
const TICKS: f64 = 100.0;

/// Read when it is asked for.
pub(super) struct Process {
    resident: IntGauge,
    virtual_size: IntGauge,
    threads: IntGauge,
    open_fds: IntGauge,
    max_fds: IntGauge,
    cpu: Counter,
    started: Gauge,
}

impl Process {
    pub(super) fn new() -> Result<Self, Error> {
        let process = Self {
            resident: IntGauge::new("process_resident_memory_bytes", "Resident memory size in bytes.")?,
            virtual_size: IntGauge::new("process_virtual_memory_bytes", "Virtual memory size in bytes.")?,
            threads: IntGauge::new("process_threads", "Number of OS threads.")?,
            open_fds: IntGauge::new("process_open_fds", "Number of open file descriptors.")?,
            max_fds: IntGauge::new("process_max_fds", "Maximum number of open file descriptors.")?,
            cpu: Counter::new("process_cpu_seconds_total", "User and system CPU time in seconds.")?,
            started: Gauge::new("process_start_time_seconds", "Start time in seconds since 1970.")?,
        };
        process.started.set(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64());
        Ok(process)
    }

    fn read(&self) {
        let text = |file: &str| std::fs::read_to_string(format!("/proc/self/{file}")).unwrap_or_default();
        let status = text("status");
        let figure = |key: &str| -> i64 {
            let line = status.lines().find_map(|line| line.strip_prefix(key));
            line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
        };
        self.resident.set(figure("VmRSS:") * 1024);
        self.virtual_size.set(figure("VmSize:") * 1024);
        self.threads.set(figure("Threads:"));
        // The folder that is read is a descriptor itself.
        let open = std::fs::read_dir("/proc/self/fd").map_or(0, |all| all.count().saturating_sub(1));
        self.open_fds.set(i64::try_from(open).unwrap_or(i64::MAX));
        let limits = text("limits");
        let most = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
        let most = most.and_then(|rest| rest.split_whitespace().next()?.parse().ok());
        self.max_fds.set(most.unwrap_or(0));
        // Behind the name of the program, which may hold anything, the 12th and 13th fields.
        let stat = text("stat");
        let fields = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
        let ticks: f64 =
            fields.split(' ').skip(11).take(2).filter_map(|field| field.parse::<f64>().ok()).sum();
        self.cpu.inc_by((ticks / TICKS - self.cpu.get()).max(0.0));
    }
}

impl Collector for Process {
    fn desc(&self) -> Vec<&Desc> {
        let gauges = [&self.resident, &self.virtual_size, &self.threads, &self.open_fds, &self.max_fds];
        let mut all: Vec<&Desc> = gauges.into_iter().flat_map(Collector::desc).collect();
        all.extend(self.cpu.desc());
        all.extend(self.started.desc());
        all
    }

    fn collect(&self) -> Vec<MetricFamily> {
        self.read();
        let gauges = [&self.resident, &self.virtual_size, &self.threads, &self.open_fds, &self.max_fds];
        let mut all: Vec<MetricFamily> = gauges.into_iter().flat_map(Collector::collect).collect();
        all.extend(self.cpu.collect());
        all.extend(self.started.collect());
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn the_system_tells() {
        let process = Process::new().unwrap();
        let all = process.collect();
        let value = |name: &str| {
            let family = all.iter().find(|family| family.name() == name).unwrap();
            let metric = &family.get_metric()[0];
            metric.get_gauge().get_value().max(metric.get_counter().get_value())
        };
        let names = [
            "resident_memory_bytes",
            "virtual_memory_bytes",
            "threads",
            "open_fds",
            "max_fds",
            "start_time_seconds",
        ];
        for name in names {
            assert!(value(&format!("process_{name}")) >= 1.0, "{name}");
        }
        assert!(value("process_open_fds") < value("process_max_fds"));
        assert!(all.iter().any(|family| family.name() == "process_cpu_seconds_total"));
    }
}
