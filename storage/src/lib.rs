//! Crate `storage`: bytes and series. It has no tokio, no HTTP, no YAML, no clock of its own and no
//! global registry: files, time, randomness and threads come in through `Env`.

pub mod block;
pub mod chunk;
pub mod chunkfile;
pub mod compact;
pub mod db;
pub mod diff;
pub mod encoding;
pub mod file_error;
pub mod fs;
pub mod head;
pub mod headchunks;
pub mod index;
pub mod postings;
pub mod read;
pub mod record;
pub mod repair;
pub mod source;
pub mod tombstones;
pub mod verify;
pub mod wal;
