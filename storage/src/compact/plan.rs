//! Plan: which blocks to merge next. Pure functions from metas to a choice, the same choice
//! Prometheus's leveled compactor makes.

use crate::block::{BlockMeta, HINT_OUT_OF_ORDER, HINT_SELECTED_SERIES, HINT_STALE_SERIES};

/// A block is rewritten from this share of deleted series on.
const TOMBSTONE_SHARE: f64 = 0.05;

/// Block ranges: `steps` of them, the first `smallest`, each `factor` times the one before.
pub fn block_ranges(smallest: i64, steps: usize, factor: i64) -> Vec<i64> {
    std::iter::successors(Some(smallest), |range| range.checked_mul(factor)).take(steps).collect()
}

/// The blocks to merge (or, a single one, to rewrite without its deleted samples) as positions in
/// `metas`, in the order to merge them; empty when there is nothing to do. `ranges` are ascending;
/// `overlapping` allows merging blocks that overlap in time.
///
/// Blocks of stale and of selected series hold a part of what the head had, and say so in a hint
/// that must not get lost: they are only merged among themselves, after everything else.
pub fn plan(metas: &[BlockMeta], ranges: &[i64], overlapping: bool) -> Vec<usize> {
    let class = |meta: &BlockMeta| {
        if meta.compaction.has_hint(HINT_STALE_SERIES) {
            1
        } else if meta.compaction.has_hint(HINT_SELECTED_SERIES) {
            2
        } else {
            0
        }
    };
    for wanted in 0..3 {
        let mut blocks: Vec<Planned<'_>> = metas
            .iter()
            .enumerate()
            .filter(|(_, meta)| class(meta) == wanted)
            .map(|(at, meta)| Planned { at, meta })
            .collect();
        blocks.sort_by_key(|b| b.meta.min_time);
        let chosen = plan_class(&blocks, ranges, overlapping);
        if !chosen.is_empty() {
            return chosen;
        }
    }
    Vec::new()
}

#[derive(Clone, Copy)]
struct Planned<'a> {
    at: usize,
    meta: &'a BlockMeta,
}

fn plan_class(blocks: &[Planned<'_>], ranges: &[i64], overlapping: bool) -> Vec<usize> {
    if overlapping {
        let chosen = select_overlapping(blocks);
        if !chosen.is_empty() {
            return chosen;
        }
    }
    // The newest block stays as it is for one range, so that it can be backed up in peace.
    let Some((_, blocks)) = blocks.split_last() else { return Vec::new() };
    let chosen = select_range(blocks, ranges);
    if !chosen.is_empty() {
        return chosen.iter().map(|b| b.at).collect();
    }
    let Some(large) = ranges.get(ranges.len() / 2) else { return Vec::new() };
    for block in blocks.iter().rev() {
        let stats = &block.meta.stats;
        if block.meta.max_time.wrapping_sub(block.meta.min_time) < *large {
            // A block of which nothing is left may be of any size.
            if stats.num_tombstones > 0 && stats.num_tombstones >= stats.num_series {
                return vec![block.at];
            }
            break;
        }
        let series = stats.num_series.wrapping_add(1);
        if stats.num_tombstones as f64 / series as f64 > TOMBSTONE_SHARE {
            return vec![block.at];
        }
    }
    Vec::new()
}

/// The first group of blocks that overlap in a chain.
fn select_overlapping(blocks: &[Planned<'_>]) -> Vec<usize> {
    let mut chosen = Vec::new();
    let Some(first) = blocks.first() else { return chosen };
    let mut end = first.meta.max_time;
    for pair in blocks.windows(2) {
        let [before, block] = pair else { break };
        if block.meta.min_time < end {
            if chosen.is_empty() {
                chosen.push(before.at);
            }
            chosen.push(block.at);
        } else if !chosen.is_empty() {
            break;
        }
        end = end.max(block.meta.max_time);
    }
    chosen
}

/// The first group, of the smallest range, that fills its range or is followed by newer blocks.
fn select_range<'a, 'm>(blocks: &'a [Planned<'m>], ranges: &[i64]) -> &'a [Planned<'m>] {
    let (Some(newest), Some((_, larger))) = (blocks.last(), ranges.split_first()) else {
        return &[];
    };
    for range in larger {
        for group in split_by_range(blocks, *range) {
            let ([first, .., last], false) =
                (group, group.iter().any(|b| b.meta.compaction.failed))
            else {
                continue;
            };
            let (min, max) = (first.meta.min_time, last.meta.max_time);
            if max.wrapping_sub(min) == *range || max <= newest.meta.min_time {
                return group;
            }
        }
    }
    &[]
}

/// Runs of neighbouring blocks that lie in the same aligned range. Blocks that lie in none are left
/// out, those that cross the end of one begin the next run.
fn split_by_range<'a, 'm>(blocks: &'a [Planned<'m>], range: i64) -> Vec<&'a [Planned<'m>]> {
    let mut groups = Vec::new();
    let mut rest = blocks;
    while let Some(first) = rest.first() {
        let end = range_end(first.meta.min_time, range);
        if first.meta.max_time > end {
            rest = &rest[1..];
            continue;
        }
        let len = rest.iter().take_while(|b| b.meta.max_time <= end).count();
        let (group, after) = rest.split_at(len);
        groups.push(group);
        rest = after;
    }
    groups
}

/// End of the aligned range of width `range` that `t` lies in, in Go's arithmetic.
fn range_end(t: i64, range: i64) -> i64 {
    let index = if t >= 0 {
        t.checked_div(range)
    } else {
        t.wrapping_sub(range).wrapping_add(1).checked_div(range)
    };
    range.wrapping_mul(index.unwrap_or(0)).wrapping_add(range)
}

/// Where the in-order data in blocks ends: the head may forget what is older. Blocks that hold only
/// a part of what came in do not count; `None` when there is no other.
pub fn in_order_max_time<'a>(metas: impl IntoIterator<Item = &'a BlockMeta>) -> Option<i64> {
    let partial = [HINT_OUT_OF_ORDER, HINT_STALE_SERIES, HINT_SELECTED_SERIES];
    metas
        .into_iter()
        .filter(|meta| !partial.iter().any(|hint| meta.compaction.has_hint(hint)))
        .map(|meta| meta.max_time)
        .max()
}

#[cfg(test)]
mod tests;
