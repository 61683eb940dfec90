//! Passes: aggregations over selections of which one holds all others, folded while that one is
//! gone through once.
//!
//! A series is read, and its function evaluated, once; what that counted and noted is counted and
//! noted for every aggregation the series is part of, as if each had read it: Prometheus does that,
//! and tells so. Groups are folded in the order they have when each aggregation is evaluated alone.
//! The one that comes first in order of evaluation has the series gone through; what becomes of the others is
//! kept until it is their turn. Should anything fail, nothing of it is used: each is evaluated
//! alone, and fails where it would have.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};

use model::Matcher;
use model::labels::LabelMap;

use super::aggregate::Fold;
use super::eval::Evaluator;
use super::grid::Grid;
use super::pass_fold::{self, Folded, Selections};
use super::select::Selected;
use super::shared::{MOST_VALUES, Shift};
use super::sink::{Input, Sink};
use super::source::{Source, Table};
use super::work::{Aside, Held, Work};
use crate::engine::EngineError;
use crate::plan::{Aggregate, Kind, Node, Pass, Place};

/// Going through a selection for others pays off when they read one series in so many of it.
const WORTH_IT: usize = 16;
/// Bytes of state a group and step takes at most, besides histograms.
const STATE_BYTES: u64 = 24;
/// Passes under way.
#[derive(Default)]
pub(crate) struct Passes {
    /// Those that were tried.
    begun: RefCell<HashSet<usize>>,
    /// Results nobody has asked for yet, by rank of the aggregation.
    results: RefCell<HashMap<u32, (Table, Aside)>>,
}

fn held_by(table: &Table) -> Held {
    table.held().unwrap_or_default()
}

impl<'p> Evaluator<'p> {
    /// The result of an aggregation that shares a pass; `None` when it has to be evaluated alone.
    pub(crate) fn of_pass(
        &self,
        node: &'p Node,
        pass: Pass,
        grid: Grid,
        work: &mut Work<'_>,
    ) -> Result<Option<Table>, EngineError> {
        let known = self.passes.results.borrow_mut().remove(&node.rank);
        if let Some((table, aside)) = known {
            self.slots.release(held_by(&table));
            work.add(&aside, Shift::default());
            return Ok(Some(table));
        }
        if !self.passes.begun.borrow_mut().insert(pass.number) {
            return Ok(None);
        }
        let before = work.shared.budget.held();
        let widest = work.tally.widest;
        let all = match work.apart(|work| {
            work.tally.widest = widest;
            self.go_through(pass, grid, work)
        }) {
            Ok((Some(all), _)) => all,
            Ok((None, _)) => {
                work.settle(before);
                return Ok(None);
            }
            Err(EngineError::Execution(_) | EngineError::Memory(_)) => {
                work.settle(before);
                return Ok(None);
            }
            Err(e) => return Err(e),
        };
        let mut own = None;
        let mut held = before;
        for (rank, table, aside) in all {
            held = held.plus(held_by(&table));
            if rank == node.rank {
                work.add(&aside, Shift::default());
                own = Some(table);
            } else {
                self.slots.hold(held_by(&table));
                self.passes.results.borrow_mut().insert(rank, (table, aside));
            }
        }
        work.settle(held);
        Ok(own)
    }

    /// Folds all aggregations of a pass; `None` when they are better evaluated one by one.
    fn go_through(
        &self,
        pass: Pass,
        grid: Grid,
        work: &mut Work<'_>,
    ) -> Result<Option<Vec<Folded>>, EngineError> {
        let mut nodes = Vec::new();
        members_of(&self.plan.root, pass.number, &mut nodes);
        let widest = self.selected(pass.widest)?;
        let n = widest.series.len();
        let read = |a: &Aggregate| read_of(&a.expr).unwrap_or(usize::MAX);
        let members: usize = nodes
            .iter()
            .filter_map(|(_, a)| self.selected(read(a)).ok())
            .map(|selected| selected.series.len())
            .sum();
        // One of them is read in any case.
        if members.saturating_sub(n) * WORTH_IT < n.max(1) {
            return Ok(None);
        }
        let mut selections = Selections { reads: Vec::new(), masks: vec![0; n] };
        // By selection: the series it has.
        let mut series: Vec<Vec<u32>> = Vec::new();
        let mut sinks = Vec::with_capacity(nodes.len());
        for (node, a) in nodes {
            let read = read(a);
            let known = selections.reads.iter().position(|r| *r == read);
            let known = known.unwrap_or(selections.reads.len());
            if known == series.len() {
                let Some(found) = self.series_of(read, pass.widest)? else { return Ok(None) };
                found.iter().for_each(|i| selections.masks[*i as usize] |= 1 << known);
                selections.reads.push(read);
                series.push(found);
            }
            let (source, aside) = work.apart(|work| self.vector(&a.expr, grid, work))?;
            if source.len() != series[known].len() {
                // Series that became one.
                return Ok(None);
            }
            let fold = Fold {
                op: a.op,
                names: &a.grouping,
                without: a.without,
                param: None,
                steps: grid.steps,
                param_place: node.place_for(node.rank),
                place: a.expr.place_for(node.rank),
            };
            let (rank, place) = (node.rank, place_of(&a.expr));
            let input = Input { rank, read, fold, source, place, aside };
            sinks.push(Sink::new(input, &series[known], n));
        }
        let values: u64 = sinks.iter().map(|s| s.groups.len() as u64 * grid.steps as u64).sum();
        let budget = &work.shared.budget;
        if values > MOST_VALUES.min(budget.limit() / 8) || !budget.has_room(values * STATE_BYTES) {
            return Ok(None);
        }
        pass_fold::run(sinks, pass.widest, &selections, grid, work)
    }

    /// The series of the read `widest` that another one has, in its order.
    fn series_of(&self, read: usize, widest: usize) -> Result<Option<Vec<u32>>, EngineError> {
        let (own, all) = (&self.plan.reads[read].matchers, &self.plan.reads[widest].matchers);
        let more: Vec<&Matcher> = own.iter().filter(|m| !all.contains(m)).collect();
        Ok(found_by(&more, self.selected(read)?, self.selected(widest)?))
    }
}

/// The aggregations of a pass, in order of evaluation.
fn members_of<'p>(node: &'p Node, pass: usize, out: &mut Vec<(&'p Node, &'p Aggregate)>) {
    for child in node.children() {
        members_of(child, pass, out);
    }
    if let Kind::Aggregate(a) = &node.kind
        && a.pass.is_some_and(|p| p.number == pass)
    {
        out.push((node, a));
    }
}

/// What an input of a pass reads.
fn read_of(input: &Node) -> Option<usize> {
    match &input.kind {
        Kind::Call { args, .. } => args.iter().find_map(Node::selector).map(|s| s.read),
        _ => input.selector().map(|s| s.read),
    }
}

/// The only place that computing a column of an input may speak of.
fn place_of(input: &Node) -> Place {
    match &input.kind {
        Kind::Call { args, .. } => args.first().unwrap_or(input).place_for(input.rank),
        _ => input.place_for(input.rank),
    }
}

/// The series of `widest` that satisfy `more`, in its order. They are those of `selected`, and have
/// their order there; `None` where that is not so.
fn found_by(more: &[&Matcher], selected: &Selected, widest: &Selected) -> Option<Vec<u32>> {
    let (series, n) = (&widest.series, widest.series.len());
    let mut keep = vec![true; n];
    let mut ids = Vec::with_capacity(n);
    for matcher in more {
        let matches = |i: usize| {
            let mut matches = false;
            series.label_value(i, &matcher.name, &mut |v| matches = matcher.matches(v));
            matches
        };
        ids.clear();
        if !series.label_ids(&matcher.name, &mut ids) {
            let kept = keep.iter_mut().enumerate().filter(|(_, keep)| **keep);
            kept.for_each(|(i, keep)| *keep = matches(i));
            continue;
        }
        let mut known: LabelMap<u64, bool> = LabelMap::default();
        for (i, (keep, id)) in keep.iter_mut().zip(&ids).enumerate() {
            *keep = *keep && *known.entry(*id).or_insert_with(|| matches(i));
        }
    }
    let found: Vec<u32> = (0..n as u32).filter(|i| keep[*i as usize]).collect();
    let same = |at: usize| selected.series.labels(at) == series.labels(found[at] as usize);
    let len = selected.series.len();
    (found.len() == len && (len == 0 || same(0) && same(len - 1))).then_some(found)
}
