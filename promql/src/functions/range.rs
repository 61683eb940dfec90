//! Range functions: from the samples of each window to one value a step.
//!
//! [`RangeFunction::floats`] runs over series that hold floats only, which is nearly all of them:
//! one tight loop per function. Series with histograms go through [`super::mixed`].

use model::CancelToken;

use super::extremes::{self, Extremes};
use super::positions::{count_positions, positions, resets_in_windows};
use super::ranks::Ranks;
use super::rate::{Rate, Resets};
use super::{instant_change, over_time, rates, sums};
use crate::exec::column::{ABSENT, Column};
use crate::exec::samples::Samples;
use crate::exec::scalar::Steps;
use crate::exec::tally::Tally;
use crate::exec::window::{Bounds, Windows};

/// The functions of range vectors.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum RangeFunction {
    Rate(Rate),
    Irate,
    Idelta,
    Deriv,
    PredictLinear,
    Smoothing,
    Changes,
    Resets,
    Avg,
    Count,
    First,
    Last,
    Mad,
    Max,
    Min,
    Present,
    Quantile,
    Stddev,
    Stdvar,
    Sum,
    TimeOfFirst,
    TimeOfLast,
    TimeOfMax,
    TimeOfMin,
}

/// How a range selector takes in samples from around its range.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Extent {
    #[default]
    Plain,
    Anchored,
    Smoothed,
}

impl RangeFunction {
    /// The function called `name` over a range of `range_s` seconds.
    pub(crate) fn named(name: &str, range_s: f64) -> Option<RangeFunction> {
        use RangeFunction::*;
        let rate = |counter, per_second| Rate(self::Rate { counter, per_second, range_s });
        Some(match name {
            "rate" => rate(true, true),
            "increase" => rate(true, false),
            "delta" => rate(false, false),
            "irate" => Irate,
            "idelta" => Idelta,
            "deriv" => Deriv,
            "predict_linear" => PredictLinear,
            "double_exponential_smoothing" => Smoothing,
            "changes" => Changes,
            "resets" => Resets,
            "avg_over_time" => Avg,
            "count_over_time" => Count,
            "first_over_time" => First,
            "last_over_time" => Last,
            "mad_over_time" => Mad,
            "max_over_time" => Max,
            "min_over_time" => Min,
            "present_over_time" | "absent_over_time" => Present,
            "quantile_over_time" => Quantile,
            "stddev_over_time" => Stddev,
            "stdvar_over_time" => Stdvar,
            "sum_over_time" => Sum,
            "ts_of_first_over_time" => TimeOfFirst,
            "ts_of_last_over_time" => TimeOfLast,
            "ts_of_max_over_time" => TimeOfMax,
            "ts_of_min_over_time" => TimeOfMin,
            _ => return None,
        })
    }

    /// Whether the metric stays what it is.
    pub(crate) fn keeps_name(self) -> bool {
        matches!(self, RangeFunction::First | RangeFunction::Last)
    }

    /// Whether start times of samples change the answer.
    pub(crate) fn uses_starts(self) -> bool {
        match self {
            RangeFunction::Rate(rate) => rate.counter,
            RangeFunction::Irate | RangeFunction::Resets => true,
            _ => false,
        }
    }
}

/// One run of a function over the windows of one series.
pub(crate) struct Run<'a> {
    pub windows: &'a Windows,
    pub extent: Extent,
    /// Scalar arguments, in order, without the range vector.
    pub params: &'a [Steps],
    pub samples: &'a Samples,
    pub cancel: &'a CancelToken,
    pub tally: &'a mut Tally,
    pub out: &'a mut Column,
}

impl Run<'_> {
    /// Writes `f` of every window.
    #[inline(always)]
    pub(super) fn each(self, mut f: impl FnMut(&Samples, &Bounds) -> f64) {
        let Run { windows, samples, cancel, tally, out, .. } = self;
        windows.visit(samples, cancel, tally, |b| out.floats[b.step] = f(samples, &b));
    }

    /// Writes `f` of the floats of every window.
    #[inline(always)]
    pub(super) fn fold(self, mut f: impl FnMut(&[f64]) -> f64) {
        self.each(|s, b| f(&s.floats[b.lo..b.hi]));
    }
}

/// Adds a quantile to a list, unless it is the last one there.
pub(crate) fn add_quantile(to: &mut Vec<f64>, q: f64) {
    if to.last().is_none_or(|last| last.to_bits() != q.to_bits()) {
        to.push(q);
    }
}

/// What a run found out besides values.
#[derive(Clone, Debug, Default)]
pub(crate) struct Found {
    /// Windows in which start times contradict samples.
    pub overlaps: u64,
    /// Quantiles outside of 0..=1, or NaN, as they change over the steps.
    pub bad_quantiles: Vec<f64>,
    /// A smoothing or trend factor outside of 0..1, with its name.
    pub bad_factor: Option<(&'static str, f64)>,
}

impl RangeFunction {
    /// Runs over a series of floats.
    pub(crate) fn floats(self, run: Run<'_>) -> Found {
        let mut found = Found::default();
        match self {
            RangeFunction::Rate(rate) => return rates::run(&rate, run),
            RangeFunction::Irate => instant_change::run(run, true),
            RangeFunction::Idelta => instant_change::run(run, false),
            RangeFunction::Deriv => run.each(|s, b| {
                let (ts, vs) = (&s.timestamps[b.lo..b.hi], &s.floats[b.lo..b.hi]);
                if ts.len() < 2 { ABSENT } else { over_time::linear_regression(ts, vs, ts[0]).0 }
            }),
            RangeFunction::PredictLinear => {
                let (ahead, grid) = (&run.params[0], run.windows.grid);
                run.each(|s, b| {
                    let (ts, vs) = (&s.timestamps[b.lo..b.hi], &s.floats[b.lo..b.hi]);
                    if ts.len() < 2 {
                        return ABSENT;
                    }
                    let now = grid.time(b.step);
                    let (slope, intercept) = over_time::linear_regression(ts, vs, now);
                    slope * ahead.at(b.step) + intercept
                });
            }
            RangeFunction::Smoothing => {
                let (sf, tf) = (&run.params[0], &run.params[1]);
                run.each(|s, b| {
                    let (sf, tf) = (sf.at(b.step), tf.at(b.step));
                    for (what, v) in [("smoothing", sf), ("trend", tf)] {
                        if (v <= 0.0 || v >= 1.0) && found.bad_factor.is_none() {
                            found.bad_factor = Some((what, v));
                        }
                    }
                    let vs = &s.floats[b.lo..b.hi];
                    if vs.len() < 2 { ABSENT } else { over_time::smooth(vs, sf, tf) }
                });
            }
            RangeFunction::Changes => {
                let positions = positions(&run.samples.floats, over_time::changed);
                count_positions(run, &positions);
            }
            RangeFunction::Resets => {
                let resets = Resets::find(run.samples);
                resets_in_windows(run, &resets);
            }
            other => other.fold_floats(run, &mut found),
        }
        found
    }

    /// The functions that need no more than the values of a window.
    fn fold_floats(self, run: Run<'_>, found: &mut Found) {
        match self {
            RangeFunction::Avg => sums::run(run, true),
            RangeFunction::Count => run.each(|_, b| (b.hi - b.lo) as f64),
            RangeFunction::First => run.each(|s, b| s.floats[b.lo]),
            RangeFunction::Last => run.each(|s, b| s.floats[b.hi - 1]),
            RangeFunction::Mad => {
                let mut scratch = Vec::new();
                run.fold(|vs| over_time::mad(vs, &mut scratch));
            }
            RangeFunction::Max => extreme(run, |new, best| new > best),
            RangeFunction::Min => extreme(run, |new, best| new < best),
            RangeFunction::Present => run.each(|_, _| 1.0),
            RangeFunction::Quantile => quantiles(run, found),
            RangeFunction::Stddev => run.fold(|vs| over_time::stdvar(vs).sqrt()),
            RangeFunction::Stdvar => run.fold(over_time::stdvar),
            RangeFunction::Sum => sums::run(run, false),
            RangeFunction::TimeOfFirst => {
                run.each(|s, b| s.timestamps[b.lo] as f64 / 1000.0);
            }
            RangeFunction::TimeOfLast => {
                run.each(|s, b| s.timestamps[b.hi - 1] as f64 / 1000.0);
            }
            RangeFunction::TimeOfMax => time_of(run, |new, best| new >= best),
            RangeFunction::TimeOfMin => time_of(run, |new, best| new <= best),
            // The others are dealt with above.
            _ => {}
        }
    }
}

/// max_over_time and min_over_time.
fn extreme(run: Run<'_>, better: impl Fn(f64, f64) -> bool + Copy) {
    let values = &run.samples.floats[..];
    if extremes::depends_on_order(values) {
        return run.fold(|vs| vs[over_time::pick(vs, better)]);
    }
    let width = run.windows.width(run.samples);
    let extremes = Extremes::new(values, width, better);
    run.each(|_, b| extremes.of(b.lo, b.hi));
}

/// Windows that share less of their samples are looked at one by one.
const LEAST_SHARED: i64 = 4;

/// quantile_over_time
fn quantiles(run: Run<'_>, found: &mut Found) {
    let Windows { grid, range_ms, at, .. } = *run.windows;
    let q = &run.params[0];
    let mut note = |q: f64| {
        if !(0.0..=1.0).contains(&q) {
            add_quantile(&mut found.bad_quantiles, q);
        }
        q
    };
    let shared = at.is_none() && grid.steps > 1 && range_ms / grid.interval >= LEAST_SHARED;
    if shared {
        let mut ranks = Ranks::new(&run.samples.floats);
        return run.each(|_, b| {
            ranks.slide(b.lo, b.hi);
            ranks.quantile(note(q.at(b.step)))
        });
    }
    let mut scratch = Vec::new();
    run.each(|s, b| over_time::quantile(note(q.at(b.step)), &s.floats[b.lo..b.hi], &mut scratch));
}

fn time_of(run: Run<'_>, better: impl Fn(f64, f64) -> bool) {
    run.each(|s, b| {
        let at = over_time::pick(&s.floats[b.lo..b.hi], &better);
        s.timestamps[b.lo + at] as f64 / 1000.0
    });
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::exec::column::is_absent;
    use crate::exec::grid::Grid;

    const NAMES: [&str; 25] = [
        "rate",
        "increase",
        "delta",
        "irate",
        "idelta",
        "deriv",
        "predict_linear",
        "double_exponential_smoothing",
        "changes",
        "resets",
        "avg_over_time",
        "count_over_time",
        "first_over_time",
        "last_over_time",
        "mad_over_time",
        "max_over_time",
        "min_over_time",
        "present_over_time",
        "quantile_over_time",
        "stddev_over_time",
        "stdvar_over_time",
        "sum_over_time",
        "ts_of_last_over_time",
        "ts_of_max_over_time",
        "ts_of_min_over_time",
    ];

    fn run(name: &str, windows: &Windows, samples: &Samples) -> (Vec<u64>, Tally) {
        let params = [Steps::Constant(0.4), Steps::Constant(0.7)];
        let (mut tally, mut out) = (Tally::default(), Column::default());
        out.reset(windows.grid.steps);
        let function = RangeFunction::named(name, windows.range_ms as f64 / 1000.0).unwrap();
        function.floats(Run {
            windows,
            extent: Extent::Plain,
            params: &params,
            samples,
            cancel: &CancelToken::default(),
            tally: &mut tally,
            out: &mut out,
        });
        (out.floats.iter().map(|v| v.to_bits()).collect(), tally)
    }

    fn value() -> impl Strategy<Value = f64> {
        prop_oneof![
            8 => (0..50i32).prop_map(f64::from),
            4 => -1e3..1e3f64,
            1 => Just(0.0),
            1 => prop_oneof![Just(f64::NAN), Just(f64::INFINITY), Just(f64::MAX), Just(-0.0)],
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        /// Steps evaluated together give what each gives alone, whatever the spacing of samples.
        #[test]
        fn steps_do_not_know_of_each_other(
            gaps in prop_oneof![
                3 => Just(Vec::new()),
                1 => prop::collection::vec(1..40i64, 60),
            ],
            growing: bool,
            values in prop::collection::vec(value(), 0..60),
            start in -100..700i64,
            steps in 1..40usize,
            stride in 1..5i64,
            range in 1..160i64,
        ) {
            let mut samples = Samples::default();
            let (mut t, mut total) = (0, 0.0);
            for (i, v) in values.iter().enumerate() {
                t += gaps.get(i).copied().unwrap_or(10);
                total += v.abs();
                samples.timestamps.push(t);
                samples.floats.push(if growing { total } else { *v });
            }
            let at = |grid| Windows {
                grid,
                range_ms: range,
                offset_ms: 3,
                at: None,
                before_ms: 0,
                after_ms: 0,
                count_read: true,
            };
            let interval = stride * 10;
            let end = start + interval * (steps as i64 - 1);
            let grid = Grid::new(start, end, interval).unwrap();
            for name in NAMES {
                let (together, tally) = run(name, &at(grid), &samples);
                let mut total = 0;
                for (step, bits) in together.iter().enumerate() {
                    let (alone, tally) = run(name, &at(Grid::instant(grid.time(step))), &samples);
                    let (together, alone) = (f64::from_bits(*bits), f64::from_bits(alone[0]));
                    let same = *bits == alone.to_bits()
                        || together.is_nan() && alone.is_nan()
                            && is_absent(together) == is_absent(alone);
                    prop_assert!(same, "{name} at step {step}: {together} and {alone}");
                    total += tally.total;
                }
                prop_assert_eq!(tally.total, total, "{}", name);
                let windows = at(grid);
                let seen = samples.timestamps.iter().filter(|t| {
                    let mut ranges = (0..steps).map(|step| windows.range_at(step));
                    ranges.any(|(start, end)| start < **t && **t <= end)
                });
                prop_assert_eq!(tally.read, seen.count() as u64, "{}", name);
            }
        }
    }
}
