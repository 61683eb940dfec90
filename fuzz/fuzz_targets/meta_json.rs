//! A `meta.json` of any bytes; what is read is written and read the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use storage::block::BlockMeta;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(meta) = BlockMeta::parse(bytes) {
        assert_eq!(BlockMeta::parse(&meta.print()), Ok(meta));
    }
});
