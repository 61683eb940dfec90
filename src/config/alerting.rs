//! AlertingConfig: which Alertmanagers alerts go to, and how alerts are relabelled on the way.

use crate::relabel::RelabelConfig;

use super::http_client::HttpClientConfig;
use super::names::ValidationScheme;
use super::sd::DiscoveryConfigs;
use super::sigv4::SigV4Config;
use super::values::{Duration, text_type};
use super::yaml::{Checked, Items, section};

section! {
    /// The `alerting` section.
    pub struct AlertingConfig("config.AlertingConfig", "config.plain") {
        alert_relabel_configs: Items<RelabelConfig> = omit "alert_relabel_configs";
        alertmanagers: Items<AlertmanagerConfig> = omit "alertmanagers";
    }
}

text_type! {
    /// Version of the Alertmanager API: only `v2` is left.
    pub struct ApiVersion("config.AlertmanagerAPIVersion", "config.plain", check_version);
}

fn check_version(text: &str) -> Result<(), String> {
    match text {
        "v2" => Ok(()),
        _ => Err(format!("expected Alertmanager api version to be one of [v2] but got {text}")),
    }
}

section! {
    /// One group of Alertmanagers.
    pub struct AlertmanagerConfig("config.AlertmanagerConfig", "config.AlertmanagerConfig", "config.AlertmanagerConfigs") {
        http_client: HttpClientConfig = inline;
        sigv4: Option<SigV4Config> = omit "sigv4";
        scheme: String = omit "scheme";
        path_prefix: String = omit "path_prefix";
        timeout: Duration = omit "timeout";
        api_version: ApiVersion = keep "api_version";
        /// Rules for the Alertmanagers found.
        relabel_configs: Items<RelabelConfig> = omit "relabel_configs";
        /// Rules for the alerts sent to them.
        alert_relabel_configs: Items<RelabelConfig> = omit "alert_relabel_configs";
        discovery: DiscoveryConfigs = inline;
    }
}

impl AlertingConfig {
    /// Checks the rules, whose label names follow `scheme`.
    pub fn validate(&mut self, scheme: ValidationScheme) -> Result<(), String> {
        self.alert_relabel_configs.iter_mut().try_for_each(|rule| rule.validate(scheme))?;
        for manager in self.alertmanagers.iter_mut() {
            manager.alert_relabel_configs.iter_mut().try_for_each(|rule| rule.validate(scheme))?;
            manager.relabel_configs.iter_mut().try_for_each(|rule| rule.validate(scheme))?;
        }
        Ok(())
    }
}

impl Checked for AlertingConfig {
    fn begin(&mut self) {
        *self = AlertingConfig::default();
    }

    fn finish(&mut self) -> Result<(), String> {
        if self.alert_relabel_configs.has_null() {
            return Err("empty or null alert relabeling rule".to_owned());
        }
        if self.alertmanagers.has_null() {
            return Err("empty or null section in alertmanagers".to_owned());
        }
        Ok(())
    }
}

impl Checked for AlertmanagerConfig {
    fn begin(&mut self) {
        *self = AlertmanagerConfig {
            scheme: "http".to_owned(),
            timeout: Duration::secs(10),
            api_version: ApiVersion("v2".to_owned()),
            http_client: HttpClientConfig::preset(),
            ..AlertmanagerConfig::default()
        };
    }

    fn finish(&mut self) -> Result<(), String> {
        self.discovery.check_sections()?;
        self.http_client.validate()?;
        let http = &self.http_client;
        let http_auth =
            http.basic_auth.is_some() || http.authorization.is_some() || http.oauth2.is_some();
        if http_auth && self.sigv4.is_some() {
            return Err(
                "at most one of basic_auth, authorization, oauth2, & sigv4 must be configured"
                    .to_owned(),
            );
        }
        if self.relabel_configs.is_empty() && !self.relabel_configs.has_null() {
            self.discovery.check_static_targets()?;
        }
        if self.relabel_configs.has_null() {
            return Err("empty or null Alertmanager target relabeling rule".to_owned());
        }
        if self.alert_relabel_configs.has_null() {
            return Err("empty or null Alertmanager alert relabeling rule".to_owned());
        }
        Ok(())
    }
}
