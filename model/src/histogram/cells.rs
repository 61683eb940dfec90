//! Cells: populated buckets by index, the form in which histograms are combined.
//!
//! Spans and buckets are compact to hold and slow to combine. Here a side of a histogram is a list
//! of (index, population) in ascending order; every population carries what Kahan summation lost.

use super::{CUSTOM_BUCKETS_SCHEMA, Span};
use crate::buckets::exponential_bound;
use crate::kahan::Sum;

/// One bucket.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Cell {
    pub index: i32,
    pub value: Sum,
    /// Whether a span starts here. Spans may touch, which means nothing, but each counts in the size
    /// of a histogram, which query statistics show.
    pub opens: bool,
}

/// The cells of spans and their absolute populations. Spans that name more buckets than there are
/// end early.
pub(super) fn of(spans: &[Span], buckets: &[f64]) -> Vec<Cell> {
    let mut out = Vec::with_capacity(buckets.len());
    let mut values = buckets.iter();
    let mut index = 0i32;
    for span in spans {
        index = index.wrapping_add(span.offset);
        for i in 0..span.length {
            let Some(v) = values.next() else { return out };
            out.push(Cell { index, value: Sum::of(*v), opens: i == 0 });
            index = index.wrapping_add(1);
        }
    }
    out
}

/// Spans and populations of cells, what was lost added back.
pub(super) fn layout(cells: &[Cell]) -> (Vec<Span>, Vec<f64>) {
    let mut spans: Vec<Span> = Vec::new();
    let mut next = 0i32;
    for cell in cells {
        match spans.last_mut() {
            Some(span) if !cell.opens => span.length += 1,
            _ => spans.push(Span { offset: cell.index.wrapping_sub(next), length: 1 }),
        }
        next = cell.index.wrapping_add(1);
    }
    (spans, cells.iter().map(|c| c.value.total()).collect())
}

/// The index in schema `to` of bucket `index` of the finer schema `from`.
pub(super) fn coarser_index(index: i32, from: i32, to: i32) -> i32 {
    let shift = from.saturating_sub(to).clamp(0, 31);
    (index.wrapping_sub(1) >> shift).wrapping_add(1)
}

/// How populations are added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Adding {
    /// Floating-point addition.
    Plain,
    /// Keeping what is lost.
    Kahan,
}

impl Adding {
    /// `a` with `b` and what `b` has lost.
    pub(super) fn add(self, a: Sum, b: Sum) -> Sum {
        match self {
            Adding::Plain => Sum::plain(a.sum + b.sum),
            Adding::Kahan if b.lost == 0.0 => a.plus(b.sum),
            Adding::Kahan => a.plus(b.sum).plus(b.lost),
        }
    }
}

/// Cells merged to the coarser schema `to`.
pub(super) fn reduce(cells: &[Cell], from: i32, to: i32, adding: Adding) -> Vec<Cell> {
    if from == to {
        return cells.to_vec();
    }
    let mut out: Vec<Cell> = Vec::with_capacity(cells.len());
    for cell in cells {
        let index = coarser_index(cell.index, from, to);
        match out.last_mut() {
            Some(last) if last.index == index => last.value = adding.add(last.value, cell.value),
            _ => out.push(Cell { index, value: cell.value, opens: true }),
        }
    }
    join_touching(&mut out);
    out
}

/// Makes one span of those that touch.
pub(super) fn join_touching(cells: &mut [Cell]) {
    let mut last: Option<Cell> = None;
    for cell in cells {
        cell.opens = !last.is_some_and(|last| next_to(&last, cell));
        last = Some(*cell);
    }
}

/// `a` with every cell of `b` added. Cells of `b` at or below the zero threshold of an exponential
/// schema count there already and are left out.
pub(super) fn add(
    a: &[Cell],
    b: &[Cell],
    schema: i32,
    zero_threshold: f64,
    adding: Adding,
) -> Vec<Cell> {
    let exponential = schema != CUSTOM_BUCKETS_SCHEMA;
    let swallowed = |c: &&Cell| exponential && exponential_bound(c.index, schema) <= zero_threshold;
    let mut out = Vec::with_capacity(a.len() + b.len());
    let mut left = a.iter().copied().peekable();
    for cell in b.iter().skip_while(swallowed) {
        while let Some(l) = left.next_if(|l| l.index < cell.index) {
            out.push(l);
        }
        match left.next_if(|l| l.index == cell.index) {
            Some(l) => out.push(Cell { value: adding.add(l.value, cell.value), ..l }),
            None => {
                // A new bucket makes the span that ends before it longer, else the one that starts
                // after it.
                let extends = out.last().is_some_and(|last| next_to(last, cell));
                if !extends && let Some(l) = left.peek_mut().filter(|l| next_to(cell, l)) {
                    l.opens = false;
                }
                out.push(Cell { opens: !extends, ..*cell });
            }
        }
    }
    out.extend(left);
    out
}

/// Whether `b` is the bucket right after `a`.
fn next_to(a: &Cell, b: &Cell) -> bool {
    a.index.wrapping_add(1) == b.index
}

/// Populations with the opposite sign.
pub(super) fn negated(cells: &[Cell]) -> Vec<Cell> {
    let negate = |c: &Cell| Cell { value: Sum { sum: -c.value.sum, lost: -c.value.lost }, ..*c };
    cells.iter().map(negate).collect()
}

/// Bounds two custom layouts share; both ascending.
pub(super) fn shared_bounds(a: &[f64], b: &[f64]) -> Vec<f64> {
    let (mut i, mut j) = (0, 0);
    let mut out = Vec::new();
    while i < a.len() && j < b.len() {
        if a[i] == b[j] {
            out.push(a[i]);
            i += 1;
            j += 1;
        } else if a[i] < b[j] {
            i += 1;
        } else {
            j += 1;
        }
    }
    out
}

/// Adds cells of a custom layout with `bounds` into `target`, which has one bucket for each of
/// `shared` and one for the rest.
pub(super) fn remap(cells: &[Cell], bounds: &[f64], shared: &[f64], target: &mut [Sum]) {
    for cell in cells {
        let bound = usize::try_from(cell.index).ok().and_then(|i| bounds.get(i));
        let at = match bound {
            Some(bound) => shared.partition_point(|s| s < bound),
            None => shared.len(),
        };
        let mut sum = target[at].plus(cell.value.sum);
        if cell.value.lost != 0.0 {
            sum = sum.plus(cell.value.lost);
        }
        target[at] = sum;
    }
}

/// The populated buckets of a remapped layout.
pub(super) fn populated(target: &[Sum]) -> Vec<Cell> {
    let cells = target.iter().enumerate().filter(|(_, s)| s.sum != 0.0 || s.lost != 0.0);
    let mut out: Vec<Cell> =
        cells.map(|(i, s)| Cell { index: i as i32, value: *s, opens: true }).collect();
    join_touching(&mut out);
    out
}

/// The lower end of a bucket in absolute terms, for exponential schemas.
fn lower_bound(index: i32, schema: i32) -> f64 {
    exponential_bound(index.wrapping_sub(1), schema)
}

/// A zero bucket: its threshold and population.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Zero {
    pub threshold: f64,
    pub count: Sum,
}

/// The zero bucket of a histogram were its threshold at least `threshold`: buckets it reaches into
/// are swallowed, and a populated one that it ends in moves the threshold to its outer bound.
pub(super) fn widen_zero(
    zero: Zero,
    schema: i32,
    positive: &[Cell],
    negative: &[Cell],
    mut threshold: f64,
) -> Zero {
    if threshold <= zero.threshold {
        return zero;
    }
    'again: loop {
        let mut count = zero.count;
        for (side, outer) in [(positive, false), (negative, true)] {
            for cell in side {
                if lower_bound(cell.index, schema) >= threshold {
                    break;
                }
                count = Adding::Kahan.add(count, cell.value);
                let upper = exponential_bound(cell.index, schema);
                if upper > threshold {
                    if cell.value.sum != 0.0 {
                        threshold = upper;
                        if outer {
                            // The positive side was judged by a smaller threshold.
                            continue 'again;
                        }
                    }
                    break;
                }
            }
        }
        return Zero { threshold, count };
    }
}

/// Cells above a zero threshold that lies on a bucket bound, empty ones left out as well.
pub(super) fn above(cells: &[Cell], schema: i32, threshold: f64) -> Vec<Cell> {
    let keep = |c: &&Cell| {
        lower_bound(c.index, schema) >= threshold && (c.value.sum != 0.0 || c.value.lost != 0.0)
    };
    let mut out: Vec<Cell> = cells.iter().filter(keep).copied().collect();
    join_touching(&mut out);
    out
}
