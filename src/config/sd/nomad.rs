//! NomadSdConfig: targets from Nomad services.

use crate::config::http_client::HttpClientConfig;
use crate::config::values::Duration;
use crate::config::yaml::{Checked, section};

section! {
    /// One item of `nomad_sd_configs`.
    pub struct NomadSdConfig("nomad.SDConfig", "nomad.plain") {
        allow_stale: bool = keep "allow_stale";
        http_client: HttpClientConfig = inline;
        namespace: String = keep "namespace";
        refresh_interval: Duration = keep "refresh_interval";
        region: String = keep "region";
        server: String = keep "server";
        tag_separator: String = omit "tag_separator";
    }
}

impl Checked for NomadSdConfig {
    fn begin(&mut self) {
        *self = NomadSdConfig {
            allow_stale: true,
            http_client: HttpClientConfig::preset(),
            namespace: "default".to_owned(),
            refresh_interval: Duration::secs(60),
            region: "global".to_owned(),
            server: "http://localhost:4646".to_owned(),
            tag_separator: ",".to_owned(),
        };
    }

    fn finish(&mut self) -> Result<(), String> {
        if self.server.trim().is_empty() {
            return Err("nomad SD configuration requires a server address".to_owned());
        }
        self.http_client.validate()
    }
}
