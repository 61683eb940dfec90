//! Workload: targets shaped like ordinary instrumented services, the data of the shared harness:
//! request counters (two fifths idle), classic histograms, noisy and stepping gauges, constants.
//! Every value is a pure function of target, series and time.

#![allow(dead_code, reason = "each benchmark uses a part")]

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use model::Labels;
use storage::db::Env;
use storage::fs::RealFs;

/// Series a target exposes.
pub const SERIES: usize = 1000;
/// Milliseconds between two samples.
pub const INTERVAL_MS: i64 = 15_000;
const LES: [&str; 12] =
    ["0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10", "+Inf"];
const METHODS: [&str; 4] = ["GET", "POST", "PUT", "DELETE"];
const CODES: [&str; 6] = ["200", "201", "400", "404", "500", "503"];

#[derive(Clone, Copy)]
enum Kind {
    Counter,
    Bucket { le: usize, resource: u64 },
    Memory,
    Cpu,
    Step,
    Constant,
}

/// A series of every target.
pub struct Family {
    kind: Kind,
    seed: u64,
    /// Labels without `instance` and `job`.
    labels: Vec<(&'static str, String)>,
}

fn mix(mut x: u64) -> u64 {
    x = (x ^ x >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ x >> 31
}

/// A number from 0 to 1.
fn unit(x: u64) -> f64 {
    (mix(x) >> 11) as f64 / (1u64 << 53) as f64
}

/// The series of a target.
pub fn families() -> Vec<Family> {
    let mut all: Vec<Family> = Vec::new();
    for resource in 0.. {
        let handler = || ("handler", format!("/api/v1/resource{resource}"));
        let mut add = |name: &str, kind, labels: Vec<(&'static str, String)>| {
            let seed = mix(all.len() as u64 + 77);
            let labels = [("__name__", name.to_owned())].into_iter().chain(labels).collect();
            all.push(Family { kind, seed, labels });
        };
        for method in &METHODS[..2] {
            let method = || ("method", (*method).to_owned());
            for (le, text) in LES.iter().enumerate() {
                let labels = vec![handler(), ("le", (*text).to_owned()), method()];
                add("http_request_duration_seconds_bucket", Kind::Bucket { le, resource }, labels);
            }
            add("http_request_duration_seconds_sum", Kind::Memory, vec![handler(), method()]);
            let count = Kind::Bucket { le: LES.len() - 1, resource };
            add("http_request_duration_seconds_count", count, vec![handler(), method()]);
        }
        for method in METHODS {
            for code in CODES {
                let labels =
                    vec![("code", code.to_owned()), handler(), ("method", method.to_owned())];
                add("http_requests_total", Kind::Counter, labels);
            }
        }
        for i in 0..4 {
            let own = |name, letter| vec![(name, format!("{letter}{resource}-{i}"))];
            add("process_resident_memory_bytes", Kind::Memory, own("worker", "w"));
            add("process_cpu_seconds_total", Kind::Cpu, own("worker", "w"));
            add("queue_length", Kind::Step, own("queue", "q"));
            add("build_limits", Kind::Constant, own("limit", "l"));
        }
        if all.len() >= SERIES {
            break;
        }
    }
    all.truncate(SERIES);
    all
}

impl Family {
    /// Labels of this series of a target.
    pub fn labels(&self, target: usize) -> Labels {
        let instance = format!("10.0.{}.{}:8080", target / 250, target % 250);
        let job = format!("job{}", target % 20);
        let own = self.labels.iter().map(|(name, value)| (*name, value.as_str()));
        Labels::from_pairs(own.chain([("instance", instance.as_str()), ("job", job.as_str())]))
    }

    /// The value of this series of a target at a time in seconds.
    pub fn value(&self, target: usize, at: i64) -> f64 {
        let target = target as u64;
        let seed = self.seed ^ mix(target.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(1));
        let step = (at / 15) as u64;
        let n = (step % 2_000_000) as f64;
        let base = unit(seed);
        match self.kind {
            Kind::Counter if base < 0.4 => (base * 1000.0).floor(),
            Kind::Counter => {
                let rate = base * base * base * 40.0;
                (n * rate + unit(seed ^ step.wrapping_mul(0x51_ed27)) * rate).floor()
            }
            Kind::Bucket { le, resource } => {
                let share = unit(mix(2000 + target) ^ (resource % 10));
                if share < 0.3 {
                    return (share * 100.0 * (le + 1) as f64).floor();
                }
                (n * share * 20.0 * (1.0 - (-((le + 1) as f64) / 3.0).exp())).floor()
            }
            Kind::Memory => {
                ((1e8 + base * 5e8 + unit(seed ^ step) * 1e6) / 4096.0).floor() * 4096.0
            }
            Kind::Cpu => n * base * 2.0 + unit(seed ^ step) * 0.5,
            Kind::Step => (unit(seed ^ (step / 8)) * 10.0).floor(),
            Kind::Constant => (base * 1e6).floor(),
        }
    }
}

/// Milliseconds by which a scrape of a target is late (or early), at most `jitter_ms`.
pub fn jitter(target: usize, at: i64, jitter_ms: u64) -> i64 {
    if jitter_ms == 0 {
        return 0;
    }
    let dice = mix((at as u64).wrapping_mul(31).wrapping_add(target as u64));
    (dice % (2 * jitter_ms + 1)) as i64 - jitter_ms as i64
}

/// The real world, as the server hands it to a database.
pub fn env() -> Env {
    fn since_epoch() -> std::time::Duration {
        SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
    }
    Env {
        fs: Arc::new(RealFs),
        clock: Arc::new(|| since_epoch().as_millis() as i64),
        random: Arc::new(|| since_epoch().as_nanos().wrapping_mul(0x9e37_79b9_7f4a_7c15)),
        spawn: Arc::new(|name, job| {
            let _ = std::thread::Builder::new().name(name.to_owned()).spawn(job);
        }),
        log: Arc::new(|_, _, _| {}),
    }
}
