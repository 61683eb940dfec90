//! Grid: the steps an expression is evaluated at.

/// Evenly spaced evaluation times, milliseconds; never empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Grid {
    pub start: i64,
    /// As asked for; the last step may lie before it.
    pub end: i64,
    pub interval: i64,
    pub steps: usize,
}

impl Grid {
    /// The grid over `start..=end`; `None` when it has no step at all.
    pub(crate) fn new(start: i64, end: i64, interval: i64) -> Option<Grid> {
        if end < start {
            return None;
        }
        let interval = interval.max(1);
        let last = end.checked_sub(start)? / interval;
        let steps = usize::try_from(last).ok()?.checked_add(1)?;
        Some(Grid { start, end, interval, steps })
    }

    /// One step.
    pub(crate) fn instant(t: i64) -> Grid {
        Grid { start: t, end: t, interval: 1, steps: 1 }
    }

    /// Whether this is the grid of an instant query.
    pub(crate) fn is_instant(&self) -> bool {
        self.start == self.end
    }

    /// Time of a step.
    pub(crate) fn time(&self, step: usize) -> i64 {
        self.start + step as i64 * self.interval
    }

    /// Time of the last step.
    pub(crate) fn last(&self) -> i64 {
        self.time(self.steps - 1)
    }

    /// All times.
    pub(crate) fn times(self) -> impl Iterator<Item = i64> {
        (0..self.steps).map(move |s| self.time(s))
    }
}
