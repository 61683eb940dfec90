//! Bad input: each gives Prometheus's exit code and words, and loses nothing.

use std::net::TcpListener;
use std::path::Path;

use crate::server::{Server, run_to_end};

fn check(dir: &Path, args: &[&str], code: i32, stderr: &str) {
    let (found, _, text) = run_to_end(args, dir);
    assert_eq!(found, code, "{args:?}: {text}");
    assert!(text.contains(stderr), "{args:?}: {text}");
}

#[test]
fn flags() {
    let dir = tempfile::tempdir().unwrap();
    let d = dir.path();
    check(
        d,
        &["--foo"],
        1,
        "Error parsing command line arguments: unknown long flag '--foo'\nepimetheus: error: unknown long flag '--foo'\n",
    );
    check(
        d,
        &["--query.timeout=1x"],
        2,
        "Error parsing command line arguments: unknown unit \"x\" in duration \"1x\"\n",
    );
    check(
        d,
        &["--storage.agent.path=x"],
        3,
        "The following flag(s) can only be used in agent mode: [\"--storage.agent.path\"]",
    );
    check(d, &["--web.config.file=x"], 2, "--web.config.file is not built in this server yet");
    check(d, &["--web.external-url='x'"], 2, "URL must not begin or end with quotes");
    let (code, stdout, _) = run_to_end(&["--help"], d);
    assert_eq!(code, 0);
    assert!(stdout.starts_with("usage: epimetheus [<flags>]\n"));
    let (code, stdout, _) = run_to_end(&["--version"], d);
    assert_eq!(code, 0);
    assert!(stdout.starts_with("epimetheus, version 3.14.0 (branch: "));
    let (_, stdout, _) = run_to_end(&["--query.timeout=x"], d);
    assert!(stdout.starts_with("usage: epimetheus"));
}

#[test]
fn configurations() {
    let dir = tempfile::tempdir().unwrap();
    let d = dir.path();
    check(
        d,
        &["--config.file=none.yml"],
        2,
        "msg=\"Error loading config (--config.file=none.yml)\"",
    );
    check(d, &["--config.file=none.yml"], 2, "err=\"open none.yml: no such file or directory\"");
    for (text, error) in [
        ("global: {x: 1}", "line 1: field x not found in type config.plain"),
        ("global: {scrape_interval: 1x}", "unknown unit"),
        (
            "scrape_configs: [{job_name: a}, {job_name: a}]",
            "found multiple scrape configs with job name",
        ),
        ("a: b: c", "mapping values are not allowed in this context"),
        ("rule_files: [x.yml]", "rule_files is not supported by this version of epimetheus"),
    ] {
        std::fs::write(d.join("prometheus.yml"), text).unwrap();
        check(d, &[], 2, error);
    }
    assert!(!d.join("data").exists());
}

#[test]
fn the_port_is_taken() {
    let dir = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    check(
        dir.path(),
        &[&format!("--web.listen-address={address}")],
        1,
        &format!(
            "msg=\"Unable to start web listener\" err=\"listen tcp {address}: bind: address already in use\""
        ),
    );
}

#[test]
fn the_directory_is_taken() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("prometheus.yml"), "").unwrap();
    let server = Server::start(dir.path(), &[]);
    check(
        dir.path(),
        &["--web.listen-address=127.0.0.1:0"],
        1,
        "err=\"opening storage failed: lock DB directory: resource temporarily unavailable\"",
    );
    assert_eq!(server.get("/-/ready").status, 200);
    server.stop();
}

#[test]
fn the_directory_cannot_be_made() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("prometheus.yml"), "").unwrap();
    std::fs::write(dir.path().join("data"), "a file").unwrap();
    check(dir.path(), &["--web.listen-address=127.0.0.1:0"], 1, "err=\"opening storage failed: ");
}

#[test]
fn segment_sizes() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("prometheus.yml"), "").unwrap();
    check(
        dir.path(),
        &["--web.listen-address=127.0.0.1:0", "--storage.tsdb.wal-segment-size=1MB"],
        1,
        "err=\"flag 'storage.tsdb.wal-segment-size' must be set between 10MB and 256MB\"",
    );
}

#[test]
fn a_torn_log_is_cut_back_to_what_is_whole() {
    use crate::write::{body, now_ms, receiver, series, write};
    let dir = tempfile::tempdir().unwrap();
    let t = now_ms();
    let server = receiver(dir.path());
    let one = body(&[series(&[("__name__", "kept")], &[(t, 1.0)])]);
    assert_eq!(write(&server, &one).unwrap().status, 204);
    server.kill();
    let wal = dir.path().join("data/wal");
    let mut segments: Vec<_> =
        std::fs::read_dir(&wal).unwrap().map(|e| e.unwrap().path()).collect();
    segments.sort();
    let last = segments.pop().unwrap();
    let mut bytes = std::fs::read(&last).unwrap();
    bytes.extend_from_slice(b"\x05\xff\xffgarbage at the end of the log");
    std::fs::write(&last, bytes).unwrap();
    let server = receiver(dir.path());
    let found = server.get(&format!("/api/v1/query?query=kept&time={}", t / 1000)).json();
    assert_eq!(found["data"]["result"][0]["value"][1], "1");
    server.stop();
}
