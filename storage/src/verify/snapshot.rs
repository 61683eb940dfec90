//! Judging head snapshots, ours here: the order of the records, every name, label, reference and
//! chunk, and whether log and `chunks_head` agree. Layout in `docs/format/head-snapshot.md`.
//!
//! A snapshot is used whole or not at all, so its first fault is the one that is told.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use model::{Columns, Labels, TimeRange};

use super::head_chunks::HeadChunk;
use super::{Around, Verifier, labels_hash};
use crate::chunk::{self, Encoding};
use crate::encoding::{DecBuf, DecodeError};
use crate::head::chunk_snapshot;
use crate::head::image::{Image, OpenImage};
use crate::head::series::{MappedChunk, Slot};
use crate::head::snapshot::{self, Header, SnapshotError, first_slot, kind};
use crate::record::Record;

impl Verifier<'_> {
    /// The head snapshot of this name in a data directory.
    pub(super) fn snapshot(&mut self, dir: &Path, name: &str, around: &Around<'_>) {
        let path = dir.join(name);
        let end = snapshot::log_end(&*self.fs, &dir.join("wal")).ok().flatten();
        let ours = snapshot::position(name);
        let used = match (ours, chunk_snapshot::position(name)) {
            (Some(at), _) => end == Some(at),
            (_, Some(at)) => end.is_some_and(|end| chunk_snapshot::fits(at, end)),
            _ => false,
        };
        if !used {
            self.note(format!("{}: of a log that ended elsewhere, not used", path.display()));
        }
        if ours.is_none() {
            return self.chunk_snapshot(&path, around);
        }
        let mut own = Own::new(around);
        let faults = self.counts.faults;
        let mut failed = false;
        self.own_log(&path, &mut |record| match failed {
            true => Ok(()),
            false => own.record(record).inspect_err(|_| failed = true),
        });
        if self.counts.faults == faults
            && let Err(reason) = own.end()
        {
            self.fault(format!("{}: {reason}", path.display()));
        }
        let wbl = snapshot::log_end(&*self.fs, &dir.join("wbl")).ok().flatten();
        if own.header.is_some_and(|header| header.wbl != wbl) {
            let path = path.display();
            self.note(format!("{path}: of a log of late samples that ended elsewhere, not used"));
        }
        if own.strangers > 0 {
            let (path, strangers) = (path.display(), own.strangers);
            self.note(format!("{path}: {strangers} series that the log does not know"));
        }
    }
}

/// What the records said so far.
struct Own<'a> {
    around: &'a Around<'a>,
    header: Option<Header>,
    names: Vec<String>,
    /// Name and value.
    pairs: Vec<(usize, String)>,
    /// By slot the hash of the labels, until the state of the series is there.
    labels: HashMap<Slot, u64>,
    /// All of those hashes.
    seen: HashSet<u64>,
    slots: HashSet<Slot>,
    refs: HashSet<u64>,
    strangers: u64,
    ended: bool,
}

impl<'a> Own<'a> {
    fn new(around: &'a Around<'a>) -> Own<'a> {
        Own {
            around,
            header: None,
            names: Vec::new(),
            pairs: Vec::new(),
            labels: HashMap::new(),
            seen: HashSet::new(),
            slots: HashSet::new(),
            refs: HashSet::new(),
            strangers: 0,
            ended: false,
        }
    }

    fn record(&mut self, record: &[u8]) -> Result<(), String> {
        let text = |e: DecodeError| e.to_string();
        let mut buf = DecBuf::new(record);
        let kind = buf.u8().map_err(text)?;
        if self.ended || self.header.is_some() == (kind == kind::HEADER) {
            return Err("records are not in order".to_owned());
        }
        match kind {
            kind::HEADER => {
                let header = Header::read(&mut buf).map_err(|e| e.to_string())?;
                self.header = Some(header);
            }
            kind::NAMES => {
                while !buf.is_empty() {
                    self.names.push(buf.uvarint_str().map_err(text)?.to_owned());
                }
            }
            kind::PAIRS => {
                while !buf.is_empty() {
                    let name = buf.uvarint_usize().map_err(text)?;
                    if name >= self.names.len() {
                        return Err(format!("label name {name} is missing"));
                    }
                    self.pairs.push((name, buf.uvarint_str().map_err(text)?.to_owned()));
                }
            }
            kind::LABELS => self.page_labels(&mut buf)?,
            kind::STATE => self.page_state(&mut buf)?,
            kind::KEPT => {
                while !buf.is_empty() {
                    buf.uvarint().and_then(|_| buf.varint()).map_err(text)?;
                }
            }
            kind::END => {
                let series = buf.uvarint().map_err(text)?;
                let (own, header) = (self.slots.len() as u64, self.header.map_or(0, |h| h.series));
                if series != own || header != own {
                    return Err(format!("{own} series, header says {header}, end {series}"));
                }
                self.ended = true;
            }
            _ => return self.log_record(record),
        }
        match buf.is_empty() {
            true => Ok(()),
            false => Err(format!("{} bytes too many", buf.len())),
        }
    }

    fn page_labels(&mut self, buf: &mut DecBuf<'_>) -> Result<(), String> {
        let text = |e: DecodeError| e.to_string();
        let first = first_slot(buf).map_err(|e: SnapshotError| e.to_string())?;
        let next_slot = self.header.map_or(0, |h| h.next_slot);
        let mut numbers: Vec<i64> = Vec::new();
        while !buf.is_empty() {
            let slot = first + Slot::from(buf.u8().map_err(text)?);
            let short_hash = buf.be32().map_err(text)?;
            if slot >= next_slot || !self.slots.insert(slot) {
                return Err(format!("slot {slot} is there twice, or beyond the last"));
            }
            let count = buf.uvarint_usize().map_err(text)?;
            if count > buf.len() {
                return Err(format!("slot {slot} has {count} labels"));
            }
            if numbers.len() < count {
                numbers.resize(count, 0);
            }
            let mut labels = Vec::with_capacity(count);
            for number in numbers.iter_mut().take(count) {
                *number = number.wrapping_add(buf.varint().map_err(text)?);
                let pair = usize::try_from(*number).ok().and_then(|n| self.pairs.get(n));
                let (name, value) = pair.ok_or_else(|| format!("label {number} is missing"))?;
                labels.push((self.names[*name].as_str(), value.as_str()));
            }
            let hash = labels_hash(labels.iter().copied())
                .ok_or_else(|| format!("slot {slot} has no labels, or not in order"))?;
            if (Labels::from_pairs(labels).hash64() >> 32) as u32 != short_hash {
                return Err(format!("slot {slot} has another hash than its labels"));
            }
            if !self.seen.insert(hash) {
                return Err(format!("slot {slot} has the labels of another"));
            }
            self.labels.insert(slot, hash);
        }
        Ok(())
    }

    fn page_state(&mut self, buf: &mut DecBuf<'_>) -> Result<(), String> {
        let text = |e: DecodeError| e.to_string();
        let first = first_slot(buf).map_err(|e: SnapshotError| e.to_string())?;
        let header = self.header;
        let mut series = 0u64;
        while !buf.is_empty() {
            let place = buf.u8().map_err(text)?;
            series = series.wrapping_add_signed(buf.varint().map_err(text)?);
            if series == 0 || series > header.map_or(0, |h| h.last_ref) || !self.refs.insert(series)
            {
                return Err(format!("series {series} is there twice, or beyond the last"));
            }
            let labels = self.labels.remove(&(first + Slot::from(place)));
            let labels = labels.ok_or_else(|| format!("series {series} has no labels"))?;
            self.strangers += u64::from(!self.around.series(series, labels)?);
            let of = |reason: String| format!("series {series}: {reason}");
            let image = Image::read(buf).map_err(|e| of(e.to_string()))?;
            let min_valid = header.map_or(i64::MIN, |h| h.min_valid);
            self.image(series, &image, min_valid).map_err(of)?;
        }
        Ok(())
    }

    fn image(&self, series: u64, image: &Image<'_>, min_valid: i64) -> Result<(), String> {
        let mut last = i64::MIN;
        for chunk in &image.chunks {
            last = chunk.max_t();
            // Those in blocks may be gone with their files.
            if last >= min_valid {
                self.mapped(series, chunk)?;
            }
        }
        if let Some((open, data)) = &image.open {
            if !image.chunks.is_empty() && open.min_t <= last {
                return Err("the open chunk begins before the full ones end".to_owned());
            }
            open_chunk(open, data)?;
        }
        let late = image.late.as_ref().map_or(&[][..], |late| &late.chunks);
        late.iter().try_for_each(|chunk| self.mapped(series, chunk))
    }

    fn mapped(&self, series: u64, chunk: &MappedChunk) -> Result<(), String> {
        let at = chunk.chunk_ref;
        let (file, offset) = (at >> 32, at & u64::from(u32::MAX));
        let Some(found) = self.around.chunks.get(&at) else {
            return Err(format!("no chunk at offset {offset} of head chunk file {file}"));
        };
        // A series may have been written under another reference, which its labels had before.
        let refs = self.around.refs;
        let labels = (refs.get(&found.series), refs.get(&series));
        if let (Some(of), Some(own)) = labels
            && of != own
        {
            let of = found.series;
            let text = format!("chunk of series {of} at offset {offset} of head chunk file {file}");
            return Err(text);
        }
        let HeadChunk { range, encoding, samples, .. } = *found;
        let same = (range.min, range.max, encoding) == (chunk.min_t, chunk.max_t(), chunk.encoding)
            && samples == usize::from(chunk.samples);
        match same {
            true => Ok(()),
            false => Err(format!("another chunk at offset {offset} of head chunk file {file}")),
        }
    }

    /// A record as the log has it.
    fn log_record(&self, record: &[u8]) -> Result<(), String> {
        let unknown = |series: u64| match self.refs.contains(&series) {
            true => Ok(()),
            false => Err(format!("unknown series {series}")),
        };
        match Record::classify(record) {
            Record::Tombstones(found) => {
                let mut tombstones = Vec::new();
                found.decode(&mut tombstones).map_err(|e| e.to_string())
            }
            Record::Exemplars(found) => {
                let mut entries = found.entries().map_err(|e| e.to_string())?;
                entries.try_for_each(|e| unknown(e.series.0))
            }
            _ => Err("unsupported snapshot record type".to_owned()),
        }
    }

    fn end(&self) -> Result<(), String> {
        match (self.ended, self.labels.keys().min()) {
            (false, _) => Err("its end is missing".to_owned()),
            (_, Some(slot)) => Err(format!("no state of the series at slot {slot}")),
            _ => Ok(()),
        }
    }
}

/// Whether an open chunk decodes to samples of its times.
pub(super) fn open_chunk(open: &OpenImage, data: &[u8]) -> Result<(), String> {
    let mut columns = Columns::default();
    let encoding: Encoding = open.encoding;
    chunk::decode(encoding as u8, data, TimeRange::ALL, &mut columns)
        .map_err(|e| format!("open chunk: {e}"))?;
    let times = &columns.timestamps;
    let (min, max) = (open.min_t, open.max_t);
    match (times.first(), times.last()) {
        (Some(first), Some(last)) if (*first, *last) != (min, max) => {
            Err(format!("open chunk: samples from {first} to {last}, not {min} to {max}"))
        }
        (Some(_), Some(_)) if times.is_sorted_by(|a, b| a < b) => Ok(()),
        _ => Err("open chunk: samples are not in order, or none".to_owned()),
    }
}
