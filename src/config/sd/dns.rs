//! DnsSdConfig: targets from DNS records.

use crate::config::values::Duration;
use crate::config::yaml::{Checked, section};

section! {
    /// One item of `dns_sd_configs`.
    pub struct DnsSdConfig("dns.SDConfig", "dns.plain") {
        names: Vec<String> = keep "names";
        refresh_interval: Duration = omit "refresh_interval";
        record_type: String = keep "type";
        port: isize = keep "port";
    }
}

impl Checked for DnsSdConfig {
    fn begin(&mut self) {
        *self = DnsSdConfig {
            refresh_interval: Duration::secs(30),
            record_type: "SRV".to_owned(),
            ..DnsSdConfig::default()
        };
    }

    fn finish(&mut self) -> Result<(), String> {
        if self.names.is_empty() {
            return Err("DNS-SD config must contain at least one SRV record name".to_owned());
        }
        match self.record_type.to_uppercase().as_str() {
            "SRV" => Ok(()),
            "A" | "AAAA" | "MX" | "NS" if self.port == 0 => {
                Err("a port is required in DNS-SD configs for all record types except SRV"
                    .to_owned())
            }
            "A" | "AAAA" | "MX" | "NS" => Ok(()),
            _ => Err(format!("invalid DNS-SD records type {}", self.record_type)),
        }
    }
}
