//! Shared: a part of a query that stands in it more than once, evaluated once.
//!
//! Whoever comes first evaluates it; everybody gets a handle that gives the same columns. What the
//! evaluation counted and noted is counted and noted again for each of them, as if it had been
//! evaluated there: Prometheus does that, and tells so in statistics and annotations.
//!
//! Columns of a part that is small are kept. Of one that is large only the last one is, by each
//! thread: enough where two operands are asked for the same series one after the other.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::column::{Column, SharedHistogram};
use super::eval::Evaluator;
use super::grid::Grid;
use super::parallel;
use super::source::{Boxed, Source};
use super::work::{Aside, Held, Work, too_many_samples};
use super::wrap::Wrap;
use crate::engine::EngineError;
use crate::plan::{Node, Place, Shared};

/// Most values that are kept for a part.
pub(super) const MOST_VALUES: u64 = 1 << 21;
/// Most bytes they may take, where they are histograms.
const MOST_BYTES: u64 = 8 * MOST_VALUES;

/// The parts that were evaluated and still have somebody to come.
#[derive(Default)]
pub(crate) struct Slots<'p> {
    slots: Mutex<HashMap<usize, (Arc<Evaluated<'p>>, usize)>>,
    samples: AtomicU64,
    bytes: AtomicU64,
}

impl Slots<'_> {
    /// What is held by shared parts, until the end of the query as far as limits are concerned, and
    /// by results of aggregations whose turn has not come.
    pub(crate) fn held(&self) -> Held {
        let samples = self.samples.load(Ordering::Relaxed);
        Held { samples, bytes: self.bytes.load(Ordering::Relaxed) }
    }

    /// More is held.
    pub(super) fn hold(&self, more: Held) {
        self.samples.fetch_add(more.samples, Ordering::Relaxed);
        self.bytes.fetch_add(more.bytes, Ordering::Relaxed);
    }

    /// Somebody took what was held for him.
    pub(super) fn release(&self, less: Held) {
        self.samples.fetch_sub(less.samples, Ordering::Relaxed);
        self.bytes.fetch_sub(less.bytes, Ordering::Relaxed);
    }
}

/// A part with what evaluating it counted and noted.
struct Evaluated<'p> {
    source: Boxed<'p>,
    /// Columns are at hand and asking for one counts and notes nothing.
    kept: bool,
    aside: Aside,
    place: Place,
}

impl<'p> Evaluator<'p> {
    /// One occurrence of a shared part.
    pub(crate) fn shared(
        &self,
        node: &'p Node,
        shared: &'p Shared,
        grid: Grid,
        work: &mut Work<'_>,
    ) -> Result<Boxed<'p>, EngineError> {
        let class = shared.class;
        let known = {
            let mut slots = self.slots.slots.lock().unwrap_or_else(PoisonError::into_inner);
            let known = slots.get_mut(&class).map(|(evaluated, left)| {
                *left -= 1;
                (Arc::clone(evaluated), *left)
            });
            known.map(|(evaluated, left)| {
                if left == 0 {
                    slots.remove(&class);
                }
                evaluated
            })
        };
        let evaluated = match known {
            Some(evaluated) => evaluated,
            None => {
                let evaluated = Arc::new(self.first(&shared.node, grid, work)?);
                let left = shared.uses.saturating_sub(1);
                if left > 0 {
                    let mut slots = self.slots.slots.lock().unwrap_or_else(PoisonError::into_inner);
                    slots.insert(class, (Arc::clone(&evaluated), left));
                }
                evaluated
            }
        };
        let shift = Shift::between(evaluated.place, node.place_for(node.rank));
        work.add(&evaluated.aside, shift);
        Ok(Box::new(Handle { of: evaluated, class, shift }))
    }

    fn first(
        &self,
        node: &'p Node,
        grid: Grid,
        work: &mut Work<'_>,
    ) -> Result<Evaluated<'p>, EngineError> {
        let place = node.place_for(node.rank);
        let before = (work.shared.budget.held(), self.slots.held());
        let (source, mut aside) = work.apart(|work| self.vector(node, grid, work))?;
        let evaluated = if source.held().is_some() {
            Evaluated { source, kept: true, aside, place }
        } else {
            match Kept::of(source, grid.steps, work)? {
                Ok((kept, of_columns)) => {
                    aside.tally.join(&of_columns.tally);
                    aside.notes.merge(of_columns.notes);
                    Evaluated { source: Box::new(kept), kept: true, aside, place }
                }
                Err(source) => Evaluated { source, kept: false, aside, place },
            }
        };
        // What parts inside of this one hold is counted already.
        let (held, inner) = (work.shared.budget.held(), self.slots.held());
        self.slots.hold(held.plus(before.1).less(before.0.plus(inner)));
        Ok(evaluated)
    }
}

/// From the places of one occurrence to those of another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Shift {
    rank: u32,
    start: u32,
}

impl Shift {
    /// From one place to the other.
    pub(super) fn between(from: Place, to: Place) -> Shift {
        Shift { rank: to.rank.wrapping_sub(from.rank), start: to.start.wrapping_sub(from.start) }
    }

    /// A place of the first occurrence, at the other.
    pub(crate) fn apply(self, place: Place) -> Place {
        let start = match place.start {
            Place::NOWHERE => Place::NOWHERE,
            start => start.wrapping_add(self.start),
        };
        Place { rank: self.rank(place.rank), start }
    }

    /// The same of a rank alone.
    pub(crate) fn rank(self, rank: u32) -> u32 {
        rank.wrapping_add(self.rank)
    }
}

/// One of those who share a part.
struct Handle<'p> {
    of: Arc<Evaluated<'p>>,
    class: usize,
    shift: Shift,
}

/// The last column a thread computed of a shared part.
#[derive(Debug)]
pub(crate) struct Memo {
    class: usize,
    index: usize,
    column: Column,
    aside: Aside,
}

impl Wrap for Handle<'_> {
    fn inner(&self) -> &dyn Source {
        &*self.of.source
    }

    fn column(&self, i: usize, work: &mut Work<'_>, out: &mut Column) -> Result<(), EngineError> {
        if self.of.kept {
            return self.of.source.column(i, work, out);
        }
        let known = work.memos.iter().position(|memo| memo.class == self.class);
        let mut memo = match known {
            Some(at) => work.memos.swap_remove(at),
            None => Memo {
                class: self.class,
                index: usize::MAX,
                column: Column::default(),
                aside: Aside::default(),
            },
        };
        if memo.index != i {
            // Not valid until it is computed.
            memo.index = usize::MAX;
            let column = &mut memo.column;
            let ((), aside) = work.apart(|work| self.of.source.column(i, work, column))?;
            memo.aside = aside;
            memo.index = i;
        }
        out.clone_from(&memo.column);
        work.add(&memo.aside, self.shift);
        work.memos.push(memo);
        Ok(())
    }
}

/// A source with all of its columns at hand.
struct Kept<'p> {
    inner: Boxed<'p>,
    steps: usize,
    floats: Vec<f64>,
    histograms: HashMap<usize, Vec<(u32, SharedHistogram)>>,
}

impl<'p> Kept<'p> {
    /// Computes the columns of `inner`; hands it back when they are too many to keep.
    fn of(
        inner: Boxed<'p>,
        steps: usize,
        work: &mut Work<'_>,
    ) -> Result<Result<(Kept<'p>, Aside), Boxed<'p>>, EngineError> {
        let budget = &work.shared.budget;
        let values = inner.len() as u64 * steps as u64;
        if values > MOST_VALUES.min(budget.limit() / 8) || !budget.has_room(values * 8) {
            return Ok(Err(inner));
        }
        let before = budget.held();
        let (mut floats, mut histograms) = (Vec::with_capacity(values as usize), HashMap::new());
        let mut bytes = 0;
        let mut too_many = false;
        let columns = work.apart(|work| {
            parallel::each(&*inner, work, |i, column, work| {
                bytes += column.bytes();
                if bytes > MOST_BYTES || !work.shared.budget.has_room(bytes) {
                    too_many = true;
                    return Err(too_many_samples());
                }
                work.shared.budget.hold(column.weight())?;
                work.shared.budget.hold_bytes(column.bytes())?;
                floats.extend_from_slice(&column.floats);
                if !column.histograms.is_empty() {
                    histograms.insert(i, std::mem::take(&mut column.histograms));
                }
                Ok(())
            })
        });
        match columns {
            Ok(((), aside)) => Ok(Ok((Kept { inner, steps, floats, histograms }, aside))),
            Err(_) if too_many => {
                work.settle(before);
                Ok(Err(inner))
            }
            Err(e) => Err(e),
        }
    }
}

impl Wrap for Kept<'_> {
    fn inner(&self) -> &dyn Source {
        &*self.inner
    }

    fn in_memory(&self) -> bool {
        true
    }

    fn column(&self, i: usize, _work: &mut Work<'_>, out: &mut Column) -> Result<(), EngineError> {
        out.floats.clear();
        out.floats.extend_from_slice(&self.floats[i * self.steps..(i + 1) * self.steps]);
        out.histograms.clear();
        if let Some(histograms) = self.histograms.get(&i) {
            out.histograms.extend_from_slice(histograms);
        }
        Ok(())
    }
}
