//! Targets: what is scraped, and what the targets say of their metrics.

use std::collections::BTreeMap;

use model::Metadata;

use super::Api;
use super::call::{Answer, Call};
use super::error::ApiError;
use super::json::{push_int, push_labels, push_number, push_string, push_strings};
use super::{params, syntax};
use crate::cli::url::split_host_port;
use crate::gotime;
use crate::scrape::view::{PoolView, TargetView};

/// Go's zero time, which stands for "never".
const NEVER: &str = "0001-01-01T00:00:00Z";
/// Names under which a target may be this machine.
const LOCAL: [&str; 3] = ["127.0.0.1", "localhost", "::1"];

/// `scrape_pools`.
pub fn pools(api: &Api) -> Result<Answer, ApiError> {
    let names: Vec<String> = api.targets().pools().into_iter().map(|p| p.name).collect();
    Answer::data(move |sink| {
        sink.buf.extend_from_slice(b"{\"scrapePools\":");
        push_strings(&mut sink.buf, names);
        sink.buf.push(b'}');
    })
}

/// `targets`.
pub fn targets(api: &Api, call: &Call) -> Result<Answer, ApiError> {
    let wanted = call.url.get("scrapePool").to_owned();
    let state = call.url.get("state").to_lowercase();
    let any = state.is_empty() || state == "any";
    let (active, dropped) = (any || state == "active", any || state == "dropped");
    let pools = api.targets().pools();
    let urls = GlobalUrl {
        scheme: api.options.web.external_url.scheme.clone(),
        host: api.options.web.external_url.host.clone(),
        listen_port: api
            .options
            .web
            .listen_addresses
            .first()
            .and_then(|a| split_host_port(a).ok())
            .map(|(_, port)| port.to_owned())
            .unwrap_or_default(),
    };
    Answer::data(move |sink| {
        let shown = || pools.iter().filter(|p| wanted.is_empty() || p.name == wanted);
        sink.buf.extend_from_slice(b"{\"activeTargets\":[");
        let mut first = true;
        for pool in shown().filter(|_| active) {
            for target in &pool.active {
                sink.buf.extend_from_slice(if first { b"" } else { b"," });
                first = false;
                push_target(&mut sink.buf, pool, target, &urls);
                if !sink.spill() {
                    return;
                }
            }
        }
        sink.buf.extend_from_slice(b"],\"droppedTargets\":[");
        let mut first = true;
        for pool in shown().filter(|_| dropped) {
            for labels in &pool.dropped {
                sink.buf.extend_from_slice(if first { b"" } else { b"," });
                first = false;
                sink.buf.extend_from_slice(b"{\"discoveredLabels\":");
                push_labels(&mut sink.buf, labels);
                sink.buf.extend_from_slice(b",\"scrapePool\":");
                push_string(&mut sink.buf, &pool.name);
                sink.buf.push(b'}');
            }
        }
        sink.buf.extend_from_slice(b"],\"droppedTargetCounts\":");
        if !dropped {
            sink.buf.extend_from_slice(b"null}");
            return;
        }
        sink.buf.push(b'{');
        for (i, pool) in pools.iter().enumerate() {
            sink.buf.extend_from_slice(if i > 0 { b"," } else { b"" });
            push_string(&mut sink.buf, &pool.name);
            sink.buf.push(b':');
            push_int(&mut sink.buf, i64::try_from(pool.dropped_count).unwrap_or(i64::MAX));
        }
        sink.buf.extend_from_slice(b"}}");
    })
}

fn push_target(out: &mut Vec<u8>, pool: &PoolView, target: &TargetView, urls: &GlobalUrl) {
    let last_scrape = match target.last_scrape {
        Some(at) => gotime::rfc3339_nano(gotime::unix_nanos(at)),
        None => NEVER.to_owned(),
    };
    out.extend_from_slice(b"{\"discoveredLabels\":");
    push_labels(out, &target.discovered_labels);
    out.extend_from_slice(b",\"labels\":");
    push_labels(out, &target.labels);
    for (key, text) in [
        ("scrapePool", pool.name.as_str()),
        ("scrapeUrl", &target.scrape_url),
        ("globalUrl", &urls.of(&target.scrape_url)),
        ("lastError", &target.last_error),
        ("lastScrape", &last_scrape),
    ] {
        push_field(out, key, text);
    }
    out.extend_from_slice(b",\"lastScrapeDuration\":");
    push_number(out, target.last_scrape_duration.as_secs_f64());
    push_field(out, "health", target.health.as_str());
    push_field(out, "scrapeInterval", &target.scrape_interval);
    push_field(out, "scrapeTimeout", &target.scrape_timeout);
    if !target.last_warning.is_empty() {
        push_field(out, "lastWarning", &target.last_warning);
    }
    out.push(b'}');
}

fn push_field(out: &mut Vec<u8>, key: &str, text: &str) {
    out.extend_from_slice(format!(",\"{key}\":").as_bytes());
    push_string(out, text);
}

/// Turns the URL of a target on this machine into one that users can follow.
struct GlobalUrl {
    scheme: String,
    host: String,
    listen_port: String,
}

impl GlobalUrl {
    fn of(&self, url: &str) -> String {
        let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
        let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let (host, port) = host_and_port(authority);
        if !LOCAL.contains(&host) {
            return url.to_owned();
        }
        if port == self.listen_port {
            return format!("{}://{}{path}", self.scheme, self.host);
        }
        let (own, _) = host_and_port(&self.host);
        let own = if own.contains(':') { format!("[{own}]") } else { own.to_owned() };
        if port.is_empty() {
            format!("{scheme}://{own}{path}")
        } else {
            format!("{scheme}://{own}:{port}{path}")
        }
    }
}

fn host_and_port(authority: &str) -> (&str, &str) {
    split_host_port(authority)
        .unwrap_or((authority.trim_start_matches('[').trim_end_matches(']'), ""))
}

/// `targets/metadata`.
pub fn target_metadata(api: &Api, call: &Call) -> Result<Answer, ApiError> {
    let limit = params::list_bound(&call.form, "limit")?;
    let matchers = match call.form.get("match_target") {
        "" => Vec::new(),
        text => syntax::selector(text).map_err(|e| ApiError::invalid("match_target", &e))?,
    };
    let family = Some(call.form.get("metric")).filter(|m| !m.is_empty());
    let named = family.is_none();
    let metadata = api.targets().metadata(family);
    Answer::data(move |sink| {
        let out = &mut sink.buf;
        let mut count: i64 = 0;
        out.push(b'[');
        for target in &metadata {
            if limit >= 0 && count >= limit {
                break;
            }
            let fits = matchers.iter().all(|m| m.matches(target.labels.get(&m.name).unwrap_or("")));
            for entry in target.families.iter().filter(|_| fits) {
                out.extend_from_slice(if count > 0 { b",{\"target\":" } else { b"{\"target\":" });
                count += 1;
                push_labels(out, &target.labels);
                if named {
                    push_field(out, "metric", &entry.family);
                }
                push_field(out, "type", entry.metadata.metric_type.as_str());
                push_field(out, "help", &entry.metadata.help);
                push_field(out, "unit", &entry.metadata.unit);
                out.push(b'}');
            }
        }
        out.push(b']');
    })
}

/// `metadata`.
pub fn metadata(api: &Api, call: &Call) -> Result<Answer, ApiError> {
    let limit = params::list_bound(&call.form, "limit")?;
    let per_metric = params::list_bound(&call.form, "limit_per_metric")?;
    let family = Some(call.form.get("metric")).filter(|m| !m.is_empty());
    let mut families: BTreeMap<String, Vec<Metadata>> = BTreeMap::new();
    for entry in api.targets().metadata(family).into_iter().flat_map(|t| t.families) {
        let known = families.entry(entry.family).or_default();
        let full = usize::try_from(per_metric).is_ok_and(|most| most > 0 && known.len() >= most);
        if !full && !known.contains(&entry.metadata) {
            known.push(entry.metadata);
        }
    }
    Answer::data(move |sink| {
        sink.buf.push(b'{');
        let most = usize::try_from(limit).unwrap_or(usize::MAX);
        for (i, (family, entries)) in families.iter().take(most).enumerate() {
            sink.buf.extend_from_slice(if i > 0 { b"," } else { b"" });
            push_string(&mut sink.buf, family);
            sink.buf.extend_from_slice(b":[");
            for (j, entry) in entries.iter().enumerate() {
                sink.buf.extend_from_slice(if j > 0 { b",{\"type\":" } else { b"{\"type\":" });
                push_string(&mut sink.buf, entry.metric_type.as_str());
                push_field(&mut sink.buf, "unit", &entry.unit);
                push_field(&mut sink.buf, "help", &entry.help);
                sink.buf.push(b'}');
            }
            sink.buf.push(b']');
            if !sink.spill() {
                return;
            }
        }
        sink.buf.push(b'}');
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn global_urls() {
        let urls = GlobalUrl {
            scheme: "https".to_owned(),
            host: "prom.example:443".to_owned(),
            listen_port: "9090".to_owned(),
        };
        for (url, global) in [
            ("http://localhost:9090/p/metrics", "https://prom.example:443/p/metrics"),
            ("http://127.0.0.1:9100/metrics", "http://prom.example:9100/metrics"),
            ("http://[::1]/metrics?a=b", "http://prom.example/metrics?a=b"),
            ("http://node:9100/metrics", "http://node:9100/metrics"),
        ] {
            assert_eq!(urls.of(url), global);
        }
    }
}
