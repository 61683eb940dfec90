//! EurekaSdConfig: targets from a Eureka registry.

use crate::config::http_client::HttpClientConfig;
use crate::config::url::Url;
use crate::config::values::Duration;
use crate::config::yaml::{Checked, section};

section! {
    /// One item of `eureka_sd_configs`.
    pub struct EurekaSdConfig("eureka.SDConfig", "eureka.plain") {
        server: String = omit "server";
        http_client: HttpClientConfig = inline;
        refresh_interval: Duration = omit "refresh_interval";
    }
}

impl Checked for EurekaSdConfig {
    fn begin(&mut self) {
        *self = EurekaSdConfig {
            refresh_interval: Duration::secs(30),
            http_client: HttpClientConfig::preset(),
            ..EurekaSdConfig::default()
        };
    }

    fn finish(&mut self) -> Result<(), String> {
        if self.server.is_empty() {
            return Err("eureka_sd: empty or null eureka server".to_owned());
        }
        let url = Url::parse(&self.server)?;
        if url.scheme().is_empty() || url.host().is_empty() {
            return Err("eureka_sd: invalid eureka server URL".to_owned());
        }
        self.http_client.validate()
    }
}
