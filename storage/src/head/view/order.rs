//! Order: the orders in which the series of a view are selected.

use std::sync::Arc;

use model::{CancelToken, QueryError};

use super::HeadView;
use crate::head::series::{page_number, place};
use crate::source::{BlockReader, SeriesId, SeriesIds};

/// Slots sorted while nobody can create series.
const SORTED_AT_ONCE: usize = 32 << 10;

/// Refs that lie closer together than this on average are put in their places instead of sorted.
const DENSE: u64 = 8;

impl HeadView {
    /// The refs of series, ascending by slot as they are selected; 0 for a slot without one.
    fn refs_of(&self, ids: &[SeriesId]) -> Vec<u64> {
        let mut refs = Vec::with_capacity(ids.len());
        for run in ids.chunk_by(|a, b| page_number(*a) == page_number(*b)) {
            let page = self.head.pages.get(page_number(run[0]));
            let records = page.map(|page| page.lock());
            let series_ref = |id| records.as_ref().map_or(0, |r| r.cold[place(id)].series_ref);
            refs.extend(run.iter().map(|&id| series_ref(id)));
        }
        refs
    }

    /// Puts series in the order of refs.
    pub(super) fn by_ref(&self, ids: &mut SeriesIds) {
        if self.head.order.is_kept() {
            return;
        }
        let refs = self.refs_of(ids);
        if refs.is_sorted() {
            return;
        }
        let (low, high) = refs.iter().fold((u64::MAX, 0), |(l, h), &r| (l.min(r), h.max(r)));
        if (high - low) / DENSE < refs.len() as u64 {
            let mut places = vec![SeriesId::MAX; (high - low) as usize + 1];
            ids.iter().zip(&refs).for_each(|(&id, r)| places[(r - low) as usize] = id);
            let mut ordered = places.into_iter().filter(|&id| id != SeriesId::MAX);
            Arc::make_mut(ids).iter_mut().zip(&mut ordered).for_each(|(id, next)| *id = next);
            return;
        }
        let mut by_ref: Vec<(u64, SeriesId)> = refs.into_iter().zip(ids.iter().copied()).collect();
        // Stable: it makes use of the runs that are in order.
        by_ref.sort();
        Arc::make_mut(ids).iter_mut().zip(by_ref).for_each(|(id, (_, next))| *id = next);
    }

    /// Puts series in the order of labels.
    pub(super) fn by_labels(
        &self,
        mut ids: Vec<SeriesId>,
        cancel: &CancelToken,
    ) -> Result<Vec<SeriesId>, QueryError> {
        if let Some(reason) = cancel.reason() {
            return Err(QueryError::Cancelled(reason));
        }
        // Nobody creates a series meanwhile: many are sorted piece by piece, and then merged.
        for ids in ids.chunks_mut(SORTED_AT_ONCE) {
            let index = self.head.index();
            ids.sort_by(|a, b| index.compare(*a, *b));
        }
        if ids.len() <= SORTED_AT_ONCE {
            return Ok(ids);
        }
        let mut labelled = Vec::with_capacity(ids.len());
        for id in ids {
            labelled.push((self.labels(id)?, id));
        }
        labelled.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(labelled.into_iter().map(|(_, id)| id).collect())
    }
}
