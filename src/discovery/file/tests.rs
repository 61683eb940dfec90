//! File discovery on files that come, change, break and go.

use super::*;
use std::path::Path;

fn discovery(dir: &Path, pattern: &str) -> FileDiscovery {
    let files = vec![format!("{}/{pattern}", dir.display())];
    let config = FileSdConfig { files, ..FileSdConfig::default() };
    FileDiscovery::new(0, &config, "job".to_owned(), Arc::default())
}

/// What a refresh says, one line a group: file and number, targets, labels without the path.
fn show(dir: &Path, groups: &[TargetGroup]) -> Vec<String> {
    let prefix = format!("{}/", dir.display());
    groups
        .iter()
        .map(|group| {
            let source = group.source.strip_prefix(&prefix).unwrap();
            let targets: Vec<&str> =
                group.targets.iter().filter_map(|t| t.get("__address__")).collect();
            format!("{source} {} {}", targets.join(","), group.labels.without(FILEPATH))
        })
        .collect()
}

#[test]
fn files_come_change_break_and_go() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path();
    let mut sd = discovery(dir, "*.yml");
    assert!(sd.refresh().is_empty());

    fs::write(dir.join("a.yml"), "- targets: [x:1, y:2]\n  labels: {l: v}\n- targets: [z:3]\n")
        .unwrap();
    fs::write(dir.join("b.yml"), "- targets: [w:4]\n").unwrap();
    assert_eq!(
        show(dir, &sd.refresh()),
        ["a.yml:0 x:1,y:2 {l=\"v\"}", "a.yml:1 z:3 {}", "b.yml:0 w:4 {}"]
    );
    assert_eq!(sd.metrics().mtime_seconds().len(), 2);

    // A broken file says nothing, so its groups stay.
    fs::write(dir.join("a.yml"), "- target: [x:1]\n").unwrap();
    assert_eq!(show(dir, &sd.refresh()), ["b.yml:0 w:4 {}"]);
    assert_eq!(sd.metrics().read_errors, 1);

    // One group less, one file less.
    fs::write(dir.join("a.yml"), "- targets: [x:1]\n").unwrap();
    fs::remove_file(dir.join("b.yml")).unwrap();
    assert_eq!(show(dir, &sd.refresh()), ["a.yml:0 x:1 {}", "a.yml:1  {}", "b.yml:0  {}"]);
    assert_eq!(sd.metrics().mtime_seconds().len(), 1);
    assert_eq!(sd.metrics().scan_durations.count, 4);
}

#[test]
fn json_and_yaml_are_strict() {
    for (name, text, error) in [
        ("a.json", r#"[{"targets": ["x"], "labels": {"a": "b"}}]"#, ""),
        ("a.JSON", r#"[{"targets": null}]"#, ""),
        ("a.json", r#"[{"targets": ["x"], "port": 1}]"#, "unknown field `port`"),
        ("a.json", r#"[null]"#, "nil target group item found"),
        ("a.json", r#"[{"targets": [1]}]"#, "invalid type: integer"),
        ("a.json", r#"[{"labels": {"": "x"}}]"#, "\"\" is not a valid label name"),
        ("a.yaml", "[]", ""),
        ("a.yml", "- null", "nil target group item found"),
        ("a.yml", "- targets: [x]\n  job: y", "line 2: field job not found in type struct"),
        ("a.yml", "targets: [x]", "cannot unmarshal !!map into []*targetgroup.Group"),
    ] {
        match parse(name, text.as_bytes()) {
            Ok(_) => assert_eq!(error, "", "{text}"),
            Err(e) => assert!(!error.is_empty() && e.contains(error), "{text}: {e}"),
        }
    }
}

#[test]
fn shared_files_load_or_fail_by_their_names() {
    let Some(dir) = testdata::shared("conformance/discovery/file") else { return };
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.to_str().unwrap();
        let text = fs::read(&path).unwrap();
        let valid = !name.contains("invalid");
        assert_eq!(parse(name, &text).is_ok(), valid, "{name}");
    }
}
