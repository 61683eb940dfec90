//! Remote write: what is acknowledged can be queried, what is refused says why.

use std::path::Path;

use serde_json::json;

use crate::http::Answer;
use crate::server::Server;

/// Now, in milliseconds, on a whole second.
pub fn now_ms() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(now.as_secs()).unwrap() * 1000
}

fn varint(out: &mut Vec<u8>, mut v: u64) {
    while v >= 0x80 {
        out.push(v as u8 | 0x80);
        v >>= 7;
    }
    out.push(v as u8);
}

/// A length-delimited field.
pub fn field(out: &mut Vec<u8>, number: u64, bytes: &[u8]) {
    varint(out, number << 3 | 2);
    varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// A time series message: labels, then (time, value) samples.
pub fn series(labels: &[(&str, &str)], samples: &[(i64, f64)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, value) in labels {
        let mut label = Vec::new();
        field(&mut label, 1, name.as_bytes());
        field(&mut label, 2, value.as_bytes());
        field(&mut out, 1, &label);
    }
    for (t, v) in samples {
        let mut sample = vec![0x09];
        sample.extend_from_slice(&v.to_le_bytes());
        sample.push(0x10);
        varint(&mut sample, *t as u64);
        field(&mut out, 2, &sample);
    }
    out
}

/// A request body of these series.
pub fn body(all: &[Vec<u8>]) -> Vec<u8> {
    let mut out = Vec::new();
    for series in all {
        field(&mut out, 1, series);
    }
    snap::raw::Encoder::new().compress_vec(&out).unwrap()
}

pub const HEADERS: [(&str, &str); 3] = [
    ("Content-Type", "application/x-protobuf"),
    ("Content-Encoding", "snappy"),
    ("X-Prometheus-Remote-Write-Version", "0.1.0"),
];

pub fn write(server: &Server, body: &[u8]) -> Option<Answer> {
    server.request("POST", "/api/v1/write", &HEADERS, body)
}

/// An empty configuration and a server that takes remote writes.
pub fn receiver(dir: &Path) -> Server {
    std::fs::write(dir.join("prometheus.yml"), "").unwrap();
    Server::start(dir, &["--web.enable-remote-write-receiver"])
}

#[test]
fn what_is_written_is_there() {
    let dir = tempfile::tempdir().unwrap();
    let server = receiver(dir.path());
    let t = now_ms();
    let up = [("__name__", "up"), ("instance", "<b>"), ("job", "j")];
    let unsorted = [("job", "k"), ("__name__", "up")];
    let all = [series(&up, &[(t - 1000, 1.0), (t, 0.5)]), series(&unsorted, &[(t, f64::NAN)])];
    let answer = write(&server, &body(&all)).unwrap();
    assert_eq!((answer.status, answer.text().as_str()), (204, ""));
    let found = server.get(&format!("/api/v1/query?query=up{{job=%22j%22}}[5m]&time={}", t / 1000));
    assert_eq!(
        found.text(),
        format!(
            "{{\"status\":\"success\",\"data\":{{\"resultType\":\"matrix\",\"result\":[{{\"metric\":\
             {{\"__name__\":\"up\",\"instance\":\"<b>\",\"job\":\"j\"}},\"values\":[[{},\"1\"],\
             [{},\"0.5\"]]}}]}}}}",
            t / 1000 - 1,
            t / 1000
        )
    );
    assert_eq!(server.get("/api/v1/label/job/values").json()["data"], json!(["j", "k"]));
    assert_eq!(server.get("/api/v1/labels").json()["data"], json!(["__name__", "instance", "job"]));
    let series = server.post("/api/v1/series", "match[]=up{job=\"k\"}").json();
    assert_eq!(series["data"], json!([{"__name__": "up", "job": "k"}]));
    server.stop();
    // And again after a restart.
    let server = receiver(dir.path());
    let found = server.get(&format!("/api/v1/query?query=up&time={}", t / 1000)).json();
    assert_eq!(found["data"]["result"].as_array().unwrap().len(), 2);
    server.stop();
}

#[test]
fn refusals_name_the_reason() {
    let dir = tempfile::tempdir().unwrap();
    let server = receiver(dir.path());
    let t = now_ms();
    let up = [("__name__", "up")];
    let one = |t: i64, v: f64| {
        body(&[series(&[("__name__", "other")], &[(t, v)]), series(&up, &[(t, v)])])
    };
    assert_eq!(write(&server, &one(t, 1.0)).unwrap().status, 204);
    for (body, status, text) in [
        (one(t - 1000, 1.0), 400, "out of order sample\n"),
        (one(t, 2.0), 400, "duplicate sample for timestamp\n"),
        (one(t - 86_400_000, 1.0), 400, "out of bounds\n"),
        (one(t + 3_600_000, 1.0), 400, "out of bounds: timestamp is too far in the future\n"),
        (b"".to_vec(), 400, "s2: corrupt input\n"),
        (
            b"\xff\xff\xff\xff\x0fabc".to_vec(),
            400,
            "decoded size exceeds the 33554432 bytes limit\n",
        ),
        (snap::raw::Encoder::new().compress_vec(b"\x0a\x7f").unwrap(), 400, "unexpected EOF\n"),
    ] {
        let answer = write(&server, &body).unwrap();
        assert_eq!((answer.status, answer.text().as_str()), (status, text));
    }
    // The same sample again is no error, and invalid labels only lose their own series.
    assert_eq!(write(&server, &one(t, 1.0)).unwrap().status, 204);
    let mixed = [
        series(&[("job", "nameless")], &[(t, 1.0)]),
        series(&[("__name__", "a"), ("x", "1"), ("x", "2")], &[(t, 1.0)]),
        series(&[("__name__", "good")], &[(t, 1.0)]),
    ];
    assert_eq!(write(&server, &body(&mixed)).unwrap().status, 204);
    assert_eq!(
        server.get("/api/v1/label/__name__/values").json()["data"],
        json!(["good", "other", "up"])
    );
    for (content_type, encoding, text) in [
        ("text/plain", "snappy", "expected application/x-protobuf as the first (media) part"),
        ("application/x-protobuf", "gzip", "gzip encoding (compression) is not accepted"),
        ("application/x-protobuf;proto=x", "", "unknown type for remote write protobuf message x"),
        (
            "application/x-protobuf;proto=io.prometheus.write.v2.Request",
            "snappy",
            "io.prometheus.write.v2.Request protobuf message is not accepted by this server; only \
             accepts prometheus.WriteRequest",
        ),
    ] {
        let headers = [("Content-Type", content_type), ("Content-Encoding", encoding)];
        let empty = snap::raw::Encoder::new().compress_vec(b"").unwrap();
        let answer = server.request("POST", "/api/v1/write", &headers, &empty).unwrap();
        assert_eq!(answer.status, 415);
        assert!(answer.text().contains(text), "{}", answer.text());
    }
    assert_eq!(server.get("/api/v1/write").status, 405);
    server.stop();
}

#[test]
fn off_by_default() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("prometheus.yml"), "").unwrap();
    let server = Server::start(dir.path(), &[]);
    let answer = write(&server, b"x").unwrap();
    assert_eq!(answer.status, 404);
    assert!(answer.text().contains("--web.enable-remote-write-receiver"));
}
