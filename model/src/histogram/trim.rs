//! Trimming: a histogram cut off above or below a value, its count and sum estimated anew.

use super::FloatHistogram;
use crate::buckets::Bucket;
use crate::elementary::log2;

/// Which observations stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Keep {
    Below,
    Above,
}

impl Bucket {
    /// The share of the bucket's width below `v`, which lies inside: linear, or on the logarithmic
    /// scale of exponential buckets.
    pub fn fraction_below(&self, v: f64, linear: bool) -> f64 {
        if linear {
            return (v - self.lower) / (self.upper - self.lower);
        }
        let (lower, upper, at) = (log2(self.lower.abs()), log2(self.upper.abs()), log2(v.abs()));
        if v > 0.0 { (at - lower) / (upper - lower) } else { 1.0 - (at - upper) / (lower - upper) }
    }
}

/// What trimming leaves of one bucket: its population, and where its observations are taken to be.
type Left = (f64, f64);

/// What the trimming of a whole histogram adds up.
#[derive(Default)]
struct Totals {
    count: f64,
    sum: f64,
    trimmed: bool,
    populated: [bool; 2],
}

impl FloatHistogram {
    /// Keeps the observations below `at`.
    pub fn keep_below(&mut self, at: f64) {
        self.trim(at, Keep::Below);
    }

    /// Keeps the observations above `at`.
    pub fn keep_above(&mut self, at: f64) {
        self.trim(at, Keep::Above);
    }

    fn trim(&mut self, at: f64, keep: Keep) {
        let custom = self.uses_custom_buckets();
        let mut totals = Totals::default();
        let mut positive = self.side(true);
        let mut negative = self.side(false);
        for (side, buckets) in [(0, &mut positive), (1, &mut negative)] {
            for b in buckets.iter_mut().filter(|b| b.count != 0.0) {
                totals.populated[side] = true;
                let (count, middle) = trim_bucket(b, at, keep, side == 0, custom);
                totals.count += count;
                totals.sum += middle * count;
                totals.trimmed |= count != b.count;
                b.count = count;
            }
        }
        if self.zero_count > 0.0 {
            let (count, middle) = self.trim_zero(at, keep, totals.populated);
            totals.trimmed |= self.zero_count != count;
            self.zero_count = count;
            totals.sum += middle * count;
            totals.count += count;
        }
        if totals.trimmed {
            self.count = totals.count;
            self.sum = totals.sum;
            self.positive_buckets = positive.iter().map(|b| b.count).collect();
            self.negative_buckets = negative.iter().map(|b| b.count).collect();
            self.compact();
        }
    }

    /// The buckets of one side, in order of index.
    fn side(&self, positive: bool) -> Vec<Bucket> {
        let mut only = FloatHistogram { zero_count: 0.0, ..self.clone() };
        if positive {
            only.negative_spans.clear();
            only.negative_buckets.clear();
            return only.nominal_buckets();
        }
        only.positive_spans.clear();
        only.positive_buckets.clear();
        let mut buckets = only.nominal_buckets();
        buckets.reverse();
        buckets
    }

    fn trim_zero(&self, at: f64, keep: Keep, populated: [bool; 2]) -> Left {
        let (mut lower, mut upper) = (-self.zero_threshold, self.zero_threshold);
        match populated {
            [false, true] => upper = 0.0,
            [true, false] => lower = 0.0,
            _ => {}
        }
        let all = (self.zero_count, (lower + upper) / 2.0);
        match keep {
            Keep::Below if at <= lower => (0.0, 0.0),
            Keep::Below if at >= upper => all,
            Keep::Below => (self.zero_count * ((at - lower) / (upper - lower)), (lower + at) / 2.0),
            Keep::Above if at <= lower => all,
            Keep::Above if at >= upper => (0.0, 0.0),
            Keep::Above => (self.zero_count * ((upper - at) / (upper - lower)), (at + upper) / 2.0),
        }
    }
}

fn trim_bucket(b: &Bucket, at: f64, keep: Keep, positive: bool, custom: bool) -> Left {
    let whole = || (b.count, middle(b.lower, b.upper, positive, custom));
    match keep {
        Keep::Below if b.upper <= at => whole(),
        Keep::Above if b.lower >= at => whole(),
        Keep::Below if b.lower < at => cut(b, at, keep, positive, custom),
        Keep::Above if b.upper > at => cut(b, at, keep, positive, custom),
        _ => (0.0, 0.0),
    }
}

fn cut(b: &Bucket, at: f64, keep: Keep, positive: bool, custom: bool) -> Left {
    if b.lower == f64::NEG_INFINITY {
        return cut_open_below(b, at, keep);
    }
    if b.upper == f64::INFINITY {
        // Where observations lie in a bucket without end is not known.
        return match keep {
            Keep::Above if at >= b.lower => (b.count, at),
            _ => (0.0, finite_or_zero(b.lower)),
        };
    }
    let below = b.count * b.fraction_below(at, custom);
    match keep {
        Keep::Below => (below, middle(b.lower, at, positive, custom)),
        Keep::Above => (b.count - below, middle(at, b.upper, positive, custom)),
    }
}

fn cut_open_below(b: &Bucket, at: f64, keep: Keep) -> Left {
    let bounded = b.upper.is_finite();
    match keep {
        Keep::Below if at >= b.upper => (b.count, 0.0),
        // A positive upper end: observations are taken to start at zero.
        Keep::Below if at > 0.0 && b.upper > 0.0 && bounded => (b.count * at / b.upper, at / 2.0),
        Keep::Below if b.upper <= 0.0 => (b.count, at),
        Keep::Above if at <= b.lower => (b.count, 0.0),
        Keep::Above if at >= 0.0 && b.upper > at && bounded => {
            (b.count * (1.0 - at / b.upper), (at + b.upper) / 2.0)
        }
        _ => (0.0, finite_or_zero(b.upper)),
    }
}

fn finite_or_zero(v: f64) -> f64 {
    if v.is_infinite() { 0.0 } else { v }
}

/// Where observations between two bounds are taken to lie.
fn middle(lower: f64, upper: f64, positive: bool, linear: bool) -> f64 {
    match (lower.is_infinite(), upper.is_infinite()) {
        (true, true) => 0.0,
        (true, false) if upper > 0.0 => upper / 2.0,
        (true, false) => upper,
        (false, true) => lower,
        (false, false) if linear => (lower + upper) / 2.0,
        (false, false) => {
            let mean = (lower * upper).abs().sqrt();
            if positive { mean } else { -mean }
        }
    }
}
