//! TritonSdConfig: targets from Triton containers and compute nodes.

use crate::config::tls::TlsConfig;
use crate::config::values::Duration;
use crate::config::yaml::{Checked, section};

section! {
    /// One item of `triton_sd_configs`.
    pub struct TritonSdConfig("triton.SDConfig", "triton.plain") {
        account: String = keep "account";
        role: String = keep "role";
        dns_suffix: String = keep "dns_suffix";
        endpoint: String = keep "endpoint";
        groups: Vec<String> = omit "groups";
        port: isize = keep "port";
        refresh_interval: Duration = omit "refresh_interval";
        tls_config: TlsConfig = omit "tls_config";
        version: isize = keep "version";
    }
}

impl Checked for TritonSdConfig {
    fn begin(&mut self) {
        *self = TritonSdConfig {
            role: "container".to_owned(),
            port: 9163,
            refresh_interval: Duration::secs(60),
            version: 1,
            ..TritonSdConfig::default()
        };
    }

    fn finish(&mut self) -> Result<(), String> {
        let problem = if self.role != "container" && self.role != "cn" {
            "role to be 'container' or 'cn'"
        } else if self.account.is_empty() {
            "an account"
        } else if self.dns_suffix.is_empty() {
            "a dns_suffix"
        } else if self.endpoint.is_empty() {
            "an endpoint"
        } else if self.refresh_interval.0 <= 0 {
            "RefreshInterval to be a positive integer"
        } else {
            return Ok(());
        };
        Err(format!("triton SD configuration requires {problem}"))
    }
}
