//! HetznerSdConfig: targets from Hetzner servers.

use crate::config::http_client::HttpClientConfig;
use crate::config::values::Duration;
use crate::config::yaml::{Checked, section};

use super::choice;

choice! {
    /// Which API is asked.
    pub struct Role("hetzner.Role"), ["robot", "hcloud"], "unknown role";
}

section! {
    /// One item of `hetzner_sd_configs`.
    pub struct HetznerSdConfig("hetzner.SDConfig", "hetzner.plain") {
        http_client: HttpClientConfig = inline;
        refresh_interval: Duration = keep "refresh_interval";
        port: isize = keep "port";
        role: Role = keep "role";
        label_selector: String = omit "label_selector";
    }
}

impl Checked for HetznerSdConfig {
    fn begin(&mut self) {
        *self = HetznerSdConfig {
            port: 80,
            refresh_interval: Duration::secs(60),
            http_client: HttpClientConfig::preset(),
            ..HetznerSdConfig::default()
        };
    }

    fn finish(&mut self) -> Result<(), String> {
        if self.role.0.is_empty() {
            return Err("role missing (one of: robot, hcloud)".to_owned());
        }
        self.http_client.validate()
    }
}
