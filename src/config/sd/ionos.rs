//! IonosSdConfig: targets from IONOS servers.

use crate::config::http_client::HttpClientConfig;
use crate::config::values::Duration;
use crate::config::yaml::{Checked, section};

section! {
    /// One item of `ionos_sd_configs`.
    pub struct IonosSdConfig("ionos.SDConfig", "ionos.plain") {
        datacenter_id: String = keep "datacenter_id";
        http_client: HttpClientConfig = inline;
        refresh_interval: Duration = keep "refresh_interval";
        port: isize = keep "port";
    }
}

impl Checked for IonosSdConfig {
    fn begin(&mut self) {
        *self = IonosSdConfig {
            http_client: HttpClientConfig::preset(),
            refresh_interval: Duration::secs(60),
            port: 80,
            ..IonosSdConfig::default()
        };
    }

    fn finish(&mut self) -> Result<(), String> {
        if self.datacenter_id.is_empty() {
            return Err("datacenter id can't be empty".to_owned());
        }
        self.http_client.validate()
    }
}
