//! Whole configurations: what they become, and what is said of those that are refused.
//!
//! Files of `testdata/config` hold cases: a line `== name`, the configuration, a line `--`, and the
//! text it is shown as or the error.

use std::fs;
use std::path::Path;

use super::yaml::Tree;
use super::*;

/// The cases of a file: name, configuration, expectation.
fn cases(file: &str) -> Vec<(String, String, String)> {
    let text = fs::read_to_string(testdata::own("config").join(file)).unwrap();
    let mut cases = Vec::new();
    for case in text.split("\n== ").skip(1) {
        let (name, body) = case.split_once('\n').unwrap();
        let (yaml, want) = match body.strip_prefix("--\n") {
            Some(want) => ("", want),
            None => body.split_once("\n--\n").unwrap(),
        };
        cases.push((name.to_owned(), format!("{yaml}\n"), want.trim_end().to_owned()));
    }
    assert!(!cases.is_empty());
    cases
}

fn load(text: &str) -> Result<Config, String> {
    let tree = Tree::parse(text).map_err(|e| e.to_string())?;
    Config::from_tree(&tree, &Defaults::default(), &|_| None, &mut |_| {})
        .map_err(|e| e.to_string())
}

#[test]
fn shown_as_the_original_shows_them() {
    for (name, text, want) in cases("good.txt") {
        let mut config = load(&text).unwrap_or_else(|e| panic!("{name}: {e}"));
        yaml::Field::set_directory(&mut config, "/etc/p");
        assert_eq!(config.to_yaml().trim_end(), want, "{name}");
    }
}

#[test]
fn refused_in_the_words_of_the_original() {
    for (name, text, want) in cases("bad.txt") {
        match load(&text) {
            Ok(_) => panic!("{name} was accepted"),
            Err(e) => assert_eq!(e, want, "{name}"),
        }
    }
}

/// Checks a file of the shared conformance set and gives its error, without the path.
fn check_file(path: &Path) -> Result<(), String> {
    let text = path.to_str().unwrap();
    let agent = text.contains("agent_mode");
    let options = LoadOptions { agent, accept_unsupported: true };
    Config::check(text, agent)
        .and_then(|config| config.all_scrape_configs(options))
        .map(|_| ())
        .map_err(|e| e.to_string())
}

#[test]
fn shared_files_load_or_fail_by_their_names() {
    let Some(dir) = testdata::shared("conformance/config") else { return };
    let mut seen = 0;
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        let result = check_file(&path);
        if name.ends_with(".good.yml") {
            assert_eq!(result, Ok(()), "{name}");
            seen += 1;
        } else if name.ends_with(".bad.yml") {
            assert!(result.is_err(), "{name} was accepted");
            seen += 1;
        }
    }
    assert!(seen > 190, "{seen}");
}

#[test]
fn shared_bad_files_fail_in_the_words_of_the_original() {
    let Some(dir) = testdata::shared("conformance/config") else { return };
    let text = fs::read_to_string(testdata::own("config/shared_bad.txt")).unwrap();
    let dir = dir.canonicalize().unwrap();
    let dir_text = dir.to_str().unwrap();
    for case in text.split("\n== ").skip(1) {
        let (name, want) = case.split_once('\n').unwrap();
        let got = check_file(&dir.join(name)).unwrap_err().replace(dir_text, "DIR");
        assert_eq!(got, want.trim_end(), "{name}");
    }
}

#[test]
fn azuread_files_load_or_fail_by_their_names() {
    let Some(dir) = testdata::shared("conformance/azuread") else { return };
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let text = fs::read_to_string(&path).unwrap();
        let mut config = azuread::AzureAdConfig::default();
        let result = yaml::Decoder::decode(&text, &mut config);
        assert_eq!(result.is_ok(), name.contains("_good_"), "{name}: {result:?}");
    }
}

#[test]
fn environment_in_external_labels() {
    let text = "global: {external_labels: {a: '$A-${B}', b: '$$x', c: '$MISSING'}}";
    let tree = Tree::parse(text).unwrap();
    let env = |name: &str| (name != "MISSING").then(|| format!("<{name}>"));
    let mut missing = Vec::new();
    let config = Config::from_tree(&tree, &Defaults::default(), &env, &mut |name| {
        missing.push(name.to_owned())
    })
    .unwrap();
    let labels = &config.global.external_labels;
    let shown: Vec<_> = labels.iter().map(|(n, v)| format!("{n}={v}")).collect();
    assert_eq!(shown, ["a=<A>-<B>", "b=$x", "c="]);
    assert_eq!(labels.labels().len(), 2);
    assert_eq!(missing, ["MISSING"]);
}

#[test]
fn what_is_not_built_is_refused_with_its_place() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("p.yml");
    let path_text = path.to_str().unwrap();
    for (text, want) in [
        ("global: {}\nrule_files: []\nalerting: {alertmanagers: [{static_configs: []}]}", ""),
        (
            "global: {}\nrule_files: [a.yml]",
            "rule_files is not supported by this version of epimetheus: PATH line 2",
        ),
        (
            "scrape_configs:\n- job_name: a\n- job_name: b\n  dns_sd_configs: [{names: [x]}]",
            "dns_sd_configs is not supported by this version of epimetheus: PATH line 4",
        ),
    ] {
        fs::write(&path, text).unwrap();
        let got = match Config::load(path_text, LoadOptions::default(), &Defaults::default()) {
            Ok(_) => String::new(),
            Err(e) => e.to_string().replace(path_text, "PATH"),
        };
        assert_eq!(got, want, "{text}");
        assert!(Config::check(path_text, false).is_ok(), "{text}");
    }
}

#[test]
fn a_file_that_is_not_there() {
    let e = Config::load("/no/such/file.yml", LoadOptions::default(), &Defaults::default())
        .unwrap_err();
    assert_eq!(e.to_string(), "open /no/such/file.yml: no such file or directory");
}

#[test]
fn aliases_cannot_blow_up() {
    let mut text = "a: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for i in 1..9 {
        let refs = vec![format!("*a{}", i - 1); 10].join(", ");
        text.push_str(&format!("a{i}: &a{i} [{refs}]\n"));
    }
    let claims = format!("{text}z: *a8\n");
    let mut any = any::Any::default();
    let error = yaml::Decoder::decode(&claims, &mut any).unwrap_err();
    assert_eq!(error.to_string(), "yaml: document contains excessive aliasing");
    let deep = "[".repeat(5000);
    assert_eq!(load(&deep).unwrap_err(), "yaml: exceeded max depth of 200");
}

#[test]
fn what_is_shown_can_be_read_again() {
    for (name, text, want) in cases("good.txt") {
        // What is hidden does not come back, nor what is left out of `otlp` against its defaults.
        let hidden = want.contains("<secret>") || want.contains("xxxxx");
        if hidden || text.contains("otlp:") {
            continue;
        }
        let config = load(&want).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(config.to_yaml().trim_end(), want, "{name}: {text}");
    }
}

#[test]
fn bytes_that_are_not_text() {
    for (bytes, error) in [
        (&b"a: \xff"[..], "yaml: invalid leading UTF-8 octet"),
        (b"a: \xc3", "yaml: incomplete UTF-8 octet sequence"),
        (b"a: \xc3x", "yaml: invalid trailing UTF-8 octet"),
        (b"a: \xed\xa0\x80", "yaml: invalid Unicode character"),
        (b"a: \xc0\x80", "yaml: invalid length of a UTF-8 sequence"),
        (b"a: \x01", "yaml: control characters are not allowed"),
        (b"a: \0", "yaml: control characters are not allowed"),
    ] {
        assert_eq!(Tree::parse_bytes(bytes).unwrap_err().to_string(), error, "{bytes:?}");
    }
}

#[test]
fn defaults_that_flags_change() {
    let defaults = Defaults {
        retention: storage::RetentionConfig { time: Duration::secs(86_400), ..Default::default() },
        proto_first: true,
        extra_scrape_metrics: true,
        exemplars: true,
    };
    let config = Config::from_text("scrape_configs: [{job_name: a}]", &defaults).unwrap();
    let text = config.to_yaml();
    for part in ["    retention:\n      time: 1d\n", "  exemplars:\n    max_exemplars: 100000\n"] {
        assert!(text.contains(part), "{text}");
    }
    let job = &config.scrape_configs[0];
    assert_eq!(job.extra_scrape_metrics, Some(true));
    assert_eq!(job.protocols()[0].0, "PrometheusProto");
    // What is said goes before all of them.
    let text = "global: {extra_scrape_metrics: false, scrape_protocols: [PrometheusText1.0.0]}\n\
                storage: {tsdb: {retention: {}}}\nscrape_configs: [{job_name: a}]";
    let config = Config::from_text(text, &defaults).unwrap();
    assert_eq!(config.scrape_configs[0].extra_scrape_metrics, Some(false));
    assert_eq!(config.scrape_configs[0].protocols().len(), 1);
    let tsdb = config.storage.tsdb.unwrap();
    assert_eq!(tsdb.retention, Some(storage::RetentionConfig::default()));
}
