//! The text of a histogram: `{count:2, sum:3, (1,2]:2}`.

use std::fmt;

use super::{FloatHistogram, Histogram};
use crate::number::format_g;

impl fmt::Display for FloatHistogram {
    /// As Go's `FloatHistogram.String()`: populated buckets from the lowest to the highest.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{count:{}, sum:{}", format_g(self.count), format_g(self.sum))?;
        write_buckets(self, f, &format_g)
    }
}

impl fmt::Display for Histogram {
    /// As Go's `Histogram.String()`: the same with whole counts.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{count:{}, sum:{}", self.count, format_g(self.sum))?;
        // Counts of buckets stay whole up to 2^53.
        write_buckets(&self.to_float(), f, &|count| (count as u64).to_string())
    }
}

fn write_buckets(
    h: &FloatHistogram,
    f: &mut fmt::Formatter<'_>,
    count: &dyn Fn(f64) -> String,
) -> fmt::Result {
    for b in h.nominal_buckets().iter().filter(|b| b.count != 0.0) {
        let open = if b.lower_inclusive { '[' } else { '(' };
        let close = if b.upper_inclusive { ']' } else { ')' };
        let (lower, upper) = (format_g(b.lower), format_g(b.upper));
        write!(f, ", {open}{lower},{upper}{close}:{}", count(b.count))?;
    }
    f.write_str("}")
}
