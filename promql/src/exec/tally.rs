//! Tally: the samples an evaluation looked at, as Prometheus's query statistics count them.

use super::grid::Grid;

/// Counts of one evaluation on one grid.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    /// Samples each step would load were it an instant query.
    pub total: u64,
    /// Samples read, counting what consecutive steps share once.
    pub read: u64,
    /// Samples of the largest window.
    pub widest: u64,
    /// The counts per step, when asked for.
    pub steps: Option<Box<Steps>>,
}

/// Per-step counts.
#[derive(Clone, Debug)]
pub(crate) struct Steps {
    pub total: Vec<u64>,
    pub read: Vec<u64>,
}

impl Tally {
    /// A tally that also counts per step.
    pub(crate) fn per_step(steps: usize) -> Tally {
        let steps = Box::new(Steps { total: vec![0; steps], read: vec![0; steps] });
        Tally { steps: Some(steps), ..Tally::default() }
    }

    /// A fresh tally that counts per step if this one does.
    pub(crate) fn fork(&self) -> Tally {
        match &self.steps {
            Some(s) => Tally::per_step(s.total.len()),
            None => Tally::default(),
        }
    }

    /// Adds the counts of a fork.
    pub(crate) fn join(&mut self, other: &Tally) {
        self.total += other.total;
        self.read += other.read;
        self.widest = self.widest.max(other.widest);
        if let (Some(mine), Some(theirs)) = (&mut self.steps, &other.steps) {
            mine.total.iter_mut().zip(&theirs.total).for_each(|(a, b)| *a += b);
            mine.read.iter_mut().zip(&theirs.read).for_each(|(a, b)| *a += b);
        }
    }

    /// Counts samples a step looks at, `read` of them for the first time.
    #[inline]
    pub(crate) fn count(&mut self, step: usize, total: u64, read: u64) {
        self.total += total;
        self.read += read;
        self.count_step(step, total, read);
    }

    /// The same, to the counts of the step only.
    #[inline]
    pub(crate) fn count_step(&mut self, step: usize, total: u64, read: u64) {
        if let Some(s) = &mut self.steps {
            s.total[step] += total;
            s.read[step] += read;
        }
    }

    /// Counts what an expression evaluated once for all `steps` looked at.
    pub(crate) fn count_invariant(&mut self, child: &Tally, steps: usize) {
        self.total += child.total * steps as u64;
        self.read += child.read;
        if let Some(s) = &mut self.steps {
            s.total.iter_mut().for_each(|t| *t += child.total);
            s.read[0] += child.read;
        }
    }

    /// Counts what a subquery read, at the first step of `grid` that uses it. Windows of
    /// `window_ms` that leave gaps between the steps drop what falls in between; 0 = no windows.
    pub(crate) fn count_subquery(
        &mut self,
        child: &Tally,
        child_grid: Grid,
        grid: Grid,
        offset_ms: i64,
        window_ms: i64,
    ) {
        if grid.steps <= 1 {
            self.count(0, 0, child.read);
            return;
        }
        let Some(steps) = &child.steps else { return };
        for (k, n) in steps.read.iter().enumerate().filter(|(_, n)| **n > 0) {
            let t = child_grid.time(k).saturating_add(offset_ms);
            let step = if t > grid.start {
                ((t - grid.start + grid.interval - 1) / grid.interval) as usize
            } else {
                0
            };
            let step = step.min(grid.steps - 1);
            if window_ms > 0 && t <= grid.time(step) - window_ms {
                continue;
            }
            self.count(step, 0, *n);
        }
    }
}
