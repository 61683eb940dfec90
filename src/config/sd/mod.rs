//! DiscoveryConfigs: the `static_configs` and `<kind>_sd_configs` lists of a job.
//!
//! Each kind's settings stand in a file of their own. The lists are inline in the section they
//! belong to; the kinds are kept and shown in the order of their keys, all static groups last.

pub mod file;
pub mod fixed;

pub use file::FileSdConfig;
pub use fixed::StaticConfig;

use super::yaml::{Decoder, Error, Field, Fields, NodeRef, Value};

/// One source of targets.
#[derive(Clone, Debug, PartialEq)]
pub enum DiscoveryConfig {
    /// One item of `static_configs`.
    Static(StaticConfig),
    /// `file_sd_configs`
    File(FileSdConfig),
}

/// The sources of one job.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DiscoveryConfigs {
    /// In the order of their keys, static groups last.
    pub configs: Vec<DiscoveryConfig>,
}

impl DiscoveryConfigs {
    /// Refuses lists with empty items.
    pub fn check_sections(&self) -> Result<(), String> {
        Ok(())
    }

    /// Refuses static targets that are URLs.
    pub fn check_static_targets(&self) -> Result<(), String> {
        Ok(())
    }
}

impl Fields for DiscoveryConfigs {
    fn set(&mut self, key: &str, node: NodeRef<'_>, decoder: &mut Decoder) -> Result<bool, Error> {
        let _ = (key, node, decoder);
        Ok(false)
    }

    fn emit_fields(&self, out: &mut Vec<(String, Value)>) {
        let _ = out;
    }
}

impl Field for DiscoveryConfigs {
    fn go_type() -> String {
        "discovery.Configs".to_owned()
    }

    fn decode(&mut self, node: NodeRef<'_>, decoder: &mut Decoder) -> Result<(), Error> {
        super::yaml::decode_fields(self, node, decoder, "discovery.Configs")
    }

    fn is_zero(&self) -> bool {
        self.configs.is_empty()
    }

    fn emit(&self) -> Value {
        let mut out = Vec::new();
        self.emit_fields(&mut out);
        Value::Map(out)
    }
}
