//! Queries under way: seen, written down, logged, stopped by their time, their client or their id.

use std::io::Write;
use std::net::TcpStream;
use std::path::Path;

use serde_json::{Value, json};

use crate::http::request;
use crate::server::Server;

/// Billions of samples, in pieces of a few milliseconds: every window is gone through from its start.
const MONSTER: &str = "stddev_over_time(vector(time())[2d:1s])";

fn monster() -> String {
    let query = MONSTER.replace(' ', "%20");
    format!("/api/v1/query_range?query={query}&start=1700000000&end=1700010999&step=1")
}

fn start(dir: &Path, config: &str, flags: &[&str]) -> Server {
    std::fs::write(dir.join("prometheus.yml"), config).unwrap();
    Server::start(dir, flags)
}

/// Sends a request without waiting for its answer.
fn send(server: &Server, path: &str) -> TcpStream {
    let mut stream = TcpStream::connect(server.address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    stream
}

fn active(server: &Server) -> Vec<Value> {
    let answer = server.get("/api/v1/status/active_queries").json();
    answer["data"]["queries"].as_array().unwrap().clone()
}

/// Waits until this many queries are in these states.
fn wait_for_states(server: &Server, states: &[&str]) -> Vec<Value> {
    let mut found = Vec::new();
    server.wait_until(&format!("queries {states:?}"), || {
        found = active(server);
        found.iter().map(|q| q["state"].as_str().unwrap()).collect::<Vec<_>>() == states
    });
    found
}

fn error(status: u16, kind: &str, text: &str) -> (u16, Value) {
    (status, json!({"status": "error", "errorType": kind, "error": text}))
}

#[test]
fn a_client_that_leaves_ends_its_query() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path(), "", &["--query.max-concurrency=1"]);
    let running = send(&server, &monster());
    let query = wait_for_states(&server, &["running"]).remove(0);
    assert_eq!(
        (&query["query"], &query["kind"], &query["client"]),
        (&json!(MONSTER), &json!("range"), &json!("127.0.0.1"))
    );
    server.wait_until("memory", || active(&server)[0]["heldBytes"].as_u64() > Some(1_000_000));
    let waiting = send(&server, "/api/v1/query?query=1");
    wait_for_states(&server, &["running", "waiting"]);
    let metrics = server.get("/metrics").text();
    assert!(metrics.lines().any(|l| l == "prometheus_engine_queries 2"), "{metrics}");
    drop(waiting);
    wait_for_states(&server, &["running"]);
    drop(running);
    wait_for_states(&server, &[]);
    let answer = server.get("/api/v1/status/active_queries").json();
    assert_eq!(answer["data"]["heldBytes"], 0);
    // Its slot is free.
    assert_eq!(server.get("/api/v1/query?query=1").status, 200);
    server.stop();
}

#[test]
fn time_is_up() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path(), "", &["--query.max-concurrency=1"]);
    let answer = server.get(&format!("{}&timeout=50ms", monster()));
    let text = "query timed out in expression evaluation";
    assert_eq!((answer.status, answer.json()), error(503, "timeout", text));
    let running = send(&server, &monster());
    wait_for_states(&server, &["running"]);
    let answer = server.get("/api/v1/query?query=1&timeout=50ms");
    let text = "invalid parameter \"query\": context deadline exceeded";
    assert_eq!((answer.status, answer.json()), error(400, "bad_data", text));
    drop(running);
    wait_for_states(&server, &[]);
    server.stop();

    let server = start(dir.path(), "", &["--query.timeout=50ms"]);
    let answer = server.get(&monster());
    let text = "query timed out in expression evaluation";
    assert_eq!((answer.status, answer.json()), error(503, "timeout", text));
    server.stop();
}

/// The server's own limit passes while a query waits, which is an error of its execution. What holds
/// the slot longer than that limit is being parsed: that cannot be stopped.
#[test]
fn time_is_up_in_the_queue() {
    let dir = tempfile::tempdir().unwrap();
    let config = "global:\n  query_log_file: q.log\n";
    let flags = ["--query.max-concurrency=1", "--query.timeout=50ms"];
    let server = start(dir.path(), config, &flags);
    let matchers: Vec<String> = (0..8000).map(|i| format!("a=~\"(b|c{i})*d\"")).collect();
    let slow = format!("query=x{{{}}}", matchers.join(","));
    let address = server.address;
    let form = [("Content-Type", "application/x-www-form-urlencoded")];
    let running = std::thread::spawn(move || {
        request(address, "POST", "/api/v1/query", &form, slow.as_bytes()).unwrap().status
    });
    wait_for_states(&server, &["running"]);
    let answer = server.get("/api/v1/query?query=1");
    let text = "context deadline exceeded";
    assert_eq!((answer.status, answer.json()), error(422, "execution", text));
    assert_eq!(running.join().unwrap(), 503);
    let log = lines(&dir.path().join("q.log"));
    assert_eq!((&log[0]["params"]["query"], &log[0]["error"]), (&json!("1"), &json!(text)));
    // The slot is free again.
    assert_eq!(server.get("/api/v1/query?query=1").status, 200);
    server.stop();
}

#[test]
fn canceled_by_id() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path(), "", &[]);
    let off = error(500, "unavailable", "admin APIs disabled");
    let answer = server.post("/api/v1/admin/queries/1/cancel", "");
    assert_eq!((answer.status, answer.json()), off);
    server.stop();

    let flags = ["--query.max-concurrency=1", "--web.enable-admin-api"];
    let server = start(dir.path(), "", &flags);
    let cancel = |id: &str| server.post(&format!("/api/v1/admin/queries/{id}/cancel"), "");
    let address = server.address;
    let ask = |path: String| {
        std::thread::spawn(move || {
            let answer = request(address, "GET", &path, &[], b"").unwrap();
            (answer.status, answer.json())
        })
    };
    let running = ask(monster());
    let first = wait_for_states(&server, &["running"]).remove(0)["id"].to_string();
    let waiting = ask("/api/v1/query?query=2".to_owned());
    let second = wait_for_states(&server, &["running", "waiting"]).remove(1)["id"].to_string();
    assert_eq!(cancel(&second).status, 204);
    assert_eq!(waiting.join().unwrap(), error(499, "canceled", "context canceled"));
    assert_eq!(cancel(&first).status, 204);
    let text = "query was canceled in expression evaluation";
    assert_eq!(running.join().unwrap(), error(499, "canceled", text));
    wait_for_states(&server, &[]);
    for id in [first.as_str(), "77", "x", "-1"] {
        let answer = cancel(id);
        let text = format!("no query with id \"{id}\" is waiting or running");
        assert_eq!((answer.status, answer.json()), error(404, "not_found", &text));
    }
    server.stop();
}

#[test]
fn a_crash_leaves_the_queries_under_way() {
    let dir = tempfile::tempdir().unwrap();
    let flags = ["--query.max-concurrency=3"];
    let server = start(dir.path(), "", &flags);
    let path = dir.path().join("data/queries.active");
    let empty: Vec<u8> = std::iter::once(b'[').chain([0; 3000]).collect();
    assert_eq!(std::fs::read(&path).unwrap(), empty);
    let running = send(&server, &monster());
    wait_for_states(&server, &["running"]);
    let object = format!("[{{\"query\":\"{MONSTER}\",\"timestamp_sec\":");
    let bytes = std::fs::read(&path).unwrap();
    assert!(bytes.starts_with(object.as_bytes()), "{}", String::from_utf8_lossy(&bytes));
    assert_eq!((bytes.len(), bytes[1000]), (3001, b','));
    server.kill();
    drop(running);

    let said = "These queries didn't finish in prometheus' last run:";
    let server = Server::start(dir.path(), &flags);
    let line = server.wait_for(said);
    assert!(line.contains("component=activeQueryTracker queries=\"[{\\\"query\\\":"), "{line}");
    assert!(line.contains(MONSTER) && line.ends_with("}]\""), "{line}");
    assert_eq!(std::fs::read(&path).unwrap(), empty);
    // A stop in order leaves nothing, even with a query under way.
    let running = send(&server, &monster());
    wait_for_states(&server, &["running"]);
    server.stop();
    drop(running);
    assert_eq!(std::fs::read(&path).unwrap(), empty);
    let server = Server::start(dir.path(), &flags);
    assert!(!server.logged(said));
    server.stop();
}

fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn the_query_log_follows_the_configuration() {
    let dir = tempfile::tempdir().unwrap();
    let config = "global:\n  query_log_file: q.log\n";
    let server = start(dir.path(), config, &["--web.enable-lifecycle"]);
    let log = dir.path().join("q.log");
    let get = |path: &str| {
        let trace = "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01";
        server.request("GET", path, &[("traceparent", trace)], b"").unwrap();
    };
    get("/api/v1/query_range?query=vector(1)%2B1&start=1.5&end=61.5&step=1.5");
    get("/api/v1/query?query=1%2B");
    get("/api/v1/query?query=label_replace(vector(1),%22x%22,%22%22,%22a%22,%22(%22)&time=5");
    server.post("/api/v1/query", "query=1");
    let all = lines(&log);
    assert_eq!(all.len(), 3, "{all:?}");
    let params = json!({"query": "vector(1)+1", "start": "1970-01-01T00:00:01.500Z",
        "end": "1970-01-01T00:01:01.500Z", "step": 1});
    assert_eq!((&all[0]["params"], &all[0]["level"]), (&params, &json!("INFO")));
    assert_eq!(all[0]["msg"], "promql query logged");
    assert_eq!(all[0]["spanID"], "0123456789abcdef");
    assert_eq!(all[0]["traceID"], "0123456789abcdef0123456789abcdef");
    let request = json!({"clientIP": "127.0.0.1", "method": "GET", "path": "/api/v1/query_range"});
    assert_eq!((&all[0]["httpRequest"], all[0].get("error")), (&request, None));
    assert!(all[0]["stats"]["timings"]["execTotalTime"].as_f64() > Some(0.0));
    assert_eq!(all[1]["error"], "invalid regular expression in label_replace(): (");
    assert_eq!(all[2]["httpRequest"]["method"], "POST");
    assert_eq!(all[2]["traceID"], "0".repeat(32));

    // Moved away: written on until a reload opens the name again.
    let moved = dir.path().join("q.log.1");
    std::fs::rename(&log, &moved).unwrap();
    get("/api/v1/query?query=1");
    assert_eq!(server.post("/-/reload", "").status, 200);
    get("/api/v1/query?query=1");
    assert_eq!((lines(&moved).len(), lines(&log).len()), (4, 1));
    let metric = |line: &str| server.get("/metrics").text().lines().any(|l| l == line);
    assert!(metric("prometheus_engine_query_log_enabled 1"));

    // A file that cannot be opened fails the reload; the old one stays.
    let file = dir.path().join("prometheus.yml");
    std::fs::write(&file, "global:\n  query_log_file: none/q.log\n").unwrap();
    assert_eq!(server.post("/-/reload", "").status, 500);
    let why = "can't create json log file: open none/q.log: no such file or directory";
    server.wait_for(why);
    get("/api/v1/query?query=1");
    assert_eq!(lines(&log).len(), 2);

    std::fs::write(&file, "").unwrap();
    assert_eq!(server.post("/-/reload", "").status, 200);
    get("/api/v1/query?query=1");
    assert_eq!(lines(&log).len(), 2);
    assert!(metric("prometheus_engine_query_log_enabled 0"));
    assert!(metric("prometheus_engine_query_log_failures_total 0"));
    let counted = "prometheus_engine_query_duration_histogram_seconds_count";
    assert!(metric(&format!("{counted}{{slice=\"inner_eval\"}} 7")));
    assert!(metric(&format!("{counted}{{slice=\"result_sort\"}} 0")));
    server.stop();
}

#[test]
fn the_heaviest_queries_are_listed() {
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path(), "", &[]);
    for query in ["vector(1)%2B1", "vector(1)%20%20%2B%201", "1", "nonsense)"] {
        server.get(&format!("/api/v1/query?query={query}"));
    }
    server.get(&format!("{}&timeout=1ms", monster()));
    let top = server.get("/api/v1/status/top_queries").json()["data"].clone();
    for list in ["byTime", "byBytes", "bySamples"] {
        let list = top[list].as_array().unwrap();
        let count = |query: &str| {
            let found = list.iter().find(|q| q["query"] == query);
            found.map(|q| (q["count"].as_u64().unwrap(), q["failures"].as_u64().unwrap()))
        };
        assert_eq!(count("1"), Some((1, 0)), "{top}");
        assert_eq!(count("vector(1) + 1"), Some((2, 0)), "{top}");
        assert_eq!(count(MONSTER), Some((1, 1)), "{top}");
    }
    let one = server.get("/api/v1/status/top_queries?limit=1").json()["data"].clone();
    assert_eq!(one["byTime"].as_array().unwrap().len(), 1);
    for (limit, text) in [
        ("0", "limit must be a positive number"),
        ("x", "limit must be a positive number"),
        ("501", "limit must not exceed 500"),
    ] {
        let answer = server.get(&format!("/api/v1/status/top_queries?limit={limit}"));
        assert_eq!((answer.status, answer.json()), error(400, "bad_data", text));
    }
    server.stop();
}
