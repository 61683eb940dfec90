//! Target groups as JSON, in files and in answers of HTTP discovery: a list of
//! `{"targets": ["…"], "labels": {"…": "…"}}`. Other keys are errors; null counts as not given.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::config::labels::LabelSet;
use crate::config::sd::StaticConfig;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Group {
    #[serde(default)]
    targets: Option<Vec<Option<String>>>,
    #[serde(default)]
    labels: Option<BTreeMap<String, Option<String>>>,
}

/// Parses a list of groups; a null item is `None`.
pub fn parse(bytes: &[u8]) -> Result<Vec<Option<StaticConfig>>, String> {
    let groups: Option<Vec<Option<Group>>> =
        serde_json::from_slice(bytes).map_err(|e| format!("json: {e}"))?;
    groups.unwrap_or_default().into_iter().map(|group| group.map(convert).transpose()).collect()
}

fn convert(group: Group) -> Result<StaticConfig, String> {
    let labels: BTreeMap<String, String> = group
        .labels
        .unwrap_or_default()
        .into_iter()
        .map(|(name, value)| (name, value.unwrap_or_default()))
        .collect();
    if labels.contains_key("") {
        return Err("\"\" is not a valid label name".to_owned());
    }
    let targets = group.targets.unwrap_or_default();
    Ok(StaticConfig {
        targets: targets.into_iter().map(Option::unwrap_or_default).collect(),
        labels: LabelSet(labels),
    })
}
