//! Queries: instant and range. They wait at a gate, run on blocking threads, and stop when time is
//! up or the client has gone.

use std::sync::Arc;
use std::time::{Duration, Instant};

use model::cancel::CancelReason;
use model::number::go_quote;
use model::{Annotations, CancelToken};
use promql::{EngineError, EvalTime, QueryOptions, QueryResult, QueryValue};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;

use super::Api;
use super::call::{Answer, Call, respond};
use super::error::ApiError;
use super::json::{push_labels, push_timestamp, push_value};
use super::params::{limit, parse_duration, parse_time, time};
use super::result::{push_stats, push_value_of};
use super::sink::Sink;
use crate::gotime;
use crate::telemetry::metrics::{Counter, Gauge, Registry, SummaryVec};
use crate::web::form::Form;

/// Most points of one series of a range query.
const MAX_POINTS: i64 = 11_000;
const TRUNCATED: &str = "results truncated due to limit";

/// Bounds how many queries run at once, and counts them.
pub struct QueryGate {
    slots: Arc<Semaphore>,
    active: Arc<Gauge>,
    durations: Arc<SummaryVec<1>>,
    samples: Arc<Counter>,
    samples_read: Arc<Counter>,
}

impl QueryGate {
    /// A gate for `max` queries at once.
    pub fn new(max: usize, registry: &Registry) -> QueryGate {
        registry
            .gauge(
                "prometheus_engine_queries_concurrent_max",
                "The max number of concurrent queries.",
            )
            .set(max as f64);
        let durations = registry.summaries(
            "prometheus_engine_query_duration_seconds",
            "Query timings",
            ["slice"],
        );
        for slice in ["inner_eval", "prepare_time", "queue_time", "result_sort"] {
            durations.declare([slice]);
        }
        QueryGate {
            slots: Arc::new(Semaphore::new(max)),
            active: registry.gauge(
                "prometheus_engine_queries",
                "The current number of queries being executed or waiting.",
            ),
            durations,
            samples: registry.counter(
                "prometheus_engine_query_samples_total",
                "The total number of samples loaded by all queries.",
            ),
            samples_read: registry.counter(
                "prometheus_engine_query_samples_read_total",
                "The total number of samples read by all queries.",
            ),
        }
    }
}

/// Stops a query when dropped, or when its time is up.
#[derive(Debug)]
pub struct Watch {
    token: CancelToken,
    timer: JoinHandle<()>,
}

impl Watch {
    fn new(timeout: Duration) -> Watch {
        let token = CancelToken::default();
        if timeout.is_zero() {
            token.cancel(CancelReason::TimedOut);
        }
        let timed = token.clone();
        let timer = tokio::spawn(async move {
            tokio::time::sleep(timeout).await;
            timed.cancel(CancelReason::TimedOut);
        });
        Watch { token, timer }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.timer.abort();
        // Once the answer is made this stops nothing.
        self.token.cancel(CancelReason::Canceled);
    }
}

/// A query taken apart.
struct Request {
    query: String,
    at: EvalTime,
    options: QueryOptions,
    timeout: Duration,
    limit: usize,
    stats: String,
}

fn instant_request(api: &Api, form: &Form) -> Result<Request, ApiError> {
    let limit = limit(form)?;
    let t = time(form, "time", gotime::now_ms())?;
    let timeout = timeout(api, form)?;
    let at = EvalTime { start_ms: t, end_ms: t, step_ms: 0 };
    Ok(Request { at, timeout, limit, ..common(form)? })
}

fn range_request(api: &Api, form: &Form) -> Result<Request, ApiError> {
    let limit = limit(form)?;
    let instant = |name: &str| parse_time(form.get(name)).map_err(|e| ApiError::invalid(name, &e));
    let (start_ms, end_ms) = (instant("start")?, instant("end")?);
    if end_ms < start_ms {
        return Err(ApiError::invalid("end", "end timestamp must not be before start time"));
    }
    let step = parse_duration(form.get("step")).map_err(|e| ApiError::invalid("step", &e))?;
    if step <= 0 {
        let why = "zero or negative query resolution step widths are not accepted. Try a positive integer";
        return Err(ApiError::invalid("step", why));
    }
    let span = i128::from(end_ms) - i128::from(start_ms);
    if span * 1_000_000 / i128::from(step) > i128::from(MAX_POINTS) {
        return Err(ApiError::bad_data(
            "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the \
             query resolution (?step=XX)",
        ));
    }
    let timeout = timeout(api, form)?;
    // A step below a millisecond counts as one.
    let at = EvalTime { start_ms, end_ms, step_ms: (step / 1_000_000).max(1) };
    Ok(Request { at, timeout, limit, ..common(form)? })
}

fn timeout(api: &Api, form: &Form) -> Result<Duration, ApiError> {
    let longest = api.options.query.timeout;
    match form.get("timeout") {
        "" => Ok(longest),
        text => {
            let nanos = parse_duration(text).map_err(|e| ApiError::invalid("timeout", &e))?;
            Ok(longest.min(Duration::from_nanos(u64::try_from(nanos).unwrap_or(0))))
        }
    }
}

fn common(form: &Form) -> Result<Request, ApiError> {
    let lookback_ms = match form.get("lookback_delta") {
        "" => None,
        text => {
            let nanos = parse_duration(text).map_err(|e| {
                ApiError::bad_data(format!("error parsing lookback delta duration: {e}"))
            })?;
            // Zero means: the engine's own.
            Some(nanos / 1_000_000).filter(|ms| *ms > 0)
        }
    };
    let stats = form.get("stats").to_owned();
    Ok(Request {
        query: form.get("query").to_owned(),
        at: EvalTime { start_ms: 0, end_ms: 0, step_ms: 0 },
        // Sums of all queries (`prometheus_engine_query_samples_total`) are of what was read.
        options: QueryOptions {
            lookback_ms,
            per_step_stats: stats == "all",
            uncounted: stats.is_empty(),
        },
        timeout: Duration::ZERO,
        limit: 0,
        stats,
    })
}

/// Starts an instant query; its answer goes into `sink`.
pub async fn instant(api: &Arc<Api>, form: &Form, sink: Sink) -> Option<Watch> {
    start(api, instant_request(api, form), sink).await
}

/// Starts a range query; its answer goes into `sink`.
pub async fn range(api: &Arc<Api>, form: &Form, sink: Sink) -> Option<Watch> {
    start(api, range_request(api, form), sink).await
}

async fn start(api: &Arc<Api>, request: Result<Request, ApiError>, sink: Sink) -> Option<Watch> {
    let request = match request {
        Ok(request) => request,
        Err(error) => {
            respond(sink, Err(error));
            return None;
        }
    };
    let began = Instant::now();
    api.gate.active.add(1.0);
    let running = Running(Arc::clone(api));
    let watch = Watch::new(request.timeout);
    let slot = tokio::time::timeout(request.timeout, api.gate.slots.clone().acquire_owned()).await;
    let Ok(Ok(slot)) = slot else {
        respond(sink, Err(EngineError::Timeout("query queue").into()));
        return Some(watch);
    };
    let queued = began.elapsed();
    let token = watch.token.clone();
    tokio::task::spawn_blocking(move || {
        let answer = run(&running.0, request, &token, queued, slot);
        respond(sink, answer);
    });
    Some(watch)
}

/// Counts a query as active for as long as it lives.
struct Running(Arc<Api>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.gate.active.add(-1.0);
    }
}

fn run(
    api: &Api,
    request: Request,
    token: &CancelToken,
    queued: Duration,
    slot: OwnedSemaphorePermit,
) -> Result<Answer, ApiError> {
    let gate = &api.gate;
    gate.durations.observe(["queue_time"], queued.as_secs_f64());
    let began = Instant::now();
    match token.reason() {
        Some(CancelReason::TimedOut) => Err(EngineError::Timeout("query execution"))?,
        Some(CancelReason::Canceled) => Err(EngineError::Canceled("query execution"))?,
        None => {}
    }
    let db = api.db()?;
    let engine = api.engine.load();
    let memory = engine.account();
    let Request { query, at, options, .. } = &request;
    let result = engine.query_with(db.as_ref(), query, *at, *options, token, &memory);
    let evaluated = began.elapsed();
    gate.durations.observe(["inner_eval"], evaluated.as_secs_f64());
    // What is left is writing, which waits for the client and not for a processor.
    drop(slot);
    let QueryResult { mut value, annotations, stats } = result?;
    gate.samples.add(stats.total_queryable_samples as f64);
    gate.samples_read.add(stats.samples_read as f64);
    let mut notes = annotations;
    if request.limit > 0 && truncate(&mut value, request.limit) {
        notes.warn(TRUNCATED);
    }
    warn_of_stats(&request.stats, &mut notes);
    let data = move |sink: &mut Sink| {
        push_value_of(sink, &value);
        if !request.stats.is_empty() {
            push_stats(&mut sink.buf, &stats, queued, evaluated);
        }
        sink.buf.push(b'}');
        // The result counts for as long as it is there.
        drop((value, memory));
    };
    Ok(Answer { data: Some(Box::new(data)), notes })
}

fn truncate(value: &mut QueryValue, limit: usize) -> bool {
    match value {
        QueryValue::Vector(samples) if samples.len() > limit => {
            samples.truncate(limit);
            true
        }
        QueryValue::Matrix(series) if series.len() > limit => {
            series.truncate(limit);
            true
        }
        _ => false,
    }
}

fn warn_of_stats(stats: &str, notes: &mut Annotations) {
    if !matches!(stats, "" | "true" | "all") {
        notes.warn(format!(
            "value {} for parameter \"stats\" is deprecated and will be rejected in the next \
             major release, use \"true\" or \"all\"",
            go_quote(stats)
        ));
    }
}

/// `query_exemplars`.
pub fn exemplars(api: &Api, call: &Call) -> Result<Answer, ApiError> {
    let (min, max) = super::params::time_range(&call.form)?;
    if max < min {
        return Err(ApiError::bad_data("end timestamp must not be before start timestamp"));
    }
    let sets = super::syntax::selectors_of(api, call.form.get("query"))?;
    if sets.is_empty() {
        return Answer::none();
    }
    let found = api.db()?.exemplars(model::TimeRange { min, max }, &sets)?;
    Answer::data(move |sink| {
        sink.buf.push(b'[');
        for (i, (labels, exemplars)) in found.iter().enumerate() {
            sink.buf.extend_from_slice(if i > 0 { b"," } else { b"" });
            sink.buf.extend_from_slice(b"{\"seriesLabels\":");
            push_labels(&mut sink.buf, labels);
            sink.buf.extend_from_slice(b",\"exemplars\":[");
            for (j, exemplar) in exemplars.iter().enumerate() {
                sink.buf.extend_from_slice(if j > 0 { b"," } else { b"" });
                sink.buf.extend_from_slice(b"{\"labels\":");
                push_labels(&mut sink.buf, &exemplar.labels);
                sink.buf.extend_from_slice(b",\"value\":");
                push_value(&mut sink.buf, exemplar.value);
                sink.buf.extend_from_slice(b",\"timestamp\":");
                push_timestamp(&mut sink.buf, exemplar.timestamp_ms);
                sink.buf.push(b'}');
            }
            sink.buf.extend_from_slice(b"]}");
            if !sink.spill() {
                return;
            }
        }
        sink.buf.push(b']');
    })
}
