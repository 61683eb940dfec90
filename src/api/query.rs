//! Queries: instant and range. The governor lets them in, they run on blocking threads, and stop when
//! time is up, the client has gone, or somebody cancels them by id.

use std::sync::Arc;
use std::time::Duration;

use model::cancel::CancelReason;
use model::number::go_quote;
use model::{Annotations, CancelToken};
use promql::{Engine, EvalTime, QueryOptions, QueryResult, QueryValue};
use tokio::task::JoinHandle;

use super::Api;
use super::call::{Answer, Call, respond};
use super::error::{ApiError, Kind};
use super::json::{push_labels, push_timestamp, push_value};
use super::params::{limit, parse_duration, parse_time, time};
use super::result::{push_stats, push_value_of};
use super::sink::Sink;
use crate::gotime;
use crate::governor::gate::{Lane, Slot};
use crate::governor::running::{Asked, Ticket};
use crate::governor::{Outcome, Refused};
use crate::web::form::Form;

/// Most points of one series of a range query.
const MAX_POINTS: i64 = 11_000;
const TRUNCATED: &str = "results truncated due to limit";

/// Stops a query when dropped, or when its time is up.
#[derive(Debug)]
pub struct Watch {
    token: CancelToken,
    timer: JoinHandle<()>,
}

impl Watch {
    fn new(token: CancelToken, timeout: Duration) -> Watch {
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
    /// Whether the request asked for less time than the flag gives.
    own_timeout: bool,
    limit: usize,
    stats: String,
}

fn instant_request(api: &Api, form: &Form) -> Result<Request, ApiError> {
    let limit = limit(form)?;
    let t = time(form, "time", gotime::now_ms())?;
    let (timeout, own_timeout) = timeout(api, form)?;
    let at = EvalTime { start_ms: t, end_ms: t, step_ms: 0 };
    Ok(Request { at, timeout, own_timeout, limit, ..common(form)? })
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
    let (timeout, own_timeout) = timeout(api, form)?;
    // A step below a millisecond counts as one.
    let at = EvalTime { start_ms, end_ms, step_ms: (step / 1_000_000).max(1) };
    Ok(Request { at, timeout, own_timeout, limit, ..common(form)? })
}

/// How long a request may take, and whether that is its own wish.
fn timeout(api: &Api, form: &Form) -> Result<(Duration, bool), ApiError> {
    let longest = api.options.query.timeout;
    match form.get("timeout") {
        "" => Ok((longest, false)),
        text => {
            let nanos = parse_duration(text).map_err(|e| ApiError::invalid("timeout", &e))?;
            let wish = Duration::from_nanos(u64::try_from(nanos).unwrap_or(0));
            Ok((longest.min(wish), wish < longest))
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
        own_timeout: false,
        limit: 0,
        stats,
    })
}

/// Starts an instant query; its answer goes into `sink`.
pub async fn instant(api: &Arc<Api>, call: Call, sink: Sink) -> Option<Watch> {
    let request = instant_request(api, &call.form);
    start(api, request, call, sink).await
}

/// Starts a range query; its answer goes into `sink`.
pub async fn range(api: &Arc<Api>, call: Call, sink: Sink) -> Option<Watch> {
    let request = range_request(api, &call.form);
    start(api, request, call, sink).await
}

async fn start(
    api: &Arc<Api>,
    request: Result<Request, ApiError>,
    call: Call,
    sink: Sink,
) -> Option<Watch> {
    let mut request = match request {
        Ok(request) => request,
        Err(error) => {
            respond(sink, Err(error));
            return None;
        }
    };
    let engine = api.engine.load_full();
    let query = std::mem::take(&mut request.query);
    let asked = Asked { query, at: request.at, origin: call.origin, trace: call.trace };
    let ticket = api.governor.enter(asked, engine.account());
    let watch = Watch::new(ticket.token().clone(), request.timeout);
    match api.governor.admit(&ticket, Lane::Requests, request.timeout).await {
        Ok(slot) => {
            let api = Arc::clone(api);
            tokio::task::spawn_blocking(move || {
                let answer = run(&api, &engine, request, ticket, slot);
                respond(sink, answer);
            });
        }
        Err(refused) => respond(sink, Err(refusal(api, &request, &ticket, refused))),
    }
    Some(watch)
}

/// The error of a query that got no slot. A deadline of the request's own counts against the
/// parameter, and is not logged, as the query was not looked at; the server's is an execution error.
fn refusal(api: &Api, request: &Request, ticket: &Ticket, refused: Refused) -> ApiError {
    if refused == Refused::TimedOut && request.own_timeout {
        return ApiError::invalid("query", refused.text());
    }
    api.governor.log_refusal(ticket, refused);
    let kind = match refused {
        Refused::TimedOut => Kind::Execution,
        Refused::Canceled => Kind::Canceled,
    };
    ApiError::new(kind, refused.text())
}

fn run(
    api: &Api,
    engine: &Engine,
    request: Request,
    ticket: Ticket,
    slot: Slot,
) -> Result<Answer, ApiError> {
    let db = api.db()?;
    let memory = Arc::clone(ticket.memory());
    // The slot is free afterwards: what is left is writing, which waits for the client and not for
    // a processor.
    let Outcome { result, timings } =
        api.governor.evaluate(ticket, slot, engine, db.as_ref(), request.options);
    let QueryResult { mut value, annotations, stats } = result?;
    let mut notes = annotations;
    if request.limit > 0 && truncate(&mut value, request.limit) {
        notes.warn(TRUNCATED);
    }
    warn_of_stats(&request.stats, &mut notes);
    let data = move |sink: &mut Sink| {
        push_value_of(sink, &value);
        if !request.stats.is_empty() {
            push_stats(&mut sink.buf, &stats, timings);
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
