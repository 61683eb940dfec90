//! Relabelling rules and labels of any text: rules that are valid leave labels that are.
#![no_main]

use epimetheus::config::ValidationScheme;
use epimetheus::config::yaml::{Decoder, Items};
use epimetheus::relabel::{RelabelConfig, process};
use libfuzzer_sys::fuzz_target;
use model::LabelsBuilder;

fuzz_target!(|input: (String, Vec<(String, String)>)| {
    let (rules, labels) = input;
    let mut items: Items<RelabelConfig> = Items::default();
    if Decoder::decode(&rules, &mut items).is_err() {
        return;
    }
    if items.iter_mut().any(|rule| rule.validate(ValidationScheme::Utf8).is_err()) {
        return;
    }
    let mut builder = LabelsBuilder::default();
    for (name, value) in &labels {
        builder.set(name, value);
    }
    process(&mut builder, &items);
    assert!(builder.iter().all(|(_, value)| !value.is_empty()));
});
