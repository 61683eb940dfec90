//! Feature flags of the storage: what they switch on shows in answers and in the data directory.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use serde_json::json;
use storage::fs::{Fs, RealFs};
use storage::headchunks::HeadChunks;
use storage::record::RecordType;
use storage::wal::Reader;

use crate::server::{Server, run_to_end};
use crate::write::{body, field, now_ms, series, write};

const RECEIVER: &str = "--web.enable-remote-write-receiver";

/// Enough samples for a full chunk, a second apart, up to now.
fn fill(server: &Server) {
    let now = now_ms();
    let samples: Vec<(i64, f64)> = (0..400).map(|i| (now - 400_000 + i * 1000, i as f64)).collect();
    let answer = write(server, &body(&[series(&[("__name__", "m")], &samples)])).unwrap();
    assert_eq!(answer.status, 204, "{}", answer.text());
}

/// Types of the records in the log, and encodings of the full chunks.
fn found(dir: &Path) -> (BTreeSet<RecordType>, BTreeSet<u8>) {
    let fs: Arc<dyn Fs> = Arc::new(RealFs);
    let mut types = BTreeSet::new();
    let mut reader = Reader::replay(fs.clone(), &dir.join("data/wal")).unwrap();
    while let Some(entry) = reader.next_entry().unwrap() {
        types.extend(RecordType::of(entry.record));
    }
    let chunks = HeadChunks::open(fs, &dir.join("data/chunks_head")).unwrap();
    let encodings = chunks.entries().map(|entry| entry.unwrap().encoding).collect();
    (types, encodings)
}

#[test]
fn encodings_and_start_times() {
    let xor2 = "storage: {tsdb: {chunk_encoding: {floats: xor2}}}";
    for (config, features, samples, encoding) in [
        ("", "", RecordType::Samples, 1),
        (xor2, "", RecordType::Samples, 4),
        ("", "xor2-encoding", RecordType::Samples, 4),
        ("", "xor2-encoding,st-storage,histograms-st-encoding", RecordType::SamplesV2, 4),
    ] {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("prometheus.yml"), config).unwrap();
        let features = format!("--enable-feature={features}");
        let args = [RECEIVER, features.as_str()];
        let server = Server::start(dir.path(), &args);
        fill(&server);
        server.stop();
        let (types, encodings) = found(dir.path());
        assert_eq!(types, BTreeSet::from([RecordType::Series, samples]), "{features}");
        assert_eq!(encodings, BTreeSet::from([encoding]), "{config} {features}");
        let server = Server::start(dir.path(), &args);
        let count = server.get("/api/v1/query?query=count_over_time(m[1h])").json();
        assert_eq!(count["data"]["result"][0]["value"][1], "400", "{config} {features}");
        server.stop();
    }
}

#[test]
fn start_times_need_an_encoding_that_keeps_them() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("prometheus.yml");
    std::fs::write(&config, "").unwrap();
    let refused = "is incompatible with start-timestamp storage";
    let args = ["--enable-feature=st-storage", "--web.listen-address=127.0.0.1:0"];
    let (code, _, log) = run_to_end(&args, dir.path());
    assert_eq!(code, 1, "{log}");
    assert!(log.contains("opening storage failed") && log.contains(refused), "{log}");
    // Nor can a reload take it away.
    std::fs::write(&config, "storage: {tsdb: {chunk_encoding: {floats: xor2}}}").unwrap();
    let server = Server::start(dir.path(), &[args[0], "--web.enable-lifecycle"]);
    std::fs::write(&config, "").unwrap();
    assert_eq!(server.post("/-/reload", "").status, 500);
    server.wait_for(refused);
    server.stop();
}

#[test]
fn exemplars_are_kept_and_found() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("prometheus.yml"), "storage: {exemplars: {max_exemplars: 2}}")
        .unwrap();
    let now = now_ms();
    let mut with = series(&[("__name__", "m"), ("job", "j")], &[(now, 1.0)]);
    for (i, trace) in ["a", "b", "c"].iter().enumerate() {
        let (mut label, mut exemplar) = (Vec::new(), Vec::new());
        field(&mut label, 1, b"trace_id");
        field(&mut label, 2, trace.as_bytes());
        field(&mut exemplar, 1, &label);
        exemplar.push(0x11);
        exemplar.extend_from_slice(&(i as f64).to_le_bytes());
        exemplar.push(0x18);
        let mut t = (now - 2000 + i as i64 * 1000) as u64;
        while t >= 0x80 {
            exemplar.push(t as u8 | 0x80);
            t >>= 7;
        }
        exemplar.push(t as u8);
        field(&mut with, 3, &exemplar);
    }
    let path = format!(
        "/api/v1/query_exemplars?query=m&start={}&end={}",
        now / 1000 - 10,
        now / 1000 + 10
    );
    let found = |server: &Server| server.get(&path).json()["data"].clone();
    // Without the feature there are none.
    let server = Server::start(dir.path(), &[RECEIVER]);
    assert_eq!(write(&server, &body(&[with.clone()])).unwrap().status, 204);
    assert_eq!(found(&server), json!([]));
    server.stop();

    std::fs::remove_dir_all(dir.path().join("data")).unwrap();
    let args = [RECEIVER, "--enable-feature=exemplar-storage"];
    let server = Server::start(dir.path(), &args);
    assert_eq!(write(&server, &body(&[with])).unwrap().status, 204);
    let one = |trace: &str, value: &str, t: i64| json!({"labels": {"trace_id": trace}, "value": value, "timestamp": t as f64});
    // The ring holds two.
    let exemplars = [one("b", "1", now / 1000 - 1), one("c", "2", now / 1000)];
    let all = json!([{"seriesLabels": {"__name__": "m", "job": "j"}, "exemplars": exemplars}]);
    let shown = |server: &Server| {
        let mut data = found(server);
        for e in data[0]["exemplars"].as_array_mut().unwrap() {
            e["timestamp"] = json!(e["timestamp"].as_f64().unwrap());
        }
        data
    };
    assert_eq!(shown(&server), all);
    server.kill();
    let server = Server::start(dir.path(), &args);
    assert_eq!(shown(&server), all);
    server.stop();
}
