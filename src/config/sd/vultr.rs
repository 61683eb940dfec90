//! VultrSdConfig: targets from Vultr instances.

use crate::config::http_client::HttpClientConfig;
use crate::config::values::Duration;
use crate::config::yaml::{Checked, section};

section! {
    /// One item of `vultr_sd_configs`.
    pub struct VultrSdConfig("vultr.SDConfig", "vultr.plain") {
        http_client: HttpClientConfig = inline;
        refresh_interval: Duration = keep "refresh_interval";
        port: isize = keep "port";
    }
}

impl Checked for VultrSdConfig {
    fn begin(&mut self) {
        *self = VultrSdConfig {
            port: 80,
            refresh_interval: Duration::secs(60),
            http_client: HttpClientConfig::preset(),
        };
    }

    fn finish(&mut self) -> Result<(), String> {
        self.http_client.validate()
    }
}
