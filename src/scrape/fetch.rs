//! Fetch: one HTTP GET of a target, bounded in time and size.

use std::error::Error as _;
use std::io;
use std::time::Duration;

use reqwest::header::{ACCEPT, ACCEPT_ENCODING, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use reqwest::{Response, StatusCode};

use super::body::LIMIT_ERROR;
use super::client::{Client, Clients};
use super::target::Target;
use crate::config::ScrapeConfig;

/// What targets are told we are; some of them answer by it.
const AGENT: &str = "Prometheus/3.14.0";

/// A body as it came over the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    pub body: Vec<u8>,
    /// Whether the body is gzip.
    pub gzip: bool,
    pub content_type: String,
}

/// Fetches the targets of one scrape pool.
#[derive(Debug)]
pub struct Fetcher {
    client: Client,
    headers: HeaderMap,
}

impl Fetcher {
    /// A client for the pool of `config`. The error says which setting is not usable.
    pub fn new(config: &ScrapeConfig, clients: &Clients) -> Result<Fetcher, String> {
        let mut headers = HeaderMap::new();
        let accept = accept_header(config);
        headers.insert(ACCEPT, HeaderValue::from_str(&accept).map_err(|e| e.to_string())?);
        let encoding = if config.enable_compression { "gzip" } else { "identity" };
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static(encoding));
        headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
        Ok(Fetcher { client: clients.get(&config.http_client)?, headers })
    }

    /// Gets one body. `limit` bounds its size on the wire, in bytes. Errors are the texts that the
    /// targets API of Prometheus shows.
    pub async fn fetch(&self, target: &Target, limit: usize) -> Result<Fetched, String> {
        let timeout = Duration::from_millis(target.timeout_ms.unsigned_abs());
        match tokio::time::timeout(timeout, self.get(target, timeout, limit)).await {
            Ok(result) => result,
            Err(_) => Err(format!("Get {:?}: context deadline exceeded", target.url)),
        }
    }

    async fn get(
        &self,
        target: &Target,
        timeout: Duration,
        limit: usize,
    ) -> Result<Fetched, String> {
        let mut headers = self.headers.clone();
        let seconds = model::number::format_f(timeout.as_secs_f64());
        if let Ok(value) = HeaderValue::from_str(&seconds) {
            headers.insert(HeaderName::from_static("x-prometheus-scrape-timeout-seconds"), value);
        }
        let failed = |e: String| format!("Get {:?}: {e}", target.url);
        let request = self.client.http.get(&target.url).headers(headers);
        let request = self.client.authorize(request).map_err(failed)?;
        let response = request.send().await.map_err(|e| failed(transport_error(&e)))?;
        if response.status() != StatusCode::OK {
            return Err(format!("server returned HTTP status {}", response.status()));
        }
        read_body(response, limit).await
    }
}

async fn read_body(mut response: Response, limit: usize) -> Result<Fetched, String> {
    let header = |name: &str| {
        let value = response.headers().get(name).and_then(|v| v.to_str().ok());
        value.unwrap_or_default().to_owned()
    };
    let content_type = header("content-type");
    let gzip = header("content-encoding") == "gzip";
    let announced = response.content_length().unwrap_or(0).min(limit as u64) as usize;
    let mut body = Vec::with_capacity(announced.min(1 << 20) + 1);
    while let Some(chunk) = response.chunk().await.map_err(|e| transport_error(&e))? {
        if body.len() + chunk.len() >= limit {
            return Err(LIMIT_ERROR.to_owned());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Fetched { body, gzip, content_type })
}

/// The protocols of the job that this build parses, each with the weight its place in the list
/// gives it in Prometheus, and anything else last.
fn accept_header(config: &ScrapeConfig) -> String {
    // Five protocols are known; the first of a list weighs 0.6.
    let mut weight = 6;
    let mut parts = Vec::new();
    for protocol in config.protocols() {
        match protocol.0.as_str() {
            "PrometheusText1.0.0" => parts.push(format!(
                "text/plain;version=1.0.0;escaping={};q=0.{weight}",
                config.metric_name_escaping_scheme
            )),
            "PrometheusText0.0.4" => parts.push(format!("text/plain;version=0.0.4;q=0.{weight}")),
            _ => {}
        }
        weight -= 1;
    }
    parts.push(format!("*/*;q=0.{weight}"));
    parts.join(",")
}

/// What went wrong below HTTP, in the words of Go's `net`.
fn transport_error(error: &reqwest::Error) -> String {
    let host = || {
        let url = error.url();
        let port = url.and_then(|u| u.port_or_known_default()).unwrap_or_default();
        format!("{}:{port}", url.and_then(|u| u.host_str()).unwrap_or_default())
    };
    let mut cause = error.source();
    let mut last = error.to_string();
    while let Some(inner) = cause {
        if let Some(io) = inner.downcast_ref::<io::Error>() {
            match io.kind() {
                io::ErrorKind::ConnectionRefused => {
                    return format!("dial tcp {}: connect: connection refused", host());
                }
                io::ErrorKind::TimedOut => return "context deadline exceeded".to_owned(),
                io::ErrorKind::UnexpectedEof => return "unexpected EOF".to_owned(),
                io::ErrorKind::ConnectionReset => {
                    return format!("read tcp {}: read: connection reset by peer", host());
                }
                io::ErrorKind::HostUnreachable => {
                    return format!("dial tcp {}: connect: no route to host", host());
                }
                _ => {}
            }
        }
        last = inner.to_string();
        cause = inner.source();
    }
    if error.is_timeout() {
        return "context deadline exceeded".to_owned();
    }
    if last.contains("failed to lookup address") || last.contains("dns error") {
        let name = error.url().and_then(|u| u.host_str()).unwrap_or_default();
        return format!("dial tcp: lookup {name}: no such host");
    }
    match last.as_str() {
        // Hyper's word for a connection that closes before the message is whole.
        "connection closed before message completed" => "EOF".to_owned(),
        "end of file before message length reached" => "unexpected EOF".to_owned(),
        _ => last,
    }
}
