//! Directories written by the real server open, and every sample comes back.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use model::columns::HistogramValue;
use model::value::is_stale_nan;
use model::{Columns, Labels, TimeRange};
use serde_json::Value;

use super::*;
use crate::db::RuntimeOptions;
use crate::fs::RealFs;

const END: i64 = 1_795_205_700_000;
const RANGE: TimeRange = TimeRange { min: END - 24 * 3_600_000 + 1, max: END };

pub(super) fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// A sample as the API shows it: number of milliseconds, text of the value or of count and sum.
pub(super) type Shown = (i64, String);

fn millis(v: &Value) -> i64 {
    (v.as_f64().unwrap() * 1000.0).round() as i64
}

fn number(text: &str) -> f64 {
    match text {
        "+Inf" => f64::INFINITY,
        "-Inf" => f64::NEG_INFINITY,
        other => other.parse().unwrap(),
    }
}

pub(super) fn expected(path: &Path) -> Option<BTreeMap<String, Vec<Shown>>> {
    let Ok(out) = Command::new("xz").arg("-dc").arg(path).output() else {
        testdata::skip("no xz to unpack the golden answers");
        return None;
    };
    let json: Value = serde_json::from_slice(&out.stdout).unwrap();
    let mut all = BTreeMap::new();
    for series in json["data"]["result"].as_array().unwrap() {
        let labels = series["metric"].as_object().unwrap();
        let labels =
            Labels::from_pairs(labels.iter().map(|(n, v)| (n.as_str(), v.as_str().unwrap())));
        let mut samples: Vec<Shown> = Vec::new();
        for s in series["values"].as_array().into_iter().flatten() {
            let v = number(s[1].as_str().unwrap());
            samples.push((millis(&s[0]), format!("{v:?}")));
        }
        for s in series["histograms"].as_array().into_iter().flatten() {
            let of = |k: &str| number(s[1][k].as_str().unwrap());
            samples.push((millis(&s[0]), format!("{:?} {:?}", of("count"), of("sum"))));
        }
        samples.sort_by_key(|s| s.0);
        all.insert(labels.to_string(), samples);
    }
    Some(all)
}

fn shown(columns: &Columns) -> Vec<Shown> {
    let mut samples = Vec::new();
    for (i, &t) in columns.timestamps.iter().enumerate() {
        let text = match columns.histogram(i) {
            None if is_stale_nan(columns.floats[i]) => continue,
            None => format!("{:?}", columns.floats[i]),
            Some(h) => {
                let h: model::FloatHistogram = HistogramValue::to_float(h);
                if is_stale_nan(h.sum) {
                    continue;
                }
                format!("{:?} {:?}", h.count, h.sum)
            }
        };
        samples.push((t, text));
    }
    samples
}

fn check(folder: &str) {
    let Some(golden) = testdata::shared(&format!("golden/prometheus-3.14/{folder}")) else {
        return;
    };
    let Some(want) = expected(&golden.join("samples.json.xz")) else { return };
    let dir = tempfile::tempdir().unwrap();
    copy(&golden.join("data"), dir.path());
    let options = Options {
        runtime: RuntimeOptions { retention_time_ms: 0, ..RuntimeOptions::default() },
        ..Options::default()
    };
    // Twice: what the first run wrote must be as good as what it found.
    for round in ["first", "second", "after maintenance"] {
        let db = open(dir.path(), Arc::new(RealFs), options.clone());
        // The first opening finds the log of the real server, the others our snapshot.
        let loads = db.head_metrics().snapshot_loads.get();
        assert_eq!(loads, u64::from(round != "first"), "{folder}, {round} opening");
        compare(&db, &want, &format!("{folder}, {round} opening"));
        if round == "second" {
            db.maintain().unwrap();
        }
        db.close().unwrap();
    }
}

/// Panics unless the database shows what is wanted.
pub(super) fn compare(db: &Db, want: &BTreeMap<String, Vec<Shown>>, what: &str) {
    let got: BTreeMap<String, Vec<Shown>> = (dump(db, RANGE).iter())
        .map(|(labels, columns)| (labels.to_string(), shown(columns)))
        .filter(|(_, samples)| !samples.is_empty())
        .collect();
    for (labels, samples) in want {
        let have = got.get(labels).map_or(&[][..], Vec::as_slice);
        let first = samples.iter().zip(have).position(|(a, b)| a != b);
        let at = first.unwrap_or(samples.len().min(have.len()));
        assert!(
            samples.as_slice() == have,
            "{what}: {labels}: {} samples wanted, {} there; at {at}: {:?} against {:?}",
            samples.len(),
            have.len(),
            samples.get(at),
            have.get(at),
        );
    }
    assert_eq!(got.len(), want.len(), "{what}: series");
}

#[test]
fn a_killed_server() {
    check("killed");
}

#[test]
fn a_stopped_server() {
    check("stopped");
}

#[test]
fn xor2_and_start_times() {
    check("xor2");
}
