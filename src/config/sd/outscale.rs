//! OutscaleSdConfig: targets from Outscale virtual machines.

use crate::config::http_client::HttpClientConfig;
use crate::config::values::{Duration, Secret};
use crate::config::yaml::{Checked, section};

section! {
    /// One item of `outscale_sd_configs`.
    pub struct OutscaleSdConfig("outscale.SDConfig", "outscale.plain") {
        endpoint: String = omit "endpoint";
        region: String = keep "region";
        access_key: String = keep "access_key";
        secret_key: Secret = keep "secret_key";
        secret_key_file: String = keep_file "secret_key_file";
        refresh_interval: Duration = omit "refresh_interval";
        port: isize = keep "port";
        http_client: HttpClientConfig = inline;
    }
}

impl Checked for OutscaleSdConfig {
    fn begin(&mut self) {
        *self = OutscaleSdConfig {
            port: 80,
            refresh_interval: Duration::secs(60),
            http_client: HttpClientConfig::preset(),
            region: "eu-west-2".to_owned(),
            ..OutscaleSdConfig::default()
        };
    }

    fn finish(&mut self) -> Result<(), String> {
        if self.region.is_empty() {
            return Err("outscale SD configuration requires a region".to_owned());
        }
        if self.access_key.is_empty() {
            return Err("outscale SD configuration requires access_key".to_owned());
        }
        if self.secret_key.is_empty() && self.secret_key_file.is_empty() {
            return Err("one of secret_key & secret_key_file must be configured".to_owned());
        }
        if !self.secret_key.is_empty() && !self.secret_key_file.is_empty() {
            return Err("at most one of secret_key & secret_key_file must be configured".to_owned());
        }
        if self.endpoint.is_empty() {
            self.endpoint = format!("https://api.{}.outscale.com/api/v1", self.region);
        }
        self.http_client.validate()
    }
}
