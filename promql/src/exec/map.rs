//! Operators that change every value of a vector by itself.

use std::sync::Arc;

use super::column::{Column, is_absent};
use super::grid::Grid;
use super::source::{Boxed, Source};
use super::tally::Tally;
use super::work::Work;
use super::wrap::Wrap;
use crate::engine::EngineError;

/// What happens to the values of a column.
pub(crate) trait Change: Send + Sync {
    /// Changes `column` in place.
    fn change(&self, column: &mut Column, work: &mut Work<'_>);
}

/// A vector with a change applied to every column.
pub(crate) struct Map<'p, C> {
    pub inner: Boxed<'p>,
    pub change: C,
}

impl<C: Change> Wrap for Map<'_, C> {
    fn inner(&self) -> &dyn Source {
        &*self.inner
    }

    fn column(&self, i: usize, work: &mut Work<'_>, out: &mut Column) -> Result<(), EngineError> {
        self.inner.column(i, work, out)?;
        self.change.change(out, work);
        Ok(())
    }
}

/// A function of step and float; histograms go.
pub(crate) struct Floats<F>(pub F);

impl<F: Fn(usize, f64) -> f64 + Send + Sync> Change for Floats<F> {
    fn change(&self, column: &mut Column, _work: &mut Work<'_>) {
        column.histograms.clear();
        for (step, v) in column.floats.iter_mut().enumerate().filter(|(_, v)| !is_absent(**v)) {
            *v = (self.0)(step, *v);
        }
    }
}

/// A function of every sample, float or histogram, that only looks at the step.
pub(crate) struct Present<F>(pub F);

impl<F: Fn(usize) -> f64 + Send + Sync> Change for Present<F> {
    fn change(&self, column: &mut Column, _work: &mut Work<'_>) {
        for (step, _) in std::mem::take(&mut column.histograms) {
            column.floats[step as usize] = (self.0)(step as usize);
        }
        for (step, v) in column.floats.iter_mut().enumerate().filter(|(_, v)| !is_absent(**v)) {
            *v = (self.0)(step);
        }
    }
}

/// Unary minus.
pub(crate) struct Negate;

impl Change for Negate {
    fn change(&self, column: &mut Column, _work: &mut Work<'_>) {
        for v in column.floats.iter_mut().filter(|v| !is_absent(**v)) {
            *v = -*v;
        }
        for (_, h) in &mut column.histograms {
            *h = Arc::new(super::histogram::negated(h));
        }
    }
}

/// A vector evaluated at one step and shown at all.
pub(crate) struct Broadcast<'p> {
    pub inner: Boxed<'p>,
    pub grid: Grid,
}

impl Wrap for Broadcast<'_> {
    fn inner(&self) -> &dyn Source {
        &*self.inner
    }

    fn column(&self, i: usize, work: &mut Work<'_>, out: &mut Column) -> Result<(), EngineError> {
        let ((), tally) =
            work.counting(Tally::default(), |work| self.inner.column(i, work, out))?;
        work.tally.count_invariant(&tally, self.grid.steps);
        let v = out.floats.first().copied().unwrap_or(super::column::ABSENT);
        out.floats.clear();
        out.floats.resize(self.grid.steps, v);
        if let Some((_, h)) = out.histograms.pop() {
            out.histograms.extend((0..self.grid.steps).map(|step| (step as u32, h.clone())));
        }
        Ok(())
    }
}
