//! Status: the server about itself.

use std::sync::PoisonError;
use std::time::SystemTime;

use storage::db::{LimitStats, NameCount};

use super::Api;
use super::call::{Answer, Call, internal};
use super::error::ApiError;
use super::json::{push_int, push_string, push_uint};
use crate::cli::help::{COMPATIBLE_VERSION, OWN_VERSION};
use crate::gotext;
use crate::gotime;
use crate::telemetry::metrics::Value;

/// Most entries of each list of `status/tsdb`.
const MAX_TSDB_LIMIT: i64 = 10_000;

/// Writes `"key":"text"` pairs.
pub(super) struct Object(Vec<u8>);

impl Object {
    pub(super) fn new() -> Object {
        Object(vec![b'{'])
    }

    pub(super) fn key(&mut self, key: &str) -> &mut Vec<u8> {
        if self.0.len() > 1 {
            self.0.push(b',');
        }
        push_string(&mut self.0, key);
        self.0.push(b':');
        &mut self.0
    }

    pub(super) fn text(&mut self, key: &str, text: &str) {
        push_string(self.key(key), text);
    }

    pub(super) fn int(&mut self, key: &str, v: i64) {
        push_int(self.key(key), v);
    }

    pub(super) fn end(mut self) -> Vec<u8> {
        self.0.push(b'}');
        self.0
    }
}

/// The object that `status/buildinfo` and `/version` show.
pub fn build_info_json() -> Vec<u8> {
    let mut object = Object::new();
    object.text("version", COMPATIBLE_VERSION);
    object.text("revision", concat!("epimetheus-", env!("CARGO_PKG_VERSION")));
    object.text("branch", "main");
    object.text("buildUser", "epimetheus");
    object.text("buildDate", "");
    object.text("goVersion", "");
    object.text("epimetheusVersion", OWN_VERSION);
    object.end()
}

/// `status/buildinfo`.
pub fn build_info() -> Result<Answer, ApiError> {
    Answer::json(build_info_json())
}

/// `status/config`.
pub fn config(api: &Api) -> Result<Answer, ApiError> {
    let mut object = Object::new();
    object.text("yaml", &api.config.load().yaml);
    Answer::json(object.end())
}

/// `status/flags`.
pub fn flags(api: &Api) -> Result<Answer, ApiError> {
    let mut object = Object::new();
    for (name, value) in api.flags.lock().unwrap_or_else(PoisonError::into_inner).iter() {
        object.text(name, value);
    }
    Answer::json(object.end())
}

/// `status/runtimeinfo`.
pub fn runtime_info(api: &Api) -> Result<Answer, ApiError> {
    let time = |at: SystemTime| gotime::rfc3339_nano(gotime::unix_nanos(at));
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let success_time = api.config_metrics.success_time.get();
    let mut object = Object::new();
    object.text("startTime", &time(api.started));
    object.text("CWD", &api.working_directory.to_string_lossy());
    object.text("hostname", &api.hostname);
    object.text("serverTime", &time(SystemTime::now()));
    let reloaded = api.config_metrics.successful.get() != 0.0;
    object.key("reloadConfigSuccess").extend_from_slice(if reloaded { b"true" } else { b"false" });
    // Seconds are all that clients see of it.
    object.text("lastConfigTime", &gotime::rfc3339_nano(success_time as i128 * 1_000_000_000));
    object.int("corruptionCount", corruptions(api));
    object.int("goroutineCount", threads());
    object.int("GOMAXPROCS", i64::try_from(processors).unwrap_or(1));
    object.int("GOMEMLIMIT", i64::MAX);
    object.text("GOGC", "");
    object.text("GODEBUG", "");
    object.text("storageRetention", &api.config.load().retention);
    Answer::json(object.end())
}

fn corruptions(api: &Api) -> i64 {
    api.registry
        .gather()
        .into_iter()
        .find(|f| f.name == "prometheus_tsdb_wal_corruptions_total")
        .and_then(|f| f.metrics.into_iter().next())
        .map_or(0, |m| if let Value::Number(v) = m.value { v as i64 } else { 0 })
}

/// Threads of this process, which is what goroutines were.
fn threads() -> i64 {
    std::fs::read_dir("/proc/self/task")
        .map_or(1, |tasks| i64::try_from(tasks.count()).unwrap_or(1))
}

/// `status/tsdb`.
pub fn tsdb(api: &Api, call: &Call) -> Result<Answer, ApiError> {
    let limit = match call.form.get("limit") {
        "" => 10,
        text => gotext::atoi(text)
            .ok()
            .filter(|n| *n >= 1)
            .ok_or_else(|| ApiError::bad_data("limit must be a positive number"))?,
    };
    if limit > MAX_TSDB_LIMIT {
        return Err(ApiError::bad_data(format!("limit must not exceed {MAX_TSDB_LIMIT}")));
    }
    let db = api.db()?;
    let limit = usize::try_from(limit).unwrap_or(10);
    let stats = db.head_stats(limit);
    let mut head = Object::new();
    push_uint(head.key("numSeries"), stats.series);
    push_uint(head.key("numLabelPairs"), stats.label_pairs);
    push_uint(head.key("chunkCount"), stats.chunks);
    head.int("minTime", stats.min_time);
    head.int("maxTime", stats.max_time);
    let mut object = Object::new();
    object.key("headStats").extend_from_slice(&head.end());
    push_counts(object.key("seriesCountByMetricName"), &stats.series_by_metric_name);
    push_counts(object.key("labelValueCountByLabelName"), &stats.values_by_label_name);
    push_counts(object.key("memoryInBytesByLabelName"), &stats.memory_by_label_name);
    push_counts(object.key("seriesCountByLabelValuePair"), &stats.series_by_label_pair);
    let limits = db.head_limits(limit);
    if limits.max_series > 0 || limits.max_bytes > 0 {
        push_limits(object.key("headLimits"), &limits);
    }
    Answer::json(object.end())
}

/// The limits of the head, an addition.
fn push_limits(out: &mut Vec<u8>, limits: &LimitStats) {
    let mut object = Object::new();
    push_uint(object.key("maxSeries"), limits.max_series);
    push_uint(object.key("maxBytes"), limits.max_bytes);
    push_uint(object.key("series"), limits.series);
    push_uint(object.key("bytes"), limits.bytes);
    let refusing: &[u8] = if limits.refusing { b"true" } else { b"false" };
    object.key("refusing").extend_from_slice(refusing);
    let list = object.key("refused");
    list.push(b'[');
    for (i, refused) in limits.refused.iter().enumerate() {
        if i > 0 {
            list.push(b',');
        }
        let mut entry = Object::new();
        entry.text("metric", &refused.metric);
        entry.text("job", &refused.job);
        push_uint(entry.key("count"), refused.count);
        list.extend(entry.end());
    }
    list.push(b']');
    out.extend(object.end());
}

fn push_counts(out: &mut Vec<u8>, counts: &[NameCount]) {
    out.push(b'[');
    for (i, entry) in counts.iter().enumerate() {
        out.extend_from_slice(if i > 0 { b",{\"name\":" } else { b"{\"name\":" });
        push_string(out, &entry.name);
        out.extend_from_slice(b",\"value\":");
        push_uint(out, entry.count);
        out.push(b'}');
    }
    out.push(b']');
}

/// `status/tsdb/blocks`.
pub fn blocks(api: &Api) -> Result<Answer, ApiError> {
    let mut object = Object::new();
    let metas = serde_json::to_vec(&api.db()?.block_metas()).map_err(internal)?;
    object.key("blocks").extend_from_slice(&metas);
    Answer::json(object.end())
}

/// `status/walreplay`.
pub fn wal_replay(api: &Api) -> Result<Answer, ApiError> {
    let (min, max, current) = api.replay.get();
    let mut object = Object::new();
    push_uint(object.key("min"), min);
    push_uint(object.key("max"), max);
    push_uint(object.key("current"), current);
    Answer::json(object.end())
}

/// `notifications`.
pub fn notifications(api: &Api) -> Result<Answer, ApiError> {
    let mut out = vec![b'['];
    for (i, notification) in api.notifications().iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        let mut object = Object::new();
        object.text("text", notification.text);
        object.text("date", &gotime::rfc3339_nano(gotime::unix_nanos(notification.since)));
        object.key("active").extend_from_slice(b"true");
        out.extend(object.end());
    }
    out.push(b']');
    Answer::json(out)
}

/// `alertmanagers`: none can be configured yet.
pub fn alertmanagers() -> Result<Answer, ApiError> {
    Answer::json("{\"activeAlertmanagers\":[],\"droppedAlertmanagers\":[]}")
}

/// `alerts`: no rules can be configured yet.
pub fn alerts() -> Result<Answer, ApiError> {
    Answer::json("{\"alerts\":[]}")
}

/// `rules`: none can be configured yet.
pub fn rules(call: &Call) -> Result<Answer, ApiError> {
    let kind = call.url.get("type").to_lowercase();
    if !matches!(kind.as_str(), "" | "alert" | "record") {
        let why = format!("not supported value {}", model::number::go_quote(&kind));
        return Err(ApiError::invalid("type", &why));
    }
    Answer::json("{\"groups\":[]}")
}
