//! Fold: floats of many series added to the state of a group, for all steps or for some of them.
//!
//! No step depends on another, so the steps of one group can be shared out to threads; at each step
//! the series are added in their order whoever does it.

use super::column::{Column, is_absent};
use super::lanes::add_moderate;
use model::kahan::Mean;

/// Welford's running mean and squared distance.
#[derive(Clone, Copy)]
pub(super) struct Variance {
    pub count: f64,
    pub mean: f64,
    pub squares: f64,
}

impl Variance {
    fn plus(self, v: f64) -> Variance {
        if self.count == 0.0 {
            let squares = if v.is_finite() { 0.0 } else { f64::NAN };
            return Variance { count: 1.0, mean: v, squares };
        }
        let count = self.count + 1.0;
        let delta = v - self.mean;
        let mean = self.mean + delta / count;
        Variance { count, mean, squares: self.squares + delta * (v - mean) }
    }
}

/// The state of neighbouring steps, as far as floats are concerned.
pub(super) enum Part<'a> {
    /// Sums and what rounding lost of them.
    Sum(&'a mut [f64], &'a mut [f64]),
    Avg(&'a mut [Mean]),
    Count(&'a mut [u64]),
    Highest(&'a mut [f64]),
    Lowest(&'a mut [f64]),
    Variance(&'a mut [Variance]),
    Quantile(&'a mut [Vec<f64>]),
}

impl<'a> Part<'a> {
    fn len(&self) -> usize {
        match self {
            Part::Sum(state, _) | Part::Highest(state) | Part::Lowest(state) => state.len(),
            Part::Avg(state) => state.len(),
            Part::Count(state) => state.len(),
            Part::Variance(state) => state.len(),
            Part::Quantile(state) => state.len(),
        }
    }

    /// The steps before and from `at` on.
    fn split(self, at: usize) -> (Part<'a>, Part<'a>) {
        fn halves<'a, S>(
            state: &'a mut [S],
            at: usize,
            part: fn(&'a mut [S]) -> Part<'a>,
        ) -> (Part<'a>, Part<'a>) {
            let (left, right) = state.split_at_mut(at);
            (part(left), part(right))
        }
        match self {
            Part::Sum(sums, lost) => {
                let (sums, lost) = (sums.split_at_mut(at), lost.split_at_mut(at));
                (Part::Sum(sums.0, lost.0), Part::Sum(sums.1, lost.1))
            }
            Part::Avg(state) => halves(state, at, Part::Avg),
            Part::Count(state) => halves(state, at, Part::Count),
            Part::Highest(state) => halves(state, at, Part::Highest),
            Part::Lowest(state) => halves(state, at, Part::Lowest),
            Part::Variance(state) => halves(state, at, Part::Variance),
            Part::Quantile(state) => halves(state, at, Part::Quantile),
        }
    }

    /// Adds the values `columns` have from step `first` on, `width` steps a thread.
    pub(super) fn add_all(mut self, columns: &[Column], first: usize, width: usize) {
        if self.len() > width {
            let (left, right) = self.split(width);
            rayon::join(
                || left.add_all(columns, first, width),
                || right.add_all(columns, first + width, width),
            );
            return;
        }
        let steps = first..first + self.len();
        columns.iter().for_each(|column| self.add(&column.floats[steps.clone()]));
    }

    /// Adds to several states of the same steps what each of them takes, `width` steps a thread.
    pub(super) fn add_each(mut parts: Vec<(Part<'a>, &[&Column])>, first: usize, width: usize) {
        let steps = parts.first().map_or(0, |(part, _)| part.len());
        if steps > width {
            let split = parts.into_iter().map(|(part, columns)| {
                let (left, right) = part.split(width);
                ((left, columns), (right, columns))
            });
            let (left, right): (Vec<_>, Vec<_>) = split.unzip();
            rayon::join(
                || Part::add_each(left, first, width),
                || Part::add_each(right, first + width, width),
            );
            return;
        }
        for (part, columns) in &mut parts {
            columns.iter().for_each(|column| part.add(&column.floats[first..first + steps]));
        }
    }

    /// Adds one series.
    pub(super) fn add(&mut self, values: &[f64]) {
        match self {
            Part::Sum(sums, lost) => add(sums, lost, values),
            Part::Avg(state) => {
                for (m, v) in present(state, values) {
                    *m = if is_absent(m.sum.sum) { Mean::of(v) } else { m.plus(v) };
                }
            }
            Part::Count(state) => present(state, values).for_each(|(n, _)| *n += 1),
            Part::Highest(state) => {
                for (m, v) in present(state, values) {
                    if *m < v || m.is_nan() {
                        *m = v;
                    }
                }
            }
            Part::Lowest(state) => {
                for (m, v) in present(state, values) {
                    if *m > v || m.is_nan() {
                        *m = v;
                    }
                }
            }
            Part::Variance(state) => {
                present(state, values).for_each(|(s, v)| *s = s.plus(v));
            }
            Part::Quantile(state) => {
                present(state, values).for_each(|(s, v)| s.push(v));
            }
        }
    }
}

/// What [`model::kahan::Sum::plus`] does, for every step that has a value, without branches.
fn add(sums: &mut [f64], lost: &mut [f64], values: &[f64]) {
    if add_moderate(sums, lost, values) {
        return;
    }
    for ((sum, lost), v) in sums.iter_mut().zip(lost).zip(values) {
        let (s, v) = (*sum, *v);
        let t = s + v;
        let (large, small) = if s.abs() >= v.abs() { (s, v) } else { (v, s) };
        let more = *lost + ((large - t) + small);
        let more = if t.is_infinite() { 0.0 } else { more };
        let (started, more) = if is_absent(s) { (v, 0.0) } else { (t, more) };
        let skip = is_absent(v);
        *sum = if skip { s } else { started };
        *lost = if skip { *lost } else { more };
    }
}

/// State and value of the steps that have one.
#[inline(always)]
fn present<'a, S>(state: &'a mut [S], values: &'a [f64]) -> impl Iterator<Item = (&'a mut S, f64)> {
    state.iter_mut().zip(values).filter(|(_, v)| !is_absent(**v)).map(|(s, v)| (s, *v))
}

#[cfg(test)]
mod tests {
    use model::kahan::Sum;
    use proptest::prelude::*;

    use super::*;
    use crate::exec::column::ABSENT;

    fn value() -> impl Strategy<Value = f64> {
        prop_oneof![
            6 => -1e3..1e3f64,
            3 => any::<f64>(),
            1 => (-1.0..1.0f64).prop_map(|v| v * f64::MAX),
            1 => prop_oneof![Just(f64::INFINITY), Just(-f64::INFINITY), Just(-0.0), Just(f64::MAX)],
        ]
    }

    #[test]
    fn differences_of_sums_may_overflow() {
        let (mut sums, mut lost) = ([ABSENT], [0.0]);
        let values = [-7.688081883690685e307, f64::MAX];
        values.iter().for_each(|v| add(&mut sums, &mut lost, &[*v]));
        let want = Sum { sum: values[0], ..Sum::default() }.plus(values[1]);
        assert_eq!((sums[0], lost[0]), (want.sum, want.lost));
    }

    proptest! {
        #[test]
        fn sums_of_steps_are_sums_of_values(
            rows in prop::collection::vec(prop::collection::vec(value(), 5), 1..20),
            absent in prop::option::of((0..20usize, 0..5usize)),
        ) {
            let (mut sums, mut lost) = (vec![ABSENT; 5], vec![0.0; 5]);
            let mut rows = rows;
            if let Some((row, step)) = absent && row < rows.len() {
                rows[row][step] = ABSENT;
            }
            rows.iter().for_each(|row| add(&mut sums, &mut lost, row));
            for step in 0..5 {
                let mut values = rows.iter().map(|row| row[step]).filter(|v| !is_absent(*v));
                let Some(first) = values.next() else { continue };
                let mut want = Sum { sum: first, ..Sum::default() };
                values.for_each(|v| want = want.plus(v));
                let same = |a: f64, b: f64| a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan();
                prop_assert!(same(sums[step], want.sum), "{} {}", sums[step], want.sum);
                prop_assert!(same(sums[step] + lost[step], want.total()));
            }
        }
    }
}
