//! A head chunk file of any bytes: entries, then an end or one error.
#![no_main]

use std::path::PathBuf;
use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use storage::headchunks::Entries;

fuzz_target!(|bytes: &[u8]| {
    let file = (1, PathBuf::from("000001"), Arc::new(bytes.to_vec()) as _);
    let mut entries = Entries::new(vec![file]);
    while let Some(entry) = entries.next() {
        match entry {
            Ok(entry) => assert!((entry.at.offset() as usize) < bytes.len()),
            Err(error) => {
                assert_eq!(error.file_number(), Some(1));
                assert!(entries.next().is_none());
            }
        }
    }
});
