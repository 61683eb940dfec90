//! GlobalConfig: what scrape and rule sections inherit.

use super::labels::ExternalLabels;
use super::names::ValidationScheme;
use super::scrape::{ScrapeProtocol, validate_protocols};
use super::values::{Bytes, Duration};
use super::yaml::{Checked, section, unchecked};

section! {
    /// The `global` section. `Default` is an empty one, [`GlobalConfig::preset`] the defaults.
    pub struct GlobalConfig("config.GlobalConfig", "config.plain") {
        scrape_interval: Duration = omit "scrape_interval";
        scrape_timeout: Duration = omit "scrape_timeout";
        /// Empty when not given: each job then chooses by whether it wants native histograms.
        scrape_protocols: Option<Vec<ScrapeProtocol>> = omit "scrape_protocols";
        evaluation_interval: Duration = omit "evaluation_interval";
        rule_query_offset: Duration = omit "rule_query_offset";
        query_log_file: String = file "query_log_file";
        scrape_failure_log_file: String = file "scrape_failure_log_file";
        /// Labels added to what leaves this server, environment variables already replaced.
        external_labels: ExternalLabels = omit "external_labels";
        body_size_limit: Bytes = omit "body_size_limit";
        sample_limit: usize = omit "sample_limit";
        target_limit: usize = omit "target_limit";
        label_limit: usize = omit "label_limit";
        label_name_length_limit: usize = omit "label_name_length_limit";
        label_value_length_limit: usize = omit "label_value_length_limit";
        keep_dropped_targets: usize = omit "keep_dropped_targets";
        metric_name_validation_scheme: ValidationScheme = omit "metric_name_validation_scheme";
        metric_name_escaping_scheme: String = omit "metric_name_escaping_scheme";
        scrape_native_histograms: Option<bool> = omit "scrape_native_histograms";
        convert_classic_histograms_to_nhcb: bool = omit "convert_classic_histograms_to_nhcb";
        always_scrape_classic_histograms: bool = omit "always_scrape_classic_histograms";
        extra_scrape_metrics: Option<bool> = omit "extra_scrape_metrics";
    }
}

impl GlobalConfig {
    /// The defaults, but for those that flags change ([`super::root::Defaults`]).
    pub fn preset() -> GlobalConfig {
        GlobalConfig {
            scrape_interval: Duration::secs(60),
            scrape_timeout: Duration::secs(10),
            evaluation_interval: Duration::secs(60),
            metric_name_validation_scheme: ValidationScheme::Utf8,
            metric_name_escaping_scheme: super::names::ALLOW_UTF8.to_owned(),
            scrape_native_histograms: Some(false),
            ..GlobalConfig::default()
        }
    }
}

impl Checked for GlobalConfig {
    fn begin(&mut self) {
        *self = GlobalConfig::default();
    }

    fn finish(&mut self) -> Result<(), String> {
        let preset = GlobalConfig::preset();
        if self.metric_name_validation_scheme == ValidationScheme::Unset {
            self.metric_name_validation_scheme = preset.metric_name_validation_scheme;
        }
        self.external_labels.validate(self.metric_name_validation_scheme)?;
        if self.scrape_interval.0 == 0 {
            self.scrape_interval = preset.scrape_interval;
        }
        if self.scrape_timeout > self.scrape_interval {
            return Err("global scrape timeout greater than scrape interval".to_owned());
        }
        if self.scrape_timeout.0 == 0 {
            self.scrape_timeout = preset.scrape_timeout.min(self.scrape_interval);
        }
        if self.evaluation_interval.0 == 0 {
            self.evaluation_interval = preset.evaluation_interval;
        }
        self.scrape_native_histograms.get_or_insert(false);
        match &self.scrape_protocols {
            Some(protocols) => {
                validate_protocols(protocols).map_err(|e| format!("{e} for global config"))
            }
            None => Ok(()),
        }
    }
}

section! {
    /// The `runtime` section. It tunes the garbage collector of the original server; it is read
    /// and shown here and has no effect.
    pub struct RuntimeConfig("config.RuntimeConfig", "config.RuntimeConfig") {
        gogc: isize = omit "gogc";
    }
}

impl RuntimeConfig {
    /// The default: `GOGC` from the environment, else 75.
    pub fn preset() -> RuntimeConfig {
        let gogc = match std::env::var("GOGC") {
            Ok(text) if text.eq_ignore_ascii_case("off") => -1,
            Ok(text) => text.parse().unwrap_or(75),
            Err(_) => 75,
        };
        RuntimeConfig { gogc }
    }
}

unchecked!(RuntimeConfig);
