//! Uploads: the file in which somebody else, such as Thanos's sidecar, says which blocks it has
//! taken. Blocks that it has not are left as they are.

use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::Deserialize;
use storage::block::BlockMeta;
use storage::db::HoldBlock;

/// How long what was read is believed.
const FRESH: Duration = Duration::from_secs(60);

#[derive(Debug, Default, Deserialize)]
struct Uploads {
    #[serde(default)]
    uploaded: Vec<String>,
}

/// Holds the blocks of level 1 that the file at `path` does not name. A file that cannot be read
/// holds all of them: merging what was not taken cannot be undone.
pub fn hold(path: &Path) -> HoldBlock {
    tracing::info!(
        path = %path.display(),
        "Compactions will be delayed for blocks not marked as uploaded in the file tracking uploads"
    );
    let path = path.to_owned();
    let known: Mutex<Option<(Instant, Uploads)>> = Mutex::default();
    HoldBlock(std::sync::Arc::new(move |meta: &BlockMeta| {
        if meta.compaction.level > 1 {
            return false;
        }
        let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.as_ref().is_none_or(|(at, _)| at.elapsed() > FRESH) {
            *known = read(&path).map(|uploads| (Instant::now(), uploads));
        }
        let ulid = meta.ulid.to_string();
        known.as_ref().is_none_or(|(_, uploads)| !uploads.uploaded.contains(&ulid))
    }))
}

fn read(path: &Path) -> Option<Uploads> {
    let path_text = path.display().to_string();
    let bytes = std::fs::read(path)
        .inspect_err(|err| {
            tracing::warn!(path = path_text, %err, "cannot open TSDB upload meta file");
        })
        .ok()?;
    serde_json::from_slice(&bytes)
        .inspect_err(|err| {
            tracing::warn!(path = path_text, %err, "cannot parse TSDB upload meta file");
        })
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_uploaded_may_be_merged() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("thanos.shipper.json");
        let meta = |n: u128| BlockMeta::new(n.into(), 0, 1, None);
        let check = |text: Option<&str>, expected: [bool; 2]| {
            if let Some(text) = text {
                std::fs::write(&path, text).unwrap();
            }
            let hold = hold(&path);
            assert_eq!([1, 2].map(|n| (hold.0)(&meta(n))), expected, "{text:?}");
            let mut merged = meta(3);
            merged.compaction.level = 2;
            assert!(!(hold.0)(&merged), "{text:?}");
        };
        check(None, [true, true]);
        check(Some("{"), [true, true]);
        check(Some("{\"version\":1}"), [true, true]);
        let one = meta(1).ulid;
        check(Some(&format!("{{\"version\":1,\"uploaded\":[\"{one}\"]}}")), [false, true]);
    }
}
