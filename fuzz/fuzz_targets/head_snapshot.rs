//! Our snapshot of a head: records of any bytes, well framed, for a log that ends where the snapshot
//! says. It is loaded or refused, and then nothing of it is left; what was loaded reads, is
//! maintained, closes and opens again with the same samples.
//!
//! Input: parts, each behind a byte that says where it goes and its length in two bytes, big-endian:
//! a record; the end of a header, behind what every header says here; a whole file of `chunks_head`.
#![no_main]

use fuzz::{live_from_snapshot, options, parts};
use libfuzzer_sys::fuzz_target;
use storage::db::HeadSnapshot;
use storage::encoding::EncBuf;

/// A header with this part: times, counts and references. There are neither blocks nor a log of late
/// samples.
fn header(part: &[u8]) -> Vec<u8> {
    let mut out = vec![0x80, 1];
    out.put_varint(i64::MIN);
    out.put_varint(options(HeadSnapshot::Own).min_block_range_ms);
    out.extend_from_slice(part);
    out.put_u8(0);
    out
}

fuzz_target!(|bytes: &[u8]| {
    let [records, headers, files] = parts(bytes);
    let mut all: Vec<Vec<u8>> = headers.iter().map(|part| header(part)).collect();
    all.extend(records.iter().map(|record| record.to_vec()));
    let name = "epimetheus_snapshot.00000000.0000000000";
    live_from_snapshot(HeadSnapshot::Own, name, &all, &files);
});
