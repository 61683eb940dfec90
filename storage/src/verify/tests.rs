//! What is right is found right, and damage anywhere is found, named, and never makes us panic.

use std::path::Path;
use std::sync::Arc;

use super::{Finding, verify};
use crate::fs::{Fs, RealFs};
use crate::repair::tests::small;

fn findings(fs: &Arc<dyn Fs>, dir: &Path) -> (super::Counts, Vec<Finding>) {
    let mut found = Vec::new();
    let counts = verify(fs, dir, &mut |finding| found.push(finding.clone())).unwrap();
    (counts, found)
}

#[test]
fn directories_of_the_real_server_are_without_a_fault() {
    for (name, blocks, samples) in [("killed", 5, 245_120), ("stopped", 3, 436_721), ("xor2", 3, 0)]
    {
        let Some(dir) = testdata::shared(&format!("golden/prometheus-3.14/{name}/data")) else {
            return;
        };
        let fs: Arc<dyn Fs> = Arc::new(RealFs);
        let (counts, found) = findings(&fs, &dir);
        assert_eq!(counts.faults, 0, "{name}: {found:#?}");
        assert_eq!(counts.blocks, blocks, "{name}");
        assert!(samples == 0 || counts.samples == samples, "{name}: {counts}");
        assert!(counts.records > 10 && counts.postings > 50, "{name}: {counts}");
    }
}

#[test]
fn a_small_directory_is_without_a_fault_and_damage_is_named() {
    let (fs, dir) = small();
    let fs: Arc<dyn Fs> = fs;
    let (counts, found) = findings(&fs, dir);
    assert_eq!(counts.faults, 0, "{found:#?}");
    assert!(counts.blocks > 1 && counts.head_chunks > 0 && counts.tombstones > 0, "{counts}");

    let size = |block: &std::path::PathBuf| fs.metadata(&block.join("chunks/000001")).unwrap().len;
    let block = crate::block::list(&*fs, dir).unwrap().into_iter().max_by_key(size).unwrap();
    let damage = |path: &Path, at: u64| {
        let file = fs.open(path, crate::fs::OpenMode::Write).unwrap();
        let mut byte = [0];
        file.read_exact_at(&mut byte, at).unwrap();
        file.write_all_at(&[byte[0] ^ 4], at).unwrap();
        let (_, found) = findings(&fs, dir);
        file.write_all_at(&byte, at).unwrap();
        found.into_iter().map(|f| f.text).collect::<Vec<String>>().join("\n")
    };
    let chunks = block.join("chunks/000001");
    let text = damage(&chunks, 20);
    assert!(
        text.starts_with(&format!(
            "corruption in chunk segment {} at offset 8: checksum mismatch",
            chunks.display()
        )),
        "{text}"
    );
    assert!(text.contains("chunk of series {__name__=\"h\", i=\"0\"}"), "{text}");
    let index = block.join("index");
    let text = damage(&index, 10);
    assert!(
        text.starts_with(&format!(
            "corruption in index {} at offset 5: read symbols: invalid checksum",
            index.display()
        )),
        "{text}"
    );
    let text = damage(&block.join("tombstones"), 6);
    assert!(
        text.contains("tombstones at offset ") && text.contains("checksum did not match"),
        "{text}"
    );
    let text = damage(&dir.join("wal/00000000"), 30);
    assert!(
        text.contains("corruption in segment /data/wal/00000000 at ")
            && text.contains("unexpected checksum"),
        "{text}"
    );
}
