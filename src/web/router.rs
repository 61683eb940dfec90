//! Routes: one row each, and how a method and a path find theirs.
//!
//! What must hold: a path that exists under another method is 405 with `Allow`, a path that only
//! lacks or has a slash too much is redirected, everything else is 404.

use hyper::Method;

use super::form;
use crate::api::Endpoint as Api;

/// What a route leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// Redirect to the page.
    Root,
    /// `/graph` of old links.
    Graph,
    /// The page.
    Page,
    Version,
    Metrics,
    Healthy,
    Ready,
    Reload,
    Quit,
    /// Reload or quit with a method that changes nothing.
    LifecycleGet,
    Favicon,
    /// Part of Prometheus that is not built: says so.
    Unbuilt,
    Write,
    Read,
    Otlp,
    /// `OPTIONS` of anything below the API.
    Options,
    Api(Api),
}

/// Methods of a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Methods {
    Get,
    GetHead,
    GetPost,
    Post,
    PostPut,
    Options,
}

impl Methods {
    fn names(self) -> &'static [&'static str] {
        match self {
            Methods::Get => &["GET"],
            Methods::GetHead => &["GET", "HEAD"],
            Methods::GetPost => &["GET", "POST"],
            Methods::Post => &["POST"],
            Methods::PostPut => &["POST", "PUT"],
            Methods::Options => &["OPTIONS"],
        }
    }
}

/// One route.
#[derive(Debug)]
pub struct Route {
    /// Segments; `:name` takes one, `*rest` the rest. Also the handler label of the HTTP metrics.
    pub pattern: &'static str,
    pub methods: Methods,
    pub endpoint: Endpoint,
    /// Answers 503 until the server is ready.
    pub gated: bool,
}

const fn open(pattern: &'static str, methods: Methods, endpoint: Endpoint) -> Route {
    Route { pattern, methods, endpoint, gated: false }
}

const fn gated(pattern: &'static str, methods: Methods, endpoint: Endpoint) -> Route {
    Route { pattern, methods, endpoint, gated: true }
}

use Methods::{Get, GetHead, GetPost, Post, PostPut};

/// Every route below the prefix.
pub const ROUTES: &[Route] = &[
    open("/", Get, Endpoint::Root),
    open("/graph", Get, Endpoint::Graph),
    open("/query", Get, Endpoint::Page),
    open("/targets", Get, Endpoint::Page),
    open("/status", Get, Endpoint::Page),
    open("/tsdb-status", Get, Endpoint::Page),
    open("/flags", Get, Endpoint::Page),
    open("/config", Get, Endpoint::Page),
    open("/alerts", Get, Endpoint::Page),
    open("/rules", Get, Endpoint::Page),
    open("/service-discovery", Get, Endpoint::Page),
    open("/alertmanager-discovery", Get, Endpoint::Page),
    open("/favicon.svg", Get, Endpoint::Favicon),
    open("/favicon.ico", Get, Endpoint::Favicon),
    open("/version", Get, Endpoint::Version),
    open("/metrics", Get, Endpoint::Metrics),
    gated("/federate", Get, Endpoint::Unbuilt),
    gated("/consoles/*filepath", Get, Endpoint::Unbuilt),
    open("/-/healthy", GetHead, Endpoint::Healthy),
    gated("/-/ready", GetHead, Endpoint::Ready),
    open("/-/reload", PostPut, Endpoint::Reload),
    open("/-/reload", Get, Endpoint::LifecycleGet),
    open("/-/quit", PostPut, Endpoint::Quit),
    open("/-/quit", Get, Endpoint::LifecycleGet),
    gated("/api/v1/query", GetPost, Endpoint::Api(Api::Query)),
    gated("/api/v1/query_range", GetPost, Endpoint::Api(Api::QueryRange)),
    gated("/api/v1/query_exemplars", GetPost, Endpoint::Api(Api::QueryExemplars)),
    gated("/api/v1/format_query", GetPost, Endpoint::Api(Api::FormatQuery)),
    gated("/api/v1/parse_query", GetPost, Endpoint::Api(Api::ParseQuery)),
    gated("/api/v1/labels", GetPost, Endpoint::Api(Api::Labels)),
    gated("/api/v1/label/:name/values", Get, Endpoint::Api(Api::LabelValues)),
    gated("/api/v1/series", GetPost, Endpoint::Api(Api::Series)),
    gated("/api/v1/scrape_pools", Get, Endpoint::Api(Api::ScrapePools)),
    gated("/api/v1/targets", Get, Endpoint::Api(Api::Targets)),
    gated("/api/v1/targets/metadata", Get, Endpoint::Api(Api::TargetsMetadata)),
    gated("/api/v1/alertmanagers", Get, Endpoint::Api(Api::Alertmanagers)),
    gated("/api/v1/metadata", Get, Endpoint::Api(Api::Metadata)),
    gated("/api/v1/alerts", Get, Endpoint::Api(Api::Alerts)),
    gated("/api/v1/rules", Get, Endpoint::Api(Api::Rules)),
    gated("/api/v1/status/config", Get, Endpoint::Api(Api::StatusConfig)),
    gated("/api/v1/status/runtimeinfo", Get, Endpoint::Api(Api::RuntimeInfo)),
    gated("/api/v1/status/buildinfo", Get, Endpoint::Api(Api::BuildInfo)),
    gated("/api/v1/status/flags", Get, Endpoint::Api(Api::Flags)),
    gated("/api/v1/status/active_queries", Get, Endpoint::Api(Api::ActiveQueries)),
    gated("/api/v1/status/top_queries", Get, Endpoint::Api(Api::TopQueries)),
    gated("/api/v1/status/tsdb", Get, Endpoint::Api(Api::Tsdb)),
    gated("/api/v1/status/tsdb/blocks", Get, Endpoint::Api(Api::TsdbBlocks)),
    open("/api/v1/status/walreplay", Get, Endpoint::Api(Api::WalReplay)),
    open("/api/v1/notifications", Get, Endpoint::Api(Api::Notifications)),
    gated("/api/v1/admin/queries/:id/cancel", PostPut, Endpoint::Api(Api::CancelQuery)),
    gated("/api/v1/admin/tsdb/delete_series", PostPut, Endpoint::Api(Api::DeleteSeries)),
    gated("/api/v1/admin/tsdb/clean_tombstones", PostPut, Endpoint::Api(Api::CleanTombstones)),
    gated("/api/v1/admin/tsdb/snapshot", PostPut, Endpoint::Api(Api::Snapshot)),
    gated("/api/v1/read", Post, Endpoint::Read),
    gated("/api/v1/write", Post, Endpoint::Write),
    gated("/api/v1/otlp/v1/metrics", Post, Endpoint::Otlp),
    gated("/api/v1/*path", Methods::Options, Endpoint::Options),
];

/// Where a request leads.
#[derive(Debug, PartialEq, Eq)]
pub enum Found {
    Route {
        /// Index into [`ROUTES`].
        route: usize,
        /// What `:name` took, decoded.
        param: String,
    },
    /// The same path with or without its last slash.
    Redirect(String),
    /// The methods that exist, for `Allow`.
    NotAllowed(String),
    NotFound,
}

/// Finds the route of `path` (prefix removed).
pub fn find(method: &Method, path: &str) -> Found {
    let mut allowed: Vec<&str> = Vec::new();
    let mut elsewhere = false;
    for (route, row) in ROUTES.iter().enumerate() {
        let Some(param) = matches(row.pattern, path) else { continue };
        if row.methods.names().contains(&method.as_str()) {
            return Found::Route { route, param };
        }
        elsewhere |= row.methods != Methods::Options;
        allowed.extend(row.methods.names());
    }
    if elsewhere {
        allowed.push("OPTIONS");
        allowed.sort_unstable();
        allowed.dedup();
        return Found::NotAllowed(allowed.join(", "));
    }
    let other = match path.strip_suffix('/') {
        Some(shorter) => shorter.to_owned(),
        None => format!("{path}/"),
    };
    let known = |p: &str| {
        ROUTES.iter().any(|r| {
            r.methods != Methods::Options
                && r.methods.names().contains(&method.as_str())
                && matches(r.pattern, p).is_some()
        })
    };
    if !other.is_empty() && known(&other) { Found::Redirect(other) } else { Found::NotFound }
}

/// What a pattern's parameter takes of `path`; `None` when they do not match.
fn matches(pattern: &str, path: &str) -> Option<String> {
    if !pattern.contains([':', '*']) {
        return (pattern == path).then(String::new);
    }
    let mut param = String::new();
    let mut rest = path.split('/');
    for expected in pattern.split('/') {
        if let Some(name) = expected.strip_prefix('*') {
            let tail: Vec<&str> = rest.collect();
            return (!tail.is_empty() && !name.is_empty()).then_some(param);
        }
        let segment = rest.next()?;
        if expected.starts_with(':') {
            if segment.is_empty() {
                return None;
            }
            param = form::unescape_path(segment).ok()?;
        } else if expected != segment {
            return None;
        }
    }
    rest.next().is_none().then_some(param)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(method: Method, path: &str, expected: &str) {
        let found = match find(&method, path) {
            Found::Route { route, param } => format!("{} {param}", ROUTES[route].pattern),
            other => format!("{other:?}"),
        };
        assert_eq!(found, expected, "{method} {path}");
    }

    #[test]
    fn finds() {
        check(Method::GET, "/", "/ ");
        check(Method::POST, "/api/v1/query", "/api/v1/query ");
        check(Method::GET, "/api/v1/label/a%20b/values", "/api/v1/label/:name/values a b");
        let cancel = "/api/v1/admin/queries/17/cancel";
        check(Method::POST, cancel, "/api/v1/admin/queries/:id/cancel 17");
        check(Method::OPTIONS, "/api/v1/whatever/x", "/api/v1/*path ");
        check(Method::DELETE, "/api/v1/query", "NotAllowed(\"GET, OPTIONS, POST\")");
        check(Method::GET, "/api/v1/write", "NotAllowed(\"OPTIONS, POST\")");
        check(Method::HEAD, "/metrics", "NotAllowed(\"GET, OPTIONS\")");
        check(Method::GET, "/-/reload", "/-/reload ");
        check(Method::GET, "/api/v1/query/", "Redirect(\"/api/v1/query\")");
        check(Method::HEAD, "/api/v1/query/", "NotFound");
        check(Method::GET, "/api/v1/nope", "NotFound");
        check(Method::GET, "/nope", "NotFound");
    }
}
