//! Loading: one thread reads and checks the bytes, this one fills the index, threads that share the
//! pages among them restore the series.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use super::{Header, SnapshotError, VERSION, kind};
use crate::encoding::DecBuf;
use crate::fs::Fs;
use crate::head::apply::{Done, Series};
use crate::head::image::Restorer;
use crate::head::index::{Bulk, BulkMemory};
use crate::head::replay::decode;
use crate::head::series::{MAX_SLOTS, PAGE_SLOTS, Slot, page_number};
use crate::head::symbols::PairId;
use crate::head::{Head, write};
use crate::record::Record;
use crate::wal::{LogPosition, Reader, SegmentRange};

/// Records read ahead at most; a page's are some ten KiB.
const AHEAD: usize = 64;
const MAX_THREADS: usize = 8;

type Result<T> = std::result::Result<T, SnapshotError>;

pub(super) fn load(
    head: &Head,
    fs: &Arc<dyn Fs>,
    dir: &Path,
    expected: (i64, Option<LogPosition>),
) -> Result<()> {
    let range = SegmentRange { dir: dir.to_owned(), first: None, last: None };
    let reader = Reader::open(fs.clone(), &[range])?;
    let count = std::thread::available_parallelism().map_or(1, |n| n.get().min(MAX_THREADS));
    let (send, records) = sync_channel(AHEAD);
    std::thread::scope(|scope| {
        let reading = scope.spawn(move || read_all(reader, &send));
        let mut threads = Vec::with_capacity(count);
        let mut senders = Vec::with_capacity(count);
        for _ in 0..count {
            let (send, receive) = sync_channel(AHEAD);
            senders.push(send);
            threads.push(scope.spawn(move || restore(head, expected.0, &receive)));
        }
        let mut loading = Loading::new(head, expected, senders);
        let mut loaded = Ok(());
        for record in &records {
            loaded = loading.record(record);
            if loaded.is_err() {
                break;
            }
        }
        drop(records);
        let loaded = loaded.and_then(|()| loading.end());
        // Both end by themselves now: nobody listens, nobody sends.
        let read = joined(reading.join());
        let (mut total, mut count) = (Done::NOTHING, 0);
        let mut restored = Ok(());
        for thread in threads {
            match joined(thread.join()) {
                Ok((done, series)) => (total, count) = (total.and(done), count + series),
                Err(error) => restored = Err(error),
            }
        }
        // What went wrong first is the cause of what went wrong after it.
        let (series, exemplars) = read.and(restored).and(loaded)?;
        if series != count {
            return Err(SnapshotError::Unusable("the state of series is missing"));
        }
        head.add_done(total);
        head.restore_order();
        for record in &exemplars {
            if let Record::Exemplars(r) = Record::classify(record) {
                head.keep_exemplars(&decode::exemplars(r)?);
            }
        }
        Ok(())
    })
}

fn joined<T>(joined: std::thread::Result<T>) -> T {
    joined.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

fn read_all(mut reader: Reader, send: &SyncSender<Vec<u8>>) -> Result<()> {
    while let Some(entry) = reader.next_entry()? {
        if send.send(entry.record.to_vec()).is_err() {
            break;
        }
    }
    Ok(())
}

/// What the loading thread knows so far.
struct Loading<'h> {
    head: &'h Head,
    min_valid: i64,
    wbl: Option<LogPosition>,
    threads: Vec<SyncSender<Vec<u8>>>,
    header: Option<Header>,
    names: Vec<String>,
    pairs: Vec<PairId>,
    memory: BulkMemory,
    series: u64,
    used: roaring::RoaringBitmap,
    exemplars: Vec<Vec<u8>>,
    ended: bool,
}

impl<'h> Loading<'h> {
    fn new(
        head: &'h Head,
        (min_valid, wbl): (i64, Option<LogPosition>),
        threads: Vec<SyncSender<Vec<u8>>>,
    ) -> Loading<'h> {
        Loading {
            head,
            min_valid,
            wbl,
            threads,
            header: None,
            names: Vec::new(),
            pairs: Vec::new(),
            memory: BulkMemory::default(),
            series: 0,
            used: roaring::RoaringBitmap::new(),
            exemplars: Vec::new(),
            ended: false,
        }
    }

    fn record(&mut self, record: Vec<u8>) -> Result<()> {
        let mut buf = DecBuf::new(&record);
        let kind = buf.u8()?;
        if self.ended || (self.header.is_none() && kind != kind::HEADER) {
            return Err(SnapshotError::Unusable("records are not in order"));
        }
        match kind {
            kind::HEADER => self.header(&mut buf)?,
            kind::NAMES => {
                while !buf.is_empty() {
                    self.names.push(buf.uvarint_str()?.to_owned());
                }
            }
            kind::PAIRS => {
                let mut index = self.head.index_mut();
                while !buf.is_empty() {
                    let name = self.names.get(buf.uvarint_usize()?);
                    let name = name.ok_or(SnapshotError::Unusable("a label name is missing"))?;
                    self.pairs.push(index.symbols.intern(name, buf.uvarint_str()?));
                }
            }
            kind::LABELS => self.labels(&mut buf)?,
            kind::STATE => {
                let number = page_number(first_slot(&mut buf)?);
                let thread = self.threads.get(number % self.threads.len().max(1));
                // A thread that is gone has met an error, which is reported when it is joined.
                let sent = thread.is_some_and(|thread| thread.send(record).is_ok());
                if !sent {
                    return Err(SnapshotError::Unusable("restoring ended early"));
                }
            }
            kind::KEPT => {
                while !buf.is_empty() {
                    let series_ref = buf.uvarint()?;
                    self.head.keep_in_log(series_ref, buf.varint()?);
                }
            }
            kind::END => {
                self.ended = true;
                let header = self.header.map_or(0, |h| h.series);
                if buf.uvarint()? != self.series || header != self.series {
                    return Err(SnapshotError::Unusable("series are missing"));
                }
            }
            _ => return self.log_record(record),
        }
        Ok(())
    }

    fn header(&mut self, buf: &mut DecBuf<'_>) -> Result<()> {
        let header = Header::read(buf)?;
        if self.header.is_some() {
            return Err(SnapshotError::Unusable("there are two headers"));
        }
        if header.min_valid != self.min_valid
            || header.wbl != self.wbl
            || header.chunk_range != self.head.options.min_block_range_ms
        {
            return Err(SnapshotError::Unusable("blocks, options or logs changed since"));
        }
        if header.next_slot as usize > MAX_SLOTS {
            return Err(SnapshotError::Unusable("there are more series than can be"));
        }
        self.header = Some(header);
        Ok(())
    }

    /// Enters the series of a page in the index.
    fn labels(&mut self, buf: &mut DecBuf<'_>) -> Result<()> {
        let first = first_slot(buf)?;
        let next_slot = self.header.map_or(0, |h| h.next_slot);
        let mut index = self.head.index_mut();
        let mut bulk = Bulk::new(&mut index, &mut self.memory);
        let mut numbers: Vec<i64> = Vec::new();
        let mut pairs = Vec::new();
        while !buf.is_empty() {
            let slot = first + Slot::from(buf.u8()?);
            let short_hash = buf.be32()?;
            if slot >= next_slot || !self.used.insert(slot) {
                return Err(SnapshotError::Unusable("a series is there twice"));
            }
            let count = buf.uvarint_usize()?;
            if count > buf.len() || count == 0 {
                return Err(SnapshotError::Unusable("a series has too many labels or none"));
            }
            if numbers.len() < count {
                numbers.resize(count, 0);
            }
            pairs.clear();
            for number in numbers.iter_mut().take(count) {
                *number = number.wrapping_add(buf.varint()?);
                let pair = usize::try_from(*number).ok().and_then(|n| self.pairs.get(n));
                pairs.push(*pair.ok_or(SnapshotError::Unusable("a label is missing"))?);
            }
            bulk.add(slot, short_hash, &pairs);
            self.series += 1;
        }
        bulk.finish();
        Ok(())
    }

    /// A record as the log has it.
    fn log_record(&mut self, record: Vec<u8>) -> Result<()> {
        match Record::classify(&record) {
            Record::Tombstones(r) => {
                let mut stones = Vec::new();
                r.decode(&mut stones)?;
                let mut tombstones = write(&self.head.tombstones);
                for s in stones {
                    let range = model::TimeRange { min: s.min_t, max: s.max_t };
                    tombstones.add(s.series.0, range);
                }
            }
            // They need refs, which the threads enter.
            Record::Exemplars(_) => self.exemplars.push(record),
            _ => return Err(SnapshotError::Unusable("there is a record of an unknown type")),
        }
        Ok(())
    }

    /// Everything was read: completes the head but for its series, which the threads are at. How many
    /// they are, and the exemplar records.
    fn end(self) -> Result<(u64, Vec<Vec<u8>>)> {
        let (Some(header), true) = (self.header, self.ended) else {
            return Err(SnapshotError::Unusable("its end is missing"));
        };
        let head = self.head;
        head.reserve_ref(header.last_ref);
        let mut state = head.lock_commit();
        state.next_slot = header.next_slot;
        if self.used.len() < u64::from(header.next_slot) {
            // Lowest last.
            let free = |slot: &Slot| !self.used.contains(*slot);
            state.free_slots = (0..header.next_slot).rev().filter(free).collect();
        }
        drop(state);
        if header.times.0 <= header.times.1 {
            head.times.extend(header.times.0, header.times.1);
        }
        if header.late.0 <= header.late.1 {
            head.extend_late(header.late.0, header.late.1);
        }
        head.metrics.series.add(self.series);
        head.metrics.series_created.add(self.series);
        Ok((self.series, self.exemplars))
    }
}

impl Head {
    /// Says in which order the slots of the series are; nothing is created meanwhile.
    fn restore_order(&self) {
        for (first_slot, page) in self.pages.iter() {
            let records = page.lock();
            let series: Vec<(Slot, u64)> = (first_slot..)
                .zip(records.cold.iter().map(|cold| cold.series_ref))
                .filter(|(_, series_ref)| *series_ref != 0)
                .collect();
            self.order.add_all(&series);
        }
    }
}

/// The first slot of a page, with which the records of pages begin.
pub(crate) fn first_slot(buf: &mut DecBuf<'_>) -> Result<Slot> {
    let slot = buf.uvarint_usize()?;
    if slot % PAGE_SLOTS != 0 || slot >= MAX_SLOTS {
        return Err(SnapshotError::Unusable("a page is not where pages are"));
    }
    Ok(slot as Slot)
}

/// Restores the series of pages.
fn restore(head: &Head, min_valid: i64, receive: &Receiver<Vec<u8>>) -> Result<(Done, u64)> {
    let mut restorer = Restorer::new(head, min_valid);
    let (mut created, mut count) = (Vec::new(), 0);
    for record in receive {
        let mut buf = DecBuf::new(&record);
        buf.u8()?;
        let first = first_slot(&mut buf)?;
        let page = head.pages.get_or_make(page_number(first));
        let page = page.ok_or(SnapshotError::Unusable("there is no such page"))?;
        let mut records = page.lock();
        created.clear();
        let mut series_ref = 0u64;
        while !buf.is_empty() {
            let place = usize::from(buf.u8()?);
            series_ref = series_ref.wrapping_add_signed(buf.varint()?);
            if series_ref == 0 || records.cold[place].series_ref != 0 {
                return Err(SnapshotError::Unusable("a series is there twice"));
            }
            page.reset_locked(&mut records, place, series_ref);
            restorer.series(&mut Series { page, records: &mut records, place }, &mut buf)?;
            created.push((first + place as Slot, series_ref));
        }
        drop(records);
        head.refs.insert_all(&created);
        count += created.len() as u64;
    }
    Ok((restorer.done, count))
}

impl Header {
    /// A header behind its kind.
    pub fn read(buf: &mut DecBuf<'_>) -> Result<Header> {
        if buf.u8()? != VERSION {
            return Err(SnapshotError::Unusable("it is of another version"));
        }
        Ok(Header {
            min_valid: buf.varint()?,
            chunk_range: buf.varint()?,
            times: (buf.varint()?, buf.varint()?),
            late: (buf.varint()?, buf.varint()?),
            last_ref: buf.uvarint()?,
            next_slot: buf.uvarint32()?,
            series: buf.uvarint()?,
            wbl: match buf.u8()? {
                0 => None,
                _ => Some(LogPosition { segment: buf.uvarint()?, offset: buf.uvarint()? }),
            },
        })
    }
}
