//! Administration over HTTP: deleting, cleaning up, snapshots.

use std::path::{Path, PathBuf};

use crate::limits::value;
use crate::server::Server;
use crate::write::{body, now_ms, series, write};

fn start(dir: &Path, data: &str) -> Server {
    std::fs::write(dir.join("prometheus.yml"), "").unwrap();
    let path = format!("--storage.tsdb.path={data}");
    Server::start(dir, &["--web.enable-admin-api", "--web.enable-remote-write-receiver", &path])
}

fn fill(server: &Server, start: i64) {
    let all: Vec<Vec<u8>> = ["a", "b"]
        .iter()
        .map(|job| {
            let samples: Vec<(i64, f64)> = (0..10).map(|i| (start + i * 1000, i as f64)).collect();
            series(&[("__name__", "m"), ("job", job)], &samples)
        })
        .collect();
    assert_eq!(write(server, &body(&all)).unwrap().status, 204);
}

fn count(server: &Server, job: &str, at: i64) -> Option<f64> {
    let query = format!("count_over_time(m{{job=\"{job}\"}}[1h])&time={}", at / 1000 + 60);
    value(server, &query)
}

#[test]
fn deleted_samples_are_gone() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path(), "data");
    let t = now_ms() - 600_000;
    fill(&server, t);
    let delete = "/api/v1/admin/tsdb/delete_series";
    for (form, error) in [
        ("", "no match[] parameter provided"),
        ("match[]=m{", "invalid parameter \"match[]\": "),
        ("match[]=m&start=x", "invalid parameter \"start\": "),
    ] {
        let answer = server.post(delete, form);
        assert_eq!(answer.status, 400, "{form}: {}", answer.text());
        let answer = answer.json();
        assert_eq!(answer["errorType"], "bad_data");
        assert!(answer["error"].as_str().unwrap().starts_with(error), "{answer}");
    }
    let range = format!("start={}&end={}", t / 1000 + 2, t / 1000 + 4);
    let answer = server.post(delete, &format!("match[]=m{{job=\"a\"}}&{range}"));
    assert_eq!((answer.status, answer.text().as_str()), (204, ""));
    assert_eq!((count(&server, "a", t), count(&server, "b", t)), (Some(7.0), Some(10.0)));
    let put = server.request("PUT", &format!("{delete}?match[]=nothing"), &[], b"").unwrap();
    assert_eq!(put.status, 204);
    assert_eq!(server.post("/api/v1/admin/tsdb/clean_tombstones", "").status, 204);
    assert_eq!(server.get(delete).status, 405);
    server.kill();

    let server = start(dir.path(), "data");
    assert_eq!((count(&server, "a", t), count(&server, "b", t)), (Some(7.0), Some(10.0)));
    // All of a series; it can come back.
    assert_eq!(server.post(delete, "match[]=m{job=\"b\"}").status, 204);
    assert_eq!(count(&server, "b", t), None);
    let again = body(&[series(&[("__name__", "m"), ("job", "b")], &[(t + 60_000, 1.0)])]);
    assert_eq!(write(&server, &again).unwrap().status, 204);
    assert_eq!(count(&server, "b", t), Some(1.0));
    server.stop();
}

fn entries(dir: &Path) -> Vec<PathBuf> {
    let mut all: Vec<PathBuf> =
        std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    all.sort();
    all
}

#[test]
fn snapshots_open_as_data_directories() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path(), "data");
    let t = now_ms() - 600_000;
    fill(&server, t);
    let snapshot = "/api/v1/admin/tsdb/snapshot";
    let bad = server.post(&format!("{snapshot}?skip_head=maybe"), "");
    assert_eq!(bad.status, 400);
    assert!(bad.text().contains("unable to parse boolean"), "{}", bad.text());
    let take = |query: &str| {
        let answer = server.post(&format!("{snapshot}{query}"), "").json();
        let name = answer["data"]["name"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned();
        let (stamp, random) = name.split_once('-').unwrap();
        assert!(stamp.len() == 16 && stamp.ends_with('Z') && stamp.as_bytes()[8] == b'T', "{name}");
        assert!(random.len() == 16 && random.bytes().all(|b| b.is_ascii_hexdigit()), "{name}");
        name
    };
    let (with, without) = (take(""), take("?skip_head=true"));
    let snapshots = dir.path().join("data/snapshots");
    let blocks = entries(&snapshots.join(&with));
    assert_eq!(blocks.len(), 1);
    let files: Vec<String> = entries(&blocks[0])
        .iter()
        .map(|p| p.file_name().unwrap().to_string_lossy().into_owned())
        .collect();
    assert_eq!(files, ["chunks", "index", "meta.json", "tombstones"]);
    assert!(entries(&snapshots.join(&without)).is_empty());
    server.stop();

    let server = start(dir.path(), &format!("data/snapshots/{with}"));
    assert_eq!((count(&server, "a", t), count(&server, "b", t)), (Some(10.0), Some(10.0)));
    let metas = server.get("/api/v1/status/tsdb/blocks").json();
    assert_eq!(metas["data"]["blocks"].as_array().unwrap().len(), 1);
    server.stop();
}
