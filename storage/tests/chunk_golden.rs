//! Every chunk that the real server wrote can be read, and written again gives the same bytes.
//! Formats: `docs/format/chunks.md`, `chunk-encodings.md`, `head-chunks.md`, `tombstones.md`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::{Columns, TimeRange};
use storage::chunk::{self, ChunkEncoder, ChunkRef, CutRule, EncodeOptions, Encoding};
use storage::chunkfile::{HEADER_SIZE, Reader};
use storage::fs::{Fs, RealFs};
use storage::headchunks::HeadChunks;
use storage::tombstones;

/// The data directories of the golden data.
fn data_dirs() -> Vec<PathBuf> {
    let Some(root) = testdata::shared("golden/prometheus-3.14") else { return Vec::new() };
    ["killed", "stopped", "xor2"].iter().map(|name| root.join(name).join("data")).collect()
}

/// Decodes a chunk, checks what its surroundings say of it, and encodes it again.
fn check(encoding: u8, data: &[u8], range: Option<TimeRange>, what: &str) -> usize {
    let mut columns = Columns::default();
    chunk::decode(encoding, data, TimeRange::ALL, &mut columns).expect(what);
    assert_eq!(chunk::num_samples(encoding, data), Ok(columns.len()), "{what}");
    assert!(columns.timestamps.is_sorted_by(|a, b| a < b), "{what}");
    if let (Some(range), [first, .., last] | [first @ last]) = (range, &columns.timestamps[..]) {
        assert_eq!(range, TimeRange { min: *first, max: *last }, "{what}");
    }
    let named = Encoding::from_u8(encoding).expect(what);
    if named.is_float() {
        let options = EncodeOptions { rule: CutRule::Keep(named), ..EncodeOptions::default() };
        let again = chunk::encode(&columns, options).expect(what);
        assert_eq!(again.len(), 1, "{what}");
        assert!(again[0].data == data, "{what}: other bytes");
    } else {
        // The state of the counter reset in front of a chunk is in no sample: resuming keeps it.
        let again = ChunkEncoder::resume(named, data.to_vec()).expect(what);
        assert!(again.bytes() == data, "{what}: other bytes");
    }
    columns.len()
}

#[test]
fn block_chunks_come_back_bit_for_bit() {
    let (mut chunks, mut samples) = (0, 0);
    for dir in data_dirs() {
        for entry in RealFs.list(&dir).expect("list") {
            let block = dir.join(&entry.name);
            if !block.join("meta.json").exists() {
                continue;
            }
            let reader = Reader::open(&RealFs, &block.join("chunks")).expect("open");
            for segment in 0..reader.segments() as u32 {
                let path = block.join("chunks").join(format!("{:06}", segment + 1));
                let len = RealFs.metadata(&path).expect("metadata").len as u32;
                let mut offset = HEADER_SIZE as u32;
                while offset < len {
                    let what = format!("{} at {offset}", path.display());
                    let stored = reader.chunk(ChunkRef::new(segment, offset)).expect(&what);
                    samples += check(stored.encoding, stored.data, None, &what);
                    offset = stored.end;
                    chunks += 1;
                }
            }
            let (stones, size) = tombstones::read(&RealFs, &block).expect("tombstones");
            assert_eq!(size as usize, tombstones::encode(&stones).len() + 8);
        }
    }
    println!("{chunks} chunks, {samples} samples");
}

#[test]
fn head_chunks_come_back_bit_for_bit() {
    let (mut chunks, mut samples) = (0, 0);
    for dir in data_dirs() {
        // Opening removes an empty last file: work on a copy.
        let copy = tempfile::tempdir().expect("temporary directory");
        copy_files(&dir.join("chunks_head"), copy.path());
        let head = HeadChunks::open(Arc::new(RealFs), copy.path()).expect("open");
        for entry in head.entries() {
            let entry = entry.expect("entry");
            let read = head.read(entry.at).expect("read");
            assert_eq!((read.series, read.range), (entry.series, entry.range));
            let what = format!("{} {:?}", dir.display(), entry.at);
            let n = check(read.encoding, &read.data, Some(entry.range), &what);
            assert_eq!(usize::from(entry.samples), n);
            samples += n;
            chunks += 1;
        }
    }
    println!("{chunks} chunks, {samples} samples");
}

fn copy_files(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).expect("list") {
        let entry = entry.expect("entry");
        std::fs::copy(entry.path(), to.join(entry.file_name())).expect("copy");
    }
}
