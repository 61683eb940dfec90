//! ScrapeConfig: one job, its defaults, what it inherits and what makes it invalid.

use std::fmt;

use model::number::go_quote;

use crate::relabel::RelabelConfig;

use super::global::GlobalConfig;
use super::http_client::HttpClientConfig;
use super::names::{ALLOW_UTF8, DOTS, ESCAPING_SCHEMES, UNDERSCORES, VALUES, ValidationScheme};
use super::sd::DiscoveryConfigs;
use super::values::{Bytes, Duration, text_type};
use super::yaml::{Checked, Items, Map, section, unchecked};

text_type! {
    /// A format a target may answer in.
    pub struct ScrapeProtocol("config.ScrapeProtocol", "config.ScrapeProtocol");
}

/// The protocols by name with their media types.
pub const SCRAPE_PROTOCOLS: [(&str, &str); 5] = [
    ("OpenMetricsText0.0.1", "application/openmetrics-text;version=0.0.1"),
    ("OpenMetricsText1.0.0", "application/openmetrics-text;version=1.0.0"),
    (
        "PrometheusProto",
        "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited",
    ),
    ("PrometheusText0.0.4", "text/plain;version=0.0.4"),
    ("PrometheusText1.0.0", "text/plain;version=1.0.0"),
];

/// What a job asks for that scrapes native histograms and has no list of its own, best first; other
/// jobs leave out the first.
const PROTO_FIRST: [&str; 5] = [
    "PrometheusProto",
    "OpenMetricsText1.0.0",
    "OpenMetricsText0.0.1",
    "PrometheusText1.0.0",
    "PrometheusText0.0.4",
];

impl ScrapeProtocol {
    /// The media type with its parameters; `None` for a protocol nobody knows.
    pub fn header(&self) -> Option<&'static str> {
        SCRAPE_PROTOCOLS.iter().find(|(name, _)| *name == self.0).map(|(_, header)| *header)
    }

    fn validate(&self) -> Result<(), String> {
        if self.header().is_some() {
            return Ok(());
        }
        let names: Vec<&str> = SCRAPE_PROTOCOLS.iter().map(|(name, _)| *name).collect();
        Err(format!("unknown scrape protocol {self}, supported: [{}]", names.join(" ")))
    }

    /// The protocols of a job without a list of its own.
    pub fn defaults(native_histograms: bool) -> Vec<ScrapeProtocol> {
        let skip = usize::from(!native_histograms);
        PROTO_FIRST.iter().skip(skip).map(|name| ScrapeProtocol((*name).to_owned())).collect()
    }
}

impl fmt::Display for ScrapeProtocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Checks a list of protocols: known, not empty, each once.
pub fn validate_protocols(protocols: &[ScrapeProtocol]) -> Result<(), String> {
    if protocols.is_empty() {
        return Err("scrape_protocols cannot be empty".to_owned());
    }
    for (i, protocol) in protocols.iter().enumerate() {
        if protocols[..i].iter().any(|p| p.0.eq_ignore_ascii_case(&protocol.0)) {
            let all: Vec<&str> = protocols.iter().map(|p| p.0.as_str()).collect();
            return Err(format!(
                "duplicated protocol in scrape_protocols, got [{}]",
                all.join(" ")
            ));
        }
        protocol.validate().map_err(|e| format!("scrape_protocols: {e}"))?;
    }
    Ok(())
}

section! {
    /// One job of `scrape_configs`. After loading, everything that can be inherited is filled in.
    pub struct ScrapeConfig("config.ScrapeConfig", "config.ScrapeConfig") {
        job_name: String = keep "job_name";
        honor_labels: bool = omit "honor_labels";
        honor_timestamps: bool = keep "honor_timestamps";
        track_timestamps_staleness: bool = keep "track_timestamps_staleness";
        /// Query parameters of the scrape's URL.
        params: Map<Vec<String>> = omit "params";
        scrape_interval: Duration = omit "scrape_interval";
        scrape_timeout: Duration = omit "scrape_timeout";
        /// Formats to ask for, best first.
        scrape_protocols: Option<Vec<ScrapeProtocol>> = omit "scrape_protocols";
        /// The format to assume when the answer does not name one; empty for none.
        fallback_scrape_protocol: ScrapeProtocol = omit "fallback_scrape_protocol";
        scrape_native_histograms: Option<bool> = omit "scrape_native_histograms";
        always_scrape_classic_histograms: Option<bool> = omit "always_scrape_classic_histograms";
        convert_classic_histograms_to_nhcb: Option<bool> = omit "convert_classic_histograms_to_nhcb";
        scrape_failure_log_file: String = file "scrape_failure_log_file";
        metrics_path: String = omit "metrics_path";
        scheme: String = omit "scheme";
        enable_compression: bool = keep "enable_compression";
        /// Largest body after decompression; 0 for no limit.
        body_size_limit: Bytes = omit "body_size_limit";
        sample_limit: usize = omit "sample_limit";
        target_limit: usize = omit "target_limit";
        label_limit: usize = omit "label_limit";
        label_name_length_limit: usize = omit "label_name_length_limit";
        label_value_length_limit: usize = omit "label_value_length_limit";
        native_histogram_bucket_limit: usize = omit "native_histogram_bucket_limit";
        native_histogram_min_bucket_factor: f64 = omit "native_histogram_min_bucket_factor";
        keep_dropped_targets: usize = omit "keep_dropped_targets";
        metric_name_validation_scheme: ValidationScheme = omit "metric_name_validation_scheme";
        /// One of [`super::names::ESCAPING_SCHEMES`].
        metric_name_escaping_scheme: String = omit "metric_name_escaping_scheme";
        extra_scrape_metrics: Option<bool> = omit "extra_scrape_metrics";
        http_client: HttpClientConfig = inline;
        /// Rules for targets.
        relabel_configs: Items<RelabelConfig> = omit "relabel_configs";
        /// Rules for scraped series.
        metric_relabel_configs: Items<RelabelConfig> = omit "metric_relabel_configs";
        /// Where the targets come from.
        discovery: DiscoveryConfigs = inline;
    }
}

impl ScrapeConfig {
    /// The defaults of a job; what it inherits is still empty.
    pub fn preset() -> ScrapeConfig {
        ScrapeConfig {
            metrics_path: "/metrics".to_owned(),
            scheme: "http".to_owned(),
            honor_timestamps: true,
            enable_compression: true,
            http_client: HttpClientConfig::preset(),
            ..ScrapeConfig::default()
        }
    }

    /// Whether to ask for native histograms.
    pub fn native_histograms(&self) -> bool {
        self.scrape_native_histograms.unwrap_or(false)
    }

    /// Formats to ask for, best first.
    pub fn protocols(&self) -> &[ScrapeProtocol] {
        self.scrape_protocols.as_deref().unwrap_or_default()
    }

    /// Fills in what comes from `global` and checks the whole.
    pub fn validate(&mut self, global: &GlobalConfig) -> Result<(), String> {
        self.inherit_times(global)?;
        self.inherit_limits(global);
        self.inherit_protocols(global)?;
        self.inherit_names(global)?;
        self.convert_classic_histograms_to_nhcb
            .get_or_insert(global.convert_classic_histograms_to_nhcb);
        self.always_scrape_classic_histograms
            .get_or_insert(global.always_scrape_classic_histograms);
        let scheme = self.metric_name_validation_scheme;
        for rule in self.relabel_configs.iter_mut() {
            rule.validate(scheme)?;
        }
        for rule in self.metric_relabel_configs.iter_mut() {
            rule.validate(scheme)?;
        }
        Ok(())
    }

    fn inherit_times(&mut self, global: &GlobalConfig) -> Result<(), String> {
        if self.scrape_interval.0 == 0 {
            self.scrape_interval = global.scrape_interval;
        }
        if self.scrape_timeout > self.scrape_interval {
            return Err(format!(
                "scrape timeout greater than scrape interval for scrape config with job name {}",
                go_quote(&self.job_name)
            ));
        }
        if self.scrape_timeout.0 == 0 {
            self.scrape_timeout = global.scrape_timeout.min(self.scrape_interval);
        }
        Ok(())
    }

    fn inherit_limits(&mut self, global: &GlobalConfig) {
        if self.body_size_limit.0 == 0 {
            self.body_size_limit = global.body_size_limit;
        }
        for (own, inherited) in [
            (&mut self.sample_limit, global.sample_limit),
            (&mut self.target_limit, global.target_limit),
            (&mut self.label_limit, global.label_limit),
            (&mut self.label_name_length_limit, global.label_name_length_limit),
            (&mut self.label_value_length_limit, global.label_value_length_limit),
            (&mut self.keep_dropped_targets, global.keep_dropped_targets),
        ] {
            if *own == 0 {
                *own = inherited;
            }
        }
        if self.scrape_failure_log_file.is_empty() {
            self.scrape_failure_log_file.clone_from(&global.scrape_failure_log_file);
        }
        self.scrape_native_histograms =
            self.scrape_native_histograms.or(global.scrape_native_histograms);
        self.extra_scrape_metrics = self.extra_scrape_metrics.or(global.extra_scrape_metrics);
    }

    fn inherit_protocols(&mut self, global: &GlobalConfig) -> Result<(), String> {
        if self.scrape_protocols.is_none() {
            let inherited = global.scrape_protocols.clone();
            let native = self.native_histograms();
            self.scrape_protocols =
                Some(inherited.unwrap_or_else(|| ScrapeProtocol::defaults(native)));
        }
        let job = go_quote(&self.job_name);
        validate_protocols(self.protocols())
            .map_err(|e| format!("{e} for scrape config with job name {job}"))?;
        if !self.fallback_scrape_protocol.0.is_empty() {
            self.fallback_scrape_protocol.validate().map_err(|e| {
                format!(
                    "invalid fallback_scrape_protocol for scrape config with job name {job}: {e}"
                )
            })?;
        }
        Ok(())
    }

    fn inherit_names(&mut self, global: &GlobalConfig) -> Result<(), String> {
        let escaping_of = |scheme: ValidationScheme| match scheme {
            ValidationScheme::Legacy => UNDERSCORES,
            ValidationScheme::Unset | ValidationScheme::Utf8 => ALLOW_UTF8,
        };
        let own_scheme = self.metric_name_validation_scheme != ValidationScheme::Unset;
        if !own_scheme {
            self.metric_name_validation_scheme = global.metric_name_validation_scheme;
        }
        let inherited = match global.metric_name_escaping_scheme.as_str() {
            "" => escaping_of(global.metric_name_validation_scheme),
            known if ESCAPING_SCHEMES.contains(&known) => known,
            other => return Err(unknown_escaping("global", other)),
        };
        if self.metric_name_escaping_scheme.is_empty() {
            let scheme = self.metric_name_validation_scheme;
            let escaping = if own_scheme { escaping_of(scheme) } else { inherited };
            escaping.clone_into(&mut self.metric_name_escaping_scheme);
        }
        match self.metric_name_escaping_scheme.as_str() {
            ALLOW_UTF8 if self.metric_name_validation_scheme != ValidationScheme::Utf8 => {
                Err("utf8 metric names requested but validation scheme is not set to UTF8"
                    .to_owned())
            }
            ALLOW_UTF8 | UNDERSCORES | DOTS | VALUES => Ok(()),
            other => Err(unknown_escaping("scrape config", other)),
        }
    }
}

fn unknown_escaping(place: &str, scheme: &str) -> String {
    format!(
        "unknown {place} name escaping method specified, must be one of \
         '{ALLOW_UTF8}', '{UNDERSCORES}', '{DOTS}', or '{VALUES}', got {}",
        go_quote(scheme)
    )
}

impl Checked for ScrapeConfig {
    fn begin(&mut self) {
        *self = ScrapeConfig::preset();
    }

    fn finish(&mut self) -> Result<(), String> {
        self.discovery.check_sections()?;
        if self.job_name.is_empty() {
            return Err("job_name is empty".to_owned());
        }
        self.http_client.validate()?;
        if self.relabel_configs.is_empty() && !self.relabel_configs.has_null() {
            self.discovery.check_static_targets()?;
        }
        if self.relabel_configs.has_null() {
            return Err("empty or null target relabeling rule in scrape config".to_owned());
        }
        if self.metric_relabel_configs.has_null() {
            return Err("empty or null metric relabeling rule in scrape config".to_owned());
        }
        Ok(())
    }
}

section! {
    /// A file named by `scrape_config_files`.
    pub struct ScrapeConfigFile("config.ScrapeConfigs", "config.ScrapeConfigs") {
        scrape_configs: Items<ScrapeConfig> = omit "scrape_configs";
    }
}

unchecked!(ScrapeConfigFile);
