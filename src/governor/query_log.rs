//! QueryLog: `global.query_log_file`, a line of JSON for every query that was evaluated, as
//! Prometheus writes it: what was asked, how it ended, what it took, who asked.
//!
//! Lines are written whole, one write each, at the end of the file, so those of different threads
//! never mix and a file that was moved away is written on until the next reload opens its name again.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use arc_swap::ArcSwapOption;
use promql::Statistics;

use super::Timings;
use super::origin::Origin;
use super::running::Asked;
use crate::api::json::push_uint;
use crate::api::result::push_stats;
use crate::telemetry::metrics::{Counter, Gauge, Registry};
use crate::{gotext, gotime};

/// A query that has ended.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    pub asked: &'a Asked,
    pub error: Option<&'a str>,
    pub timings: Timings,
    pub stats: &'a Statistics,
}

/// The log; without a file nothing is written.
#[derive(Debug)]
pub struct QueryLog {
    file: ArcSwapOption<File>,
    enabled: Arc<Gauge>,
    failures: Arc<Counter>,
    /// Whether the last write failed.
    failing: AtomicBool,
}

impl QueryLog {
    /// A log without a file.
    pub fn new(registry: &Registry) -> QueryLog {
        QueryLog {
            file: ArcSwapOption::empty(),
            enabled: registry
                .gauge("prometheus_engine_query_log_enabled", "State of the query log."),
            failures: registry.counter(
                "prometheus_engine_query_log_failures_total",
                "The number of query log failures.",
            ),
            failing: AtomicBool::new(false),
        }
    }

    /// Writes to `path` from now on, or nowhere when it is empty. The same path is opened anew. When
    /// it cannot be opened nothing changes.
    pub fn set(&self, path: &str) -> Result<(), String> {
        if path.is_empty() {
            self.file.store(None);
            self.enabled.set(0.0);
            return Ok(());
        }
        let file = OpenOptions::new().append(true).create(true).open(path).map_err(|e| {
            format!("can't create json log file: open {path}: {}", gotext::os_error(&e))
        })?;
        self.file.store(Some(Arc::new(file)));
        self.enabled.set(1.0);
        Ok(())
    }

    /// Whether lines are written.
    pub fn is_on(&self) -> bool {
        self.file.load().is_some()
    }

    /// Writes a line. What fails is counted, and said when it begins.
    pub fn write(&self, entry: &Entry<'_>) {
        let file = self.file.load();
        let Some(file) = file.as_deref() else { return };
        let line = line(gotime::unix_nanos(SystemTime::now()), entry);
        let outcome = { file }.write_all(&line);
        let failing = outcome.is_err();
        if let Err(e) = outcome {
            self.failures.inc();
            if !self.failing.load(Ordering::Relaxed) {
                tracing::error!(err = gotext::os_error(&e), "can't log query");
            }
        }
        self.failing.store(failing, Ordering::Relaxed);
    }
}

fn line(now: i128, entry: &Entry<'_>) -> Vec<u8> {
    let Asked { query, at, origin, trace } = entry.asked;
    let mut out = Vec::with_capacity(1024);
    let text = |out: &mut Vec<u8>, before: &str, value: &str| {
        out.extend_from_slice(before.as_bytes());
        push_json(out, value);
    };
    let time = |ms: i64| gotime::rfc3339_millis(i128::from(ms) * 1_000_000);
    text(&mut out, "{\"time\":", &gotime::rfc3339_nano(now));
    out.extend_from_slice(b",\"level\":\"INFO\"");
    text(&mut out, ",\"source\":", concat!("query_log.rs:", line!()));
    text(&mut out, ",\"msg\":\"promql query logged\",\"params\":{\"end\":", &time(at.end_ms));
    text(&mut out, ",\"query\":", query);
    text(&mut out, ",\"start\":", &time(at.start_ms));
    out.extend_from_slice(b",\"step\":");
    push_uint(&mut out, (at.step_ms / 1000).unsigned_abs());
    out.push(b'}');
    if let Some(error) = entry.error {
        text(&mut out, ",\"error\":", error);
    }
    let stats = out.len();
    push_stats(&mut out, entry.stats, entry.timings);
    shorten_exponents(&mut out, stats);
    text(&mut out, ",\"spanID\":", &trace.span_id);
    text(&mut out, ",\"traceID\":", &trace.trace_id);
    match origin {
        Origin::Http { method, path, .. } => {
            text(&mut out, ",\"httpRequest\":{\"clientIP\":", &origin.name());
            text(&mut out, ",\"method\":", method);
            text(&mut out, ",\"path\":", path);
        }
        Origin::Rule { file, group } => {
            text(&mut out, ",\"ruleGroup\":{\"file\":", file);
            text(&mut out, ",\"name\":", group);
        }
    }
    out.extend_from_slice(b"}}\n");
    out
}

/// Small numbers end in `e-07` in the API and in `e-7` here: Prometheus writes them with different
/// encoders.
fn shorten_exponents(out: &mut Vec<u8>, from: usize) {
    while let Some(at) = out[from..].windows(3).position(|w| w == b"e-0") {
        out.remove(from + at + 2);
    }
}

fn push_json(out: &mut Vec<u8>, text: &str) {
    let mut escaped = String::with_capacity(text.len() + 2);
    text.chars().for_each(|c| push_json_char(&mut escaped, c, false));
    out.push(b'"');
    out.extend_from_slice(escaped.as_bytes());
    out.push(b'"');
}

/// Appends a character of a JSON string as Go's encoder writes it, with or without its escapes for
/// HTML.
pub(super) fn push_json_char(out: &mut String, c: char, html: bool) {
    match c {
        '"' => out.push_str("\\\""),
        '\\' => out.push_str("\\\\"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        '\u{8}' => out.push_str("\\b"),
        '\u{c}' => out.push_str("\\f"),
        '<' | '>' | '&' if !html => out.push(c),
        '\0'..'\u{20}' | '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
            out.push_str(&format!("\\u{:04x}", u32::from(c)));
        }
        c => out.push(c),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::governor::origin::Trace;
    use promql::EvalTime;
    use std::time::Duration;

    fn asked(origin: Origin) -> Asked {
        Asked {
            query: "m{a=\"<\u{1}\u{8}\u{2028}é\"}".to_owned(),
            at: EvalTime { start_ms: 1_500, end_ms: 61_500, step_ms: 15_500 },
            origin,
            trace: Trace::default(),
        }
    }

    /// A line without where it comes from.
    fn shown(origin: Origin, error: Option<&str>) -> String {
        let timings = Timings {
            queued: Duration::from_nanos(500),
            prepared: Duration::from_millis(2),
            evaluated: Duration::from_millis(250),
        };
        let stats = &Statistics { samples_read: 7, peak_samples: 9, ..Statistics::default() };
        let entry = Entry { asked: &asked(origin), error, timings, stats };
        let line = String::from_utf8(line(1_795_225_289_125_000_000, &entry)).unwrap();
        assert!(serde_json::from_str::<serde_json::Value>(&line).is_ok(), "{line}");
        let (before, rest) = line.split_once(",\"source\":\"query_log.rs:").unwrap();
        format!("{before}{}", rest.split_once('"').unwrap().1)
    }

    #[test]
    fn lines() {
        let http = Origin::http("127.0.0.1".parse().ok(), "GET", "/api/v1/query_range");
        assert_eq!(
            shown(http, None),
            "{\"time\":\"2026-11-21T01:41:29.125Z\",\"level\":\"INFO\",\
             \"msg\":\"promql query logged\",\"params\":{\"end\":\"1970-01-01T00:01:01.500Z\",\
             \"query\":\"m{a=\\\"<\\u0001\\b\\u2028é\\\"}\",\
             \"start\":\"1970-01-01T00:00:01.500Z\",\"step\":15},\
             \"stats\":{\"timings\":{\"evalTotalTime\":0.252,\"resultSortTime\":0,\
             \"queryPreparationTime\":0.002,\"innerEvalTime\":0.25,\"execQueueTime\":5e-7,\
             \"execTotalTime\":0.2520005},\"samples\":{\"totalQueryableSamples\":0,\
             \"samplesRead\":7,\"peakSamples\":9}},\"spanID\":\"0000000000000000\",\
             \"traceID\":\"00000000000000000000000000000000\",\
             \"httpRequest\":{\"clientIP\":\"127.0.0.1\",\"method\":\"GET\",\
             \"path\":\"/api/v1/query_range\"}}\n"
        );
        let rule = Origin::Rule { file: "r.yml".to_owned(), group: "g".to_owned() };
        let line = shown(rule, Some("a \"b\""));
        assert!(line.contains("\"step\":15},\"error\":\"a \\\"b\\\"\",\"stats\":{"), "{line}");
        assert!(line.ends_with(",\"ruleGroup\":{\"file\":\"r.yml\",\"name\":\"g\"}}\n"), "{line}");
    }

    #[test]
    fn files_come_and_go() {
        let dir = tempfile::tempdir().unwrap();
        let registry = Registry::default();
        let log = QueryLog::new(&registry);
        let asked = asked(Origin::http(None, "GET", "/"));
        let stats = &Statistics::default();
        let write = || {
            log.write(&Entry { asked: &asked, error: None, timings: Timings::default(), stats });
        };
        write();
        let path = dir.path().join("q.log");
        let name = path.to_str().unwrap();
        let lines = |path: &std::path::Path| std::fs::read_to_string(path).unwrap().lines().count();
        log.set(name).unwrap();
        write();
        write();
        let moved = dir.path().join("q.log.1");
        std::fs::rename(&path, &moved).unwrap();
        write();
        log.set(name).unwrap();
        write();
        assert_eq!((lines(&moved), lines(&path), log.enabled.get()), (3, 1, 1.0));
        let none = dir.path().join("none/q.log");
        let error = log.set(none.to_str().unwrap()).unwrap_err();
        let expected = format!(
            "can't create json log file: open {}: no such file or directory",
            none.display()
        );
        assert_eq!(error, expected);
        write();
        log.set("").unwrap();
        write();
        assert_eq!((lines(&path), log.enabled.get(), log.failures.get()), (2, 0.0, 0.0));
        log.set("/dev/full").unwrap();
        write();
        assert_eq!(log.failures.get(), 1.0);
    }
}
