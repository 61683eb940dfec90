//! Aggregations that fold the series of a group into one: sum, avg, count, min, max, group,
//! stddev, stdvar, quantile.
//!
//! A group is folded series by series, in selection order at every step; only the group's state
//! and one series are in memory.

use super::column::{ABSENT, Column, is_absent};
use super::fold::{Part, Variance};
use super::group::{self, Group};
use super::histogram_fold::HistogramFold;
use super::parallel;
use super::scalar::Steps;
use super::source::{Row, Source, Table};
use super::work::Work;
use crate::engine::EngineError;
use crate::functions::math;
use crate::functions::quantile;
use crate::parser::ast::AggregateOp;
use crate::plan::Place;
use model::kahan::Mean;

/// Below this many groups a thread the series of a group are split, not the groups.
pub(super) const FEW_GROUPS: usize = 4;
/// Fewer values are folded faster than shared out.
pub(super) const LEAST_VALUES: usize = 1 << 14;
/// A first group up to this size is folded alone.
pub(super) const SMALL_GROUP: usize = 32;
/// Most groups whose state is in memory at once.
pub(super) const GROUPS_AT_ONCE: usize = 256;

/// What an aggregation is told besides its input.
pub(crate) struct Fold<'a> {
    pub op: AggregateOp,
    pub names: &'a [String],
    pub without: bool,
    /// φ of quantile.
    pub param: Option<Steps>,
    pub steps: usize,
    /// The parameter, and the expression that is aggregated.
    pub param_place: Place,
    pub place: Place,
}

impl Fold<'_> {
    /// Aggregates `source`.
    pub(crate) fn run(
        &self,
        source: &dyn Source,
        work: &mut Work<'_>,
    ) -> Result<Table, EngineError> {
        if self.op == AggregateOp::Quantile {
            self.judge_quantile(work);
        }
        let mut table = self.table();
        let groups = group::groups(source, self.names, self.without);
        let few = groups.len() < FEW_GROUPS * work.shared.threads();
        if few || source.in_memory() {
            for group in groups {
                let before = work.shared.budget.held().bytes;
                work.shared.budget.hold_bytes(self.state_bytes())?;
                let mut state = State::new(self, self.steps);
                let mut drop_name = false;
                let index = |at: usize| group.members[at] as usize;
                let n = group.members.len();
                parallel::batches_of(source, n, index, work, |first, columns, work| {
                    for (k, column) in columns.iter().enumerate() {
                        self.hold_kept(column, work)?;
                        let drops = || source.drops_name(index(first + k)) && !column.is_empty();
                        drop_name = drop_name || drops();
                    }
                    state.fold_all(self, source, &group.members[first..], columns, work)
                })?;
                let state_bytes = work.shared.budget.held().bytes.saturating_sub(before);
                self.push(group, state, drop_name, &mut table, work)?;
                work.shared.budget.release_bytes(state_bytes);
            }
            return Ok(table);
        }
        // Whole groups side by side, a batch of them in memory at a time. Small first groups show
        // whether there is anything to share.
        let mut left = source.len();
        let mut rest = &groups[..];
        while let Some(group) = rest.first() {
            let first = left == source.len() && group.members.len() <= SMALL_GROUP;
            let alone = first || !work.is_worth_sharing(left, self.steps);
            let batch = &rest[..if alone { 1 } else { GROUPS_AT_ONCE.min(rest.len()) }];
            rest = &rest[batch.len()..];
            left -= batch.iter().map(|group| group.members.len()).sum::<usize>();
            let before = work.shared.budget.held().bytes;
            let folded =
                parallel::map(batch, work, |group, work| self.fold_group(source, group, work))?;
            let states_bytes = work.shared.budget.held().bytes.saturating_sub(before);
            for (group, (state, drop_name)) in batch.iter().zip(folded) {
                let group = Group { labels: group.labels.clone(), members: Vec::new() };
                self.push(group, state, drop_name, &mut table, work)?;
            }
            work.shared.budget.release_bytes(states_bytes);
        }
        Ok(table)
    }

    /// A table for the result.
    pub(super) fn table(&self) -> Table {
        let mut table = Table::new(self.steps);
        table.distinct_unnamed =
            !self.names.iter().any(|n| super::source::is_metadata_label(n)) && !self.without;
        table
    }

    /// Folds all series of a group.
    fn fold_group(
        &self,
        source: &dyn Source,
        group: &Group,
        work: &mut Work<'_>,
    ) -> Result<(State, bool), EngineError> {
        work.shared.budget.hold_bytes(self.state_bytes())?;
        let mut state = State::new(self, self.steps);
        let mut drop_name = false;
        let mut column = work.take();
        for i in &group.members {
            let i = *i as usize;
            work.shared.check()?;
            source.column(i, work, &mut column)?;
            self.hold_kept(&column, work)?;
            state.fold(self, source, i, &column, work)?;
            drop_name = drop_name || source.drops_name(i) && !column.is_empty();
        }
        work.give(column);
        Ok((state, drop_name))
    }

    /// Bytes of the state of a group before anything is folded into it.
    pub(super) fn state_bytes(&self) -> u64 {
        let a_step = match self.op {
            AggregateOp::Sum => 2 * size_of::<f64>(),
            AggregateOp::Avg => size_of::<Mean>(),
            AggregateOp::Stddev | AggregateOp::Stdvar => size_of::<Variance>(),
            AggregateOp::Quantile => size_of::<Vec<f64>>(),
            _ => size_of::<f64>(),
        };
        (self.steps * a_step) as u64
    }

    /// Counts what a column adds to a state that keeps all values.
    fn hold_kept(&self, column: &Column, work: &Work<'_>) -> Result<(), EngineError> {
        match self.op {
            AggregateOp::Quantile => work.shared.budget.hold_bytes(column.present() as u64 * 8),
            _ => Ok(()),
        }
    }

    fn push(
        &self,
        group: Group,
        state: State,
        drop_name: bool,
        table: &mut Table,
        work: &mut Work<'_>,
    ) -> Result<(), EngineError> {
        let mut column = work.take();
        state.finish(self, &mut column, work);
        if !column.is_empty() {
            work.shared.budget.hold_column(&column)?;
            table.push(Row { labels: group.labels, drop_name }, &column);
        }
        work.give(column);
        Ok(())
    }

    fn judge_quantile(&self, work: &mut Work<'_>) {
        let Some(param) = &self.param else { return };
        let values = param.expand(self.steps);
        if values.iter().any(|q| q.is_nan()) {
            work.notes.invalid_quantile(f64::NAN, self.param_place);
        }
        let highest = values.iter().copied().fold(-f64::MAX, math::max);
        let lowest = values.iter().copied().fold(f64::MAX, math::min);
        if highest > 1.0 {
            work.notes.invalid_quantile(highest, self.param_place);
        }
        if lowest < 0.0 {
            work.notes.invalid_quantile(lowest, self.param_place);
        }
    }
}

/// The state of one group over all steps.
pub(super) enum State {
    Sum(Sums, HistogramFold),
    Avg(Vec<Mean>, HistogramFold),
    /// count, and whether a step was seen at all for group.
    Count(Vec<u64>),
    /// min and max so far, [`ABSENT`] where nothing was seen.
    Extreme(Vec<f64>),
    /// Welford's running mean and squared distance.
    Variance(Vec<Variance>),
    Quantile(Vec<Vec<f64>>),
}

/// Compensated sums of all steps, in two arrays so that several steps are added at once.
pub(super) struct Sums {
    /// [`ABSENT`] where nothing was added.
    sums: Vec<f64>,
    lost: Vec<f64>,
}

impl Sums {
    fn new(steps: usize) -> Sums {
        Sums { sums: vec![ABSENT; steps], lost: vec![0.0; steps] }
    }

    fn totals(&self, out: &mut [f64]) {
        for ((out, sum), lost) in out.iter_mut().zip(&self.sums).zip(&self.lost) {
            *out = if is_absent(*sum) { ABSENT } else { sum + lost };
        }
    }
}

impl State {
    pub(super) fn new(fold: &Fold<'_>, steps: usize) -> State {
        use AggregateOp::*;
        match fold.op {
            Sum => State::Sum(Sums::new(steps), HistogramFold::sum()),
            Avg => State::Avg(vec![Mean::of(ABSENT); steps], HistogramFold::mean()),
            Min | Max => State::Extreme(vec![ABSENT; steps]),
            Stddev | Stdvar => {
                State::Variance(vec![Variance { count: 0.0, mean: 0.0, squares: 0.0 }; steps])
            }
            Quantile => State::Quantile(vec![Vec::new(); steps]),
            _ => State::Count(vec![0; steps]),
        }
    }

    /// The state of all steps, as far as floats are concerned.
    pub(super) fn part(&mut self, fold: &Fold<'_>) -> Part<'_> {
        match self {
            State::Sum(state, _) => Part::Sum(&mut state.sums, &mut state.lost),
            State::Avg(state, _) => Part::Avg(state),
            State::Count(state) => Part::Count(state),
            State::Extreme(state) => match fold.op {
                AggregateOp::Max => Part::Highest(state),
                _ => Part::Lowest(state),
            },
            State::Variance(state) => Part::Variance(state),
            State::Quantile(state) => Part::Quantile(state),
        }
    }

    /// Folds a batch of columns. Each step is folded in order of the series; floats alone, which
    /// no other step depends on, for parts of the steps side by side.
    fn fold_all(
        &mut self,
        fold: &Fold<'_>,
        source: &dyn Source,
        members: &[u32],
        columns: &[Column],
        work: &mut Work<'_>,
    ) -> Result<(), EngineError> {
        let values = columns.len() * fold.steps;
        if values < LEAST_VALUES || columns.iter().any(|c| !c.histograms.is_empty()) {
            for (i, column) in members.iter().zip(columns) {
                self.fold(fold, source, *i as usize, column, work)?;
            }
            return Ok(());
        }
        let width = fold.steps.div_ceil(work.shared.threads());
        let part = self.part(fold);
        match work.shared.lease() {
            Some(threads) => threads.run(|| part.add_all(columns, 0, width)),
            None => part.add_all(columns, 0, fold.steps),
        }
        Ok(())
    }

    /// Folds one column, that of series `i` of `source`.
    pub(super) fn fold(
        &mut self,
        fold: &Fold<'_>,
        source: &dyn Source,
        i: usize,
        column: &Column,
        work: &mut Work<'_>,
    ) -> Result<(), EngineError> {
        self.part(fold).add(&column.floats);
        match column.histograms.is_empty() {
            true => Ok(()),
            false => self.fold_histograms(fold, source, i, column, work),
        }
    }

    #[cold]
    fn fold_histograms(
        &mut self,
        fold: &Fold<'_>,
        source: &dyn Source,
        i: usize,
        column: &Column,
        work: &mut Work<'_>,
    ) -> Result<(), EngineError> {
        match self {
            State::Sum(..) | State::Avg(..) => {
                let name = || {
                    let mut name = String::new();
                    source.label_value(i, model::labels::METRIC_NAME, &mut |v| {
                        name = v.to_owned();
                    });
                    name
                };
                for (step, h) in &column.histograms {
                    let step = *step as usize;
                    let (floats, histograms) = match self {
                        State::Sum(floats, histograms) => {
                            (!is_absent(floats.sums[step]), histograms)
                        }
                        State::Avg(floats, histograms) => {
                            (!is_absent(floats[step].sum.sum), histograms)
                        }
                        _ => return Ok(()),
                    };
                    histograms.add(step, h, floats, &name, fold.place, work)?;
                }
            }
            State::Count(state) => {
                column.histograms.iter().for_each(|(step, _)| state[*step as usize] += 1);
            }
            _ => work.notes.histogram_ignored_in_aggregation(fold.op.as_str(), fold.place),
        }
        Ok(())
    }

    /// The values of the group.
    pub(super) fn finish(self, fold: &Fold<'_>, out: &mut Column, work: &mut Work<'_>) {
        let steps = fold.steps;
        out.reset(steps);
        match self {
            State::Sum(state, histograms) => {
                state.totals(&mut out.floats);
                histograms.finish(out, fold.place, work);
            }
            State::Avg(state, histograms) => {
                for (out, m) in out.floats.iter_mut().zip(&state) {
                    *out = if is_absent(m.sum.sum) { ABSENT } else { m.value() };
                }
                histograms.finish(out, fold.place, work);
            }
            State::Count(state) => {
                for (out, n) in out.floats.iter_mut().zip(&state).filter(|(_, n)| **n > 0) {
                    *out = if fold.op == AggregateOp::Group { 1.0 } else { *n as f64 };
                }
            }
            State::Extreme(state) => out.floats.copy_from_slice(&state),
            State::Variance(state) => {
                for (out, s) in out.floats.iter_mut().zip(&state).filter(|(_, s)| s.count > 0.0) {
                    let variance = s.squares / s.count;
                    *out = if fold.op == AggregateOp::Stddev { variance.sqrt() } else { variance };
                }
            }
            State::Quantile(mut state) => {
                let q = fold.param.as_ref();
                for (step, values) in state.iter_mut().enumerate().filter(|(_, v)| !v.is_empty()) {
                    let q = q.map_or(f64::NAN, |q| q.at(step));
                    out.floats[step] = quantile::of_values(q, values);
                }
            }
        }
    }
}
