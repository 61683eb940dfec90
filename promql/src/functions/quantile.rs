//! Quantiles: of plain values, and of classic histogram buckets.

/// A classic histogram bucket: observations at or below a bound.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Bucket {
    pub upper: f64,
    pub count: f64,
}

/// Relative differences between neighbouring buckets below this are taken for rounding.
const SMALL_DELTA: f64 = 1e-12;

/// The order quantiles count in: NaN first.
fn order(a: &f64, b: &f64) -> std::cmp::Ordering {
    match (a.is_nan(), b.is_nan()) {
        (false, false) => a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal),
        (a, b) => b.cmp(&a),
    }
}

/// Where a quantile lies among values in order.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Position {
    /// The value below.
    pub lower: usize,
    /// How far it is from there to the next.
    weight: f64,
}

impl Position {
    /// The place of the φ-quantile among `n` values; else the quantile itself, which does not
    /// depend on them.
    pub(crate) fn of(q: f64, n: usize) -> Result<Position, f64> {
        if n == 0 || q.is_nan() {
            return Err(f64::NAN);
        }
        if q < 0.0 {
            return Err(f64::NEG_INFINITY);
        }
        if q > 1.0 {
            return Err(f64::INFINITY);
        }
        let rank = q * (n as f64 - 1.0);
        Ok(Position { lower: rank.floor().max(0.0) as usize, weight: rank - rank.floor() })
    }

    /// The quantile, given the value below and the next.
    pub(crate) fn between(self, low: f64, high: f64) -> f64 {
        low * (1.0 - self.weight) + high * self.weight
    }
}

/// The φ-quantile of `values`, which change places.
pub(crate) fn of_values(q: f64, values: &mut [f64]) -> f64 {
    let position = match Position::of(q, values.len()) {
        Ok(position) => position,
        Err(value) => return value,
    };
    // Two neighbours in order are all that is needed: several times as fast as sorting.
    let (_, low, above) = values.select_nth_unstable_by(position.lower, order);
    let low = *low;
    let high = above.iter().copied().min_by(order).unwrap_or(low);
    position.between(low, high)
}

/// How buckets had to be changed to grow monotonically.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Forced {
    pub min_bucket: f64,
    pub max_bucket: f64,
    pub max_diff: f64,
}

/// The φ-quantile of the distribution in `buckets` (in any order, changed on the way), and whether
/// their counts had to be forced to grow.
pub(crate) fn of_buckets(q: f64, buckets: &mut Vec<Bucket>) -> (f64, Option<Forced>) {
    if q.is_nan() {
        return (f64::NAN, None);
    }
    if q < 0.0 {
        return (f64::NEG_INFINITY, None);
    }
    if q > 1.0 {
        return (f64::INFINITY, None);
    }
    if !sort_and_coalesce(buckets) {
        return (f64::NAN, None);
    }
    let forced = force_monotonic(buckets);
    (quantile_of_sorted(q, buckets), forced)
}

fn quantile_of_sorted(q: f64, buckets: &[Bucket]) -> f64 {
    let [.., before_last, last] = buckets else { return f64::NAN };
    if last.count == 0.0 {
        return f64::NAN;
    }
    let mut rank = q * last.count;
    let finite = &buckets[..buckets.len() - 1];
    // `partition_point` would need counts without NaN; Go's search walks the same way by halves.
    let b = search(finite.len(), |i| finite[i].count >= rank);
    if b == finite.len() {
        return before_last.upper;
    }
    if b == 0 && buckets[0].upper <= 0.0 {
        return buckets[0].upper;
    }
    let (mut start, mut count) = (0.0, buckets[b].count);
    if b > 0 {
        start = buckets[b - 1].upper;
        count -= buckets[b - 1].count;
        rank -= buckets[b - 1].count;
    }
    start + (buckets[b].upper - start) * (rank / count)
}

/// `sort.Search`: the first of `n` for which `f` holds, found by halving.
pub(crate) fn search(n: usize, f: impl Fn(usize) -> bool) -> usize {
    let (mut lo, mut hi) = (0, n);
    while lo < hi {
        let mid = (lo + hi) / 2;
        if f(mid) {
            hi = mid;
        } else {
            lo = mid + 1;
        }
    }
    lo
}

/// Sorts by bound and adds up equal bounds; `false` when there is no +Inf bucket.
fn sort_and_coalesce(buckets: &mut Vec<Bucket>) -> bool {
    buckets.sort_by(|a, b| a.upper.partial_cmp(&b.upper).unwrap_or(std::cmp::Ordering::Equal));
    if buckets.last().is_none_or(|b| b.upper != f64::INFINITY) {
        return false;
    }
    buckets.dedup_by(|next, kept| {
        let same = next.upper == kept.upper;
        if same {
            kept.count += next.count;
        }
        same
    });
    true
}

fn force_monotonic(buckets: &mut [Bucket]) -> Option<Forced> {
    let mut forced: Option<Forced> = None;
    let mut prev = buckets[0].count;
    for bucket in &mut buckets[1..] {
        let curr = bucket.count;
        if curr == prev {
            continue;
        }
        if almost_equal(prev, curr, SMALL_DELTA) {
            bucket.count = prev;
        } else if curr < prev {
            bucket.count = prev;
            let f = forced.get_or_insert(Forced {
                min_bucket: f64::INFINITY,
                max_bucket: f64::NEG_INFINITY,
                max_diff: 0.0,
            });
            f.min_bucket = f.min_bucket.min(bucket.upper);
            f.max_bucket = f.max_bucket.max(bucket.upper);
            f.max_diff = f.max_diff.max(prev - curr);
        } else {
            prev = curr;
        }
    }
    forced
}

/// Whether two floats differ by less than `epsilon` of their sum; NaN equals NaN.
pub(crate) fn almost_equal(a: f64, b: f64, epsilon: f64) -> bool {
    use model::value::is_stale_nan;
    if is_stale_nan(a) || is_stale_nan(b) {
        return is_stale_nan(a) && is_stale_nan(b);
    }
    if a == b || a.is_nan() && b.is_nan() {
        return true;
    }
    let sum = a.abs() + b.abs();
    let diff = (a - b).abs();
    if a == 0.0 || b == 0.0 || sum < f64::MIN_POSITIVE {
        return diff < epsilon * f64::MIN_POSITIVE;
    }
    diff / sum.min(f64::MAX) < epsilon
}

/// The share of observations between `lower` and `upper`.
pub(crate) fn fraction_of_buckets(lower: f64, upper: f64, buckets: &mut Vec<Bucket>) -> f64 {
    if !sort_and_coalesce(buckets) {
        return f64::NAN;
    }
    let count = buckets[buckets.len() - 1].count;
    if count == 0.0 || lower.is_nan() || upper.is_nan() {
        return f64::NAN;
    }
    if lower >= upper {
        return 0.0;
    }
    // Without a bound at or below zero, observations are taken to be positive.
    let mut bound = if buckets[0].upper <= 0.0 { f64::NEG_INFINITY } else { 0.0 };
    let (mut rank, mut lower_rank, mut upper_rank) = (0.0, None, None);
    for b in buckets.iter() {
        let inside = |v: f64| {
            // An infinitely wide bucket cannot be divided.
            if bound == f64::NEG_INFINITY {
                return b.count;
            }
            rank + (b.count - rank) * (v - bound) / (b.upper - bound)
        };
        for (value, found) in [(lower, &mut lower_rank), (upper, &mut upper_rank)] {
            if found.is_none() && bound >= value {
                *found = Some(rank);
            }
        }
        if lower_rank.is_some() && upper_rank.is_some() {
            break;
        }
        for (value, found) in [(lower, &mut lower_rank), (upper, &mut upper_rank)] {
            if found.is_none() && bound < value && b.upper > value {
                *found = Some(inside(value));
            }
        }
        if lower_rank.is_some() && upper_rank.is_some() {
            break;
        }
        rank = b.count;
        bound = b.upper;
    }
    let capped = |r: Option<f64>| match r {
        Some(r) if r > count => count,
        Some(r) => r,
        None => count,
    };
    (capped(upper_rank) - capped(lower_rank)) / count
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buckets(pairs: &[(f64, f64)]) -> Vec<Bucket> {
        pairs.iter().map(|(upper, count)| Bucket { upper: *upper, count: *count }).collect()
    }

    #[test]
    fn known_distribution() {
        let inf = f64::INFINITY;
        let known = [(0.1, 1500.0), (0.5, 1860.0), (1.0, 1872.0), (inf, 1873.0)];
        let q = |q| of_buckets(q, &mut buckets(&known)).0;
        assert_eq!(q(0.99), 0.49363333333333337);
        assert_eq!(q(0.5), 0.062433333333333334);
        assert_eq!(q(1.0), 1.0);
        assert!(q(f64::NAN).is_nan());
        assert_eq!(fraction_of_buckets(0.0, 0.1, &mut buckets(&known)), 1500.0 / 1873.0);
    }

    #[test]
    fn buckets_without_infinity_have_no_quantile() {
        assert!(of_buckets(0.5, &mut buckets(&[(1.0, 1.0)])).0.is_nan());
    }

    #[test]
    fn falling_counts_are_forced_up() {
        let b = [(1.0, 10.0), (2.0, 5.0), (f64::INFINITY, 12.0)];
        let (_, forced) = of_buckets(0.5, &mut buckets(&b));
        let want = Forced { min_bucket: 2.0, max_bucket: 2.0, max_diff: 5.0 };
        assert_eq!(forced, Some(want));
    }

    #[test]
    fn values() {
        assert_eq!(of_values(0.5, &mut [3.0, 1.0, 2.0]), 2.0);
        assert_eq!(of_values(0.25, &mut [1.0, 2.0]), 1.25);
        assert!(of_values(0.0, &mut [f64::NAN, 2.0]).is_nan());
        assert_eq!(of_values(-1.0, &mut [1.0]), f64::NEG_INFINITY);
    }
}
