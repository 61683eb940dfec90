//! A configuration file of any bytes; one that is accepted is shown as YAML that can be read.
#![no_main]

use epimetheus::config::{Config, Defaults};
use epimetheus::config::yaml::Tree;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(tree) = Tree::parse_bytes(bytes) else { return };
    if let Ok(config) = Config::from_tree(&tree, &Defaults::default(), &|_| None, &mut |_| {}) {
        assert!(Tree::parse(&config.to_yaml()).is_ok());
    }
});
