//! Salvage: the records of a damaged segment, also those behind the damage. What is damaged is
//! passed over to the next page, where fragments of a record begun before are passed over too.

use std::path::Path;
use std::sync::Arc;

use super::page::{HEADER_SIZE, PAGE_SIZE, continues, fragment_type};
use super::{Entry, Reader, WalError};
use crate::fs::{Fs, OpenMode, read_full_at};

/// The type number of the last fragment of a record.
const LAST: u8 = 4;

/// Hands every record of segment `number` of `dir`, in file `path`, that can be read to `take`, and
/// what is wrong to `lost`, once for each place. Errors are the system's, or of `take`.
pub fn salvage<E: From<WalError>>(
    fs: &Arc<dyn Fs>,
    dir: &Path,
    (number, path): (u64, &Path),
    take: &mut dyn FnMut(Entry<'_>) -> Result<(), E>,
    lost: &mut dyn FnMut(&WalError),
) -> Result<(), E> {
    let file = fs.open(path, OpenMode::Read).map_err(WalError::io("open", path))?;
    let len = file.len().map_err(WalError::io("stat", path))?;
    let mut start = 0;
    let mut told = None;
    while start < len {
        let mut reader = Reader::open_segment(fs.clone(), dir, (number, path), start);
        let damage = loop {
            match reader.next_entry() {
                Ok(Some(entry)) => {
                    told = None;
                    take(entry)?;
                }
                Ok(None) => return Ok(()),
                Err(WalError::Corruption(damage)) => break damage,
                Err(error) => return Err(error.into()),
            }
        };
        // Damage that covers several pages is one loss.
        let record_start = damage.record_start.max(start);
        if told.replace(()).is_none() {
            lost(&damage.into());
        }
        start = (record_start / PAGE_SIZE + 1) * PAGE_SIZE;
        while start < len {
            let mut header = [0; HEADER_SIZE];
            let read = read_full_at(&*file, &mut header, start);
            read.map_err(WalError::io("read", path))?;
            let kind = fragment_type(header[0]);
            let of_earlier = kind == LAST || continues(kind) && !begins(kind);
            if !of_earlier {
                break;
            }
            let fragment = u64::from(u16::from_be_bytes([header[1], header[2]]));
            let end = start + HEADER_SIZE as u64 + fragment;
            let page_end = (start / PAGE_SIZE + 1) * PAGE_SIZE;
            start = if end + HEADER_SIZE as u64 > page_end { page_end } else { end };
        }
    }
    Ok(())
}

/// Whether a record begins with a fragment of this type.
fn begins(kind: u8) -> bool {
    super::page::check_order(kind, 0).is_ok()
}
