//! Queries as the governor sees them: those under way, the heaviest of late, and stopping one.
//! Additions to Prometheus's API.

use super::Api;
use super::admin::allowed;
use super::call::{Answer, Call};
use super::error::{ApiError, Kind};
use super::json::{push_number, push_uint};
use super::status::Object;
use crate::governor::running::View;
use crate::governor::top::Total;
use crate::{gotext, gotime};

/// Entries of a list of `status/top_queries` unless asked for more or less.
const TOP: i64 = 10;
/// Most entries of such a list.
const MAX_TOP: i64 = 500;

/// `status/active_queries`.
pub fn active(api: &Api) -> Result<Answer, ApiError> {
    let engine = api.engine.load();
    let memory = &engine.options().memory;
    let mut object = Object::new();
    push_list(object.key("queries"), &api.governor.running().views(), active_query);
    push_uint(object.key("heldBytes"), memory.held());
    push_uint(object.key("maxBytes"), memory.limit());
    Answer::json(object.end())
}

fn active_query(view: &View) -> Object {
    let mut object = Object::new();
    push_uint(object.key("id"), view.id);
    object.text("query", &view.query);
    object.text("kind", view.kind);
    object.text("state", if view.evaluated { "running" } else { "waiting" });
    object.text("client", &view.client);
    object.text("startTime", &gotime::rfc3339_nano(gotime::unix_nanos(view.arrived)));
    push_number(object.key("durationSeconds"), view.age.as_secs_f64());
    push_uint(object.key("heldBytes"), view.bytes);
    push_uint(object.key("heldSamples"), view.samples);
    object
}

/// `status/top_queries`.
pub fn top(api: &Api, call: &Call) -> Result<Answer, ApiError> {
    let limit = match call.form.get("limit") {
        "" => TOP,
        text => gotext::atoi(text)
            .ok()
            .filter(|n| *n >= 1)
            .ok_or_else(|| ApiError::bad_data("limit must be a positive number"))?,
    };
    if limit > MAX_TOP {
        return Err(ApiError::bad_data(format!("limit must not exceed {MAX_TOP}")));
    }
    let heaviest = api.governor.top(usize::try_from(limit).unwrap_or_default());
    let mut object = Object::new();
    object.text("since", &time(heaviest.since_ms));
    push_list(object.key("byTime"), &heaviest.by_time, top_query);
    push_list(object.key("byBytes"), &heaviest.by_bytes, top_query);
    push_list(object.key("bySamples"), &heaviest.by_samples, top_query);
    Answer::json(object.end())
}

fn top_query(total: &Total) -> Object {
    let mut object = Object::new();
    object.text("query", &total.query);
    push_uint(object.key("count"), total.count);
    push_uint(object.key("failures"), total.failures);
    push_number(object.key("totalSeconds"), total.seconds);
    push_number(object.key("maxSeconds"), total.max_seconds);
    push_uint(object.key("maxBytes"), total.max_bytes);
    push_uint(object.key("totalSamplesRead"), total.samples);
    object.text("lastTime", &time(total.last_ms));
    object
}

fn time(ms: i64) -> String {
    gotime::rfc3339_nano(i128::from(ms) * 1_000_000)
}

fn push_list<T>(out: &mut Vec<u8>, items: &[T], object: fn(&T) -> Object) {
    out.push(b'[');
    for (i, item) in items.iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        out.extend(object(item).end());
    }
    out.push(b']');
}

/// `admin/queries/:id/cancel`.
pub fn cancel(api: &Api, call: &Call) -> Result<Answer, ApiError> {
    allowed(api)?;
    let id = call.param.parse().map_err(|_| unknown(&call.param))?;
    if api.governor.running().cancel(id) { Answer::none() } else { Err(unknown(&call.param)) }
}

fn unknown(id: &str) -> ApiError {
    let id = model::number::go_quote(id);
    ApiError::new(Kind::NotFound, format!("no query with id {id} is waiting or running"))
}
