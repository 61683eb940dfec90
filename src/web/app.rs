//! App: every request from its route to its answer, with the gate of readiness, CORS, limits on
//! bodies and the HTTP metrics.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::body::{Body as _, Incoming};
use hyper::header::{ALLOW, CONTENT_ENCODING, CONTENT_TYPE, HeaderName, HeaderValue, VARY};
use hyper::{HeaderMap, Method, Request, Response, StatusCode};
use tokio::sync::{Notify, mpsc, oneshot};

use super::body::{Body, empty, error, redirect, text, typed};
use super::compress::{Encoding, encode};
use super::cors;
use super::form::Form;
use super::listen::Peer;
use super::metrics::HttpMetrics;
use super::page;
use super::router::{Endpoint, Found, ROUTES, find};
use crate::api::status::build_info_json;
use crate::api::{self, Api};
use crate::governor::origin::{Origin, Trace};
use crate::remote::write::WriteHandler;
use crate::telemetry::exposition;

/// Largest form body, as Go limits it.
const MAX_FORM: usize = 10 << 20;
/// Name of the server in its own messages.
const APP: &str = "Prometheus Server";

/// How far the server has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readiness {
    Starting = 0,
    Ready = 1,
    Stopping = 2,
}

/// Asks for a reload; the answer says how it went.
pub type ReloadRequest = oneshot::Sender<Result<(), String>>;

/// What the HTTP side needs.
pub struct App {
    pub api: Arc<Api>,
    /// Present when the remote write receiver is on.
    pub write: Option<Arc<WriteHandler>>,
    /// Where reload requests go.
    pub reload: mpsc::Sender<ReloadRequest>,
    /// Told when somebody asks the server to quit.
    pub quit: Notify,
    metrics: HttpMetrics,
    readiness: AtomicU8,
    quitting: AtomicU8,
}

impl App {
    /// An app that is not ready.
    pub fn new(
        api: Arc<Api>,
        write: Option<Arc<WriteHandler>>,
        reload: mpsc::Sender<ReloadRequest>,
    ) -> App {
        let metrics = HttpMetrics::new(&api.registry);
        for route in ROUTES {
            metrics.declare(route.pattern);
        }
        App {
            api,
            write,
            reload,
            quit: Notify::new(),
            metrics,
            readiness: AtomicU8::new(Readiness::Starting as u8),
            quitting: AtomicU8::new(0),
        }
    }

    /// Says how far the server has come.
    pub fn set_readiness(&self, readiness: Readiness) {
        self.readiness.store(readiness as u8, Ordering::Release);
        self.metrics.ready.set(f64::from(u8::from(readiness == Readiness::Ready)));
    }

    /// Answers one request.
    pub async fn handle(&self, request: Request<Incoming>) -> Response<Body> {
        let prefix = self.api.options.web.route_prefix.as_str();
        let full = request.uri().path().to_owned();
        let Some(path) = self.below_prefix(&full) else {
            if full == "/" && !prefix.is_empty() {
                return redirect(StatusCode::FOUND, &format!("{prefix}/"));
            }
            return not_found();
        };
        match find(request.method(), path) {
            Found::Route { route, param } => {
                let began = Instant::now();
                let pattern = ROUTES[route].pattern;
                let response = self.answer(route, param, request).await;
                let size = response.body().size_hint().exact();
                self.metrics.observe(pattern, response.status().as_u16(), began.elapsed(), size);
                response
            }
            Found::Redirect(to) => {
                let code = match *request.method() {
                    Method::GET => StatusCode::MOVED_PERMANENTLY,
                    _ => StatusCode::PERMANENT_REDIRECT,
                };
                redirect(code, &with_query(&format!("{prefix}{to}"), &request))
            }
            Found::NotAllowed(methods) => {
                let mut response = match *request.method() {
                    Method::OPTIONS => empty(StatusCode::OK),
                    _ => error(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed"),
                };
                if let Ok(value) = HeaderValue::from_str(&methods) {
                    response.headers_mut().insert(ALLOW, value);
                }
                response
            }
            Found::NotFound => not_found(),
        }
    }

    fn below_prefix<'a>(&self, path: &'a str) -> Option<&'a str> {
        let rest = path.strip_prefix(self.api.options.web.route_prefix.as_str())?;
        match rest {
            "" => Some("/"),
            rest if rest.starts_with('/') => Some(rest),
            _ => None,
        }
    }

    async fn answer(
        &self,
        route: usize,
        param: String,
        request: Request<Incoming>,
    ) -> Response<Body> {
        let row = &ROUTES[route];
        if row.gated
            && let Some(refusal) = self.not_ready()
        {
            return refusal;
        }
        let options = &self.api.options.web;
        let base = &options.external_url.path;
        match row.endpoint {
            Endpoint::Root => redirect(StatusCode::FOUND, &format!("{base}/query")),
            Endpoint::Graph => {
                redirect(StatusCode::FOUND, &with_query(&format!("{base}/query"), &request))
            }
            Endpoint::Page => page::page(&options.page_title, base),
            Endpoint::Favicon => page::favicon(),
            Endpoint::Version => {
                let mut body = build_info_json();
                body.push(b'\n');
                typed(StatusCode::OK, "text/plain; charset=utf-8", body)
            }
            Endpoint::Metrics => self.own_metrics(request.headers()).await,
            Endpoint::Healthy => word(request.method(), "Healthy"),
            Endpoint::Ready => word(request.method(), "Ready"),
            Endpoint::Reload | Endpoint::Quit if !options.enable_lifecycle => {
                text(StatusCode::FORBIDDEN, "Lifecycle API is not enabled.")
            }
            Endpoint::Reload => self.reload().await,
            Endpoint::Quit => self.quit(),
            Endpoint::LifecycleGet => {
                text(StatusCode::METHOD_NOT_ALLOWED, "Only POST or PUT requests allowed")
            }
            Endpoint::Unbuilt | Endpoint::Read => {
                error(StatusCode::NOT_FOUND, "not built in this server yet")
            }
            Endpoint::Otlp => error(
                StatusCode::NOT_FOUND,
                "otlp write receiver needs to be enabled with --web.enable-otlp-receiver",
            ),
            Endpoint::Write => self.write(request).await,
            Endpoint::Options => {
                let mut response = empty(StatusCode::NO_CONTENT);
                self.cors(request.headers(), response.headers_mut());
                response.headers_mut().append(VARY, HeaderValue::from_static("Accept-Encoding"));
                response
            }
            Endpoint::Api(endpoint) => self.call(endpoint, param, request).await,
        }
    }

    fn not_ready(&self) -> Option<Response<Body>> {
        let stopping = match self.readiness.load(Ordering::Acquire) {
            state if state == Readiness::Ready as u8 => return None,
            state => state == Readiness::Stopping as u8,
        };
        let mut response = text(StatusCode::SERVICE_UNAVAILABLE, "Service Unavailable");
        response.headers_mut().insert(
            HeaderName::from_static("x-prometheus-stopping"),
            HeaderValue::from_static(if stopping { "true" } else { "false" }),
        );
        Some(response)
    }

    fn cors(&self, request: &HeaderMap, response: &mut HeaderMap) {
        cors::set(request, &self.api.options.web.cors_origin, response);
    }

    async fn call(
        &self,
        endpoint: api::Endpoint,
        param: String,
        request: Request<Incoming>,
    ) -> Response<Body> {
        let mut headers = HeaderMap::new();
        self.cors(request.headers(), &mut headers);
        let encoding = Encoding::negotiate(request.headers());
        let peer = request.extensions().get::<Peer>().map(|peer| peer.0);
        let origin = Origin::http(peer, request.method().as_str(), request.uri().path());
        let header = request.headers().get("traceparent").and_then(|h| h.to_str().ok());
        let trace = Trace::of_header(header);
        let url = Form::parse(request.uri().query().unwrap_or_default());
        let has_form = matches!(*request.method(), Method::POST | Method::PUT)
            && request
                .headers()
                .get(CONTENT_TYPE)
                .is_some_and(|t| t.as_bytes().starts_with(b"application/x-www-form-urlencoded"));
        let form = if has_form {
            match self.read_body(request, MAX_FORM).await {
                Ok(body) => url.clone().with_body(Form::parse(&String::from_utf8_lossy(&body))),
                Err(e) => return e.response(),
            }
        } else {
            url.clone()
        };
        let call = api::Call { endpoint, form, url, param, origin, trace, encoding, headers };
        api::call(&self.api, call).await
    }

    /// Reads a body of at most `most` bytes, in the time a request may take.
    async fn read_body(&self, request: Request<Incoming>, most: usize) -> Result<Bytes, BodyError> {
        let timeout: Duration = self.api.options.web.read_timeout;
        let body = Limited::new(request.into_body(), most).collect();
        match tokio::time::timeout(timeout, body).await {
            Ok(Ok(body)) => Ok(body.to_bytes()),
            Ok(Err(e)) if e.is::<http_body_util::LengthLimitError>() => {
                Err(BodyError::TooLarge(most))
            }
            Ok(Err(e)) => Err(BodyError::Broken(e.to_string())),
            Err(_) => Err(BodyError::Slow),
        }
    }

    async fn own_metrics(&self, headers: &HeaderMap) -> Response<Body> {
        let encoding = match Encoding::negotiate(headers) {
            Encoding::Gzip => Encoding::Gzip,
            _ => Encoding::Identity,
        };
        let registry = Arc::clone(&self.api.registry);
        let written = tokio::task::spawn_blocking(move || {
            let text = exposition::text(&registry.gather());
            encode(encoding, text.as_bytes())
        })
        .await;
        let Ok(Ok(body)) = written else { return empty(StatusCode::INTERNAL_SERVER_ERROR) };
        let mut response = typed(StatusCode::OK, exposition::CONTENT_TYPE, body);
        if let Some(name) = encoding.name() {
            response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static(name));
        }
        response
    }

    async fn reload(&self) -> Response<Body> {
        let (answer, outcome) = oneshot::channel();
        let outcome = match self.reload.send(answer).await {
            Ok(()) => outcome.await.unwrap_or_else(|_| Err("server is stopping".to_owned())),
            Err(_) => Err("server is stopping".to_owned()),
        };
        match outcome {
            Ok(()) => empty(StatusCode::OK),
            Err(e) => {
                error(StatusCode::INTERNAL_SERVER_ERROR, &format!("failed to reload config: {e}"))
            }
        }
    }

    fn quit(&self) -> Response<Body> {
        if self.quitting.swap(1, Ordering::AcqRel) == 1 {
            return text(StatusCode::OK, "Termination already in progress.");
        }
        self.quit.notify_one();
        text(StatusCode::OK, "Requesting termination... Goodbye!")
    }

    async fn write(&self, request: Request<Incoming>) -> Response<Body> {
        let Some(handler) = &self.write else {
            return error(
                StatusCode::NOT_FOUND,
                "remote write receiver needs to be enabled with --web.enable-remote-write-receiver",
            );
        };
        if let Err(why) = handler.check_encoding(request.headers()) {
            return error(StatusCode::UNSUPPORTED_MEDIA_TYPE, &why);
        }
        let content_type = handler.check_content_type(request.headers());
        let body = match self.read_body(request, WriteHandler::MAX_COMPRESSED).await {
            Ok(body) => body,
            Err(e) => return e.response(),
        };
        let handler = Arc::clone(handler);
        let store = match self.api.db() {
            Ok(db) => Arc::clone(db),
            Err(e) => return error(StatusCode::INTERNAL_SERVER_ERROR, &e.text),
        };
        tokio::task::spawn_blocking(move || handler.store(store.as_ref(), &body, content_type))
            .await
            .unwrap_or_else(|_| empty(StatusCode::INTERNAL_SERVER_ERROR))
    }
}

/// Why a body was not read.
#[derive(Debug, thiserror::Error)]
enum BodyError {
    #[error("request body exceeds the {0} bytes limit")]
    TooLarge(usize),
    #[error("{0}")]
    Broken(String),
    #[error("i/o timeout")]
    Slow,
}

impl BodyError {
    fn response(&self) -> Response<Body> {
        let status = match self {
            BodyError::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            BodyError::Broken(_) => StatusCode::BAD_REQUEST,
            BodyError::Slow => StatusCode::REQUEST_TIMEOUT,
        };
        error(status, &self.to_string())
    }
}

fn not_found() -> Response<Body> {
    error(StatusCode::NOT_FOUND, "404 page not found")
}

fn word(method: &Method, word: &str) -> Response<Body> {
    if *method == Method::HEAD {
        return empty(StatusCode::OK);
    }
    text(StatusCode::OK, format!("{APP} is {word}.\n"))
}

fn with_query(to: &str, request: &Request<Incoming>) -> String {
    match request.uri().query() {
        Some(query) => format!("{to}?{query}"),
        None => to.to_owned(),
    }
}
