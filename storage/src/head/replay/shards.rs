//! Shards: the threads that put samples into series, each of them the series of its pages.
//!
//! What must hold: everything that concerns a series goes to the same thread in log order. The
//! thread that reads the log changes a series itself only when its shard has nothing left to do.

use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread::{Scope, ScopedJoinHandle};

use model::columns::HistogramValue;
use model::value::is_stale_nan;
use model::{FloatHistogram, Histogram};

use super::chunks::Found;
use super::pool::Pool;
use crate::head::Head;
use crate::head::apply::{Apply, Done, Series};
use crate::head::batch::HistogramType;
use crate::head::series::{MappedChunk, Page, Records, Slot, page_number, place};
use crate::wal::WalError;

/// Samples gathered before they are handed over.
const BATCH: usize = 4096;
/// Batches that wait for a thread at most: of samples, or new series.
const AHEAD: usize = 8;
/// More threads would wait for the one that decodes.
const MAX_SHARDS: usize = 8;

/// A float for the series of a slot.
#[derive(Clone, Copy)]
pub(super) struct SlotFloat {
    pub slot: Slot,
    pub t: i64,
    pub start_t: i64,
    pub v: f64,
}

/// A histogram for the series of a slot.
pub(super) struct SlotHistogram {
    pub slot: Slot,
    pub t: i64,
    pub start_t: i64,
    pub value: HistogramValue,
}

/// Chunks of `chunks_head`, in order and late ones.
#[derive(Default)]
pub(super) struct Attached {
    pub chunks: Vec<MappedChunk>,
    pub late: Vec<MappedChunk>,
}

/// A series that has its place in the index.
struct Created {
    slot: Slot,
    series_ref: u64,
    attached: Option<Attached>,
}

enum Work {
    Create(Vec<Created>),
    Floats(Vec<SlotFloat>),
    Histograms(Vec<SlotHistogram>),
    Attach(Slot, Attached),
    /// Answered when everything before is done.
    Barrier(Sender<()>),
}

struct Shard<'scope> {
    send: SyncSender<Work>,
    floats: Vec<SlotFloat>,
    histograms: Vec<SlotHistogram>,
    thread: ScopedJoinHandle<'scope, Done>,
}

/// The threads, as the one that reads the log sees them.
pub(super) struct Shards<'scope> {
    shards: Vec<Shard<'scope>>,
    /// Whether records may not be made yet.
    creating: bool,
    spent: &'scope Pool<Vec<SlotFloat>>,
}

impl<'scope> Shards<'scope> {
    /// Starts the threads.
    pub fn start<'env>(
        scope: &'scope Scope<'scope, 'env>,
        head: &'env Head,
        spent: &'env Pool<Vec<SlotFloat>>,
    ) -> Result<Shards<'scope>, WalError> {
        let count = std::thread::available_parallelism().map_or(1, |n| n.get().min(MAX_SHARDS));
        let mut shards = Vec::with_capacity(count);
        for number in 0..count {
            let (send, receive) = sync_channel(AHEAD);
            let name = format!("replay-{number}");
            let thread = std::thread::Builder::new()
                .name(name.clone())
                .spawn_scoped(scope, move || Worker::new(head).run(&receive, spent));
            let thread = thread.map_err(|source| {
                let path = std::path::PathBuf::from(name);
                WalError::Io { operation: "spawn", path, source }
            })?;
            shards.push(Shard { send, floats: Vec::new(), histograms: Vec::new(), thread });
        }
        Ok(Shards { shards, creating: false, spent })
    }

    fn of(&mut self, slot: Slot) -> Option<&mut Shard<'scope>> {
        let count = self.shards.len();
        self.shards.get_mut(page_number(slot) % count.max(1))
    }

    /// Has the records of new series made, with the chunks that were found for them.
    pub fn create(&mut self, created: Vec<(Slot, u64)>, found: &mut Found) {
        if created.is_empty() {
            return;
        }
        self.creating = true;
        let count = self.shards.len().max(1);
        let mut parts: Vec<Vec<Created>> = Vec::new();
        parts.resize_with(count, Vec::new);
        for (slot, series_ref) in created {
            let attached = found.take(series_ref);
            parts[page_number(slot) % count].push(Created { slot, series_ref, attached });
        }
        for (shard, part) in self.shards.iter().zip(parts) {
            if !part.is_empty() {
                shard.send(Work::Create(part));
            }
        }
    }

    /// Waits until all records are made.
    pub fn settle(&mut self) {
        if self.creating {
            self.barrier();
        }
    }

    /// A float goes its way.
    #[inline]
    pub fn float(&mut self, float: SlotFloat) {
        let spent = self.spent;
        let Some(shard) = self.of(float.slot) else { return };
        if !shard.histograms.is_empty() {
            shard.flush_histograms();
        }
        shard.floats.push(float);
        if shard.floats.len() >= BATCH {
            shard.flush_floats(spent);
        }
    }

    /// A histogram goes its way.
    pub fn histogram(&mut self, histogram: SlotHistogram) {
        let spent = self.spent;
        let Some(shard) = self.of(histogram.slot) else { return };
        if !shard.floats.is_empty() {
            shard.flush_floats(spent);
        }
        shard.histograms.push(histogram);
        if shard.histograms.len() >= BATCH / 16 {
            shard.flush_histograms();
        }
    }

    /// A series gets chunks behind what it has.
    pub fn attach(&mut self, slot: Slot, attached: Attached) {
        let spent = self.spent;
        let Some(shard) = self.of(slot) else { return };
        shard.flush(spent);
        shard.send(Work::Attach(slot, attached));
    }

    /// Waits until nothing is left to do.
    pub fn barrier(&mut self) {
        let (send, done) = channel();
        for shard in &mut self.shards {
            shard.flush(self.spent);
            shard.send(Work::Barrier(send.clone()));
        }
        drop(send);
        // Ends when the last thread has answered, or is gone.
        while done.recv().is_ok() {}
        self.creating = false;
    }

    /// Waits for the threads and sums up what they did.
    pub fn finish(mut self, head: &Head) {
        self.shards.iter_mut().for_each(|shard| shard.flush(self.spent));
        for Shard { send, thread, .. } in self.shards {
            drop(send);
            match thread.join() {
                Ok(done) => head.add_done(done),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
    }
}

impl Shard<'_> {
    fn flush(&mut self, spent: &Pool<Vec<SlotFloat>>) {
        self.flush_floats(spent);
        self.flush_histograms();
    }

    fn flush_floats(&mut self, spent: &Pool<Vec<SlotFloat>>) {
        if !self.floats.is_empty() {
            let mut next = spent.take();
            next.clear();
            next.reserve_exact(BATCH);
            let full = std::mem::replace(&mut self.floats, next);
            self.send(Work::Floats(full));
        }
    }

    fn flush_histograms(&mut self) {
        if !self.histograms.is_empty() {
            let full = std::mem::take(&mut self.histograms);
            self.send(Work::Histograms(full));
        }
    }

    /// A thread that is gone has panicked: `finish` passes that on.
    fn send(&self, work: Work) {
        let _ = self.send.send(work);
    }
}

/// Puts samples and chunks into series.
pub(super) struct Worker<'h> {
    head: &'h Head,
    apply: Apply<'h>,
}

impl<'h> Worker<'h> {
    /// A worker that has done nothing yet.
    pub fn new(head: &'h Head) -> Worker<'h> {
        Worker { head, apply: head.apply(0) }
    }

    fn run(mut self, receive: &Receiver<Work>, spent: &Pool<Vec<SlotFloat>>) -> Done {
        while let Ok(work) = receive.recv() {
            match work {
                Work::Create(created) => self.create(created),
                Work::Floats(floats) => {
                    self.floats(&floats);
                    spent.give(floats);
                }
                Work::Histograms(histograms) => histograms.iter().for_each(|h| self.histogram(h)),
                Work::Attach(slot, attached) => self.attach(slot, attached),
                // Nobody waits any more: then there is nothing to say.
                Work::Barrier(done) => drop(done.send(())),
            }
        }
        self.done()
    }

    fn create(&mut self, created: Vec<Created>) {
        let slots: Vec<(Slot, u64)> = created.iter().map(|c| (c.slot, c.series_ref)).collect();
        self.head.reset_slots(&slots);
        for Created { slot, attached, .. } in created {
            if let Some(attached) = attached {
                self.attach(slot, attached);
            }
        }
    }

    /// What was done.
    pub fn done(self) -> Done {
        self.apply.done
    }

    fn floats(&mut self, floats: &[SlotFloat]) {
        for run in floats.chunk_by(|a, b| page_number(a.slot) == page_number(b.slot)) {
            let Some(page) = run.first().and_then(|f| self.head.pages.get(page_number(f.slot)))
            else {
                continue;
            };
            let mut records = page.lock();
            run.iter().for_each(|f| self.float(page, &mut records, f));
        }
    }

    fn float(&mut self, page: &Page, records: &mut Records, f: &SlotFloat) {
        let mut series = Series { page, records, place: place(f.slot) };
        if series.last_t().is_some_and(|last| f.t <= last) {
            return;
        }
        // A sample that cannot be encoded was not stored when it was logged either.
        let _ = match series.last_histogram_kind().filter(|_| is_stale_nan(f.v)) {
            None => series.push_float(&mut self.apply, f.t, f.start_t, f.v),
            Some(HistogramType::Integer | HistogramType::IntegerCustom) => {
                let h = Histogram { sum: f.v, ..Histogram::default() };
                let value = HistogramValue::Integer(Box::new(h));
                series.push_histogram(&mut self.apply, f.t, f.start_t, &value)
            }
            Some(HistogramType::Float | HistogramType::FloatCustom) => {
                let h = FloatHistogram { sum: f.v, ..FloatHistogram::default() };
                let value = HistogramValue::Float(Box::new(h));
                series.push_histogram(&mut self.apply, f.t, f.start_t, &value)
            }
        };
    }

    fn histogram(&mut self, h: &SlotHistogram) {
        let Some(page) = self.head.pages.get(page_number(h.slot)) else { return };
        let mut records = page.lock();
        let mut series = Series { page, records: &mut records, place: place(h.slot) };
        if series.last_t().is_none_or(|last| h.t > last) {
            let _ = series.push_histogram(&mut self.apply, h.t, h.start_t, &h.value);
        }
    }

    /// Gives a series chunks of `chunks_head`.
    pub fn attach(&mut self, slot: Slot, Attached { chunks, late }: Attached) {
        let Some(page) = self.head.pages.get(page_number(slot)) else { return };
        let mut records = page.lock();
        let mut series = Series { page, records: &mut records, place: place(slot) };
        let metrics = &self.head.metrics;
        metrics.chunks.add((chunks.len() + late.len()) as u64);
        metrics.chunks_created.add((chunks.len() + late.len()) as u64);
        let mut behind = Vec::with_capacity(chunks.len());
        let mut last_t = series.last_t();
        for chunk in chunks {
            if last_t.is_some_and(|last| last >= chunk.min_t) {
                // Nothing that was stored may be lost: it is merged when read.
                series.keep_late_chunk(chunk);
                self.head.extend_late(chunk.min_t, chunk.max_t());
                continue;
            }
            last_t = Some(chunk.max_t());
            self.apply.done.min_t = self.apply.done.min_t.min(chunk.min_t);
            self.apply.done.max_t = self.apply.done.max_t.max(chunk.max_t());
            behind.push(chunk);
        }
        if !behind.is_empty() {
            series.close(&mut self.apply);
            series.keep_chunks(&behind);
        }
        for chunk in late {
            series.keep_late_chunk(chunk);
            self.head.extend_late(chunk.min_t, chunk.max_t());
        }
    }
}
