//! The API: shapes, errors and headers, recorded from Prometheus 3.14.

use std::io::Read;

use crate::server::Server;
use crate::write::{body, now_ms, receiver, series, write};

/// Method and path, status, the whole body as the real server answers.
const ANSWERS: &[(&str, u16, &str)] = &[
    (
        "query?query=1&time=5.5",
        200,
        r#"{"status":"success","data":{"resultType":"scalar","result":[5.5,"1"]}}"#,
    ),
    (
        "query?query=%22a%3C%26%22&time=5",
        200,
        r#"{"status":"success","data":{"resultType":"string","result":[5,"a\u003c\u0026"]}}"#,
    ),
    (
        "query?query=vector(1)&time=5.5",
        200,
        r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[5.500,"1"]}]}}"#,
    ),
    (
        "query?query=1&timeout=0",
        503,
        r#"{"status":"error","errorType":"timeout","error":"query timed out in query execution"}"#,
    ),
    (
        "query?query=vector(1)&time=5",
        200,
        r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[5,"1"]}]}}"#,
    ),
    (
        "query?query=none&time=5",
        200,
        r#"{"status":"success","data":{"resultType":"vector","result":[]}}"#,
    ),
    (
        "query?query=1&time=x",
        400,
        r#"{"status":"error","errorType":"bad_data","error":"invalid parameter \"time\": invalid time value for 'time': cannot parse \"x\" to a valid timestamp"}"#,
    ),
    (
        "query?query=",
        400,
        r#"{"status":"error","errorType":"bad_data","error":"invalid parameter \"query\": unknown position: parse error: no expression found in input"}"#,
    ),
    (
        "query?query=up(",
        400,
        r#"{"status":"error","errorType":"bad_data","error":"invalid parameter \"query\": 1:4: parse error: unclosed left parenthesis"}"#,
    ),
    (
        "query?query=1&timeout=x",
        400,
        r#"{"status":"error","errorType":"bad_data","error":"invalid parameter \"timeout\": cannot parse \"x\" to a valid duration"}"#,
    ),
    (
        "query?query=1&lookback_delta=x",
        400,
        r#"{"status":"error","errorType":"bad_data","error":"error parsing lookback delta duration: cannot parse \"x\" to a valid duration"}"#,
    ),
    (
        "query?query=1&limit=-1",
        400,
        r#"{"status":"error","errorType":"bad_data","error":"invalid parameter \"limit\": limit must be non-negative"}"#,
    ),
    (
        "query?query=1&limit=x",
        400,
        r#"{"status":"error","errorType":"bad_data","error":"invalid parameter \"limit\": strconv.Atoi: parsing \"x\": invalid syntax"}"#,
    ),
    (
        "query_range?query=1",
        400,
        r#"{"status":"error","errorType":"bad_data","error":"invalid parameter \"start\": cannot parse \"\" to a valid timestamp"}"#,
    ),
    (
        "query_range?query=1&start=5&end=1&step=1",
        400,
        r#"{"status":"error","errorType":"bad_data","error":"invalid parameter \"end\": end timestamp must not be before start time"}"#,
    ),
    (
        "query_range?query=1&start=1&end=5&step=0",
        400,
        r#"{"status":"error","errorType":"bad_data","error":"invalid parameter \"step\": zero or negative query resolution step widths are not accepted. Try a positive integer"}"#,
    ),
    (
        "query_range?query=1&start=1&end=1000000000&step=1",
        400,
        r#"{"status":"error","errorType":"bad_data","error":"exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)"}"#,
    ),
    (
        "query_range?query=1&start=1&end=5&step=1m",
        200,
        r#"{"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"values":[[1,"1"]]}]}}"#,
    ),
    (
        "query_range?query=1&start=0&end=2&step=1e10",
        400,
        r#"{"status":"error","errorType":"bad_data","error":"invalid parameter \"step\": cannot parse \"1e10\" to a valid duration. It overflows int64"}"#,
    ),
    (
        "query_range?query=up[5m]&start=0&end=2&step=1",
        400,
        r#"{"status":"error","errorType":"bad_data","error":"invalid parameter \"query\": invalid expression type \"range vector\" for range query, must be Scalar or instant Vector"}"#,
    ),
    (
        "series",
        400,
        r#"{"status":"error","errorType":"bad_data","error":"no match[] parameter provided"}"#,
    ),
    (
        "series?match[]={}",
        400,
        r#"{"status":"error","errorType":"bad_data","error":"invalid parameter \"match[]\": match[] must contain at least one non-empty matcher"}"#,
    ),
    (
        "series?match[]=a{",
        400,
        r#"{"status":"error","errorType":"bad_data","error":"invalid parameter \"match[]\": 1:3: parse error: unexpected end of input inside braces"}"#,
    ),
    (
        "series?match[]=a&match[]=b",
        200,
        r#"{"status":"success","data":[{"__name__":"a","x":"1"},{"__name__":"a","x":"2"},{"__name__":"b"}]}"#,
    ),
    (
        "series?match[]=a&limit=1",
        200,
        r#"{"status":"success","data":[{"__name__":"a","x":"1"}],"warnings":["results truncated due to limit"]}"#,
    ),
    ("labels", 200, r#"{"status":"success","data":["__name__","x"]}"#),
    ("labels?match[]=b", 200, r#"{"status":"success","data":["__name__"]}"#),
    (
        "labels?match[]={}",
        400,
        r#"{"status":"error","errorType":"bad_data","error":"match[] must contain at least one non-empty matcher"}"#,
    ),
    (
        "labels?start=x",
        400,
        r#"{"status":"error","errorType":"bad_data","error":"invalid parameter \"start\": invalid time value for 'start': cannot parse \"x\" to a valid timestamp"}"#,
    ),
    ("label/x/values", 200, r#"{"status":"success","data":["1","2"]}"#),
    (
        "label/x/values?limit=1",
        200,
        r#"{"status":"success","data":["1"],"warnings":["results truncated due to limit"]}"#,
    ),
    ("label/nope/values", 200, r#"{"status":"success","data":[]}"#),
    (
        "status/tsdb?limit=0",
        400,
        r#"{"status":"error","errorType":"bad_data","error":"limit must be a positive number"}"#,
    ),
    (
        "status/tsdb?limit=20000",
        400,
        r#"{"status":"error","errorType":"bad_data","error":"limit must not exceed 10000"}"#,
    ),
    ("status/tsdb/blocks", 200, r#"{"status":"success","data":{"blocks":[]}}"#),
    ("metadata", 200, r#"{"status":"success","data":{}}"#),
    (
        "metadata?limit=x",
        400,
        r#"{"status":"error","errorType":"bad_data","error":"limit must be a number"}"#,
    ),
    (
        "targets",
        200,
        r#"{"status":"success","data":{"activeTargets":[],"droppedTargets":[],"droppedTargetCounts":{}}}"#,
    ),
    (
        "targets?state=active",
        200,
        r#"{"status":"success","data":{"activeTargets":[],"droppedTargets":[],"droppedTargetCounts":null}}"#,
    ),
    ("targets/metadata", 200, r#"{"status":"success","data":[]}"#),
    ("scrape_pools", 200, r#"{"status":"success","data":{"scrapePools":[]}}"#),
    (
        "alertmanagers",
        200,
        r#"{"status":"success","data":{"activeAlertmanagers":[],"droppedAlertmanagers":[]}}"#,
    ),
    ("alerts", 200, r#"{"status":"success","data":{"alerts":[]}}"#),
    ("rules", 200, r#"{"status":"success","data":{"groups":[]}}"#),
    (
        "rules?type=x",
        400,
        r#"{"status":"error","errorType":"bad_data","error":"invalid parameter \"type\": not supported value \"x\""}"#,
    ),
    ("query_exemplars?query=a", 200, r#"{"status":"success","data":[]}"#),
    ("query_exemplars?query=1", 204, ""),
    ("format_query?query=sum(a)by(x)", 200, r#"{"status":"success","data":"sum by (x) (a)"}"#),
    (
        "parse_query?query=1",
        200,
        r#"{"status":"success","data":{"type":"numberLiteral","val":"1"}}"#,
    ),
];

fn filled(dir: &std::path::Path) -> Server {
    let server = receiver(dir);
    let t = now_ms();
    let all = [
        series(&[("__name__", "a"), ("x", "1")], &[(t, 1.0)]),
        series(&[("__name__", "a"), ("x", "2")], &[(t, 2.0)]),
        series(&[("__name__", "b")], &[(t, 3.0)]),
    ];
    assert_eq!(write(&server, &body(&all)).unwrap().status, 204);
    server
}

#[test]
fn answers() {
    let dir = tempfile::tempdir().unwrap();
    let server = filled(dir.path());
    for (path, status, text) in ANSWERS {
        let answer = server.get(&format!("/api/v1/{path}"));
        assert_eq!((answer.text().as_str(), answer.status), (*text, *status), "{path}");
        if *status != 204 {
            assert_eq!(answer.header("content-type"), ["application/json"], "{path}");
        }
    }
    // Forms are the same as query strings, and win over them.
    let posted = server.post("/api/v1/query?query=a", "query=1%2B1&time=3");
    assert_eq!(
        posted.text(),
        r#"{"status":"success","data":{"resultType":"scalar","result":[3,"2"]}}"#
    );
    let admin = server.post("/api/v1/admin/tsdb/snapshot", "");
    assert_eq!(admin.status, 500);
    assert_eq!(
        admin.text(),
        r#"{"status":"error","errorType":"unavailable","error":"admin APIs disabled"}"#
    );
    server.stop();
}

#[test]
fn headers_and_encodings() {
    let dir = tempfile::tempdir().unwrap();
    let server = filled(dir.path());
    let plain = server.get("/api/v1/labels");
    assert_eq!(plain.header("vary").join(", "), "Origin, Accept-Encoding");
    assert_eq!(plain.header("access-control-allow-origin"), Vec::<&str>::new());
    let headers = [("Origin", "http://x"), ("Accept-Encoding", "gzip, deflate")];
    let answer = server.request("GET", "/api/v1/labels", &headers, b"").unwrap();
    assert_eq!(answer.header("access-control-allow-origin"), ["http://x"]);
    assert_eq!(answer.header("content-encoding"), ["gzip"]);
    let mut text = Vec::new();
    flate2::read::GzDecoder::new(&answer.body[..]).read_to_end(&mut text).unwrap();
    assert_eq!(text, plain.body);
    let options = server.request("OPTIONS", "/api/v1/any/thing", &headers, b"").unwrap();
    assert_eq!((options.status, options.body.len()), (204, 0));
    let metrics = server.request("GET", "/metrics", &headers, b"").unwrap();
    assert_eq!(metrics.header("content-encoding"), ["gzip"]);
    assert!(metrics.header("content-type")[0].starts_with("text/plain; version=0.0.4"));
    server.stop();
}

#[test]
fn a_long_answer_streams() {
    let dir = tempfile::tempdir().unwrap();
    let server = receiver(dir.path());
    let t = now_ms();
    let all: Vec<Vec<u8>> = (0..3000)
        .map(|i: i32| series(&[("__name__", "many"), ("i", &i.to_string())], &[(t, f64::from(i))]))
        .collect();
    assert_eq!(write(&server, &body(&all)).unwrap().status, 204);
    let path = format!("/api/v1/query?query=many&time={}", t / 1000);
    let plain = server.get(&path);
    assert_eq!(plain.header("transfer-encoding"), ["chunked"]);
    assert_eq!(plain.json()["data"]["result"].as_array().unwrap().len(), 3000);
    let gzip = server.request("GET", &path, &[("Accept-Encoding", "gzip")], b"").unwrap();
    let mut text = Vec::new();
    flate2::read::GzDecoder::new(&gzip.body[..]).read_to_end(&mut text).unwrap();
    assert_eq!(text, plain.body);
    let limited = server.get(&format!("{path}&limit=2")).json();
    assert_eq!(limited["data"]["result"].as_array().unwrap().len(), 2);
    assert_eq!(limited["warnings"][0], "results truncated due to limit");
    server.stop();
}

#[test]
fn status_shapes() {
    let dir = tempfile::tempdir().unwrap();
    let server = filled(dir.path());
    let build = server.get("/api/v1/status/buildinfo").json();
    assert_eq!(build["data"]["version"], "3.14.0");
    let flags = server.get("/api/v1/status/flags").json();
    for (flag, value) in [
        ("storage.tsdb.retention.time", "15d"),
        ("storage.tsdb.max-block-duration", "1d12h"),
        ("storage.tsdb.min-block-duration", "2h"),
        ("web.enable-remote-write-receiver", "true"),
        ("web.route-prefix", "/"),
        ("storage.remote.read-sample-limit", "50000000"),
    ] {
        assert_eq!(flags["data"][flag], value, "{flag}");
    }
    let runtime = server.get("/api/v1/status/runtimeinfo").json();
    assert_eq!(runtime["data"]["reloadConfigSuccess"], true);
    assert_eq!(runtime["data"]["storageRetention"], "15d");
    let tsdb = server.get("/api/v1/status/tsdb").json();
    assert_eq!(tsdb["data"]["headStats"]["numSeries"], 3);
    assert_eq!(tsdb["data"]["seriesCountByMetricName"][0]["name"], "a");
    let metrics = server.get("/metrics").text();
    for name in [
        "prometheus_build_info{",
        "epimetheus_build_info{",
        "prometheus_ready 1",
        "prometheus_tsdb_head_series 3",
        "prometheus_tsdb_head_samples_appended_total{type=\"float\"} 3",
        "prometheus_http_requests_total{code=\"204\",handler=\"/api/v1/write\"} 1",
        "prometheus_engine_queries_concurrent_max 20",
        "process_resident_memory_bytes ",
        "prometheus_target_scrape_pools_total 0",
    ] {
        assert!(metrics.contains(name), "{name}");
    }
    server.stop();
}
