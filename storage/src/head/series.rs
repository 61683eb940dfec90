//! Series: the hot record of every series in the head, 256 to a page, in order of creation.
//!
//! A slot is page number × 256 + place in the page. What must hold: everything behind `Page::lock`
//! changes only under it; `last_t` outside is written under it and read without, as a first
//! judgement that the commit repeats. A slot is in use while its `Cold::series_ref` is not 0.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use model::columns::HistogramValue;
use model::{EncodedChunk, Metadata};

use super::chunk_list::ChunkList;
use super::ooo::OooSeries;
use super::open::BoxedChunk;
use super::tail::{Slab, Tail};
use crate::chunk::xor::XorState;

/// Index of a series' record; also its id in postings.
pub(crate) type Slot = u32;

/// Slots in a page.
pub(crate) const PAGE_SLOTS: usize = 256;
const PAGES_PER_GROUP: usize = 512;
const GROUPS: usize = 512;
/// Most series a head can hold.
pub(crate) const MAX_SLOTS: usize = PAGE_SLOTS * PAGES_PER_GROUP * GROUPS;

/// `last_t` of a series without a sample.
pub(crate) const NO_SAMPLE: i64 = i64::MIN;
/// `last_t` of a series that garbage collection is about to drop: no time is above it, so every
/// append comes to the slow judgement, which takes the mark off.
pub(crate) const DYING: i64 = i64::MAX;

/// What the open chunk of a series is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum OpenKind {
    /// There is none.
    None,
    /// XOR, in the hot record.
    Xor,
    /// Anything else, in `Extra::open`.
    Boxed,
}

/// What every append touches: two cache lines.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
pub(crate) struct Hot {
    pub xor: XorState,
    /// First time of the open chunk.
    pub min_t: i64,
    /// The open chunk takes no sample at or after this time.
    pub next_at: i64,
    /// The last commit that added samples, and how many.
    pub commit_id: u64,
    pub commit_count: u32,
    pub open: OpenKind,
    /// The last sample is a staleness marker.
    pub stale: bool,
    pub tail: Tail,
}

const _: () = assert!(size_of::<Hot>() == 128);

impl Hot {
    fn empty() -> Hot {
        Hot {
            xor: XorState::default(),
            min_t: 0,
            next_at: 0,
            commit_id: 0,
            commit_count: 0,
            open: OpenKind::None,
            stale: false,
            tail: Tail::EMPTY,
        }
    }
}

/// A chunk in `chunks_head`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MappedChunk {
    /// File number and offset.
    pub chunk_ref: u64,
    pub min_t: i64,
    /// Last time minus first.
    pub span_ms: u32,
    pub samples: u16,
    pub encoding: u8,
}

impl MappedChunk {
    /// Last time.
    pub fn max_t(&self) -> i64 {
        self.min_t.saturating_add(i64::from(self.span_ms))
    }
}

/// What few appends touch.
#[derive(Debug, Default)]
pub(crate) struct Cold {
    /// 0 = the slot is not in use.
    pub series_ref: u64,
    /// Ascending and disjoint, all before the open chunk.
    pub chunks: ChunkList,
    pub extra: Option<Box<Extra>>,
}

/// What few series have.
#[derive(Debug, Default)]
pub(crate) struct Extra {
    pub open: Option<BoxedChunk>,
    /// Full chunks that could not be written to `chunks_head` yet; after `Cold::chunks`.
    pub unwritten: Vec<EncodedChunk>,
    /// The last sample if it is a histogram.
    pub last_histogram: Option<HistogramValue>,
    pub ooo: Option<OooSeries>,
    pub metadata: Option<Metadata>,
}

impl Cold {
    /// The rare part, made when absent.
    pub fn extra_mut(&mut self) -> &mut Extra {
        self.extra.get_or_insert_default()
    }

    /// Out-of-order samples, if there are any.
    pub fn ooo(&self) -> Option<&OooSeries> {
        self.extra.as_ref().and_then(|e| e.ooo.as_ref())
    }

    /// The last sample if it is a histogram.
    pub fn last_histogram(&self) -> Option<&HistogramValue> {
        self.extra.as_ref().and_then(|e| e.last_histogram.as_ref())
    }

    /// Full chunks that wait to be written.
    pub fn unwritten(&self) -> &[EncodedChunk] {
        self.extra.as_ref().map_or(&[], |e| &e.unwritten)
    }

    /// The open chunk when it is boxed.
    pub fn boxed(&self) -> Option<&BoxedChunk> {
        self.extra.as_ref().and_then(|e| e.open.as_ref())
    }
}

/// Records behind a page's lock.
#[derive(Debug)]
pub(crate) struct Records {
    pub hot: Box<[Hot]>,
    pub cold: Box<[Cold]>,
    pub slab: Slab,
    /// By place: commits before the last one that some view must not see, with their samples;
    /// ascending. Empty unless views are open.
    pub earlier: BTreeMap<u8, Vec<(u64, u32)>>,
}

/// 256 series.
#[derive(Debug)]
pub(crate) struct Page {
    last_t: [AtomicI64; PAGE_SLOTS],
    records: Mutex<Records>,
}

impl Page {
    fn new() -> Page {
        Page {
            last_t: std::array::from_fn(|_| AtomicI64::new(NO_SAMPLE)),
            records: Mutex::new(Records {
                hot: vec![Hot::empty(); PAGE_SLOTS].into(),
                cold: std::iter::repeat_with(Cold::default).take(PAGE_SLOTS).collect(),
                slab: Slab::default(),
                earlier: BTreeMap::new(),
            }),
        }
    }

    /// Locks the records. A panic elsewhere while the lock was held leaves whole samples at worst.
    pub fn lock(&self) -> MutexGuard<'_, Records> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a place ready for a new series.
    pub fn reset(&self, place: usize, series_ref: u64) {
        self.reset_locked(&mut self.lock(), place, series_ref);
    }

    /// The same with the lock held.
    pub fn reset_locked(&self, records: &mut Records, place: usize, series_ref: u64) {
        records.hot[place].tail.clear(&mut records.slab);
        records.hot[place] = Hot::empty();
        records.cold[place] = Cold { series_ref, ..Cold::default() };
        records.earlier.remove(&(place as u8));
        self.set_last_t(place, NO_SAMPLE);
    }

    /// Time of the last in-order sample of a place; [`NO_SAMPLE`] or [`DYING`] otherwise.
    #[inline]
    pub fn last_t(&self, place: usize) -> i64 {
        self.last_t[place].load(Ordering::Relaxed)
    }

    /// Sets it; the lock is held.
    #[inline]
    pub fn set_last_t(&self, place: usize, t: i64) {
        self.last_t[place].store(t, Ordering::Relaxed);
    }
}

/// Place of a slot in its page.
#[inline]
pub(crate) fn place(slot: Slot) -> usize {
    slot as usize % PAGE_SLOTS
}

/// Number of a slot's page.
#[inline]
pub(crate) fn page_number(slot: Slot) -> usize {
    slot as usize / PAGE_SLOTS
}

type Group = Box<[OnceLock<Box<Page>>]>;

/// All pages. Pages are made on demand and never move or go away.
#[derive(Debug)]
pub(crate) struct Pages {
    groups: Box<[OnceLock<Group>]>,
}

impl Default for Pages {
    fn default() -> Pages {
        Pages { groups: std::iter::repeat_with(OnceLock::new).take(GROUPS).collect() }
    }
}

impl Pages {
    /// A page that was made before.
    #[inline]
    pub fn get(&self, number: usize) -> Option<&Page> {
        let group = self.groups.get(number / PAGES_PER_GROUP)?.get()?;
        group[number % PAGES_PER_GROUP].get().map(Box::as_ref)
    }

    /// A page, made when absent; `None` beyond [`MAX_SLOTS`].
    pub fn get_or_make(&self, number: usize) -> Option<&Page> {
        let group = self
            .groups
            .get(number / PAGES_PER_GROUP)?
            .get_or_init(|| std::iter::repeat_with(OnceLock::new).take(PAGES_PER_GROUP).collect());
        Some(group[number % PAGES_PER_GROUP].get_or_init(|| Box::new(Page::new())))
    }

    /// The pages made so far with the slot of their first place.
    pub fn iter(&self) -> impl Iterator<Item = (Slot, &Page)> {
        (0..GROUPS * PAGES_PER_GROUP)
            .map_while(|number| Some(((number * PAGE_SLOTS) as Slot, self.get(number)?)))
    }
}
