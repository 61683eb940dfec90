//! Aggregations that pick series of a group: topk, bottomk, limitk, limit_ratio.

use super::column::{Column, Point};
use super::group;
use super::parallel;
use super::scalar::Steps;
use super::source::{Row, Source, Table, left_first};
use super::work::{Work, failed};
use crate::engine::EngineError;
use crate::functions::math;
use crate::parser::ast::AggregateOp;
use crate::plan::Place;

/// What a picking aggregation is told besides its input.
pub(crate) struct Pick<'a> {
    pub op: AggregateOp,
    pub names: &'a [String],
    pub without: bool,
    /// k, or the ratio.
    pub param: Steps,
    pub steps: usize,
    /// Whether the query is an instant one, whose result keeps the order of the pick.
    pub instant: bool,
    pub param_place: Place,
    /// The aggregation itself.
    pub place: Place,
}

/// Floats and integers Go converts between without surprise.
const MAX_INT: f64 = 9_223_372_036_854_774_784.0;
const MIN_INT: f64 = -9_223_372_036_854_775_808.0;

impl Pick<'_> {
    /// Picks from `source`.
    pub(crate) fn run(
        &self,
        source: &dyn Source,
        work: &mut Work<'_>,
    ) -> Result<Table, EngineError> {
        let mut table = Table::new(self.steps);
        table.distinct_unnamed = source.distinct_unnamed();
        // The input comes before the parameter is judged: its error is the first.
        if !self.judge(work).map_err(|e| left_first(source, e, work))? {
            // Nothing can be picked, but the input is still evaluated: it may fail or warn.
            parallel::each(source, work, |_, _, _| Ok(()))?;
            return Ok(table);
        }
        for group in group::groups(source, self.names, self.without) {
            match self.op {
                AggregateOp::Topk => self.best(source, &group.members, work, &mut table, higher)?,
                AggregateOp::Bottomk => {
                    self.best(source, &group.members, work, &mut table, lower)?;
                }
                _ => self.filter(source, &group.members, work, &mut table)?,
            }
        }
        Ok(table)
    }

    /// Judges the parameter; `false` when nothing can be picked at any step.
    fn judge(&self, work: &mut Work<'_>) -> Result<bool, EngineError> {
        let values = self.param.expand(self.steps);
        let highest = values.iter().copied().fold(-f64::MAX, math::max);
        let lowest = values.iter().copied().fold(f64::MAX, math::min);
        let nan = values.iter().any(|v| v.is_nan());
        if self.op == AggregateOp::LimitRatio {
            if highest == 0.0 && lowest == 0.0 {
                return Ok(false);
            }
            if nan {
                return failed("Ratio value is NaN");
            }
            if highest > 1.0 {
                work.notes.invalid_ratio(highest, 1.0, self.param_place);
            }
            if lowest < -1.0 {
                work.notes.invalid_ratio(lowest, -1.0, self.param_place);
            }
            return Ok(true);
        }
        if highest < 1.0 {
            return Ok(false);
        }
        if nan {
            return failed("Parameter value is NaN");
        }
        if lowest <= MIN_INT {
            return failed(format!("Scalar value {} underflows int64", go_value(lowest)));
        }
        if highest >= MAX_INT {
            return failed(format!("Scalar value {} overflows int64", go_value(highest)));
        }
        Ok(true)
    }

    fn k(&self, step: usize, members: usize) -> usize {
        let k = self.param.at(step);
        if k < 1.0 { 0 } else { (k as u64).min(members as u64) as usize }
    }

    /// topk and bottomk: a heap of the best at each step, worst on top, as Prometheus keeps it, so
    /// that ties fall the same way.
    fn best(
        &self,
        source: &dyn Source,
        members: &[u32],
        work: &mut Work<'_>,
        table: &mut Table,
        less: fn(f64, f64) -> bool,
    ) -> Result<(), EngineError> {
        let mut heaps: Vec<Heap> = Vec::new();
        heaps.resize_with(self.steps, || Heap { less, items: Vec::new() });
        let mut member = 0;
        let before = work.shared.budget.held().bytes;
        let index = |at: usize| members[at] as usize;
        parallel::each_of(source, members.len(), index, work, |_, column, work| {
            if !column.histograms.is_empty() {
                work.notes.histogram_ignored_in_aggregation(self.op.as_str(), self.place);
            }
            let mut grown = 0;
            for (step, heap) in heaps.iter_mut().enumerate() {
                let v = column.floats[step];
                if !super::column::is_absent(v) {
                    let kept = heap.items.len();
                    heap.offer(self.k(step, members.len()), (v, member));
                    grown += heap.items.len() - kept;
                }
            }
            work.shared.budget.hold_bytes(grown as u64 * 16)?;
            member += 1;
            Ok(())
        })?;
        let heaps_bytes = work.shared.budget.held().bytes.saturating_sub(before);
        let mut column = work.take();
        if self.instant {
            for (v, member) in heaps.remove(0).into_sorted() {
                column.reset(1);
                column.floats[0] = v;
                self.push(source, members[member as usize] as usize, &column, work, table)?;
            }
        } else {
            let mut picked: Vec<(u32, usize, f64)> = Vec::new();
            for (step, heap) in heaps.iter().enumerate() {
                picked.extend(heap.items.iter().map(|(v, member)| (*member, step, *v)));
            }
            picked.sort_unstable_by_key(|(member, step, _)| (*member, *step));
            for run in picked.chunk_by(|a, b| a.0 == b.0) {
                column.reset(self.steps);
                run.iter().for_each(|(_, step, v)| column.floats[*step] = *v);
                self.push(source, members[run[0].0 as usize] as usize, &column, work, table)?;
            }
        }
        work.give(column);
        work.shared.budget.release_bytes(heaps_bytes);
        Ok(())
    }

    /// limitk and limit_ratio: samples stay or go by position or by hash.
    fn filter(
        &self,
        source: &dyn Source,
        members: &[u32],
        work: &mut Work<'_>,
        table: &mut Table,
    ) -> Result<(), EngineError> {
        let mut left: Vec<usize> = match self.op {
            AggregateOp::Limitk => (0..self.steps).map(|s| self.k(s, members.len())).collect(),
            _ => Vec::new(),
        };
        let mut kept = work.take();
        let index = |at: usize| members[at] as usize;
        parallel::each_of(source, members.len(), index, work, |i, column, work| {
            let offset = match self.op {
                AggregateOp::LimitRatio => source.labels(i).hash64() as f64 / u64::MAX as f64,
                _ => 0.0,
            };
            kept.reset(self.steps);
            for step in 0..self.steps {
                let Some(point) = column.point(step) else { continue };
                let keep = match left.get_mut(step) {
                    Some(left) => {
                        let keep = *left > 0;
                        *left = left.saturating_sub(1);
                        keep
                    }
                    None => in_ratio(self.param.at(step), offset),
                };
                match point {
                    Point::Float(v) if keep => kept.floats[step] = v,
                    Point::Histogram(h) if keep => kept.push_histogram(step, h.clone()),
                    _ => {}
                }
            }
            if !kept.is_empty() {
                self.push(source, i, &kept, work, table)?;
            }
            Ok(())
        })?;
        work.give(kept);
        Ok(())
    }

    fn push(
        &self,
        source: &dyn Source,
        i: usize,
        column: &Column,
        work: &mut Work<'_>,
        table: &mut Table,
    ) -> Result<(), EngineError> {
        work.shared.budget.hold_column(column)?;
        table.push(Row::of(source, i), column);
        Ok(())
    }
}

/// Whether a series whose hash lies at `offset` of all hashes is in the sample.
fn in_ratio(ratio: f64, offset: f64) -> bool {
    if ratio == 0.0 {
        return false;
    }
    let ratio = ratio.clamp(-1.0, 1.0);
    if ratio >= 0.0 { offset < ratio } else { offset >= 1.0 + ratio }
}

/// `%v` of a float.
fn go_value(v: f64) -> String {
    model::number::format_g(v)
}

/// Heap order of topk: NaN is below everything.
fn higher(a: f64, b: f64) -> bool {
    a.is_nan() || a < b
}

/// Heap order of bottomk: NaN is above everything.
fn lower(a: f64, b: f64) -> bool {
    a.is_nan() || a > b
}

/// A binary heap that moves elements exactly as Go's `container/heap`.
struct Heap {
    less: fn(f64, f64) -> bool,
    items: Vec<(f64, u32)>,
}

impl Heap {
    fn offer(&mut self, k: usize, item: (f64, u32)) {
        if k == 0 {
            return;
        }
        if self.items.len() < k {
            self.items.push(item);
            self.up(self.items.len() - 1);
            return;
        }
        let worst = self.items[0].0;
        // `less` puts NaN first; here NaN only gives way to numbers.
        let better = if worst.is_nan() { !item.0.is_nan() } else { (self.less)(worst, item.0) };
        if better {
            self.items[0] = item;
            self.down(0);
        }
    }

    fn up(&mut self, mut j: usize) {
        while j > 0 {
            let parent = (j - 1) / 2;
            if !(self.less)(self.items[j].0, self.items[parent].0) {
                break;
            }
            self.items.swap(parent, j);
            j = parent;
        }
    }

    fn down(&mut self, mut i: usize) {
        loop {
            let left = 2 * i + 1;
            if left >= self.items.len() {
                break;
            }
            let right = left + 1;
            let mut child = left;
            if right < self.items.len() && (self.less)(self.items[right].0, self.items[left].0) {
                child = right;
            }
            if !(self.less)(self.items[child].0, self.items[i].0) {
                break;
            }
            self.items.swap(i, child);
            i = child;
        }
    }

    /// The items, best first, NaN last.
    fn into_sorted(mut self) -> Vec<(f64, u32)> {
        // Insertion sort of the reversed order, as Go sorts short slices.
        let less = self.less;
        for i in 1..self.items.len() {
            let mut j = i;
            while j > 0 && less(self.items[j - 1].0, self.items[j].0) {
                self.items.swap(j, j - 1);
                j -= 1;
            }
        }
        self.items
    }
}
