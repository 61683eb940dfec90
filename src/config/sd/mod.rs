//! DiscoveryConfigs: the `static_configs` and `<kind>_sd_configs` lists of a job.
//!
//! Each kind's settings stand in a file of their own. The lists are inline in the section they
//! belong to; the sources are kept and shown in the order of their keys.

pub mod file;
pub mod fixed;

pub use file::FileSdConfig;
pub use fixed::StaticConfig;

use model::number::go_quote;

use super::yaml::{Decoder, Error, Field, Fields, Items, NodeRef, Value, decode_fields};

/// Declares the kinds of sources, in the order of their keys.
macro_rules! discovery_kinds {
    ($($variant:ident($type:ty) = $key:literal;)*) => {
        /// One source of targets.
        #[derive(Clone, Debug, PartialEq)]
        pub enum DiscoveryConfig {
            $(
                #[doc = concat!("One item of `", $key, "`.")]
                $variant(Box<$type>),
            )*
        }

        impl DiscoveryConfig {
            /// The keys of all kinds, in order.
            pub const KEYS: &[&str] = &[$($key),*];

            /// The key of the list it stands in.
            pub fn key(&self) -> &'static str {
                match self {
                    $(DiscoveryConfig::$variant(_) => $key,)*
                }
            }

            fn emit(&self) -> Value {
                match self {
                    $(DiscoveryConfig::$variant(config) => config.emit(),)*
                }
            }

            fn set_directory(&mut self, dir: &str) {
                match self {
                    $(DiscoveryConfig::$variant(config) => config.set_directory(dir),)*
                }
            }
        }

        impl Fields for DiscoveryConfigs {
            fn set(
                &mut self,
                key: &str,
                node: NodeRef<'_>,
                decoder: &mut Decoder,
            ) -> Result<bool, Error> {
                match key {
                    $($key => {
                        let mut items: Items<$type> = Items::default();
                        decoder.value(node, &mut items)?;
                        let wrap = |item: &$type| DiscoveryConfig::$variant(Box::new(item.clone()));
                        self.put($key, items.iter().map(wrap).collect(), items.has_null());
                    })*
                    _ => return Ok(false),
                }
                Ok(true)
            }

            fn emit_fields(&self, out: &mut Vec<(String, Value)>) {
                for key in DiscoveryConfig::KEYS {
                    let items: Vec<Value> = self
                        .configs
                        .iter()
                        .filter(|c| c.key() == *key)
                        .map(DiscoveryConfig::emit)
                        .collect();
                    if !items.is_empty() {
                        out.push(((*key).to_owned(), Value::List { items, flow: false }));
                    }
                }
            }
        }
    };
}

discovery_kinds! {
    File(FileSdConfig) = "file_sd_configs";
    Static(StaticConfig) = "static_configs";
}

/// The sources of one job.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DiscoveryConfigs {
    /// The sources, in the order of their keys.
    pub configs: Vec<DiscoveryConfig>,
    /// Keys of lists with an empty item.
    with_null: Vec<&'static str>,
}

impl DiscoveryConfigs {
    /// The groups of `static_configs`.
    pub fn static_groups(&self) -> impl Iterator<Item = &StaticConfig> {
        self.configs.iter().filter_map(|config| match config {
            DiscoveryConfig::Static(group) => Some(&**group),
            _ => None,
        })
    }

    /// Refuses lists with empty items.
    pub fn check_sections(&self) -> Result<(), String> {
        match self.with_null.iter().min() {
            Some(key) => Err(format!("empty or null section in {key}")),
            None => Ok(()),
        }
    }

    /// Refuses static targets that are URLs.
    pub fn check_static_targets(&self) -> Result<(), String> {
        self.static_groups().flat_map(|group| &group.targets).try_for_each(|t| check_address(t))
    }

    fn put(&mut self, key: &'static str, items: Vec<DiscoveryConfig>, has_null: bool) {
        self.configs.retain(|config| config.key() != key);
        self.configs.extend(items);
        self.configs.sort_by_key(DiscoveryConfig::key);
        if has_null {
            self.with_null.push(key);
        }
    }
}

/// Refuses an address with a path: a URL where a host and a port are meant.
pub fn check_address(address: &str) -> Result<(), String> {
    if address.contains('/') {
        return Err(format!("{} is not a valid hostname", go_quote(address)));
    }
    Ok(())
}

impl Field for DiscoveryConfigs {
    fn go_type() -> String {
        "discovery.Configs".to_owned()
    }

    fn decode(&mut self, node: NodeRef<'_>, decoder: &mut Decoder) -> Result<(), Error> {
        decode_fields(self, node, decoder, "discovery.Configs")
    }

    fn is_zero(&self) -> bool {
        self.configs.is_empty()
    }

    fn emit(&self) -> Value {
        let mut out = Vec::new();
        self.emit_fields(&mut out);
        Value::Map(out)
    }

    fn set_directory(&mut self, dir: &str) {
        self.configs.iter_mut().for_each(|config| config.set_directory(dir));
    }
}
