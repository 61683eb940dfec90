//! Flips: a bit of any file is another one.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::shown::{compare, observe};
use super::{Complaints, DIR, World, open, run, seeds};
use crate::fs::{FileKind, Fs, SimFs};
pub(super) fn files(fs: &SimFs, dir: &Path, out: &mut Vec<PathBuf>) {
    for entry in fs.list(dir).unwrap() {
        let path = dir.join(&entry.name);
        match entry.kind {
            FileKind::Dir => files(fs, &path, out),
            _ if entry.name == "lock" => {}
            _ => out.push(path),
        }
    }
}

fn flipped(seed: u64) {
    let mut world = World::new(seed);
    // The start of a cut is remembered by the log only.
    for _ in 0..60 {
        world.now += world.rng.below(60_000) as i64;
        match world.rng.below(12) {
            0 => world.db().maintain().unwrap(),
            1 => {
                let before = world.known.clone();
                world.delete();
                // The flipped bit may take the record of the deletion.
                world.forgive(before);
            }
            _ => world.append(),
        }
    }
    let db = world.db.take().unwrap();
    if world.rng.one_in(2) {
        db.close().unwrap();
    }
    drop(db);
    let kill_seed = world.rng.below(1 << 30);
    let fs = Arc::new(world.fs.kill(kill_seed));
    let mut all = Vec::new();
    files(&fs, Path::new(DIR), &mut all);
    all.retain(|path| fs.metadata(path).unwrap().len > 0);
    let path = &all[world.rng.below(all.len() as u64) as usize];
    let byte = world.rng.below(fs.metadata(path).unwrap().len);
    let bit = world.rng.below(8) as u8;
    fs.flip_bit(path, byte, bit).unwrap();
    let what = format!("bit {bit} of byte {byte} of {}", path.display());

    let complaints = Complaints::default();
    let db = match open(&fs, &world.options, &complaints) {
        Ok(db) => db,
        Err(error) => {
            let text = error.to_string();
            let parts: Vec<&str> = path.iter().filter_map(|p| p.to_str()).collect();
            assert!(parts[2..].iter().any(|p| text.contains(p)), "{what}: {text}");
            // Nothing was lost by trying.
            fs.flip_bit(path, byte, bit).unwrap();
            let db = open(&fs, &world.options, &complaints).unwrap();
            let (read, errors) = observe(&db);
            let missing = compare(&read, &world.known, "mended");
            assert!(missing.is_empty() && errors.is_empty(), "{what}: {missing:?} {errors:?}");
            return;
        }
    };
    let is_meta = path.ends_with("meta.json");
    for round in ["opened", "maintained"] {
        let (read, mut errors) = observe(&db);
        let missing = compare(&read, &world.known, &format!("{what}, {round}"));
        errors.extend(complaints.lock().unwrap().iter().cloned());
        let head = db.head_metrics();
        let counted = head.wal_corruptions.get() + head.mmap_chunk_corruptions.get() > 0;
        let reported = counted || !errors.is_empty();
        // A meta file has no checksum: what it says of its block's span is believed.
        assert!(missing.is_empty() || reported || is_meta, "{what}, {round}: {missing:?}");
        if db.maintain().is_err() {
            assert!(db.metrics().compactions_failed.get() > 0);
        }
    }
}

#[test]
fn a_flipped_bit_is_contained() {
    run(seeds(0..250), flipped);
}
