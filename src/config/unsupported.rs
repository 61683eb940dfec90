//! Sections the configuration may have and this server cannot serve yet: they stop the start with
//! their key, file and line, instead of being silently without effect.
//!
//! A part that gets built deletes its row here.

use super::otlp::OtlpConfig;
use super::root::Config;
use super::scrape::{ScrapeConfig, ScrapeProtocol};
use super::sd::DiscoveryConfig;
use super::yaml::{Field, NodeRef, Tree};

/// A key and whether a configuration needs it to do something.
type Row = (&'static str, fn(&Config) -> bool);

/// The same for a job.
type JobRow = (&'static str, fn(&ScrapeConfig) -> bool);

/// Top-level keys.
const SECTIONS: &[Row] = &[
    ("alerting", |config| {
        let has_targets = |d: &DiscoveryConfig| match d {
            DiscoveryConfig::Static(group) => !group.targets.is_empty(),
            _ => true,
        };
        config.alerting.alertmanagers.iter().any(|m| m.discovery.configs.iter().any(has_targets))
    }),
    ("rule_files", |config| !config.rule_files.is_empty()),
    ("remote_write", |config| !config.remote_write.is_empty()),
    ("remote_read", |config| !config.remote_read.is_empty()),
    ("tracing", |config| !config.tracing.is_zero()),
    ("otlp", |config| config.otlp != OtlpConfig::preset()),
];

/// Keys of a job, in its own section or inherited from `global`.
const JOB_KEYS: &[JobRow] = &[
    ("scrape_native_histograms", ScrapeConfig::native_histograms),
    ("convert_classic_histograms_to_nhcb", |job| {
        job.convert_classic_histograms_to_nhcb == Some(true)
    }),
    ("scrape_failure_log_file", |job| !job.scrape_failure_log_file.is_empty()),
    // Of the formats in the list, one at least must be one that this version parses.
    ("scrape_protocols", |job| !job.protocols().iter().any(is_text)),
    ("fallback_scrape_protocol", |job| {
        let fallback = &job.fallback_scrape_protocol;
        !fallback.0.is_empty() && !is_text(fallback)
    }),
    ("oauth2", |job| job.http_client.oauth2.is_some()),
    ("server_name", |job| !job.http_client.tls_config.server_name.is_empty()),
    ("proxy_connect_header", |job| !job.http_client.proxy.proxy_connect_header.is_empty()),
];

fn is_text(protocol: &ScrapeProtocol) -> bool {
    protocol.0.starts_with("PrometheusText")
}

/// Kinds of service discovery that work; all others are refused.
const DISCOVERY: &[&str] = &["static_configs", "file_sd_configs"];

/// Refuses what the server cannot do, with the place in the file.
pub fn check(config: &Config, tree: &Tree, path: &str) -> Result<(), String> {
    for (key, needed) in SECTIONS {
        if needed(config) {
            let line = tree.root().and_then(|root| line_of(root, key));
            return Err(refusal(key, path, line));
        }
    }
    check_jobs(&config.scrape_configs, tree, path)
}

/// Refuses kinds of service discovery that do not work, with the place in the file.
pub fn check_jobs(jobs: &[ScrapeConfig], tree: &Tree, path: &str) -> Result<(), String> {
    for job in jobs {
        if let Some((key, _)) = JOB_KEYS.iter().find(|(_, needed)| needed(job)) {
            let line = line_in_jobs(tree, &job.job_name, key);
            return Err(refusal(key, path, line.or_else(|| line_below(tree, "global", key))));
        }
        for source in &job.discovery.configs {
            let key = source.key();
            if !DISCOVERY.contains(&key) {
                return Err(refusal(key, path, line_in_jobs(tree, &job.job_name, key)));
            }
        }
    }
    Ok(())
}

fn refusal(key: &str, path: &str, line: Option<usize>) -> String {
    let place = line.map(|line| format!(" line {line}")).unwrap_or_default();
    format!("{key} is not supported by this version of epimetheus: {path}{place}")
}

fn entry<'a>(node: NodeRef<'a>, key: &str) -> Option<(NodeRef<'a>, NodeRef<'a>)> {
    node.entries().find(|(k, _)| k.scalar() == Some(key))
}

fn line_of(node: NodeRef<'_>, key: &str) -> Option<usize> {
    entry(node, key).map(|(k, _)| k.line())
}

fn line_below(tree: &Tree, section: &str, key: &str) -> Option<usize> {
    line_of(entry(tree.root()?, section)?.1, key)
}

fn line_in_jobs(tree: &Tree, job: &str, key: &str) -> Option<usize> {
    let (_, jobs) = entry(tree.root()?, "scrape_configs")?;
    let named = |item: &NodeRef<'_>| {
        entry(*item, "job_name").is_some_and(|(_, name)| name.scalar() == Some(job))
    };
    let item = jobs.items().find(named)?;
    line_of(item, key)
}
