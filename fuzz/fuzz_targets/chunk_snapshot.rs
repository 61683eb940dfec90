//! Prometheus's snapshot of a head: records of any bytes, well framed, for a log that ends where the
//! snapshot says. It is loaded or refused, and then nothing of it is left; what was loaded reads, is
//! maintained, closes and opens again with the same samples.
//!
//! Input: parts, each behind a byte that says where it goes and its length in two bytes, big-endian:
//! a record; a whole file of `chunks_head`.
#![no_main]

use fuzz::{live_from_snapshot, parts};
use libfuzzer_sys::fuzz_target;
use storage::db::HeadSnapshot;

fuzz_target!(|bytes: &[u8]| {
    let [records, files] = parts(bytes);
    let name = "chunk_snapshot.000000.0000000000";
    live_from_snapshot(HeadSnapshot::Prometheus, name, &records, &files);
});
