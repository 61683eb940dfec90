//! KumaSdConfig: targets from a Kuma control plane.

use crate::config::http_client::HttpClientConfig;
use crate::config::url::Url;
use crate::config::values::Duration;
use crate::config::yaml::{Checked, section};

section! {
    /// One item of `kuma_sd_configs`.
    pub struct KumaSdConfig("xds.KumaSDConfig", "xds.plainKumaConf") {
        http_client: HttpClientConfig = inline;
        refresh_interval: Duration = omit "refresh_interval";
        fetch_timeout: Duration = omit "fetch_timeout";
        server: String = omit "server";
        client_id: String = omit "client_id";
    }
}

impl Checked for KumaSdConfig {
    fn begin(&mut self) {
        *self = KumaSdConfig {
            http_client: HttpClientConfig::preset(),
            refresh_interval: Duration::secs(15),
            fetch_timeout: Duration::secs(120),
            ..KumaSdConfig::default()
        };
    }

    fn finish(&mut self) -> Result<(), String> {
        if self.server.is_empty() {
            return Err("kuma SD server must not be empty: ".to_owned());
        }
        let url = Url::parse(&self.server)?;
        if url.scheme().is_empty() || url.host().is_empty() {
            return Err(format!(
                "kuma SD server must not be empty and have a scheme: {}",
                self.server
            ));
        }
        self.http_client.validate()
    }
}
