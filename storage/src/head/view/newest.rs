//! Newest: which series of a view have samples in a range, and which are their newest ones. Many
//! series are looked at page by page, and what is the same for all of them once.

use std::sync::Arc;

use model::{Newest, TimeRange};

use super::HeadView;
use crate::head::apply::hidden_samples;
use crate::head::series::{DYING, OpenKind, Page, Records, Slot, page_number, place};
use crate::head::{prefetch, read};
use crate::postings::subtract;
use crate::source::{SeriesId, SeriesIds};

/// Records are asked for so many series ahead.
const AHEAD: usize = 8;
/// After so many series it shows whether the newest samples are known.
const FIRST: usize = 1024;

/// Whether there is anything in the head that came late, and anything that was deleted.
#[derive(Clone, Copy)]
struct Rare {
    late: bool,
    deleted: bool,
}

impl HeadView {
    fn rare(&self) -> Rare {
        let (min, max) = self.head.late_bounds();
        let late = self.out_of_order && min <= max;
        Rare { late, deleted: !read(&self.head.tombstones).is_empty() }
    }

    /// The newest sample of a series, where it is known without decoding: a float in order, visible,
    /// with nothing that came late or was deleted.
    pub(super) fn newest_of(&self, slot: Slot) -> Option<Newest> {
        let page = self.head.pages.get(page_number(slot))?;
        self.newest_in(&page.lock(), place(slot), self.rare())
    }

    fn newest_in(&self, records: &Records, place: usize, rare: Rare) -> Option<Newest> {
        let hot = &records.hot[place];
        let known = self.in_order
            && hot.open == OpenKind::Xor
            && hot.xor.samples() > 0
            && hidden_samples(records, place, self.pin.watermark) == 0;
        if !known {
            return None;
        }
        if rare.late || rare.deleted {
            let cold = &records.cold[place];
            let late = rare.late && cold.ooo().is_some();
            if late || rare.deleted && !self.head.deleted(cold.series_ref).is_empty() {
                return None;
            }
        }
        Some(Newest { t: hot.xor.last_t(), v: hot.xor.last_value() })
    }

    /// The newest samples of `ids`; nothing where those of many lie outside `range` or are not known.
    pub(super) fn newest_of_all(&self, ids: &[SeriesId], range: TimeRange) -> Vec<Newest> {
        let (inside, rare) = (self.inside(range), self.rare());
        let mut all = Vec::with_capacity(ids.len());
        let mut unknown = 0;
        for run in ids.chunk_by(|a, b| page_number(*a) == page_number(*b)) {
            let Some(page) = self.head.pages.get(page_number(run[0])) else { return Vec::new() };
            let records = page.lock();
            for (i, id) in run.iter().enumerate() {
                if let Some(ahead) = run.get(i + AHEAD) {
                    prefetch::record(&records.hot[place(*ahead)]);
                }
                let newest = self.newest_in(&records, place(*id), rare);
                let newest = newest.filter(|newest| inside.contains(newest.t));
                unknown += usize::from(newest.is_none());
                all.push(newest.unwrap_or(Newest::UNKNOWN));
            }
            if unknown * 16 > all.len() && (all.len() >= FIRST || all.len() == ids.len()) {
                return Vec::new();
            }
        }
        all
    }

    /// Takes the series out of `ids` that have nothing inside `range`.
    pub(super) fn retain(&self, ids: &mut SeriesIds, range: TimeRange) {
        // Mostly all have, and what is shared is not copied then.
        let mut gone: Vec<SeriesId> = Vec::new();
        for run in ids.chunk_by(|a, b| page_number(*a) == page_number(*b)) {
            match self.head.pages.get(page_number(run[0])) {
                Some(page) => self.find_gone(page, run, range, &mut gone),
                None => gone.extend_from_slice(run),
            }
        }
        if !gone.is_empty() {
            subtract(Arc::make_mut(ids), gone.as_slice());
        }
    }

    fn find_gone(&self, page: &Page, run: &[SeriesId], range: TimeRange, gone: &mut Vec<SeriesId>) {
        // The newest sample shows it mostly, and its time stands outside the lock.
        let inside = self.inside(range);
        let has = |id: &&SeriesId| {
            let t = page.last_t(place(**id));
            self.in_order && inside.contains(t) && t != DYING
        };
        let mut others = run.iter().filter(|id| !has(id)).peekable();
        if others.peek().is_some() {
            let records = page.lock();
            gone.extend(others.filter(|id| !self.has_samples(&records, place(**id), range)));
        }
    }

    /// Whether a series has anything inside `range`.
    fn has_samples(&self, records: &Records, place: usize, range: TimeRange) -> bool {
        let (hot, cold) = (&records.hot[place], &records.cold[place]);
        if cold.series_ref == 0 {
            return false;
        }
        let overlaps = |min: i64, max: i64| TimeRange { min, max }.overlaps(range);
        if self.out_of_order
            && let Some(ooo) = cold.ooo()
        {
            let (min, max) = ooo.bounds();
            if min <= max && overlaps(min, max) {
                return true;
            }
        }
        let range = self.inside(range);
        let overlaps = |min: i64, max: i64| TimeRange { min, max }.overlaps(range);
        self.in_order
            && (match hot.open {
                OpenKind::None => false,
                OpenKind::Xor => overlaps(hot.min_t, hot.xor.last_t()),
                OpenKind::Boxed => cold.boxed().is_some_and(|o| overlaps(hot.min_t, o.last_t())),
            } || cold.unwritten().iter().any(|c| c.range.overlaps(range))
                || cold.chunks.iter().any(|c| overlaps(c.min_t, c.max_t())))
    }
}
