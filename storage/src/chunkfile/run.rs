//! Run: chunks of a segment that lie one behind the other, checked together and copied as one.

use super::reader::parse;
use crate::chunk::{self, ChunkRef, Encoding};
use crate::encoding::crc32c_mismatch;

/// Chunks whose checksums are verified at a time.
const AT_ONCE: usize = 16;

/// Chunks one behind the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Run {
    /// Bytes of their entries.
    pub len: usize,
    pub samples: u64,
    /// Those of float chunks.
    pub float_samples: u64,
}

/// Why chunks are no run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoRun {
    /// The bytes end before they do.
    Short,
    /// They lie elsewhere, are not written as they would be, or are damaged.
    Other,
}

/// Looks at the chunks at `refs`; `bytes` are those of the segment from the first one on.
pub(super) fn check(bytes: &[u8], refs: impl Iterator<Item = ChunkRef>) -> Result<Run, NoRun> {
    let mut run = Run::default();
    let mut first = None;
    let mut sums: [(&[u8], u32); AT_ONCE] = [(&[], 0); AT_ONCE];
    let mut gathered = 0;
    for at in refs {
        let first = *first.get_or_insert(at);
        let place = u64::from(first.offset()) + run.len as u64;
        if at.file() != first.file() || u64::from(at.offset()) != place {
            return Err(NoRun::Other);
        }
        let entry = bytes.get(run.len..).unwrap_or_default();
        let (parsed, sum) = parse(entry).map_err(|_| NoRun::Short)?;
        let samples = chunk::num_samples(parsed.encoding, parsed.data).map_err(|_| NoRun::Other)?;
        if !parsed.is_canonical() {
            return Err(NoRun::Other);
        }
        run.len += parsed.len;
        run.samples += samples as u64;
        if Encoding::from_u8(parsed.encoding).is_ok_and(Encoding::is_float) {
            run.float_samples += samples as u64;
        }
        sums[gathered] = (parsed.checked, sum);
        gathered += 1;
        if gathered == AT_ONCE {
            verify(&sums)?;
            gathered = 0;
        }
    }
    verify(sums.get(..gathered).unwrap_or_default())?;
    Ok(run)
}

fn verify(sums: &[(&[u8], u32)]) -> Result<(), NoRun> {
    crc32c_mismatch(sums).map_or(Ok(()), |_| Err(NoRun::Other))
}
