//! PuppetdbSdConfig: targets from PuppetDB resources.

use crate::config::http_client::HttpClientConfig;
use crate::config::url::Url;
use crate::config::values::Duration;
use crate::config::yaml::{Checked, section};

section! {
    /// One item of `puppetdb_sd_configs`.
    pub struct PuppetdbSdConfig("puppetdb.SDConfig", "puppetdb.plain") {
        http_client: HttpClientConfig = inline;
        refresh_interval: Duration = omit "refresh_interval";
        url: String = keep "url";
        query: String = keep "query";
        include_parameters: bool = keep "include_parameters";
        port: isize = keep "port";
    }
}

impl Checked for PuppetdbSdConfig {
    fn begin(&mut self) {
        *self = PuppetdbSdConfig {
            refresh_interval: Duration::secs(60),
            port: 80,
            http_client: HttpClientConfig::preset(),
            ..PuppetdbSdConfig::default()
        };
    }

    fn finish(&mut self) -> Result<(), String> {
        if self.url.is_empty() {
            return Err("URL is missing".to_owned());
        }
        let url = Url::parse(&self.url)?;
        if url.scheme() != "http" && url.scheme() != "https" {
            return Err("URL scheme must be 'http' or 'https'".to_owned());
        }
        if url.host().is_empty() {
            return Err("host is missing in URL".to_owned());
        }
        if self.query.is_empty() {
            return Err("query missing".to_owned());
        }
        self.http_client.validate()
    }
}
