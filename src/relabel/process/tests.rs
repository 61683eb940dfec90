//! Rules and label sets from `testdata/relabel`.
//!
//! A file holds cases: a line `== name`, the labels as a YAML mapping, `--`, the rules as a YAML
//! list, `--`, and what comes out: a YAML mapping, `drop`, or `error: text`.

use std::fs;

use model::{Labels, LabelsBuilder};

use crate::config::labels::LabelSet;
use crate::config::names::ValidationScheme;
use crate::config::yaml::{Decoder, Field, Items, to_text};

use super::super::{RelabelConfig, process};

fn labels(text: &str) -> Labels {
    let mut set = LabelSet::default();
    Decoder::decode(text, &mut set).unwrap();
    set.labels()
}

fn run(input: &str, rules: &str, scheme: ValidationScheme) -> Result<Option<Labels>, String> {
    let mut items: Items<RelabelConfig> = Items::default();
    Decoder::decode(rules, &mut items).map_err(|e| e.to_string())?;
    for rule in items.iter_mut() {
        rule.validate(scheme)?;
    }
    let mut builder = LabelsBuilder::new(&labels(input));
    Ok(process(&mut builder, &items).then(|| builder.labels()))
}

fn show(result: Result<Option<Labels>, String>) -> String {
    match result {
        Err(e) => format!("error: {e}\n"),
        Ok(None) => "drop\n".to_owned(),
        Ok(Some(labels)) => {
            let pairs = labels.iter().map(|(n, v)| (n.to_owned(), v.to_owned()));
            to_text(&pairs.collect::<std::collections::BTreeMap<_, _>>().emit())
        }
    }
}

fn check(file: &str, scheme: ValidationScheme) {
    let text = fs::read_to_string(testdata::own("relabel").join(file)).unwrap();
    let mut cases = 0;
    for case in text.split("== ").skip(1) {
        let (name, body) = case.split_once('\n').unwrap();
        let parts: Vec<&str> = body.split("--\n").collect();
        assert_eq!(parts.len(), 3, "{file}: {name}");
        let got = show(run(parts[0], parts[1], scheme));
        assert_eq!(got.trim(), parts[2].trim(), "{file}: {name}");
        cases += 1;
    }
    assert!(cases > 0);
}

#[test]
fn utf8_names() {
    check("utf8.txt", ValidationScheme::Utf8);
}

#[test]
fn legacy_names() {
    check("legacy.txt", ValidationScheme::Legacy);
}
