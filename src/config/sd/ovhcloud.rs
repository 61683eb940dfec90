//! OvhcloudSdConfig: targets from OVHcloud servers.

use crate::config::values::{Duration, Secret};
use crate::config::yaml::{Checked, section};

section! {
    /// One item of `ovhcloud_sd_configs`.
    pub struct OvhcloudSdConfig("ovhcloud.SDConfig", "ovhcloud.plain") {
        endpoint: String = keep "endpoint";
        application_key: String = keep "application_key";
        application_secret: Secret = keep "application_secret";
        consumer_key: Secret = keep "consumer_key";
        refresh_interval: Duration = keep "refresh_interval";
        service: String = keep "service";
    }
}

impl Checked for OvhcloudSdConfig {
    fn begin(&mut self) {
        *self = OvhcloudSdConfig {
            endpoint: "ovh-eu".to_owned(),
            refresh_interval: Duration::secs(60),
            ..OvhcloudSdConfig::default()
        };
    }

    fn finish(&mut self) -> Result<(), String> {
        if self.endpoint.is_empty() {
            return Err("endpoint can not be empty".to_owned());
        }
        if self.application_key.is_empty() {
            return Err("application key can not be empty".to_owned());
        }
        if self.application_secret.is_empty() {
            return Err("application secret can not be empty".to_owned());
        }
        if self.consumer_key.is_empty() {
            return Err("consumer key can not be empty".to_owned());
        }
        match self.service.as_str() {
            "dedicated_server" | "vps" => Ok(()),
            other => Err(format!("unknown service: {other}")),
        }
    }
}
