//! DigitaloceanSdConfig: targets from DigitalOcean droplets or databases.

use crate::config::any::Any;
use crate::config::http_client::HttpClientConfig;
use crate::config::values::Duration;
use crate::config::yaml::{Checked, section};

use super::choice;

choice! {
    /// What is looked for.
    pub struct Role("digitalocean.Role"), ["droplets", "databases"], "unknown DigitalOcean SD role";
}

section! {
    /// One item of `digitalocean_sd_configs`.
    pub struct DigitaloceanSdConfig("digitalocean.SDConfig", "digitalocean.plain") {
        http_client: HttpClientConfig = inline;
        refresh_interval: Duration = keep "refresh_interval";
        port: isize = keep "port";
        role: Role = keep "role";
        /// A field of the original's that shows; nothing else than null makes sense.
        httpclient: Option<Any> = keep "httpclient";
    }
}

impl Checked for DigitaloceanSdConfig {
    fn begin(&mut self) {
        *self = DigitaloceanSdConfig {
            port: 80,
            refresh_interval: Duration::secs(60),
            http_client: HttpClientConfig::preset(),
            role: Role("droplets".to_owned()),
            httpclient: None,
        };
    }

    fn finish(&mut self) -> Result<(), String> {
        if self.role.0.is_empty() {
            return Err("role missing (one of: droplets, databases)".to_owned());
        }
        self.http_client.validate()
    }
}
