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
use std::sync::{Mutex, PoisonError};

use model::labels::LabelMap;
use model::{Labels, Matcher};

use super::aggregate::{FEW_GROUPS, Fold, GROUPS_AT_ONCE, LEAST_VALUES, SMALL_GROUP, State};
use super::column::Column;
use super::eval::Evaluator;
use super::fold::Part;
use super::grid::Grid;
use super::group::{self, Group};
use super::notes::Notes;
use super::parallel;
use super::select::Selected;
use super::shared::{MOST_VALUES, Shift};
use super::source::{Boxed, Row, Source, Table};
use super::work::{Aside, Held, Work};
use crate::engine::EngineError;
use crate::plan::{Aggregate, Kind, Node, Pass, Place};

/// Going through a selection for others pays off when they read one series in so many of it.
const WORTH_IT: usize = 16;
/// Bytes of state a group and step takes at most, besides histograms.
const STATE_BYTES: u64 = 24;
/// No series, no group.
const NONE: u32 = u32::MAX;

/// Passes under way.
#[derive(Default)]
pub(crate) struct Passes {
    /// Those that were tried.
    begun: RefCell<HashSet<usize>>,
    /// Results nobody has asked for yet, by rank of the aggregation.
    results: RefCell<HashMap<u32, Folded>>,
}

/// What became of one aggregation.
struct Folded {
    table: Table,
    grid: Grid,
    aside: Aside,
}

impl Folded {
    fn held(&self) -> Held {
        self.table.held().unwrap_or_default()
    }
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
        if let Some(folded) = known {
            self.slots.release(folded.held());
            if folded.grid == grid {
                work.add(&folded.aside, Shift::default());
                return Ok(Some(folded.table));
            }
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
        for (rank, folded) in all {
            held = held.plus(folded.held());
            if rank == node.rank {
                own = Some(folded);
            } else {
                self.slots.hold(folded.held());
                self.passes.results.borrow_mut().insert(rank, folded);
            }
        }
        work.settle(held);
        Ok(own.map(|own| {
            work.add(&own.aside, Shift::default());
            own.table
        }))
    }

    /// Folds all aggregations of a pass, by rank; `None` when they are better evaluated one by one.
    fn go_through(
        &self,
        pass: Pass,
        grid: Grid,
        work: &mut Work<'_>,
    ) -> Result<Option<Vec<(u32, Folded)>>, EngineError> {
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
        // By selection: which of the series it has.
        let (mut reads, mut series) = (Vec::new(), Vec::new());
        let mut masks = vec![0; n];
        let mut sinks = Vec::with_capacity(nodes.len());
        for (node, a) in nodes {
            let selected = self.selected(read(a))?;
            let known = reads.iter().position(|r| *r == read(a));
            if known.is_none() {
                let own = &self.plan.reads[read(a)].matchers;
                let common = &self.plan.reads[pass.widest].matchers;
                let more: Vec<&Matcher> = own.iter().filter(|m| !common.contains(m)).collect();
                let Some(found) = series_of(selected, widest, &more) else { return Ok(None) };
                found.iter().for_each(|i| masks[*i as usize] |= 1 << reads.len());
                reads.push(read(a));
                series.push(found);
            }
            let found = &series[known.unwrap_or(series.len() - 1)];
            let (source, aside) = work.apart(|work| self.vector(&a.expr, grid, work))?;
            if source.len() != found.len() {
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
            let (groups, members) = groups(&*source, &fold, found, n);
            let slots = vec![NONE; groups.len()];
            let read = read(a);
            sinks.push(Sink { rank, read, fold, source, place, groups, members, slots, aside });
        }
        let values: u64 = sinks.iter().map(|s| s.groups.len() as u64 * grid.steps as u64).sum();
        let budget = &work.shared.budget;
        if values > MOST_VALUES.min(budget.limit() / 8) || !budget.has_room(values * STATE_BYTES) {
            return Ok(None);
        }
        fold_all(sinks, pass.widest, (&reads, &masks), grid, work)
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

/// The series of `widest` that `selected` has, in its order; `more` are the matchers only `selected` has.
/// `None` when the two are not as the plan thinks.
fn series_of(selected: &Selected, widest: &Selected, more: &[&Matcher]) -> Option<Vec<u32>> {
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
    // Both have been selected from one view, in one order.
    let same = |at: usize| selected.series.labels(at) == series.labels(found[at] as usize);
    let len = selected.series.len();
    (found.len() == len && (len == 0 || same(0) && same(len - 1))).then_some(found)
}

/// What a series of the widest selection is to an aggregation.
#[derive(Clone, Copy)]
struct Member {
    /// Number among the series of its input, and of its group; or [`NONE`].
    index: u32,
    group: u32,
}

/// One aggregation of a pass.
struct Sink<'p> {
    rank: u32,
    read: usize,
    fold: Fold<'p>,
    /// Its input, which is asked for labels only.
    source: Boxed<'p>,
    place: Place,
    groups: Vec<Labels>,
    /// By series of the widest selection.
    members: Vec<Member>,
    /// Place of each group among those that are folded together.
    slots: Vec<u32>,
    /// What making the input counted and noted.
    aside: Aside,
}

/// The groups of an input, and to which of them the series of the widest selection belong, of which
/// it has `found`.
fn groups(
    source: &dyn Source,
    fold: &Fold<'_>,
    found: &[u32],
    n: usize,
) -> (Vec<Labels>, Vec<Member>) {
    let mut members = vec![Member { index: NONE, group: NONE }; n];
    let groups = group::groups(source, fold.names, fold.without).into_iter().enumerate();
    let labels = groups.map(|(group, Group { labels, members: indexes })| {
        for index in indexes {
            let i = found[index as usize] as usize;
            members[i] = Member { index, group: group as u32 };
        }
        labels
    });
    (labels.collect(), members)
}

impl Sink<'_> {
    /// What series `i` of the widest selection is here.
    fn member(&self, i: u32) -> Option<Member> {
        let member = self.members[i as usize];
        (member.group != NONE).then_some(member)
    }
}

/// Groups of one or more aggregations that have to do with the same series, or may have.
#[derive(Default)]
struct Cluster {
    /// Of the widest selection, ascending.
    series: Vec<u32>,
    /// Aggregation and group.
    groups: Vec<(u32, u32)>,
}

/// Splits the series into clusters that have no group in common, in order of their first series.
fn clusters(sinks: &mut [Sink<'_>], n: usize) -> Vec<Cluster> {
    let mut starts = Vec::with_capacity(sinks.len());
    let mut total = 0;
    for sink in &*sinks {
        starts.push(total);
        total += sink.groups.len() as u32;
    }
    // Each group points to one it is together with, or to itself.
    let mut with: Vec<u32> = (0..total).collect();
    fn root(with: &mut [u32], mut of: u32) -> u32 {
        while with[of as usize] != of {
            with[of as usize] = with[with[of as usize] as usize];
            of = with[of as usize];
        }
        of
    }
    let mut of_series = vec![NONE; n];
    for (i, of_series) in of_series.iter_mut().enumerate() {
        for (sink, start) in sinks.iter().zip(&starts) {
            let Some(member) = sink.member(i as u32) else { continue };
            let here = root(&mut with, start + member.group);
            if *of_series == NONE {
                *of_series = here;
            }
            let first = root(&mut with, *of_series);
            with[here as usize] = first;
        }
    }
    let mut out: Vec<Cluster> = Vec::new();
    let mut numbers = vec![NONE; total as usize];
    for (i, group) in of_series.into_iter().enumerate().filter(|(_, group)| *group != NONE) {
        let number = &mut numbers[root(&mut with, group) as usize];
        if *number == NONE {
            *number = out.len() as u32;
            out.push(Cluster::default());
        }
        out[*number as usize].series.push(i as u32);
    }
    for (s, (sink, start)) in sinks.iter_mut().zip(&starts).enumerate() {
        for (group, slot) in sink.slots.iter_mut().enumerate() {
            let number = numbers[root(&mut with, start + group as u32) as usize];
            let Some(cluster) = out.get_mut(number as usize) else { continue };
            *slot = cluster.groups.len() as u32;
            cluster.groups.push((s as u32, group as u32));
        }
    }
    out
}

/// The widest input; what its columns count and note is sorted by who is to hear of it.
struct Heard<'a> {
    inner: &'a dyn Source,
    /// Which series are part of the same selections.
    class_of: Vec<u32>,
    /// By class.
    classes: Vec<Mutex<Aside>>,
}

impl Source for Heard<'_> {
    fn len(&self) -> usize {
        self.inner.len()
    }

    fn labels(&self, i: usize) -> Labels {
        self.inner.labels(i)
    }

    fn distinct_unnamed(&self) -> bool {
        self.inner.distinct_unnamed()
    }

    fn column(&self, i: usize, work: &mut Work<'_>, out: &mut Column) -> Result<(), EngineError> {
        let ((), aside) = work.apart(|work| self.inner.column(i, work, out))?;
        // The widest window counts as long as others are read.
        work.tally.widest = work.tally.widest.max(aside.tally.widest);
        work.shared.budget.pass(work.tally.widest)?;
        let class = &self.classes[self.class_of[i] as usize];
        let mut class = class.lock().unwrap_or_else(PoisonError::into_inner);
        class.tally.join(&aside.tally);
        class.notes.merge_of_series(aside.notes, i);
        Ok(())
    }
}

/// A pass under way.
struct Folding<'a, 'p> {
    sinks: &'a [Sink<'p>],
    widest: Heard<'a>,
    clusters: Vec<Cluster>,
    grid: Grid,
    /// By aggregation: the columns of its groups so far, and what folding them noted.
    columns: Vec<Vec<Option<(Column, bool)>>>,
    notes: Vec<Notes>,
}

/// The state of a group.
struct GroupState {
    state: State,
    drop_name: bool,
}

/// The states of a cluster, and what folding them noted, by aggregation.
type States = (Vec<GroupState>, Vec<Notes>);

impl Folding<'_, '_> {
    /// Folds all clusters.
    fn run(&mut self, work: &mut Work<'_>) -> Result<(), EngineError> {
        let clusters = std::mem::take(&mut self.clusters);
        if clusters.len() < FEW_GROUPS * work.shared.threads() {
            for cluster in &clusters {
                let before = work.shared.budget.held().bytes;
                let states = self.fold_by_steps(cluster, work)?;
                let held = work.shared.budget.held().bytes.saturating_sub(before);
                self.finish(cluster, states, work)?;
                work.shared.budget.release_bytes(held);
            }
            return Ok(());
        }
        // Whole clusters side by side. Small first ones show whether there is anything to share.
        let mut left = self.widest.len();
        let mut rest = &clusters[..];
        while let Some(cluster) = rest.first() {
            let first = left == self.widest.len() && cluster.series.len() <= SMALL_GROUP;
            let alone = first || !work.is_worth_sharing(left, self.grid.steps);
            let mut groups = 0;
            let fits = |cluster: &&Cluster| {
                groups += cluster.groups.len();
                groups <= GROUPS_AT_ONCE
            };
            let size = if alone { 1 } else { rest.iter().take_while(fits).count().max(1) };
            let (batch, others) = rest.split_at(size);
            rest = others;
            left -= batch.iter().map(|cluster| cluster.series.len()).sum::<usize>();
            let before = work.shared.budget.held().bytes;
            let folded = parallel::map(batch, work, |cluster, work| self.fold(cluster, work))?;
            let held = work.shared.budget.held().bytes.saturating_sub(before);
            for (cluster, states) in batch.iter().zip(folded) {
                self.finish(cluster, states, work)?;
            }
            work.shared.budget.release_bytes(held);
        }
        Ok(())
    }

    fn states(&self, cluster: &Cluster, work: &Work<'_>) -> Result<States, EngineError> {
        let mut states = Vec::with_capacity(cluster.groups.len());
        for (sink, _) in &cluster.groups {
            let fold = &self.sinks[*sink as usize].fold;
            work.shared.budget.hold_bytes(fold.state_bytes())?;
            states.push(GroupState { state: State::new(fold, fold.steps), drop_name: false });
        }
        Ok((states, vec![Notes::default(); self.sinks.len()]))
    }

    /// Folds the series of a cluster one after the other.
    fn fold(&self, cluster: &Cluster, work: &mut Work<'_>) -> Result<States, EngineError> {
        let mut states = self.states(cluster, work)?;
        let mut column = work.take();
        for i in &cluster.series {
            work.shared.check()?;
            self.widest.column(*i as usize, work, &mut column)?;
            self.fold_one(*i, &column, &mut states, work)?;
        }
        work.give(column);
        Ok(states)
    }

    /// Folds the series of a cluster that were computed side by side, by steps side by side.
    fn fold_by_steps(&self, cluster: &Cluster, work: &mut Work<'_>) -> Result<States, EngineError> {
        let mut states = self.states(cluster, work)?;
        let (n, index) = (cluster.series.len(), |at: usize| cluster.series[at] as usize);
        parallel::batches_of(&self.widest, n, index, work, |first, columns, work| {
            let series = &cluster.series[first..first + columns.len()];
            let values = columns.len() * self.grid.steps;
            if values < LEAST_VALUES || columns.iter().any(|c| !c.histograms.is_empty()) {
                let mut columns = series.iter().zip(columns);
                return columns.try_for_each(|(i, c)| self.fold_one(*i, c, &mut states, work));
            }
            let states = &mut states.0[..];
            let mut taken: Vec<Vec<&Column>> = vec![Vec::new(); states.len()];
            for (i, column) in series.iter().zip(&*columns) {
                for (sink, member) in self.sinks_of(*i) {
                    let slot = sink.slots[member.group as usize] as usize;
                    taken[slot].push(column);
                    states[slot].see(sink, member, column);
                }
            }
            let taken = taken.iter().zip(&cluster.groups).zip(states);
            let parts: Vec<(Part<'_>, &[&Column])> = taken
                .filter(|((columns, _), _)| !columns.is_empty())
                .map(|((columns, (sink, _)), state)| {
                    (state.state.part(&self.sinks[*sink as usize].fold), &columns[..])
                })
                .collect();
            match work.shared.lease() {
                Some(threads) => {
                    let width = self.grid.steps.div_ceil(work.shared.threads());
                    threads.run(|| Part::add_each(parts, 0, width));
                }
                None => Part::add_each(parts, 0, self.grid.steps),
            }
            Ok(())
        })?;
        Ok(states)
    }

    /// The aggregations series `i` is part of.
    fn sinks_of(&self, i: u32) -> impl Iterator<Item = (&Sink<'_>, Member)> {
        self.sinks.iter().filter_map(move |sink| Some((sink, sink.member(i)?)))
    }

    /// Folds one series into the groups it belongs to.
    fn fold_one(
        &self,
        i: u32,
        column: &Column,
        (states, notes): &mut States,
        work: &mut Work<'_>,
    ) -> Result<(), EngineError> {
        for (sink, notes) in self.sinks.iter().zip(notes) {
            let Some(member) = sink.member(i) else { continue };
            let group = &mut states[sink.slots[member.group as usize] as usize];
            group.see(sink, member, column);
            let (source, at) = (&*sink.source, member.index as usize);
            std::mem::swap(&mut work.notes, notes);
            let folded = group.state.fold(&sink.fold, source, at, column, work);
            std::mem::swap(&mut work.notes, notes);
            folded?;
        }
        Ok(())
    }

    /// Takes the values of the groups of a cluster.
    fn finish(
        &mut self,
        cluster: &Cluster,
        (states, notes): States,
        work: &mut Work<'_>,
    ) -> Result<(), EngineError> {
        self.notes.iter_mut().zip(notes).for_each(|(all, more)| all.merge(more));
        for ((sink, group), GroupState { state, drop_name }) in cluster.groups.iter().zip(states) {
            let (sink, group) = (*sink as usize, *group as usize);
            let mut column = Column::default();
            std::mem::swap(&mut work.notes, &mut self.notes[sink]);
            state.finish(&self.sinks[sink].fold, &mut column, work);
            std::mem::swap(&mut work.notes, &mut self.notes[sink]);
            if !column.is_empty() {
                work.shared.budget.hold_column(&column)?;
                self.columns[sink][group] = Some((column, drop_name));
            }
        }
        Ok(())
    }
}

impl GroupState {
    /// Takes note of a series that is folded into it.
    fn see(&mut self, sink: &Sink<'_>, member: Member, column: &Column) {
        let drops = || sink.source.drops_name(member.index as usize) && !column.is_empty();
        self.drop_name = self.drop_name || drops();
    }
}

/// Goes through the widest selection and folds it into all of `sinks`; `masks` say for each of its
/// series in which of the selections `reads` it is.
fn fold_all(
    mut sinks: Vec<Sink<'_>>,
    widest: usize,
    (reads, masks): (&[usize], &[u64]),
    grid: Grid,
    work: &mut Work<'_>,
) -> Result<Option<Vec<(u32, Folded)>>, EngineError> {
    let clusters = clusters(&mut sinks, masks.len());
    let Some(base) = sinks.iter().find(|sink| sink.read == widest) else { return Ok(None) };
    let mut kinds: Vec<u64> = masks.to_vec();
    kinds.sort_unstable();
    kinds.dedup();
    let class = |mask: &u64| kinds.binary_search(mask).map_or(0, |class| class as u32);
    let aside = || Mutex::new(Aside { tally: work.tally.fork(), notes: Notes::default() });
    let heard = Heard {
        inner: &*base.source,
        class_of: masks.iter().map(class).collect(),
        classes: kinds.iter().map(|_| aside()).collect(),
    };
    let columns = sinks.iter().map(|sink| vec![None; sink.groups.len()]).collect();
    let notes = vec![Notes::default(); sinks.len()];
    let mut folding = Folding { sinks: &sinks, widest: heard, clusters, grid, columns, notes };
    folding.run(work)?;
    let Folding { widest: heard, columns, notes, .. } = folding;
    let classes = heard.classes.into_iter().map(|c| c.into_inner());
    let classes: Vec<Aside> = classes.map(|c| c.unwrap_or_else(PoisonError::into_inner)).collect();
    let place = base.place;
    let mut out = Vec::with_capacity(sinks.len());
    for ((sink, columns), notes) in sinks.into_iter().zip(columns).zip(notes) {
        let mut aside = sink.aside;
        let shift = Shift::between(place, sink.place);
        for (kind, class) in kinds.iter().zip(&classes) {
            let hears = reads.iter().enumerate().any(|(k, r)| *r == sink.read && kind >> k & 1 == 1);
            if hears {
                aside.tally.join(&class.tally);
                aside.notes.add_moved(&class.notes, shift);
            }
        }
        aside.notes.merge(notes);
        let mut table = sink.fold.table();
        for (labels, column) in sink.groups.into_iter().zip(columns) {
            let Some((column, drop_name)) = column else { continue };
            table.push(Row { labels, drop_name }, &column);
        }
        out.push((sink.rank, Folded { table, grid, aside }));
    }
    Ok(Some(out))
}
