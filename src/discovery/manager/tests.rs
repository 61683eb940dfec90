//! Jobs that come, change and go, and what is published for them.

use std::collections::BTreeMap;
use std::fs;

use super::*;
use crate::config::yaml::Decoder;

type Jobs = Vec<(String, DiscoveryConfigs)>;

fn jobs(text: &str) -> Jobs {
    let mut map: BTreeMap<String, DiscoveryConfigs> = BTreeMap::new();
    Decoder::decode(text, &mut map).unwrap();
    map.into_iter().collect()
}

fn apply(manager: &Manager, text: &str) {
    let jobs = jobs(text);
    manager.apply(jobs.iter().map(|(name, configs)| (name.as_str(), configs)));
}

/// The addresses by job: `job=a,b`.
fn show(sets: &TargetSets) -> Vec<String> {
    let mut lines: Vec<String> = sets
        .iter()
        .map(|(job, groups)| {
            let mut addresses: Vec<&str> = groups
                .iter()
                .flat_map(|g| &g.targets)
                .filter_map(|t| t.get("__address__"))
                .collect();
            addresses.sort_unstable();
            format!("{job}={}", addresses.join(","))
        })
        .collect();
    lines.sort();
    lines
}

async fn wait_for(receiver: &mut watch::Receiver<TargetSets>, want: &[&str]) {
    let seen = receiver.wait_for(|sets| show(sets) == want);
    tokio::time::timeout(Duration::from_secs(30), seen).await.unwrap().unwrap();
}

#[tokio::test]
async fn static_targets_are_there_at_once() {
    let (manager, receiver) = Manager::start();
    let one = "a: {static_configs: [{targets: [x, y]}, {targets: [z]}]}\nb: {}";
    apply(&manager, one);
    assert_eq!(show(&receiver.borrow()), ["a=x,y,z", "b="]);
    let metrics = manager.metrics();
    assert_eq!(metrics.jobs["a"].discovered_targets, 3);
    assert_eq!((metrics.sent_updates, metrics.failed_configs), (1, 0));
    // A job that goes is gone from the sets; one whose targets go is empty.
    apply(&manager, "a: {}");
    assert_eq!(show(&receiver.borrow()), ["a="]);
    assert_eq!(manager.metrics().jobs.len(), 1);
}

#[tokio::test]
async fn equal_sources_share_a_provider_and_survive_a_reload() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("t.json");
    fs::write(&path, r#"[{"targets": ["x:1"]}]"#).unwrap();
    let sd = format!("{{file_sd_configs: [{{files: [{}]}}]}}", path.display());
    let (manager, mut receiver) = Manager::start();
    apply(&manager, &format!("a: {sd}\nb: {sd}"));
    wait_for(&mut receiver, &["a=x:1", "b=x:1"]).await;
    let id = {
        let state = manager.shared.state();
        assert_eq!(state.providers.len(), 1);
        state.providers[0].id
    };
    // The same source in other jobs keeps running and has its targets at once.
    apply(&manager, &format!("b: {sd}\nc: {sd}"));
    assert_eq!(show(&receiver.borrow()), ["b=x:1", "c=x:1"]);
    assert_eq!(manager.shared.state().providers[0].id, id);
    // It still notices changes.
    fs::write(&path, r#"[{"targets": ["y:2"]}]"#).unwrap();
    wait_for(&mut receiver, &["b=y:2", "c=y:2"]).await;
    // A file that breaks keeps its targets, one that goes takes them along.
    fs::remove_file(&path).unwrap();
    wait_for(&mut receiver, &["b=", "c="]).await;
    assert_eq!(manager.file_metrics().mtimes.len(), 0);
}
