//! GceSdConfig: targets from Google Compute Engine instances.

use crate::config::values::Duration;
use crate::config::yaml::{Checked, section};

section! {
    /// One item of `gce_sd_configs`.
    pub struct GceSdConfig("gce.SDConfig", "gce.plain") {
        project: String = keep "project";
        zone: String = keep "zone";
        filter: String = omit "filter";
        refresh_interval: Duration = omit "refresh_interval";
        port: isize = keep "port";
        tag_separator: String = omit "tag_separator";
    }
}

impl Checked for GceSdConfig {
    fn begin(&mut self) {
        *self = GceSdConfig {
            port: 80,
            tag_separator: ",".to_owned(),
            refresh_interval: Duration::secs(60),
            ..GceSdConfig::default()
        };
    }

    fn finish(&mut self) -> Result<(), String> {
        if self.project.is_empty() {
            return Err("GCE SD configuration requires a project".to_owned());
        }
        if self.zone.is_empty() {
            return Err("GCE SD configuration requires a zone".to_owned());
        }
        Ok(())
    }
}
