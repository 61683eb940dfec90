//! HttpSdConfig: targets from an HTTP endpoint.

use crate::config::http_client::HttpClientConfig;
use crate::config::url::Url;
use crate::config::values::Duration;
use crate::config::yaml::{Checked, section};

section! {
    /// One item of `http_sd_configs`.
    pub struct HttpSdConfig("http.SDConfig", "http.plain") {
        http_client: HttpClientConfig = inline;
        refresh_interval: Duration = omit "refresh_interval";
        url: String = keep "url";
    }
}

impl Checked for HttpSdConfig {
    fn begin(&mut self) {
        *self = HttpSdConfig {
            http_client: HttpClientConfig::preset(),
            refresh_interval: Duration::secs(60),
            ..HttpSdConfig::default()
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
        self.http_client.validate()
    }
}
