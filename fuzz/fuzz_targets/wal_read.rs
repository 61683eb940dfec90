//! A log segment of any bytes: read to its end, or cut at the damage until it can be.
#![no_main]

use std::path::Path;
use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use storage::fs::{Fs, OpenMode, SimFs};
use storage::wal::{Reader, WalError, repair, segment_path};

fn read(fs: &Arc<dyn Fs>, dir: &Path) -> Result<u64, WalError> {
    let mut reader = Reader::replay(fs.clone(), dir)?;
    let mut end = 0;
    while let Some(entry) = reader.next_entry()? {
        assert!(entry.position.start >= end && entry.position.end > entry.position.start);
        end = entry.position.end;
    }
    Ok(end)
}

fuzz_target!(|bytes: &[u8]| {
    let fs: Arc<dyn Fs> = Arc::new(SimFs::new(0));
    let dir = Path::new("/wal");
    let written = fs
        .create_dir_all(dir)
        .and_then(|()| fs.open(&segment_path(dir, 0), OpenMode::Create)?.write_all_at(bytes, 0));
    assert!(written.is_ok());
    let mut cuts = 0;
    while let Err(err) = read(&fs, dir) {
        let WalError::Corruption(damage) = err else { unreachable!("{err}") };
        assert!(repair(fs.as_ref(), dir, &damage).is_ok());
        cuts += 1;
        assert!(cuts < 4, "a repaired log reads");
    }
});
