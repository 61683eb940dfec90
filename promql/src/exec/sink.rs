//! Sinks: what the series of one selection are to the aggregations that share a pass over them.
//!
//! The groups of different aggregations need not be the same; those that have series in common are
//! folded together, as a cluster, so that every group is folded by one thread.

use model::Labels;

use super::aggregate::Fold;
use super::group::{self, Group};
use super::source::Boxed;
use super::work::Aside;
use crate::plan::Place;

/// No group.
const NONE: u32 = u32::MAX;

/// Where a series of the widest selection goes in an aggregation.
#[derive(Clone, Copy)]
pub(super) struct Member {
    /// Number among the series of the aggregation's own selection.
    pub index: u32,
    /// Number of the group, or [`NONE`].
    pub group: u32,
}

/// An aggregation and its input.
pub(super) struct Input<'p> {
    /// Rank of the aggregation's node.
    pub rank: u32,
    pub read: usize,
    pub fold: Fold<'p>,
    /// Only one sink's is asked for columns, the others' for labels.
    pub source: Boxed<'p>,
    /// What the input reports about.
    pub place: Place,
    /// What making the input counted and noted.
    pub aside: Aside,
}

/// One aggregation of a pass.
pub(super) struct Sink<'p> {
    pub input: Input<'p>,
    /// Labels of the groups.
    pub groups: Vec<Labels>,
    /// By series of the widest selection.
    members: Vec<Member>,
    /// Of each group, its place in the cluster.
    slots: Vec<u32>,
}

impl<'p> Sink<'p> {
    /// The sink of an aggregation whose selection has the series `found` of the `n` there are.
    pub(super) fn new(input: Input<'p>, found: &[u32], n: usize) -> Sink<'p> {
        let mut members = vec![Member { index: NONE, group: NONE }; n];
        let mut groups = Vec::new();
        for Group { labels, members: indexes } in
            group::groups(&*input.source, input.fold.names, input.fold.without)
        {
            let group = groups.len() as u32;
            for index in indexes {
                members[found[index as usize] as usize] = Member { index, group };
            }
            groups.push(labels);
        }
        let slots = vec![NONE; groups.len()];
        Sink { input, groups, members, slots }
    }

    /// Where series `i` of the widest selection goes.
    pub(super) fn member(&self, i: u32) -> Option<Member> {
        let member = self.members[i as usize];
        (member.group != NONE).then_some(member)
    }

    /// The place of a series' group in its cluster.
    pub(super) fn slot(&self, member: Member) -> usize {
        self.slots[member.group as usize] as usize
    }
}

/// Groups of all aggregations that have series in common, directly or by way of others.
#[derive(Default)]
pub(super) struct Cluster {
    /// Of the widest selection, ascending.
    pub series: Vec<u32>,
    /// Aggregation, and number of the group there.
    pub groups: Vec<(usize, usize)>,
}

/// Splits the `n` series of the widest selection into clusters, in order of their first series.
pub(super) fn clusters(sinks: &mut [Sink<'_>], n: usize) -> Vec<Cluster> {
    let mut starts = Vec::with_capacity(sinks.len());
    let mut total = 0;
    for sink in &*sinks {
        starts.push(total);
        total += sink.groups.len();
    }
    let mut sets = Sets((0..total as u32).collect());
    // Any group of each series: all of them are in one set.
    let mut group_of = vec![NONE; n];
    for (i, group_of) in group_of.iter_mut().enumerate() {
        for (sink, start) in sinks.iter().zip(&starts) {
            let Some(member) = sink.member(i as u32) else { continue };
            let group = *start as u32 + member.group;
            if *group_of == NONE {
                *group_of = group;
            }
            sets.join(*group_of, group);
        }
    }
    let mut clusters: Vec<Cluster> = Vec::new();
    let mut numbers = vec![NONE; total];
    for (i, group) in group_of.into_iter().enumerate().filter(|(_, group)| *group != NONE) {
        let number = &mut numbers[sets.root(group) as usize];
        if *number == NONE {
            *number = clusters.len() as u32;
            clusters.push(Cluster::default());
        }
        clusters[*number as usize].series.push(i as u32);
    }
    for (at, (sink, start)) in sinks.iter_mut().zip(&starts).enumerate() {
        for (group, slot) in sink.slots.iter_mut().enumerate() {
            let number = numbers[sets.root((start + group) as u32) as usize];
            if let Some(cluster) = clusters.get_mut(number as usize) {
                *slot = cluster.groups.len() as u32;
                cluster.groups.push((at, group));
            }
        }
    }
    clusters
}

/// Disjoint sets: each item points to another one of its set, the root to itself.
struct Sets(Vec<u32>);

impl Sets {
    fn root(&mut self, mut item: u32) -> u32 {
        while self.0[item as usize] != item {
            // Half the way for who comes next.
            let next = self.0[self.0[item as usize] as usize];
            self.0[item as usize] = next;
            item = next;
        }
        item
    }

    fn join(&mut self, a: u32, b: u32) {
        let (a, b) = (self.root(a), self.root(b));
        self.0[b as usize] = a;
    }
}
