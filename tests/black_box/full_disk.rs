//! A disk that is full and is not any more, ten minutes of ingestion and a kill behind it: on a small
//! file system in memory, where this process may mount one. With `PEER_PROMETHEUS` the real one opens
//! what is left. The ten minutes are told by timestamps; `EPIMETHEUS_FULL_DISK_SECONDS=600` lets as
//! many seconds really go by, with a push each second and scrapes beside it.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::{Duration, Instant};

use crate::http::request;
use crate::limits::{target, value};
use crate::server::Server;
use crate::write::{body, now_ms, series, write};

const SERIES: usize = 40;
const MINUTE: i64 = 60_000;
const COUNT: &str = "sum(count_over_time(full[2h]))";

/// A mounted file system; unmounted when dropped.
struct Small(PathBuf);

impl Small {
    fn mount(at: &Path) -> Option<Small> {
        std::fs::create_dir_all(at).unwrap();
        let mut command = Command::new("mount");
        let command = command.args(["-t", "tmpfs", "-o", "size=8m", "tmpfs"]).arg(at);
        let mounted = command.stderr(Stdio::null()).status().ok()?.success();
        mounted.then(|| Small(at.to_owned()))
    }

    /// Fills it up to the last page or two.
    fn fill(&self) -> PathBuf {
        let path = self.0.join("filler");
        let mut file = File::create(&path).unwrap();
        while file.write(&[0; 4096]).is_ok_and(|n| n == 4096) {}
        path
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// Sends one sample of every series, which do not compress well.
fn send(server: &Server, t: i64) -> (u16, String) {
    let all: Vec<Vec<u8>> = (0..SERIES)
        .map(|i| {
            let v = (t as u64 * 1000 + i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 2;
            let i = i.to_string();
            let labels = [("__name__", "full"), ("i", &i), ("job", "push")];
            series(&labels, &[(t, f64::from_bits(v))])
        })
        .collect();
    let answer = write(server, &body(&all)).unwrap();
    (answer.status, answer.text())
}

/// How many of them there are.
fn count(server: &Server) -> Option<f64> {
    value(server, &format!("{COUNT}&time={}", now_ms() / 1000 + 60))
}

/// Pushes for some seconds, once a second; how often.
fn push_for(server: &Server, seconds: u64) -> i64 {
    let begin = Instant::now();
    let mut pushed = 0;
    while begin.elapsed().as_secs() < seconds {
        assert_eq!(send(server, now_ms()).0, 204);
        pushed += 1;
        std::thread::sleep(Duration::from_secs(1));
    }
    pushed
}

#[test]
fn ingestion_stops_and_resumes() {
    let dir = tempfile::tempdir().unwrap();
    let Some(small) = Small::mount(&dir.path().join("small")) else {
        eprintln!("skipped: mounting is not allowed here");
        return;
    };
    let data = small.0.join("data");
    let config = format!(
        "scrape_configs:\n- job_name: j\n  scrape_interval: 500ms\n  scrape_timeout: 500ms\n  \
         static_configs:\n  - targets: ['{}']\n",
        target(&Arc::new(AtomicUsize::new(3)))
    );
    std::fs::write(dir.path().join("prometheus.yml"), config).unwrap();
    let path = format!("--storage.tsdb.path={}", data.display());
    let flags = ["--web.enable-remote-write-receiver", &path];
    let server = Server::start(dir.path(), &flags);
    let mut t = now_ms() - 30 * MINUTE;
    let mut acknowledged = 0;
    while acknowledged < 20 {
        assert_eq!(send(&server, t).0, 204);
        (t, acknowledged) = (t + 100, acknowledged + 1);
    }

    server.wait_until("a scrape", || value(&server, "steady").is_some());
    let filler = small.fill();
    let refused = loop {
        let (status, text) = send(&server, t);
        t += 100;
        if status != 204 {
            assert_eq!(status, 500);
            break text;
        }
        acknowledged += 1;
        assert!(acknowledged < 2000, "the disk did not fill up");
    };
    let low = refused.to_lowercase();
    assert!(low.contains("wal") && low.contains("no space left on device"), "{refused}");
    // Everything but ingestion goes on.
    let samples = |acknowledged: i64| Some((acknowledged * SERIES as i64) as f64);
    assert_eq!(count(&server), samples(acknowledged));
    let scraped = || {
        let targets = server.get("/api/v1/targets").json();
        targets["data"]["activeTargets"][0]["lastScrape"].to_string()
    };
    let before = scraped();
    server.wait_until("another scrape", || scraped() != before);
    let targets = server.get("/api/v1/targets").text();
    assert!(targets.contains("\"health\":\"up\""), "{targets}");
    let failed = "prometheus_tsdb_wal_writes_failed_total ";
    let metrics = server.get("/metrics").text();
    let line = metrics.lines().find(|l| l.starts_with(failed)).unwrap();
    assert!(line[failed.len()..].parse::<f64>().unwrap() > 0.0);
    server.wait_for("Scrape commit failed");
    for _ in 0..5 {
        assert_eq!(send(&server, t).0, 500);
        t += 100;
    }

    // Space comes back, nobody restarts anything; ten minutes go by.
    let scrapes = value(&server, "count_over_time(steady[1h])").unwrap();
    std::fs::remove_file(filler).unwrap();
    for _ in 0..10 * MINUTE / 5_000 {
        assert_eq!(send(&server, t).0, 204);
        (t, acknowledged) = (t + 5_000, acknowledged + 1);
    }
    if let Ok(seconds) = std::env::var("EPIMETHEUS_FULL_DISK_SECONDS") {
        acknowledged += push_for(&server, seconds.parse().unwrap());
    }
    server.wait_until("a stored scrape", || {
        value(&server, "count_over_time(steady[1h])").unwrap() > scrapes
    });
    assert_eq!(count(&server), samples(acknowledged));
    let steady = value(&server, "count_over_time(steady[1h])").unwrap();
    server.kill();

    let copy = dir.path().join("copy");
    assert!(Command::new("cp").arg("-r").args([&data, &copy]).status().unwrap().success());
    if let Some(binary) = std::env::var_os("PEER_PROMETHEUS") {
        let found = ask_prometheus(Path::new(&binary), dir.path(), &copy);
        assert_eq!(found.0, samples(acknowledged));
        assert!(found.1 >= Some(steady), "{found:?}, {steady} scrapes");
        eprintln!("read by Prometheus: {found:?} samples pushed and scraped");
    }
    let server = Server::start(dir.path(), &flags);
    assert_eq!(count(&server), samples(acknowledged));
    assert!(!server.logged("repaired"));
    server.stop();
}

/// The same count by the real Prometheus over a copy, which it must not have to repair; and the
/// number of scrapes.
fn ask_prometheus(binary: &Path, dir: &Path, data: &Path) -> (Option<f64>, Option<f64>) {
    let config = dir.join("empty.yml");
    std::fs::write(&config, "").unwrap();
    // The lock of the killed server is there; a free port is one that was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let log = dir.join("prometheus.log");
    let mut child = Command::new(binary)
        .arg(format!("--config.file={}", config.display()))
        .arg(format!("--storage.tsdb.path={}", data.display()))
        .arg(format!("--web.listen-address={port}"))
        .stdout(Stdio::null())
        .stderr(File::create(&log).unwrap())
        .spawn()
        .unwrap();
    let ask = |query: &str| {
        let query = format!("/api/v1/query?query={query}&time={}", now_ms() / 1000 + 60);
        let answer = request(port, "GET", &query, &[], b"").unwrap().json();
        answer["data"]["result"][0]["value"][1].as_str().and_then(|v| v.parse().ok())
    };
    let mut found = (None, None);
    for _ in 0..600 {
        let ready = request(port, "GET", "/-/ready", &[], b"");
        if ready.is_some_and(|a| a.status == 200) {
            found = (ask(COUNT), ask("count_over_time(steady[1h])"));
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    let _ = child.kill();
    let _ = child.wait();
    let log = std::fs::read_to_string(log).unwrap();
    for word in ["repair", "corrupt", "level=ERROR"] {
        assert!(!log.contains(word), "{log}");
    }
    found
}
