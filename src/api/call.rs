//! Call: one request to an endpoint, from its parameters to the envelope around its answer.

use std::sync::Arc;

use hyper::{HeaderMap, Response, StatusCode};
use model::Annotations;
use tokio::sync::oneshot;

use super::error::{ApiError, Kind};
use super::json::{push_string, push_strings};
use super::sink::Sink;
use super::{Api, Endpoint, admin, labels, queries, query, status, syntax, targets};
use crate::governor::origin::{Origin, Trace};
use crate::web::body::{Body, empty};
use crate::web::compress::Encoding;
use crate::web::form::Form;

/// Most warnings, and most infos, of one answer.
const MAX_NOTES: usize = 10;

/// A request to the API.
#[derive(Debug)]
pub struct Call {
    pub endpoint: Endpoint,
    /// Query string and body.
    pub form: Form,
    /// Query string alone.
    pub url: Form,
    /// What `:name` of the route took.
    pub param: String,
    pub origin: Origin,
    pub trace: Trace,
    pub encoding: Encoding,
    /// CORS headers of the answer.
    pub headers: HeaderMap,
}

/// Writes the value of `data`.
pub type WriteData = Box<dyn FnOnce(&mut Sink) + Send>;

/// A successful answer.
pub struct Answer {
    /// `None`: 204, no body.
    pub data: Option<WriteData>,
    pub notes: Annotations,
}

impl Answer {
    /// An answer without notes.
    pub fn data(write: impl FnOnce(&mut Sink) + Send + 'static) -> Result<Answer, ApiError> {
        Ok(Answer { data: Some(Box::new(write)), notes: Annotations::default() })
    }

    /// JSON that is there already.
    pub fn json(text: impl Into<Vec<u8>>) -> Result<Answer, ApiError> {
        let text = text.into();
        Answer::data(move |sink| sink.buf.extend_from_slice(&text))
    }

    /// No content.
    pub fn none() -> Result<Answer, ApiError> {
        Ok(Answer { data: None, notes: Annotations::default() })
    }
}

/// Answers a request.
pub async fn call(api: &Arc<Api>, mut call: Call) -> Response<Body> {
    let (head, response) = oneshot::channel();
    let sink = Sink::new(std::mem::take(&mut call.headers), call.encoding, head);
    // Kept until the answer is there: a client that leaves drops it, which stops the query.
    let _watch = match call.endpoint {
        Endpoint::Query => query::instant(api, call, sink).await,
        Endpoint::QueryRange => query::range(api, call, sink).await,
        _ => {
            let api = Arc::clone(api);
            tokio::task::spawn_blocking(move || respond(sink, answer(&api, &call)));
            None
        }
    };
    // The sender is only dropped without an answer when its thread panicked.
    response.await.unwrap_or_else(|_| empty(StatusCode::INTERNAL_SERVER_ERROR))
}

fn answer(api: &Api, call: &Call) -> Result<Answer, ApiError> {
    match call.endpoint {
        Endpoint::Query | Endpoint::QueryRange => Answer::none(),
        Endpoint::QueryExemplars => query::exemplars(api, call),
        Endpoint::FormatQuery => syntax::format_query(api, call),
        Endpoint::ParseQuery => syntax::parse_query(api, call),
        Endpoint::Labels => labels::names(api, call),
        Endpoint::LabelValues => labels::values(api, call),
        Endpoint::Series => labels::series(api, call),
        Endpoint::ScrapePools => targets::pools(api),
        Endpoint::Targets => targets::targets(api, call),
        Endpoint::TargetsMetadata => targets::target_metadata(api, call),
        Endpoint::Metadata => targets::metadata(api, call),
        Endpoint::Alertmanagers => status::alertmanagers(),
        Endpoint::Alerts => status::alerts(),
        Endpoint::Rules => status::rules(call),
        Endpoint::StatusConfig => status::config(api),
        Endpoint::RuntimeInfo => status::runtime_info(api),
        Endpoint::BuildInfo => status::build_info(),
        Endpoint::Flags => status::flags(api),
        Endpoint::ActiveQueries => queries::active(api),
        Endpoint::TopQueries => queries::top(api, call),
        Endpoint::Tsdb => status::tsdb(api, call),
        Endpoint::TsdbBlocks => status::blocks(api),
        Endpoint::WalReplay => status::wal_replay(api),
        Endpoint::Notifications => status::notifications(api),
        Endpoint::CancelQuery => queries::cancel(api, call),
        Endpoint::DeleteSeries => admin::delete_series(api, call),
        Endpoint::CleanTombstones => admin::clean_tombstones(api),
        Endpoint::Snapshot => admin::snapshot(api, call),
    }
}

/// Writes the envelope around an answer or an error.
pub fn respond(mut sink: Sink, answer: Result<Answer, ApiError>) {
    match answer {
        Ok(Answer { data: None, .. }) => sink.no_content(),
        Ok(Answer { data: Some(write), notes }) => {
            sink.buf.extend_from_slice(b"{\"status\":\"success\",\"data\":");
            write(&mut sink);
            push_notes(&mut sink.buf, "warnings", "warning", notes.warnings());
            push_notes(&mut sink.buf, "infos", "info", notes.infos());
            sink.buf.push(b'}');
            sink.finish();
        }
        Err(error) => fail(sink, &error),
    }
}

fn fail(mut sink: Sink, error: &ApiError) {
    sink.status(error.kind.status());
    sink.buf.extend_from_slice(b"{\"status\":\"error\",\"errorType\":\"");
    sink.buf.extend_from_slice(error.kind.as_str().as_bytes());
    sink.buf.extend_from_slice(b"\",\"error\":");
    push_string(&mut sink.buf, &error.text);
    sink.buf.push(b'}');
    sink.finish();
}

fn push_notes(out: &mut Vec<u8>, key: &str, noun: &str, notes: &[String]) {
    if notes.is_empty() {
        return;
    }
    out.extend_from_slice(format!(",\"{key}\":").as_bytes());
    let shown = notes.iter().take(MAX_NOTES).cloned();
    let more = notes.len().saturating_sub(MAX_NOTES);
    let omitted = (more > 0).then(|| format!("{more} more {noun} annotations omitted"));
    push_strings(out, shown.chain(omitted));
}

/// An internal error.
pub fn internal(error: impl std::fmt::Display) -> ApiError {
    ApiError::new(Kind::Internal, error.to_string())
}
