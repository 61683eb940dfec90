//! Head: the samples that are not in a block yet, the log that makes them durable and the chunks
//! spilled to `chunks_head`.
//!
//! Locks, outer before inner: commit, index, a page. A reader takes index and pages one after the
//! other, never the commit lock. What must hold is said where it holds: `commit` (order of log and
//! memory), `isolation` (who sees what), `gc` (when something may go).

mod append;
mod apply;
mod batch;
mod chunk_list;
pub(crate) mod chunk_snapshot;
mod commit;
mod evict;
mod exemplars;
mod gaps;
mod gc;
pub(crate) mod image;
mod index;
mod isolation;
mod judge;
mod labels;
pub mod limits;
mod log;
pub mod metrics;
mod mmap;
pub(crate) mod ooo;
mod open;
mod order;
mod parts;
mod prefetch;
mod refs;
pub(crate) mod replay;
pub(crate) mod series;
mod size;
pub(crate) mod snapshot;
pub mod stats;
mod symbols;
mod tail;
#[cfg(test)]
mod tests;
mod times;
mod truncate;
mod view;

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use model::{AppendError, AppendOptions, Appender, Exemplar, Labels, Matcher, Metadata, TimeRange};

use self::append::HeadAppender;
use self::apply::{Apply, Done};
use self::commit::CommitState;
pub(crate) use self::evict::Ended;
use self::exemplars::Exemplars;
pub use self::exemplars::SeriesExemplars;
pub(crate) use self::gc::Garbage;
use self::index::HeadIndex;
use self::isolation::{Isolation, Openings};
use self::judge::Bounds;
use self::limits::Limits;
use self::log::RecordBuffer;
use self::metrics::HeadMetrics;
use self::mmap::HeadChunks;
use self::order::SlotOrder;
use self::refs::RefDirectory;
use self::series::{Pages, Slot, page_number, place};
use self::times::Times;
pub(crate) use self::truncate::Floor;
pub(crate) use self::view::HeadView;
use crate::chunk::EncodeOptions;
use crate::db::{DbError, FloatEncoding, Level, LogFn, Options, RuntimeOptions};
use crate::file_error::FileError;
use crate::fs::Fs;
use crate::headchunks;
use crate::postings::PostingsCache;
use crate::tombstones::{Intervals, Tombstones};
use crate::wal::Wal;

/// Bytes of matcher results that are kept.
const POSTINGS_CACHE_BYTES: usize = 16 << 20;

/// The head.
pub struct Head {
    options: Options,
    runtime: RwLock<RuntimeOptions>,
    pages: Pages,
    refs: RefDirectory,
    index: RwLock<HeadIndex>,
    postings_cache: PostingsCache,
    isolation: Arc<Isolation>,
    appenders: Openings,
    times: Times,
    /// Bounds of samples that came late; empty while min > max.
    late_min: AtomicI64,
    late_max: AtomicI64,
    /// The same of what came since garbage collection last began to look.
    late_recent: Mutex<(i64, i64)>,
    last_ref: AtomicU64,
    order: SlotOrder,
    commit: Mutex<CommitState>,
    /// Floats in the last commit: the next one is likely of that size.
    expected_floats: AtomicUsize,
    /// Buffers for the records of commits.
    buffers: Mutex<Vec<RecordBuffer>>,
    chunks: HeadChunks,
    wal: RwLock<Option<Arc<Wal>>>,
    wbl: RwLock<Option<Arc<Wal>>>,
    tombstones: RwLock<Tombstones>,
    exemplars: Mutex<Exemplars>,
    /// Refs of series that are not in the head, and the time until which log and checkpoint must
    /// keep their records.
    kept_in_log: Mutex<HashMap<u64, i64>>,
    /// Until this time they must keep the records of all series.
    all_kept_in_log: AtomicI64,
    limits: Limits,
    pub metrics: HeadMetrics,
}

fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Head {
    /// An empty head over `chunks_head` of `dir`. Files that cannot be opened are removed, with all
    /// later ones; their samples are in the log.
    pub(crate) fn open(
        dir: &Path,
        options: Options,
        fs: &Arc<dyn Fs>,
        log: &LogFn,
    ) -> Result<Head, DbError> {
        let chunks_dir = dir.join("chunks_head");
        let failed = |e: FileError| DbError::Io(e.to_string());
        let chunks = match HeadChunks::open(fs.clone(), &chunks_dir) {
            Err(error) if error.is_corruption() => {
                log(Level::Error, "Loading on-disk chunks failed", &[("err", error.to_string())]);
                let from = error.file_number().unwrap_or(0);
                headchunks::HeadChunks::delete_from(fs.as_ref(), &chunks_dir, from)
                    .map_err(failed)?;
                HeadChunks::open(fs.clone(), &chunks_dir).map_err(failed)?
            }
            opened => opened.map_err(failed)?,
        };
        Ok(Head::new(chunks, options))
    }

    /// An empty head. Without a log until [`Head::set_wal`].
    pub(crate) fn new(chunks: HeadChunks, options: Options) -> Head {
        let mut exemplars = Exemplars::default();
        if options.exemplar_storage {
            exemplars.resize(options.runtime.max_exemplars);
        }
        Head {
            limits: Limits::new(options.max_head_series, options.max_head_bytes),
            runtime: RwLock::new(options.runtime),
            options,
            pages: Pages::default(),
            refs: RefDirectory::default(),
            index: RwLock::default(),
            postings_cache: PostingsCache::new(POSTINGS_CACHE_BYTES),
            isolation: Arc::default(),
            appenders: Openings::default(),
            times: Times::default(),
            late_min: AtomicI64::new(i64::MAX),
            late_max: AtomicI64::new(i64::MIN),
            late_recent: Mutex::new((i64::MAX, i64::MIN)),
            last_ref: AtomicU64::new(0),
            order: SlotOrder::default(),
            commit: Mutex::default(),
            expected_floats: AtomicUsize::new(0),
            buffers: Mutex::default(),
            chunks,
            wal: RwLock::default(),
            wbl: RwLock::default(),
            tombstones: RwLock::default(),
            exemplars: Mutex::new(exemplars),
            kept_in_log: Mutex::default(),
            all_kept_in_log: AtomicI64::new(i64::MIN),
            metrics: HeadMetrics::default(),
        }
    }

    /// Opens a batch.
    pub(crate) fn appender(self: &Arc<Head>, options: AppendOptions) -> Box<dyn Appender> {
        Box::new(HeadAppender::new(self.clone(), options))
    }

    /// Commits are logged here from now on.
    pub(crate) fn set_wal(&self, wal: Arc<Wal>) {
        *write(&self.wal) = Some(wal);
    }

    /// Late samples are logged here from now on.
    pub(crate) fn set_wbl(&self, wbl: Arc<Wal>) {
        *write(&self.wbl) = Some(wbl);
    }

    /// The write-ahead log, if there is one.
    pub(crate) fn wal(&self) -> Option<Arc<Wal>> {
        read(&self.wal).clone()
    }

    /// The log of late samples, if there is one.
    pub(crate) fn wbl(&self) -> Option<Arc<Wal>> {
        read(&self.wbl).clone()
    }

    /// Takes over what a reload changed.
    pub(crate) fn apply_runtime(&self, runtime: RuntimeOptions) {
        *write(&self.runtime) = runtime;
        if self.options.exemplar_storage {
            lock(&self.exemplars).resize(runtime.max_exemplars);
        }
    }

    fn runtime(&self) -> RuntimeOptions {
        *read(&self.runtime)
    }

    fn index(&self) -> RwLockReadGuard<'_, HeadIndex> {
        read(&self.index)
    }

    fn index_mut(&self) -> RwLockWriteGuard<'_, HeadIndex> {
        write(&self.index)
    }

    fn lock_commit(&self) -> MutexGuard<'_, CommitState> {
        lock(&self.commit)
    }

    /// The ref of the series in a slot.
    fn series_ref(&self, slot: Slot) -> Option<u64> {
        let page = self.pages.get(page_number(slot))?;
        let series_ref = page.lock().cold[place(slot)].series_ref;
        (series_ref != 0).then_some(series_ref)
    }

    /// A ref that was never used.
    fn next_ref(&self) -> u64 {
        self.last_ref.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// The highest ref that was given out.
    fn last_ref(&self) -> u64 {
        self.last_ref.load(Ordering::Relaxed)
    }

    /// Refs up to this one are taken.
    fn reserve_ref(&self, series_ref: u64) {
        // Nobody counts this far: such a ref is made up, and counting on from it would come to an end.
        if series_ref < 1 << 62 {
            self.last_ref.fetch_max(series_ref, Ordering::Relaxed);
        }
    }

    /// Samples up to `t` may stand in the log under this ref, which is no series of the head.
    fn keep_in_log(&self, series_ref: u64, t: i64) {
        let mut kept = lock(&self.kept_in_log);
        let until = kept.entry(series_ref).or_insert(t);
        *until = t.max(*until);
    }

    /// Samples up to `t` may stand in the log under any ref.
    fn keep_all_in_log(&self, t: i64) {
        self.all_kept_in_log.fetch_max(t, Ordering::Relaxed);
    }

    /// What an appender whose first sample is at `t` judges by.
    fn bounds_for(&self, t: i64) -> Bounds {
        if !self.times.is_set() {
            self.times.extend(t, t);
        }
        let head_max = self.times.max();
        let floor = head_max.saturating_sub(self.options.min_block_range_ms / 2);
        Bounds {
            min_valid: floor.max(self.times.min_valid()),
            head_max,
            window: self.runtime().out_of_order_window_ms,
        }
    }

    fn min_valid_time(&self) -> i64 {
        self.times.min_valid()
    }

    /// What commit `commit` applies with; 0 = replay.
    fn apply(&self, commit: u64) -> Apply<'_> {
        let runtime = self.runtime();
        Apply {
            commit,
            watermarks: if commit == 0 { Vec::new() } else { self.isolation.watermarks() },
            chunk_range: self.options.min_block_range_ms,
            samples_per_chunk: usize::from(self.options.samples_per_chunk),
            xor2: runtime.float_encoding == FloatEncoding::Xor2,
            start_timestamps: self.options.start_timestamps,
            histogram_st: self.options.histogram_st,
            chunks: &self.chunks,
            done: Done::NOTHING,
        }
    }

    fn encode_options(&self) -> EncodeOptions {
        EncodeOptions {
            xor2: self.runtime().float_encoding == FloatEncoding::Xor2,
            histogram_st: self.options.histogram_st,
            ..EncodeOptions::default()
        }
    }

    /// What was deleted of a series.
    fn deleted(&self, series_ref: u64) -> Intervals {
        let tombstones = read(&self.tombstones);
        if tombstones.is_empty() {
            return Intervals::new();
        }
        tombstones.get(series_ref).cloned().unwrap_or_default()
    }

    fn late_bounds(&self) -> (i64, i64) {
        (self.late_min.load(Ordering::Acquire), self.late_max.load(Ordering::Acquire))
    }

    fn extend_late(&self, min: i64, max: i64) {
        self.late_min.fetch_min(min, Ordering::AcqRel);
        self.late_max.fetch_max(max, Ordering::AcqRel);
        let mut recent = lock(&self.late_recent);
        *recent = (recent.0.min(min), recent.1.max(max));
    }

    /// Garbage collection begins to look what came late.
    fn begin_late(&self) {
        *lock(&self.late_recent) = (i64::MAX, i64::MIN);
    }

    /// It found late samples in these bounds; others may have come since it began.
    fn set_late(&self, (min, max): (i64, i64)) {
        let recent = lock(&self.late_recent);
        self.late_min.store(min.min(recent.0), Ordering::Release);
        self.late_max.store(max.max(recent.1), Ordering::Release);
    }

    fn tombstones_truncate(&self, mint: i64) {
        write(&self.tombstones).truncate_before(mint);
    }

    fn tombstones_remove(&self, refs: &[u64]) {
        let mut tombstones = write(&self.tombstones);
        refs.iter().for_each(|r| tombstones.remove(*r));
    }

    /// First and last time of in-order samples; `None` for an empty head.
    pub fn time_range(&self) -> Option<TimeRange> {
        let (min, max) = (self.times.min(), self.times.max());
        (self.times.is_set() && min <= max).then_some(TimeRange { min, max })
    }

    fn exemplars_enabled(&self) -> bool {
        lock(&self.exemplars).is_enabled()
    }

    /// Labels of a series by ref.
    fn labels_of(&self, series_ref: u64) -> Option<Labels> {
        let slot = self.refs.lookup(&mut self.refs.snapshot(), series_ref)?;
        Some(self.index().labels(slot))
    }

    /// All exemplars in the order of arrival, with the refs of their series; without those whose
    /// series is gone.
    fn exemplars_by_ref(&self) -> Vec<(u64, Exemplar)> {
        let exemplars = lock(&self.exemplars);
        let index = self.index();
        let by_ref = |(series, exemplar): (&Labels, &Exemplar)| {
            let slot = index.find(series.hash64(), series)?;
            Some((self.series_ref(slot)?, exemplar.clone()))
        };
        exemplars.arrivals().filter_map(by_ref).collect()
    }

    fn check_exemplar(&self, series_ref: u64, exemplar: &Exemplar) -> Result<bool, AppendError> {
        let labels = self.labels_of(series_ref);
        let window = self.runtime().out_of_order_window_ms;
        lock(&self.exemplars).check(labels.as_ref(), exemplar, window)
    }

    fn keep_exemplars(&self, exemplars: &[(u64, Exemplar)]) {
        let window = self.runtime().out_of_order_window_ms;
        for (series_ref, exemplar) in exemplars {
            let Some(labels) = self.labels_of(*series_ref) else { continue };
            match lock(&self.exemplars).add(&labels, exemplar, window) {
                Ok(added) => self.metrics.exemplars_appended.add(u64::from(added)),
                Err(_) => self.metrics.exemplars_out_of_order.add(1),
            }
        }
    }

    /// Exemplars inside `range` of series that satisfy one of the matcher sets, in label order.
    pub fn exemplars(&self, range: TimeRange, sets: &[Vec<Matcher>]) -> Vec<SeriesExemplars> {
        lock(&self.exemplars).select(range, sets)
    }

    fn metadata(&self, slot: Slot) -> Option<Metadata> {
        let records = self.pages.get(page_number(slot))?.lock();
        records.cold[place(slot)].extra.as_ref()?.metadata.clone()
    }

    fn keep_metadata(&self, metadata: &[(u64, Metadata)]) {
        let mut snapshot = self.refs.snapshot();
        for (series_ref, m) in metadata {
            let slot = self.refs.lookup(&mut snapshot, *series_ref);
            let page = slot.and_then(|slot| self.pages.get(page_number(slot)));
            if let (Some(slot), Some(page)) = (slot, page) {
                page.lock().cold[place(slot)].extra_mut().metadata = Some(m.clone());
            }
        }
    }
}
