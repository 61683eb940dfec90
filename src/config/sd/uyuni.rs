//! UyuniSdConfig: targets from a Uyuni server.

use crate::config::http_client::HttpClientConfig;
use crate::config::url::Url;
use crate::config::values::{Duration, Secret};
use crate::config::yaml::{Checked, section};

section! {
    /// One item of `uyuni_sd_configs`.
    pub struct UyuniSdConfig("uyuni.SDConfig", "uyuni.plain") {
        server: String = keep "server";
        username: String = keep "username";
        password: Secret = keep "password";
        http_client: HttpClientConfig = inline;
        entitlement: String = omit "entitlement";
        separator: String = omit "separator";
        refresh_interval: Duration = omit "refresh_interval";
    }
}

impl Checked for UyuniSdConfig {
    fn begin(&mut self) {
        *self = UyuniSdConfig {
            entitlement: "monitoring_entitled".to_owned(),
            separator: ",".to_owned(),
            refresh_interval: Duration::secs(60),
            http_client: HttpClientConfig::preset(),
            ..UyuniSdConfig::default()
        };
    }

    fn finish(&mut self) -> Result<(), String> {
        if self.server.is_empty() {
            return Err("Uyuni SD configuration requires server host".to_owned());
        }
        Url::parse(&self.server).map_err(|e| format!("Uyuni Server URL is not valid: {e}"))?;
        if self.username.is_empty() {
            return Err("Uyuni SD configuration requires a username".to_owned());
        }
        if self.password.is_empty() {
            return Err("Uyuni SD configuration requires a password".to_owned());
        }
        self.http_client.validate()
    }
}
