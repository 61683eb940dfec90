//! Commit: a batch becomes part of the head.
//!
//! Commits are logged and applied one after another, behind the commit lock; encoding and compressing
//! their records, and waiting until those are durable, happens outside of it. What must hold: series
//! records are logged before the samples that need them; everything is logged before anything is
//! applied, so the order of the log is the order in which any one series got its samples; each sample
//! is judged again under its page's lock, as replay will judge it, and one that came too late
//! meanwhile is counted and left out; the commit is published when its last sample is in place.

use std::collections::HashMap;

use model::columns::HistogramValue;
use model::value::is_stale_nan;
use model::{AppendError, FloatHistogram, Histogram, SeriesRef};

use super::Head;
use super::append::NewSeries;
use super::apply::{Apply, Done, Series};
use super::batch::{Batch, HistogramType, NEW, Staged, StagedFloat, StagedHistogram};
use super::judge::{Bounds, Verdict};
use super::log::{Logged, LoggedAt, RecordBuffer};
use super::prefetch;
use super::series::{Page, Records, Slot, page_number, place};

/// Behind the commit lock: what only one commit at a time may touch.
#[derive(Default)]
pub(crate) struct CommitState {
    /// Number of the last commit.
    pub last_id: u64,
    /// Slots that can be used again, lowest last.
    pub free_slots: Vec<Slot>,
    /// First slot that was never used.
    pub next_slot: Slot,
}

/// Samples of one kind that did and did not make it.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    appended: u64,
    out_of_order: u64,
    out_of_bound: u64,
    too_old: u64,
    out_of_order_appended: u64,
}

impl Tally {
    fn count(&mut self, error: &AppendError) {
        match error {
            AppendError::OutOfOrder => self.out_of_order += 1,
            AppendError::OutOfBounds => self.out_of_bound += 1,
            AppendError::TooOld => self.too_old += 1,
            _ => {}
        }
    }
}

/// A commit being applied.
struct Applying<'a> {
    head: &'a Head,
    apply: Apply<'a>,
    bounds: Bounds,
    floats: Tally,
    histograms: Tally,
    /// Floats that turned out to be staleness markers of histograms.
    converted: Vec<StagedHistogram>,
    ooo: super::ooo::OooLog,
}

impl Head {
    /// Logs and applies what an appender staged.
    pub(super) fn commit(
        &self,
        staged: Staged,
        new: Vec<NewSeries>,
        bounds: Option<Bounds>,
    ) -> Result<(), AppendError> {
        if staged.is_empty() && new.is_empty() {
            return Ok(());
        }
        let mut buffer = self.take_buffer();
        let logged = if new.is_empty() {
            self.commit_known(&mut buffer, &staged, bounds)
        } else {
            self.commit_new(&mut buffer, staged, new, bounds)
        };
        self.give_buffer(buffer);
        logged?.settle(&self.metrics)
    }

    /// Commits samples of series that exist: what the log will say is settled before the lock.
    fn commit_known(
        &self,
        buffer: &mut RecordBuffer,
        staged: &Staged,
        bounds: Option<Bounds>,
    ) -> Result<Logged, AppendError> {
        self.encode_batch(buffer, staged, &[]);
        let wal = self.wal();
        let prepared = wal.as_ref().map(|wal| wal.prepare(buffer.records()));
        let mut state = self.lock_commit();
        let mut logged = Logged::append(wal, prepared)?;
        logged.wbl = self.apply_batch(&mut state, staged, bounds);
        Ok(logged)
    }

    /// Commits a batch with series that may be new. Who else creates them must wait until that is
    /// decided and logged.
    fn commit_new(
        &self,
        buffer: &mut RecordBuffer,
        mut staged: Staged,
        new: Vec<NewSeries>,
        bounds: Option<Bounds>,
    ) -> Result<Logged, AppendError> {
        let mut state = self.lock_commit();
        let created = self.settle_new(&mut state, &mut staged, new);
        self.encode_batch(buffer, &staged, &created);
        let wal = self.wal();
        let prepared = wal.as_ref().map(|wal| wal.prepare(buffer.records()));
        let mut logged = match Logged::append(wal, prepared) {
            Ok(logged) => logged,
            Err(error) => {
                state.free_slots.extend(created.iter().rev().map(|(slot, _)| *slot));
                return Err(error);
            }
        };
        self.create(&created);
        logged.wbl = self.apply_batch(&mut state, &staged, bounds);
        Ok(logged)
    }

    /// Applies a batch that is logged; says what of it the log of late samples has.
    fn apply_batch(
        &self,
        state: &mut CommitState,
        staged: &Staged,
        bounds: Option<Bounds>,
    ) -> LoggedAt {
        let id = state.last_id + 1;
        state.last_id = id;
        let mut bounds = bounds.unwrap_or(Bounds { min_valid: i64::MIN, head_max: 0, window: 0 });
        bounds.min_valid = bounds.min_valid.max(self.min_valid_time());
        let mut run = Applying {
            head: self,
            apply: self.apply(id),
            bounds,
            floats: Tally::default(),
            histograms: Tally::default(),
            converted: Vec::new(),
            ooo: super::ooo::OooLog::default(),
        };
        for batch in &staged.batches {
            run.batch(batch);
        }
        let late = run.finish();
        self.keep_exemplars(&staged.exemplars);
        self.keep_metadata(&staged.metadata);
        self.isolation.publish(id);
        late
    }

    /// Decides which of an appender's new series are really new, gives those slots, and rewrites
    /// what was staged for the others.
    fn settle_new(
        &self,
        state: &mut CommitState,
        staged: &mut Staged,
        new: Vec<NewSeries>,
    ) -> Vec<(Slot, NewSeries)> {
        if new.is_empty() {
            return Vec::new();
        }
        let mut settled: HashMap<u64, (u64, Slot)> = HashMap::with_capacity(new.len());
        let mut created = Vec::with_capacity(new.len());
        {
            let index = self.index();
            for series in new {
                let found = index.find(series.hash, &series.labels);
                let to = match found.and_then(|slot| Some((self.series_ref(slot)?, slot))) {
                    Some(existing) => existing,
                    None => {
                        let slot = state.free_slots.pop().unwrap_or_else(|| {
                            state.next_slot += 1;
                            state.next_slot - 1
                        });
                        let own = (series.series_ref, slot);
                        created.push((slot, NewSeries { ..series }));
                        settled.insert(own.0, own);
                        continue;
                    }
                };
                settled.insert(series.series_ref, to);
            }
        }
        for batch in &mut staged.batches {
            for float in batch.floats.iter_mut().filter(|f| f.slot == NEW) {
                if let Some(&(to, slot)) = settled.get(&float.sample.series.0) {
                    (float.sample.series, float.slot) = (SeriesRef(to), slot);
                }
            }
            for histogram in batch.histograms.iter_mut().filter(|h| h.slot == NEW) {
                if let Some(&(to, slot)) = settled.get(&histogram.series_ref) {
                    (histogram.series_ref, histogram.slot) = (to, slot);
                }
            }
        }
        let redirect = |series_ref: &mut u64| {
            if let Some(&(to, _)) = settled.get(series_ref) {
                *series_ref = to;
            }
        };
        staged.exemplars.iter_mut().for_each(|(series_ref, _)| redirect(series_ref));
        staged.metadata.iter_mut().for_each(|(series_ref, _)| redirect(series_ref));
        created
    }

    /// Makes new series real.
    fn create(&self, created: &[(Slot, NewSeries)]) {
        if created.is_empty() {
            return;
        }
        let slots: Vec<(Slot, u64)> =
            created.iter().map(|(slot, s)| (*slot, s.series_ref)).collect();
        self.reset_slots(&slots);
        let mut index = self.index_mut();
        for (slot, series) in created {
            index.add(*slot, series.hash, &series.labels);
        }
        drop(index);
        self.count_created(&slots);
    }

    /// Makes series real that the index has already; nobody reads yet.
    pub(super) fn create_slots(&self, created: &[(Slot, u64)]) {
        self.reset_slots(created);
        self.count_created(created);
    }

    /// Lets series whose records are made, or will be before anybody looks, be found by ref.
    pub(super) fn count_created(&self, created: &[(Slot, u64)]) {
        self.refs.insert_all(created);
        self.order.add_all(created);
        self.metrics.series.add(created.len() as u64);
        self.metrics.series_created.add(created.len() as u64);
    }

    /// Empties the records of slots and gives them their refs.
    pub(super) fn reset_slots(&self, slots: &[(Slot, u64)]) {
        for run in slots.chunk_by(|a, b| page_number(a.0) == page_number(b.0)) {
            let number = run.first().map_or(0, |(slot, _)| page_number(*slot));
            let Some(page) = self.pages.get_or_make(number) else { continue };
            let mut records = page.lock();
            for &(slot, series_ref) in run {
                page.reset_locked(&mut records, place(slot), series_ref);
            }
        }
    }

    /// Empties slots that have no series any more.
    pub(super) fn clear_slots(&self, slots: &[Slot]) {
        let empty: Vec<(Slot, u64)> = slots.iter().map(|slot| (*slot, 0)).collect();
        self.reset_slots(&empty);
    }

    /// The records of a batch.
    fn encode_batch(
        &self,
        buffer: &mut RecordBuffer,
        staged: &Staged,
        created: &[(Slot, NewSeries)],
    ) {
        buffer.clear();
        buffer.series(created.iter().map(|(_, s)| (s.series_ref, &s.labels)));
        if self.options.metadata_wal_records {
            buffer.metadata(&staged.metadata);
        }
        for batch in &staged.batches {
            buffer.floats(&batch.floats, self.options.start_timestamps);
            buffer.histograms(&batch.histograms, self.options.start_timestamps);
        }
        buffer.exemplars(&staged.exemplars);
    }
}

/// How many samples ahead records are prefetched.
const AHEAD: usize = 12;

impl<'a> Applying<'a> {
    fn batch(&mut self, batch: &Batch) {
        let mut floats = batch.floats.as_slice();
        while let Some(first) = floats.first() {
            let number = page_number(first.slot);
            let run = floats.iter().take_while(|f| page_number(f.slot) == number).count();
            let (now, later) = floats.split_at(run);
            floats = later;
            let Some(page) = self.head.pages.get(number) else { continue };
            let mut records = page.lock();
            let bring = |records: &Records, float: &StagedFloat| {
                prefetch::record(&records.hot[place(float.slot)]);
            };
            now.iter().take(AHEAD).for_each(|float| bring(&records, float));
            for (at, float) in now.iter().enumerate() {
                if let Some(later) = now.get(at + AHEAD) {
                    bring(&records, later);
                }
                let s = float.sample;
                if let Some(series) = self.series(page, &mut records, float.slot, s.series.0) {
                    self.float(series, s.t, s.start_t, s.v, float.slot);
                }
            }
        }
        let converted = std::mem::take(&mut self.converted);
        for histograms in [&batch.histograms, &converted] {
            let same_page = |a: &StagedHistogram, b: &StagedHistogram| {
                page_number(a.slot) == page_number(b.slot)
            };
            for run in histograms.chunk_by(same_page) {
                let Some(page) = self.head.pages.get(page_number(run[0].slot)) else { continue };
                let mut records = page.lock();
                for h in run {
                    if let Some(series) = self.series(page, &mut records, h.slot, h.series_ref) {
                        self.histogram(series, h);
                    }
                }
            }
        }
    }

    /// The series of a slot, if it still is the one that was staged for.
    #[inline]
    fn series<'s>(
        &self,
        page: &'s Page,
        records: &'s mut Records,
        slot: Slot,
        series_ref: u64,
    ) -> Option<Series<'s>> {
        let place = place(slot);
        if records.cold[place].series_ref != series_ref {
            self.head.metrics.series_not_found.add(1);
            return None;
        }
        Some(Series { page, records, place })
    }

    #[inline]
    fn float(&mut self, mut series: Series<'_>, t: i64, start_t: i64, v: f64, slot: Slot) {
        if is_stale_nan(v)
            && let Some(last) = series.last_histogram_kind()
        {
            let value = match last {
                HistogramType::Integer | HistogramType::IntegerCustom => {
                    HistogramValue::Integer(Box::new(Histogram { sum: v, ..Histogram::default() }))
                }
                HistogramType::Float | HistogramType::FloatCustom => {
                    HistogramValue::Float(Box::new(FloatHistogram {
                        sum: v,
                        ..FloatHistogram::default()
                    }))
                }
            };
            let series_ref = series.records.cold[series.place].series_ref;
            self.converted.push(StagedHistogram { series_ref, slot, t, start_t, value });
            return;
        }
        let last_t = series.last_t();
        match self.bounds.judge(t, last_t, || series.last_is_float(v)) {
            Ok(Verdict::InOrder) => {
                if series.push_float(&mut self.apply, t, start_t, v).is_ok() {
                    self.floats.appended += 1;
                }
            }
            Ok(Verdict::Identical) => {}
            Ok(Verdict::OutOfOrder) => {
                self.count_late(t);
                let value = super::ooo::OooValue::Float(v);
                if series.insert_ooo(&mut self.ooo, &mut self.apply, t, start_t, value) {
                    self.floats.appended += 1;
                    self.floats.out_of_order_appended += 1;
                }
            }
            Err(error) => self.floats.count(&error),
        }
    }

    fn histogram(&mut self, mut series: Series<'_>, staged: &StagedHistogram) {
        let (t, start_t, value) = (staged.t, staged.start_t, &staged.value);
        let last_t = series.last_t();
        match self.bounds.judge(t, last_t, || series.last_is_histogram(value)) {
            Ok(Verdict::InOrder) => {
                if series.push_histogram(&mut self.apply, t, start_t, value).is_ok() {
                    self.histograms.appended += 1;
                }
            }
            Ok(Verdict::Identical) => {}
            Ok(Verdict::OutOfOrder) => {
                self.count_late(t);
                let value = super::ooo::OooValue::Histogram(value.clone());
                if series.insert_ooo(&mut self.ooo, &mut self.apply, t, start_t, value) {
                    self.histograms.appended += 1;
                    self.histograms.out_of_order_appended += 1;
                }
            }
            Err(error) => self.histograms.count(&error),
        }
    }

    fn count_late(&self, t: i64) {
        let behind = self.bounds.head_max.saturating_sub(t).max(0);
        self.head.metrics.late_by.0.observe(behind as f64 / 1000.0);
    }

    fn finish(self) -> LoggedAt {
        let m = &self.head.metrics;
        for (tally, float) in [(self.floats, true), (self.histograms, false)] {
            let of = |c: &'a super::metrics::ByType| if float { &c.float } else { &c.histogram };
            of(&m.samples_appended).add(tally.appended);
            of(&m.out_of_order).add(tally.out_of_order);
            of(&m.out_of_bound).add(tally.out_of_bound);
            of(&m.too_old).add(tally.too_old);
            of(&m.out_of_order_appended).add(tally.out_of_order_appended);
        }
        self.head.add_done(self.apply.done);
        self.head.log_ooo(self.ooo)
    }
}

/// What changed in chunks and times, into the head's figures.
impl Head {
    pub(super) fn add_done(&self, done: Done) {
        let m = &self.metrics;
        m.chunks.add(done.chunks_created);
        m.chunks_created.add(done.chunks_created);
        m.mmap_chunks.add(done.chunks_mapped);
        if done.stale >= 0 {
            m.stale_series.add(done.stale as u64);
        } else {
            m.stale_series.sub(done.stale.unsigned_abs());
        }
        if done.min_t <= done.max_t {
            self.times.extend(done.min_t, done.max_t);
        }
    }
}
