//! *_over_time and other folds of the floats of one window.
//!
//! Every function gets a non-empty slice in order of time and goes through it in the order
//! Prometheus does, so that answers agree to the last bit.

use super::quantile;
use model::kahan::{Mean, Sum};

/// avg_over_time
pub(crate) fn avg(values: &[f64]) -> f64 {
    values[1..].iter().fold(Mean::of(values[0]), |m, v| m.plus(*v)).value()
}

/// sum_over_time
pub(crate) fn sum(values: &[f64]) -> f64 {
    let s = values.iter().fold(Sum::default(), |s, v| s.plus(*v));
    if s.sum.is_infinite() { s.sum } else { s.total() }
}

/// stdvar_over_time (Welford, compensated)
pub(crate) fn stdvar(values: &[f64]) -> f64 {
    let mut count = 0.0;
    let (mut mean, mut aux) = (Sum::default(), Sum::default());
    for v in values {
        count += 1.0;
        let delta = v - mean.total();
        mean = mean.plus(delta / count);
        aux = aux.plus(delta * (v - mean.total()));
    }
    aux.total() / count
}

/// mad_over_time: the median distance from the median.
pub(crate) fn mad(values: &[f64], scratch: &mut Vec<f64>) -> f64 {
    if values.iter().any(|v| v.is_nan()) {
        return f64::NAN;
    }
    scratch.clear();
    scratch.extend_from_slice(values);
    let median = quantile::of_values(0.5, scratch);
    scratch.iter_mut().for_each(|v| *v = (*v - median).abs());
    quantile::of_values(0.5, scratch)
}

/// quantile_over_time
pub(crate) fn quantile(q: f64, values: &[f64], scratch: &mut Vec<f64>) -> f64 {
    scratch.clear();
    scratch.extend_from_slice(values);
    quantile::of_values(q, scratch)
}

/// Index of the value the comparing functions end up with: `better(new, best)` decides, NaN loses
/// to anything.
pub(crate) fn pick(values: &[f64], better: impl Fn(f64, f64) -> bool) -> usize {
    let mut best = 0;
    for (i, v) in values.iter().enumerate() {
        if better(*v, values[best]) || values[best].is_nan() {
            best = i;
        }
    }
    best
}

/// changes; NaN after NaN is none.
pub(crate) fn changed(prev: f64, curr: f64) -> bool {
    curr != prev && !(curr.is_nan() && prev.is_nan())
}

/// Slope and value at `at` of the least-squares line, in units per second.
pub(crate) fn linear_regression(ts: &[i64], values: &[f64], at: i64) -> (f64, f64) {
    let first = values[0];
    let mut constant = true;
    let mut n = 0.0;
    let (mut x, mut y, mut xy, mut x2) =
        (Sum::default(), Sum::default(), Sum::default(), Sum::default());
    for (i, (t, v)) in ts.iter().zip(values).enumerate() {
        if constant && i > 0 && *v != first {
            constant = false;
        }
        n += 1.0;
        let dx = (t - at) as f64 / 1e3;
        x = x.plus(dx);
        y = y.plus(*v);
        xy = xy.plus(dx * v);
        x2 = x2.plus(dx * dx);
    }
    if constant {
        return if first.is_infinite() { (f64::NAN, f64::NAN) } else { (0.0, first) };
    }
    let (x, y, xy, x2) = (x.total(), y.total(), xy.total(), x2.total());
    let cov = xy - x * y / n;
    let var = x2 - x * x / n;
    let slope = cov / var;
    (slope, y / n - slope * x / n)
}

/// double_exponential_smoothing of at least two values.
pub(crate) fn smooth(values: &[f64], smoothing: f64, trend: f64) -> f64 {
    let (mut s0, mut s1) = (0.0, values[0]);
    let mut b = values[1] - values[0];
    for (i, v) in values.iter().enumerate().skip(1) {
        let x = smoothing * v;
        if i > 1 {
            b = trend * (s1 - s0) + (1.0 - trend) * b;
        }
        let y = (1.0 - smoothing) * (s1 + b);
        (s0, s1) = (s1, x + y);
    }
    s1
}

/// The error of a factor outside of 0..1.
pub(crate) fn bad_factor(what: &str, v: f64) -> String {
    let letters = if what == "smoothing" { "sf" } else { "tf" };
    let v = if v.is_finite() { format!("{v:.6}") } else { model::number::format_g(v) };
    format!("invalid {what} factor. Expected: 0 < {letters} < 1, got: {v}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folds() {
        assert_eq!(avg(&[1.0, 2.0, 4.0]), 7.0 / 3.0);
        assert_eq!(sum(&[1e100, 1.0, -1e100]), 1.0);
        assert_eq!(stdvar(&[1.0, 3.0]), 1.0);
        assert_eq!(mad(&[4.0, 6.0, 2.0, 1.0, 999.0, 1.0, 2.0], &mut Vec::new()), 1.0);
        assert_eq!(pick(&[f64::NAN, 2.0, 3.0, 3.0], |v, best| v > best), 2);
        assert!(!changed(f64::NAN, f64::NAN) && changed(1.0, f64::NAN));
    }

    #[test]
    fn lines() {
        assert_eq!(linear_regression(&[0, 1000, 2000], &[1.0, 3.0, 5.0], 0), (2.0, 1.0));
        assert_eq!(linear_regression(&[0, 1000], &[4.0, 4.0], 0), (0.0, 4.0));
        assert_eq!(smooth(&[1.0, 2.0, 3.0], 0.5, 0.5), 3.0);
    }
}
