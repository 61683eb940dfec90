//! StaticConfig: targets written down in the configuration.

use crate::config::labels::LabelSet;
use crate::config::yaml::{Checked, section};

section! {
    /// One item of `static_configs`.
    pub struct StaticConfig("targetgroup.Group", "struct { Targets []string \"yaml:\\\"targets\\\"\"; Labels model.LabelSet \"yaml:\\\"labels\\\"\" }") {
        /// Addresses, `host:port`.
        targets: Vec<String> = keep "targets";
        /// Labels all of them have.
        labels: LabelSet = omit "labels";
    }
}

impl Checked for StaticConfig {
    fn begin(&mut self) {
        *self = StaticConfig::default();
    }
}
