//! Prepared: records ready to be logged. What costs most, compressing them, needs no lock and is done
//! before [`Wal::append`], so that whoever must log and apply in one order holds his lock no longer
//! than the write takes.

use super::compression::Compressor;
use super::metrics::add;
use super::state::{KEEP_CAPACITY, Piece};
use super::writer::Shared;
use super::{LogPosition, SyncPolicy, Wal, WalError};

/// Most buffers kept for later calls: more callers at once than this are rare.
const KEEP_BUFFERS: usize = 16;

/// What compressing one call's records needs; used again by later calls.
#[derive(Default)]
pub(super) struct Scratch {
    compressor: Compressor,
    bytes: Vec<u8>,
    /// Ends of the compressed records in `bytes`; `None` for one logged as it is.
    ends: Vec<Option<usize>>,
}

/// Records as they will stand in the log.
pub struct Prepared<'r> {
    records: Vec<&'r [u8]>,
    scratch: Scratch,
}

impl Prepared<'_> {
    /// Whether there is nothing to log.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    fn pieces(&self, flags: u8) -> Vec<Piece<'_>> {
        let mut rest: &[u8] = &self.scratch.bytes;
        let mut start = 0;
        let pieces = self.records.iter().zip(&self.scratch.ends).map(|(record, end)| match *end {
            None => Piece { data: record, flags: 0 },
            Some(end) => {
                let (data, behind) = rest.split_at(end - start);
                (rest, start) = (behind, end);
                Piece { data, flags }
            }
        });
        pieces.collect()
    }
}

impl Wal {
    /// Compresses records; takes no lock that matters.
    pub fn prepare<'r>(&self, records: impl Iterator<Item = &'r [u8]>) -> Prepared<'r> {
        let records: Vec<&[u8]> = records.collect();
        let mut scratch = self.shared.take_scratch();
        let Scratch { compressor, bytes, ends } = &mut scratch;
        bytes.clear();
        ends.clear();
        let mut saved = 0;
        for record in &records {
            let start = bytes.len();
            let smaller = compressor.compress(self.options().compression, record, bytes);
            ends.push(smaller.then_some(bytes.len()));
            saved += if smaller { record.len() - (bytes.len() - start) } else { 0 };
        }
        add(&self.metrics().record_bytes_saved, saved as u64);
        Prepared { records, scratch }
    }

    /// Logs prepared records: when this returns, a killed process loses none of them. They are as
    /// durable as [`SyncPolicy::Always`] promises only after [`Wal::settle`]. Errors are those of
    /// [`Wal::log`].
    pub fn append(&self, prepared: Prepared<'_>) -> Result<LogPosition, WalError> {
        let logged = self.shared.log(&prepared.pieces(self.options().compression.flags()));
        self.shared.give_scratch(prepared.scratch);
        logged
    }

    /// Under [`SyncPolicy::Always`], returns when everything up to `position` is durable; callers
    /// that wait at once share a sync. Otherwise at once.
    pub fn settle(&self, position: LogPosition) -> Result<(), WalError> {
        match self.options().sync {
            SyncPolicy::Always => self.shared.sync_until(position),
            SyncPolicy::Interval(_) | SyncPolicy::Off => Ok(()),
        }
    }
}

impl Shared {
    fn take_scratch(&self) -> Scratch {
        self.scratch_pool().pop().unwrap_or_default()
    }

    fn give_scratch(&self, scratch: Scratch) {
        let mut pool = self.scratch_pool();
        if scratch.bytes.capacity() <= KEEP_CAPACITY && pool.len() < KEEP_BUFFERS {
            pool.push(scratch);
        }
    }
}
