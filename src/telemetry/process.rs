//! Process: what `/proc` says of this process, under the names every Prometheus client uses, and
//! the build information.

use std::fs;

use super::metrics::{Collect, Gathered, Kind, Registry, Value};
use crate::cli::help::{COMPATIBLE_VERSION, OWN_VERSION, go_arch};

/// Kernel clock ticks a second in `/proc`; fixed at 100 for user space on Linux.
const TICKS: f64 = 100.0;

/// Registers the metrics of the process and of the build.
pub fn register(registry: &Registry) {
    registry.add(std::sync::Arc::new(Process));
    registry.add(std::sync::Arc::new(|out: &mut Gathered| {
        let labels = [
            ("branch", "main"),
            ("goarch", go_arch()),
            ("goos", std::env::consts::OS),
            ("goversion", ""),
            ("revision", concat!("epimetheus-", env!("CARGO_PKG_VERSION"))),
            ("tags", "epimetheus"),
            ("version", COMPATIBLE_VERSION),
        ];
        out.push(
            "prometheus_build_info",
            "Always 1; labels say which Prometheus this server is compatible with.",
            Kind::Gauge,
            &labels,
            Value::Number(1.0),
        );
        out.push(
            "epimetheus_build_info",
            "Always 1; the label is the version of this server.",
            Kind::Gauge,
            &[("version", OWN_VERSION)],
            Value::Number(1.0),
        );
    }));
}

/// Reads `/proc/self`; what cannot be read is left out.
struct Process;

impl Collect for Process {
    fn collect(&self, out: &mut Gathered) {
        if let Ok(stat) = fs::read_to_string("/proc/self/stat") {
            collect_stat(&stat, out);
        }
        if let Ok(fds) = fs::read_dir("/proc/self/fd") {
            // The listing itself holds one.
            let open = fds.count().saturating_sub(1);
            out.gauge("process_open_fds", "Number of open file descriptors.", open as f64);
        }
        if let Ok(limits) = fs::read_to_string("/proc/self/limits") {
            let limit = |name: &str| limits.lines().find_map(|l| l.strip_prefix(name)).map(soft);
            if let Some(fds) = limit("Max open files") {
                out.gauge("process_max_fds", "Maximum number of open file descriptors.", fds);
            }
            if let Some(bytes) = limit("Max address space") {
                let help = "Maximum amount of virtual memory available in bytes.";
                out.gauge("process_virtual_memory_max_bytes", help, bytes);
            }
        }
        if let Ok(net) = fs::read_to_string("/proc/self/net/netstat") {
            let received = "Number of bytes received by the process over the network.";
            let sent = "Number of bytes sent by the process over the network.";
            if let Some(v) = ip_ext(&net, "InOctets") {
                out.counter("process_network_receive_bytes_total", received, v);
            }
            if let Some(v) = ip_ext(&net, "OutOctets") {
                out.counter("process_network_transmit_bytes_total", sent, v);
            }
        }
    }
}

/// The soft limit of a line of `/proc/self/limits`.
fn soft(line: &str) -> f64 {
    line.split_whitespace()
        .next()
        .and_then(|text| text.parse().ok())
        // "unlimited"
        .unwrap_or(u64::MAX as f64)
}

/// A field of the `IpExt` lines: names in the first, numbers in the second.
fn ip_ext(text: &str, name: &str) -> Option<f64> {
    let mut lines = text.lines().filter(|l| l.starts_with("IpExt:"));
    let (names, values) = (lines.next()?, lines.next()?);
    let at = names.split_whitespace().position(|n| n == name)?;
    values.split_whitespace().nth(at)?.parse().ok()
}

fn collect_stat(stat: &str, out: &mut Gathered) {
    // The command name may hold anything, so fields are counted behind its closing bracket.
    let Some((_, rest)) = stat.rsplit_once(") ") else { return };
    let fields: Vec<f64> = rest.split_whitespace().map(|f| f.parse().unwrap_or_default()).collect();
    let field = |number: usize| fields.get(number - 3).copied().unwrap_or_default();
    out.counter(
        "process_cpu_seconds_total",
        "Total user and system CPU time spent in seconds.",
        (field(14) + field(15)) / TICKS,
    );
    out.gauge("process_virtual_memory_bytes", "Virtual memory size in bytes.", field(23));
    out.gauge(
        "process_resident_memory_bytes",
        "Resident memory size in bytes.",
        field(24) * rustix::param::page_size() as f64,
    );
    if let Some(boot) = fs::read_to_string("/proc/stat").ok().and_then(|s| boot_time(&s)) {
        out.gauge(
            "process_start_time_seconds",
            "Start time of the process since unix epoch in seconds.",
            boot + field(22) / TICKS,
        );
    }
}

fn boot_time(stat: &str) -> Option<f64> {
    stat.lines().find_map(|l| l.strip_prefix("btime "))?.trim().parse().ok()
}
