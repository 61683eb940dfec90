//! Config: the sections of a file together, and what they need to agree on.

use std::collections::HashSet;

use model::number::go_quote;

use super::alerting::AlertingConfig;
use super::expand::expand;
use super::global::{GlobalConfig, RuntimeConfig};
use super::otlp::OtlpConfig;
use super::remote::{RemoteReadConfig, RemoteWriteConfig};
use super::scrape::{ScrapeConfig, ScrapeProtocol};
use super::storage::{ExemplarsConfig, RetentionConfig, StorageConfig};
use super::tracing::TracingConfig;
use super::yaml::{self, Checked, Decoder, Field, Items, Tree, section};

section! {
    /// A whole configuration file. `Default` is an empty struct, [`Config::preset`] the defaults.
    pub struct Config("config.Config", "config.plain") {
        global: GlobalConfig = keep "global";
        runtime: RuntimeConfig = omit "runtime";
        alerting: AlertingConfig = omit "alerting";
        /// Patterns of rule files.
        rule_files: Vec<String> = file "rule_files";
        /// Patterns of files with more jobs.
        scrape_config_files: Vec<String> = file "scrape_config_files";
        /// The jobs of this file; [`Config::all_scrape_configs`] adds those of the other files.
        scrape_configs: Items<ScrapeConfig> = omit "scrape_configs";
        storage: StorageConfig = omit "storage";
        tracing: TracingConfig = omit "tracing";
        remote_write: Items<RemoteWriteConfig> = omit "remote_write";
        remote_read: Items<RemoteReadConfig> = omit "remote_read";
        otlp: OtlpConfig = omit "otlp";
    }
}

/// Defaults that flags of the server change.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Defaults {
    /// What a configuration without `storage.tsdb.retention` keeps.
    pub retention: RetentionConfig,
    /// Jobs ask for protobuf first though they do not want native histograms.
    pub proto_first: bool,
    /// `global.extra_scrape_metrics`
    pub extra_scrape_metrics: bool,
    /// Exemplars are stored, so `storage.exemplars` is always there.
    pub exemplars: bool,
}

impl Config {
    /// The defaults, which are also what an empty file means.
    pub fn preset() -> Config {
        Config {
            global: GlobalConfig::preset(),
            runtime: RuntimeConfig::preset(),
            otlp: OtlpConfig::preset(),
            ..Config::default()
        }
    }

    /// Reads a configuration text: decodes, fills in defaults, checks. `env` looks up environment
    /// variables for the external labels; each one that is empty or missing is told to `warn`.
    pub fn from_tree(
        tree: &Tree,
        defaults: &Defaults,
        env: &dyn Fn(&str) -> Option<String>,
        warn: &mut dyn FnMut(&str),
    ) -> Result<Config, yaml::Error> {
        let mut config = Config::preset();
        Decoder::decode_tree(tree, &mut config)?;
        config.complete(defaults)?;
        for value in config.global.external_labels.0.0.values_mut() {
            *value = expand(value, |name| match env(name).filter(|v| !v.is_empty()) {
                Some(found) => found,
                None => {
                    warn(name);
                    String::new()
                }
            });
        }
        config.otlp.validate(config.global.metric_name_validation_scheme)?;
        Ok(config)
    }

    /// Fills in what is not given and checks what sections have to agree on.
    fn complete(&mut self, defaults: &Defaults) -> Result<(), String> {
        // A section that is there but empty leaves zeros behind.
        if self.global == GlobalConfig::default() {
            self.global = GlobalConfig::preset();
        }
        if self.runtime.gogc == 0 {
            self.runtime = RuntimeConfig::preset();
        }
        self.global.extra_scrape_metrics.get_or_insert(defaults.extra_scrape_metrics);
        if self.global.scrape_protocols.is_none() && defaults.proto_first {
            self.global.scrape_protocols = Some(ScrapeProtocol::defaults(true));
        }
        let tsdb = self.storage.tsdb.get_or_insert_default();
        tsdb.retention.get_or_insert_with(|| defaults.retention.clone());
        if defaults.exemplars {
            self.storage.exemplars.get_or_insert_with(ExemplarsConfig::preset);
        }
        self.check_patterns()?;
        self.check_jobs()?;
        self.alerting.validate(self.global.metric_name_validation_scheme)?;
        self.check_remotes()
    }

    /// The configuration as YAML, defaults filled in and secrets hidden: what
    /// `/api/v1/status/config` shows.
    pub fn to_yaml(&self) -> String {
        yaml::to_text(&self.emit())
    }

    fn check_patterns(&self) -> Result<(), String> {
        for (what, patterns) in
            [("rule", &self.rule_files), ("scrape config", &self.scrape_config_files)]
        {
            if let Some(bad) = patterns.iter().find(|p| !is_valid_pattern(p)) {
                return Err(format!("invalid {what} file path {}", go_quote(bad)));
            }
        }
        Ok(())
    }

    fn check_jobs(&mut self) -> Result<(), String> {
        let mut names = HashSet::new();
        for job in self.scrape_configs.iter_mut() {
            job.validate(&self.global)?;
            if !names.insert(job.job_name.clone()) {
                let quoted = go_quote(&job.job_name);
                return Err(format!("found multiple scrape configs with job name {quoted}"));
            }
        }
        if self.scrape_configs.has_null() {
            return Err("empty or null scrape config section".to_owned());
        }
        Ok(())
    }

    fn check_remotes(&mut self) -> Result<(), String> {
        let scheme = self.global.metric_name_validation_scheme;
        let mut names = HashSet::new();
        for remote in self.remote_write.iter_mut() {
            if !remote.name.is_empty() && !names.insert(remote.name.clone()) {
                let quoted = go_quote(&remote.name);
                return Err(format!("found multiple remote write configs with job name {quoted}"));
            }
            remote.validate(scheme)?;
        }
        if self.remote_write.has_null() {
            return Err("empty or null remote write config section".to_owned());
        }
        let mut names = HashSet::new();
        for remote in &self.remote_read {
            if !remote.name.is_empty() && !names.insert(remote.name.clone()) {
                let quoted = go_quote(&remote.name);
                return Err(format!("found multiple remote read configs with job name {quoted}"));
            }
        }
        if self.remote_read.has_null() {
            return Err("empty or null remote read config section".to_owned());
        }
        Ok(())
    }
}

/// `^[^*]*(\*[^/]*)?$`: a `*` in the last element only.
fn is_valid_pattern(pattern: &str) -> bool {
    pattern.split_once('*').is_none_or(|(_, tail)| !tail.contains('/'))
}

impl Checked for Config {
    fn begin(&mut self) {
        *self = Config::preset();
    }
}
