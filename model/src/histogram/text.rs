//! The text of a float histogram: `{count:2, sum:3, (1,2]:2}`.

use std::fmt;

use super::FloatHistogram;
use crate::number::format_g;

impl fmt::Display for FloatHistogram {
    /// As Go's `FloatHistogram.String()`: populated buckets from the lowest to the highest.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{count:{}, sum:{}", format_g(self.count), format_g(self.sum))?;
        for b in self.all_buckets().iter().filter(|b| b.count != 0.0) {
            let open = if b.lower_inclusive { '[' } else { '(' };
            let close = if b.upper_inclusive { ']' } else { ')' };
            let (lower, upper) = (format_g(b.lower), format_g(b.upper));
            write!(f, ", {open}{lower},{upper}{close}:{}", format_g(b.count))?;
        }
        f.write_str("}")
    }
}
