//! A chunk segment of any bytes: every chunk is given or refused, one behind the other and at any
//! offset.
#![no_main]

use std::path::PathBuf;
use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use storage::chunk::ChunkRef;
use storage::chunkfile::{HEADER_SIZE, Reader};

fuzz_target!(|bytes: &[u8]| {
    let segment = (PathBuf::from("000001"), Arc::new(bytes.to_vec()) as _);
    let Ok(reader) = Reader::from_segments(vec![segment]) else { return };
    let mut offset = HEADER_SIZE as u32;
    while let Ok(chunk) = reader.chunk(ChunkRef::new(0, offset)) {
        assert!(chunk.end > offset && chunk.end as usize <= bytes.len());
        offset = chunk.end;
    }
    for offset in 0..bytes.len() as u32 + 2 {
        let _ = reader.chunk(ChunkRef::new(0, offset));
    }
});
