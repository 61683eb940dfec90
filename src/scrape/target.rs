//! Target: one endpoint, from discovered labels to a URL with its own place in the interval.

use std::fmt::Write as _;

use model::labels::{INSTANCE, JOB};
use model::number::go_quote;
use model::{Labels, LabelsBuilder, duration};
use url::Url;
use url::form_urlencoded::Serializer;

use crate::config::ScrapeConfig;
use crate::relabel;

const ADDRESS: &str = "__address__";
const SCHEME: &str = "__scheme__";
const METRICS_PATH: &str = "__metrics_path__";
const SCRAPE_INTERVAL: &str = "__scrape_interval__";
const SCRAPE_TIMEOUT: &str = "__scrape_timeout__";
const PARAM_PREFIX: &str = "__param_";
const META_PREFIX: &str = "__meta_";
const RESERVED_PREFIX: &str = "__";
/// Switches that only native histogram scraping reads; they are part of what relabelling sees.
const HISTOGRAM_SWITCHES: [(&str, &str); 3] = [
    ("__convert_classic_histograms_to_nhcb__", "convert classic histograms to nhcb"),
    ("__always_scrape_classic_histograms__", "always scrape classic histograms"),
    ("__scrape_native_histograms__", "scrape native histograms"),
];

/// An endpoint to scrape.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    /// Labels after relabelling, `__` labels included.
    pub all_labels: Labels,
    /// What its samples carry.
    pub labels: Labels,
    /// Labels before relabelling.
    pub discovered: Labels,
    /// Where it is scraped; also what the targets API shows.
    pub url: String,
    pub interval_ms: i64,
    pub timeout_ms: i64,
    /// Identifies the target across reloads and places it in the interval.
    pub hash: u64,
}

/// What became of one discovered target.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    Active(Box<Target>),
    /// Relabelling dropped it.
    Dropped {
        discovered: Labels,
    },
}

/// The labels that relabelling starts from: the target's own, the group's, then the job's.
pub fn discovered_labels(config: &ScrapeConfig, target: &Labels, group: &Labels) -> Labels {
    let mut builder = LabelsBuilder::new(group);
    for (name, value) in target.iter() {
        builder.set(name, value);
    }
    let mut default = |name: &str, value: &str| {
        if builder.get(name).is_empty() {
            builder.set(name, value);
        }
    };
    default(JOB, &config.job_name);
    default(SCRAPE_INTERVAL, &duration::format(config.scrape_interval.ms()));
    default(SCRAPE_TIMEOUT, &duration::format(config.scrape_timeout.ms()));
    default(METRICS_PATH, &config.metrics_path);
    default(SCHEME, &config.scheme);
    let switches = [
        config.convert_classic_histograms_to_nhcb.unwrap_or(false),
        config.always_scrape_classic_histograms.unwrap_or(false),
        config.native_histograms(),
    ];
    for ((name, _), on) in HISTOGRAM_SWITCHES.iter().zip(switches) {
        default(name, if on { "true" } else { "false" });
    }
    for (key, values) in &config.params {
        if let Some(first) = values.first() {
            default(&format!("{PARAM_PREFIX}{key}"), first);
        }
    }
    builder.labels()
}

/// Relabels and checks one discovered target. Errors are Prometheus's texts.
pub fn resolve(config: &ScrapeConfig, target: &Labels, group: &Labels) -> Result<Outcome, String> {
    let discovered = discovered_labels(config, target, group);
    let mut builder = LabelsBuilder::new(&discovered);
    if !relabel::process(&mut builder, &config.relabel_configs) {
        return Ok(Outcome::Dropped { discovered });
    }
    let address = builder.get(ADDRESS).to_owned();
    if address.is_empty() {
        return Err("no address".to_owned());
    }
    if address.contains('/') {
        return Err(format!("{} is not a valid hostname", go_quote(&address)));
    }
    let interval_ms = positive_duration(builder.get(SCRAPE_INTERVAL), "interval")?;
    let timeout_ms = positive_duration(builder.get(SCRAPE_TIMEOUT), "timeout")?;
    if timeout_ms > interval_ms {
        return Err(format!(
            "scrape timeout cannot be greater than scrape interval ({} > {})",
            go_quote(builder.get(SCRAPE_TIMEOUT)),
            go_quote(builder.get(SCRAPE_INTERVAL))
        ));
    }
    for (name, what) in HISTOGRAM_SWITCHES {
        let value = builder.get(name);
        if !value.is_empty() && !is_go_bool(value) {
            let shown = go_quote(value);
            return Err(format!(
                "error parsing {what}: strconv.ParseBool: parsing {shown}: invalid syntax"
            ));
        }
    }
    builder.retain(|name| !name.starts_with(META_PREFIX));
    if builder.get(INSTANCE).is_empty() {
        builder.set(INSTANCE, &address);
    }
    let all_labels = builder.labels();
    builder.retain(|name| !name.starts_with(RESERVED_PREFIX));
    let labels = builder.labels();
    let url = target_url(config, &all_labels);
    let hash = target_hash(&all_labels, &url);
    let target = Target { all_labels, labels, discovered, url, interval_ms, timeout_ms, hash };
    Ok(Outcome::Active(Box::new(target)))
}

fn positive_duration(text: &str, what: &str) -> Result<i64, String> {
    match duration::parse(text) {
        Ok(0) => Err(format!("scrape {what} cannot be 0")),
        Ok(ms) => Ok(ms),
        Err(e) => Err(format!("error parsing scrape {what}: {e}")),
    }
}

fn is_go_bool(text: &str) -> bool {
    let known = ["1", "t", "T", "TRUE", "true", "True", "0", "f", "F", "FALSE", "false", "False"];
    known.contains(&text)
}

/// `scheme://address/path?params`; the first value of a parameter comes from its label.
fn target_url(config: &ScrapeConfig, labels: &Labels) -> String {
    let label = |name| labels.get(name).unwrap_or("");
    let mut params: Vec<(String, Vec<String>)> =
        config.params.iter().map(|(k, v)| (k.clone(), v.clone())).collect();
    for (name, value) in labels.iter() {
        let Some(key) = name.strip_prefix(PARAM_PREFIX) else { continue };
        match params.iter_mut().find(|(k, _)| k == key) {
            Some((_, values)) if !values.is_empty() => value.clone_into(&mut values[0]),
            Some((_, values)) => values.push(value.to_owned()),
            None => params.push((key.to_owned(), vec![value.to_owned()])),
        }
    }
    params.sort();
    let mut query = Serializer::new(String::new());
    for (key, values) in &params {
        for value in values {
            query.append_pair(key, value);
        }
    }
    let mut path = label(METRICS_PATH).to_owned();
    if !path.is_empty() && !path.starts_with('/') {
        path.insert(0, '/');
    }
    let mut url = format!("{}://{}{path}", label(SCHEME), label(ADDRESS));
    let query = query.finish();
    if !query.is_empty() {
        let _ = write!(url, "?{query}");
    }
    // Escapes what a path may not hold; a text no URL can be made of is shown as it is and fails
    // when it is fetched.
    match Url::parse(&url) {
        Ok(parsed) if path.is_empty() => parsed.as_str().trim_end_matches('/').to_owned(),
        Ok(parsed) => keep_default_port(&url, parsed.as_str()),
        Err(_) => url,
    }
}

/// `Url` drops `:80` and `:443`; Prometheus shows the address as configured.
fn keep_default_port(written: &str, parsed: &str) -> String {
    let host_end = |s: &str| {
        let start = s.find("://").map_or(0, |at| at + 3);
        s[start..].find(['/', '?']).map_or(s.len(), |at| start + at)
    };
    format!("{}{}", &written[..host_end(written)], &parsed[host_end(parsed)..])
}

/// FNV-1a over the label hash, sixteen digits wide, and the URL: Prometheus's target identity.
fn target_hash(labels: &Labels, url: &str) -> u64 {
    fnv64a([format!("{:016}", labels.hash64()).as_bytes(), url.as_bytes()])
}

/// FNV-1a, 64 bit, over the parts one after the other.
pub fn fnv64a<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> u64 {
    parts
        .into_iter()
        .flatten()
        .fold(0xcbf2_9ce4_8422_2325, |hash, b| (hash ^ u64::from(*b)).wrapping_mul(0x100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fnv_is_gos() {
        assert_eq!(fnv64a([b"".as_slice()]), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv64a([b"foo".as_slice(), b"bar"]), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn ports_stay_as_written() {
        let show = |s: &str| keep_default_port(s, Url::parse(s).unwrap().as_str());
        assert_eq!(show("http://a:80/m?x=1"), "http://a:80/m?x=1");
        assert_eq!(show("https://a:443/m m"), "https://a:443/m%20m");
    }
}
