//! Gaps: where the head has samples, so that no block is tried where it has none.
//!
//! Samples may lie any distance apart. Stepping from one block range to the next across a gap would
//! take as many steps as ranges fit into it.

use std::collections::BTreeSet;
use std::sync::Arc;

use model::{Columns, TimeRange};

use super::series::{OpenKind, Records, Slot};
use super::{Floor, Head, HeadView};
use crate::chunk::cut::range_end;
use crate::chunk::decode;
use crate::source::BlockReader;

impl Head {
    /// In-order samples before `end` are in blocks. The head begins where the next sample is, but
    /// not behind `floor`: from there on appenders may still add some, as in Prometheus.
    pub(crate) fn begin_from(self: &Arc<Head>, end: i64, floor: Floor) {
        let soon = range_end(end, self.options.min_block_range_ms);
        let next = self.next_in_order(end, soon).unwrap_or(floor.time).min(floor.time);
        self.times.truncate(if next < soon { end } else { next });
    }

    /// The first in-order time from `from` on; any time before `soon` is as good as the first.
    fn next_in_order(self: &Arc<Head>, from: i64, soon: i64) -> Option<i64> {
        let mut first: Option<i64> = None;
        let found = |first: &mut Option<i64>, t: i64| *first = Some(first.map_or(t, |f| f.min(t)));
        for (first_slot, page) in self.pages.iter() {
            let mut across: Vec<Slot> = Vec::new();
            let records = page.lock();
            for at in 0..records.cold.len() {
                match first_span(&records, at, from) {
                    Some(span) if span.min >= from => found(&mut first, span.min),
                    // Only a look inside tells which of its samples is the first.
                    Some(_) => across.push(first_slot + at as Slot),
                    None => {}
                }
            }
            drop(records);
            for slot in across {
                let range = TimeRange { min: from, max: i64::MAX };
                let view = HeadView::in_order(self.clone(), range);
                let mut columns = Columns::default();
                match view.read(slot, range, &mut columns) {
                    Ok(()) => {
                        columns.timestamps.first().into_iter().for_each(|t| found(&mut first, *t))
                    }
                    // The cut that comes to it says what is wrong.
                    Err(_) => found(&mut first, from),
                }
            }
            if first.is_some_and(|t| t < soon) {
                break;
            }
        }
        first
    }

    /// The starts of the block ranges that have late samples in `chunks_head` or waiting for it.
    pub(crate) fn late_ranges(&self, width: i64) -> BTreeSet<i64> {
        let start = |t: i64| t.div_euclid(width).saturating_mul(width);
        let mut starts = BTreeSet::new();
        let mut across = Vec::new();
        for (_, page) in self.pages.iter() {
            let records = page.lock();
            for ooo in records.cold.iter().filter_map(|cold| cold.ooo()) {
                for chunk in &ooo.chunks {
                    starts.insert(start(chunk.min_t));
                    if start(chunk.min_t) != start(chunk.max_t()) {
                        across.push((chunk.max_t(), Ok(*chunk)));
                    }
                }
                for chunk in &ooo.unwritten {
                    starts.insert(start(chunk.range.min));
                    if start(chunk.range.min) != start(chunk.range.max) {
                        across.push((chunk.range.max, Err(chunk.clone())));
                    }
                }
            }
        }
        for (last, chunk) in across {
            let chunk = chunk.map_or_else(Ok, |mapped| self.chunks.read(&mapped));
            let mut columns = Columns::default();
            let read = chunk.is_ok_and(|chunk| {
                decode(chunk.encoding, &chunk.data, TimeRange::ALL, &mut columns).is_ok()
            });
            if read {
                starts.extend(columns.timestamps.iter().map(|t| start(*t)));
            } else {
                // The cut that comes to it says what is wrong.
                starts.insert(start(last));
            }
        }
        starts
    }
}

/// The first chunk of a series that reaches to `from` or beyond.
fn first_span(records: &Records, at: usize, from: i64) -> Option<TimeRange> {
    let (hot, cold) = (&records.hot[at], &records.cold[at]);
    if cold.series_ref == 0 {
        return None;
    }
    let mapped = cold.chunks.iter().map(|c| TimeRange { min: c.min_t, max: c.max_t() });
    let waiting = cold.unwritten().iter().map(|c| c.range);
    let last = match hot.open {
        OpenKind::None => None,
        OpenKind::Xor => Some(hot.xor.last_t()),
        OpenKind::Boxed => cold.boxed().map(|o| o.last_t()),
    };
    let open = last.map(|max| TimeRange { min: hot.min_t, max });
    mapped.chain(waiting).chain(open).find(|span| span.max >= from)
}
