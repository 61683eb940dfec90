//! A tombstones file of any bytes; what is read is written and read the same.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use storage::tombstones;

fuzz_target!(|bytes: &[u8]| {
    let _ = tombstones::parse(Path::new("tombstones"), bytes);
    if let Ok(stones) = tombstones::decode(bytes) {
        assert_eq!(tombstones::decode(&tombstones::encode(&stones)), Ok(stones));
    }
});
