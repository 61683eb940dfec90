//! Kahan summation in Neumaier's form, step for step as Prometheus's `kahansum`.

/// A running sum and what rounding has lost of it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sum {
    pub sum: f64,
    pub lost: f64,
}

impl Sum {
    /// A sum of one value.
    pub fn of(v: f64) -> Sum {
        Sum { sum: v, lost: 0.0 }
    }

    /// The result of a plain addition: nothing is known to be lost, and minus zero stays that.
    pub fn plain(v: f64) -> Sum {
        Sum { sum: v, lost: -0.0 }
    }

    /// The sum with `v` added.
    #[inline(always)]
    pub fn plus(self, v: f64) -> Sum {
        let t = self.sum + v;
        let lost = if t.is_infinite() {
            0.0
        } else if self.sum.abs() >= v.abs() {
            self.lost + ((self.sum - t) + v)
        } else {
            self.lost + ((v - t) + self.sum)
        };
        Sum { sum: t, lost }
    }

    /// The sum with what was lost.
    pub fn total(self) -> f64 {
        self.sum + self.lost
    }
}

/// A running mean: plain division of the sum, until that would overflow.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mean {
    pub sum: Sum,
    pub count: f64,
    /// Set once the sum would have overflowed; `sum` holds the mean itself from then on.
    pub incremental: bool,
}

impl Mean {
    /// The mean of one value.
    pub fn of(v: f64) -> Mean {
        Mean { sum: Sum::of(v), count: 1.0, incremental: false }
    }

    /// The mean with `v` taken in.
    #[inline(always)]
    pub fn plus(self, v: f64) -> Mean {
        let count = self.count + 1.0;
        if !self.incremental {
            let sum = self.sum.plus(v);
            if !sum.sum.is_infinite() {
                return Mean { sum, count, incremental: false };
            }
        }
        self.plus_incremental(v, count)
    }

    #[cold]
    fn plus_incremental(self, v: f64, count: f64) -> Mean {
        let mut mean = self.sum;
        if !self.incremental {
            mean.sum /= count - 1.0;
            mean.lost /= count - 1.0;
        }
        let q = (count - 1.0) / count;
        let sum = Sum { sum: q * mean.sum, lost: q * mean.lost }.plus(v / count);
        Mean { sum, count, incremental: true }
    }

    /// The mean.
    pub fn value(self) -> f64 {
        if self.incremental {
            self.sum.total()
        } else {
            self.sum.sum / self.count + self.sum.lost / self.count
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_what_plain_addition_loses() {
        let mut s = Sum::default();
        for v in [1.0, 1e100, 1.0, -1e100] {
            s = s.plus(v);
        }
        assert_eq!(s.total(), 2.0);
        assert_eq!(Sum::of(f64::INFINITY).plus(1.0).total(), f64::INFINITY);
        assert!(Sum::of(f64::INFINITY).plus(f64::NEG_INFINITY).total().is_nan());
    }

    #[test]
    fn mean_survives_overflow() {
        let mut m = Mean::of(f64::MAX);
        m = m.plus(f64::MAX).plus(f64::MAX);
        assert!(m.value().is_finite() && m.value() > f64::MAX * 0.999);
    }
}
