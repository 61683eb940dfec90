//! Folding a pass: the columns of one selection go into the groups of several aggregations.
//!
//! At every step a group takes its series in their order, whichever thread computed them: clusters
//! of groups are folded side by side where there are many, else the steps of a batch of columns.

use std::sync::{Mutex, PoisonError};

use super::aggregate::{FEW_GROUPS, GROUPS_AT_ONCE, LEAST_VALUES, SMALL_GROUP, State};
use super::column::Column;
use super::fold::Part;
use super::grid::Grid;
use super::notes::Notes;
use super::parallel;
use super::shared::Shift;
use super::sink::{Cluster, Member, Sink, clusters};
use super::source::{Row, Source, Table};
use super::work::{Aside, Work};
use super::wrap::Wrap;
use crate::engine::EngineError;

/// The widest input; what its columns count and note is sorted by who is to hear of it.
struct Heard<'a> {
    inner: &'a dyn Source,
    /// Which series are part of the same selections.
    class_of: Vec<u32>,
    /// By class.
    classes: Vec<Mutex<Aside>>,
}

impl Wrap for Heard<'_> {
    fn inner(&self) -> &dyn Source {
        self.inner
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
            let fold = &self.sinks[*sink].input.fold;
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
            Source::column(&self.widest, *i as usize, work, &mut column)?;
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
                    taken[sink.slot(member)].push(column);
                    states[sink.slot(member)].see(sink, member, column);
                }
            }
            let taken = taken.iter().zip(&cluster.groups).zip(states);
            let parts: Vec<(Part<'_>, &[&Column])> = taken
                .filter(|((columns, _), _)| !columns.is_empty())
                .map(|((columns, (sink, _)), state)| {
                    (state.state.part(&self.sinks[*sink].input.fold), &columns[..])
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
            let group = &mut states[sink.slot(member)];
            group.see(sink, member, column);
            let (source, at) = (&*sink.input.source, member.index as usize);
            std::mem::swap(&mut work.notes, notes);
            let folded = group.state.fold(&sink.input.fold, source, at, column, work);
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
            let (sink, group) = (*sink, *group);
            let mut column = Column::default();
            std::mem::swap(&mut work.notes, &mut self.notes[sink]);
            state.finish(&self.sinks[sink].input.fold, &mut column, work);
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
        let drops = || sink.input.source.drops_name(member.index as usize) && !column.is_empty();
        self.drop_name = self.drop_name || drops();
    }
}

/// Of the series of the widest selection, which others have them.
pub(super) struct Selections {
    /// All of them, the widest as well: see [`crate::plan::Select::read`].
    pub reads: Vec<usize>,
    /// By series, a bit for each of `reads`.
    pub masks: Vec<u64>,
}

/// What became of an aggregation: its rank, its result, and what it counted and noted.
pub(super) type Folded = (u32, Table, Aside);

/// Goes through the read `widest` and folds its series into all of `sinks`.
pub(super) fn run(
    mut sinks: Vec<Sink<'_>>,
    widest: usize,
    Selections { reads, masks }: &Selections,
    grid: Grid,
    work: &mut Work<'_>,
) -> Result<Option<Vec<Folded>>, EngineError> {
    let clusters = clusters(&mut sinks, masks.len());
    let Some(base) = sinks.iter().find(|sink| sink.input.read == widest) else { return Ok(None) };
    let mut kinds = masks.clone();
    kinds.sort_unstable();
    kinds.dedup();
    let class = |mask: &u64| kinds.binary_search(mask).map_or(0, |class| class as u32);
    let aside = || Mutex::new(Aside { tally: work.tally.fork(), notes: Notes::default() });
    let heard = Heard {
        inner: &*base.input.source,
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
    let place = base.input.place;
    let mut out = Vec::with_capacity(sinks.len());
    for ((sink, columns), notes) in sinks.into_iter().zip(columns).zip(notes) {
        let mut aside = sink.input.aside;
        let shift = Shift::between(place, sink.input.place);
        let bit = reads.iter().position(|read| *read == sink.input.read).unwrap_or(0);
        for (kind, class) in kinds.iter().zip(&classes) {
            if kind >> bit & 1 == 1 {
                aside.tally.join(&class.tally);
                aside.notes.add_moved(&class.notes, shift);
            }
        }
        aside.notes.merge(notes);
        let mut table = sink.input.fold.table();
        for (labels, column) in sink.groups.into_iter().zip(columns) {
            let Some((column, drop_name)) = column else { continue };
            table.push(Row { labels, drop_name }, &column);
        }
        out.push((sink.input.rank, table, aside));
    }
    Ok(Some(out))
}
