//! Limits of the head from outside: what is refused, what goes on, and where it can be seen.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;

use crate::server::Server;
use crate::write::{body, now_ms, series, write};

/// A target with as many series `grows{i="…"}` as `count` says, and one named `steady`.
pub fn target(count: &Arc<AtomicUsize>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let count = Arc::clone(count);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { continue };
            let _ = stream.read(&mut [0; 4096]);
            let mut text = "steady 1\n".to_owned();
            for i in 0..count.load(Ordering::SeqCst) {
                writeln!(text, "grows{{i=\"{i}\"}} {i}").unwrap();
            }
            let head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\n";
            let _ = write!(
                stream,
                "{head}Connection: close\r\nContent-Length: {}\r\n\r\n{text}",
                text.len()
            );
        }
    });
    address
}

/// The value of the first series of an instant query.
pub fn value(server: &Server, query: &str) -> Option<f64> {
    let answer = server.post("/api/v1/query", &format!("query={query}")).json();
    answer["data"]["result"][0]["value"][1].as_str().and_then(|v| v.parse().ok())
}

#[test]
fn a_scrape_above_the_limit_keeps_what_it_had() {
    let dir = tempfile::tempdir().unwrap();
    let count = Arc::new(AtomicUsize::new(5));
    let config = format!(
        "scrape_configs:\n- job_name: j\n  scrape_interval: 500ms\n  scrape_timeout: 500ms\n  \
         static_configs:\n  - targets: ['{}']\n",
        target(&count)
    );
    std::fs::write(dir.path().join("prometheus.yml"), config).unwrap();
    let server = Server::start(dir.path(), &["--storage.head.max-series=20"]);
    server.wait_for("max_series=20");
    server.wait_until("the first scrape", || value(&server, "count(grows)") == Some(5.0));
    assert!(!server.get("/api/v1/targets").text().contains("lastWarning"));
    assert_eq!(server.get("/api/v1/status/tsdb").json()["data"]["headLimits"]["refusing"], false);

    count.store(100, Ordering::SeqCst);
    // Six scraped and five own series are there, so nine fit in.
    server.wait_until("the limit", || value(&server, "count(grows)") == Some(14.0));
    server.wait_until("a warning", || server.get("/api/v1/targets").text().contains("lastWarning"));
    let target = server.get("/api/v1/targets").json()["data"]["activeTargets"][0].clone();
    assert_eq!((&target["health"], &target["lastError"]), (&json!("up"), &json!("")));
    let warning = target["lastWarning"].as_str().unwrap();
    assert_eq!(warning, "86 new series refused: head series limit 20 reached");
    assert_eq!(value(&server, "up"), Some(1.0));
    let at = value(&server, "timestamp(steady)").unwrap();
    server.wait_until("another scrape", || value(&server, "timestamp(steady)").unwrap() > at);

    let limits = server.get("/api/v1/status/tsdb").json()["data"]["headLimits"].clone();
    assert_eq!((&limits["maxSeries"], &limits["series"]), (&json!(20), &json!(20)));
    assert_eq!(limits["refusing"], true);
    assert_eq!(limits["refused"][0]["metric"], "grows");
    assert_eq!(limits["refused"][0]["job"], "j");
    let metrics = server.get("/metrics").text();
    for line in ["epimetheus_head_limit_series 20", "epimetheus_head_refusing 1"] {
        assert!(metrics.lines().any(|l| l == line), "{line}");
    }
    assert!(metrics.contains("epimetheus_head_refused_series_total{job=\"j\",metric=\"grows\"} "));
    server.stop();

    // Below the number of series that are there: they are read and go on, `up` does too.
    let server = Server::start(dir.path(), &["--storage.head.max-series=3"]);
    let at = value(&server, "timestamp(steady)").unwrap();
    server.wait_until("a scrape", || value(&server, "timestamp(steady)").unwrap() > at);
    assert_eq!(value(&server, "count(grows)"), Some(14.0));
    assert_eq!(value(&server, "up"), Some(1.0));
    server.stop();
}

#[test]
fn remote_write_stores_the_rest() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("prometheus.yml"), "").unwrap();
    let flags = ["--web.enable-remote-write-receiver", "--storage.head.max-series=10"];
    let server = Server::start(dir.path(), &flags);
    let t = now_ms();
    let request = |n: usize, t: i64| {
        let all: Vec<Vec<u8>> = (0..n)
            .map(|i| {
                let i = format!("{i:02}");
                series(&[("__name__", "m"), ("i", &i), ("job", "push")], &[(t, 1.0)])
            })
            .collect();
        body(&all)
    };
    assert_eq!(write(&server, &request(8, t)).unwrap().status, 204);
    let answer = write(&server, &request(25, t + 1000)).unwrap();
    let names: Vec<String> =
        (10..20).map(|i| format!("{{__name__=\"m\", i=\"{i}\", job=\"push\"}}")).collect();
    assert_eq!(
        (answer.status, answer.text()),
        (
            400,
            format!(
                "head series limit 10 reached: 15 new series refused, the rest was stored: {} and \
                 5 more\n",
                names.join(", ")
            )
        )
    );
    let at = format!("&time={}", t / 1000 + 1);
    assert_eq!(value(&server, &format!("count(m){at}")), Some(10.0));
    assert_eq!(value(&server, &format!("sum(count_over_time(m[1m])){at}")), Some(18.0));
    assert_eq!(write(&server, &request(10, t + 2000)).unwrap().status, 204);
    server.stop();
}

/// A query over its memory fails by name; others go on.
#[test]
fn queries_hold_limited_memory() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("prometheus.yml"), "").unwrap();
    let t = now_ms();
    let all: Vec<Vec<u8>> = (0..200)
        .map(|i| series(&[("__name__", "m"), ("i", &i.to_string())], &[(t, 1.0)]))
        .collect();
    let at = format!("time={}", t / 1000 + 1);
    for (flag, limit) in [
        ("--query.max-bytes=10000", "limit of one query, 10000 bytes"),
        ("--query.total-max-bytes=10000", "limit of all, 10000 bytes"),
    ] {
        let server = Server::start(dir.path(), &["--web.enable-remote-write-receiver", flag]);
        server.wait_for("Limits of queries (0: none)");
        assert_eq!(write(&server, &body(&all)).unwrap().status, 204);
        for _ in 0..3 {
            let answer = server.get(&format!("/api/v1/query?query=sort(m)&{at}"));
            let json = answer.json();
            assert_eq!((answer.status, &json["errorType"]), (422, &json!("execution")));
            let error = json["error"].as_str().unwrap();
            assert!(error.contains("selector m") && error.contains(limit), "{error}");
        }
        // What failed has given everything back.
        assert_eq!(value(&server, &format!("m{{i=\"7\"}}&{at}")), Some(1.0));
        server.stop();
    }
}
