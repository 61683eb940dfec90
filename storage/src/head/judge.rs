//! Judge: whether a sample may be added, by Prometheus's rules.
//!
//! A sample is judged twice: when it is staged, against what the series holds then, so that the
//! sender hears of it; and when it is applied, under the page's lock, when nobody hears any more.

use model::AppendError;

/// The bounds a sample is held against.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// In-order samples before this time are refused.
    pub min_valid: i64,
    /// Newest time of the head when the batch began.
    pub head_max: i64,
    /// Width of the out-of-order window in milliseconds; 0 = none.
    pub window: i64,
}

/// Where a sample goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Behind the last sample.
    InOrder,
    /// It is the last sample, bit for bit: nothing to do.
    Identical,
    /// Among the out-of-order samples.
    OutOfOrder,
}

impl Bounds {
    /// Judges time `t` of a series whose last in-order sample is at `last_t` (`None` = it has
    /// none). `identical` tells whether the value equals the last one's, and is asked only when the
    /// times are equal.
    #[inline]
    pub fn judge(
        self,
        t: i64,
        last_t: Option<i64>,
        identical: impl FnOnce() -> bool,
    ) -> Result<Verdict, AppendError> {
        if t >= self.min_valid {
            match last_t {
                None => return Ok(Verdict::InOrder),
                Some(last) if t > last => return Ok(Verdict::InOrder),
                Some(last) if t == last => {
                    return if identical() {
                        Ok(Verdict::Identical)
                    } else {
                        Err(AppendError::Duplicate)
                    };
                }
                Some(_) => {}
            }
        }
        if self.window > 0 {
            return if t >= self.head_max.saturating_sub(self.window) {
                Ok(Verdict::OutOfOrder)
            } else {
                Err(AppendError::TooOld)
            };
        }
        Err(if t < self.min_valid { AppendError::OutOfBounds } else { AppendError::OutOfOrder })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prometheus_rules() {
        use AppendError::*;
        let closed = Bounds { min_valid: 100, head_max: 200, window: 0 };
        let open = Bounds { window: 50, ..closed };
        for (bounds, t, last, same, want) in [
            (closed, 150, None, false, Ok(Verdict::InOrder)),
            (closed, 99, None, false, Err(OutOfBounds)),
            (closed, 151, Some(150), false, Ok(Verdict::InOrder)),
            (closed, 150, Some(150), true, Ok(Verdict::Identical)),
            (closed, 150, Some(150), false, Err(Duplicate)),
            (closed, 149, Some(150), false, Err(OutOfOrder)),
            (closed, 99, Some(150), false, Err(OutOfBounds)),
            (open, 150, Some(180), false, Ok(Verdict::OutOfOrder)),
            (open, 149, Some(180), false, Err(TooOld)),
            (open, 180, Some(180), false, Err(Duplicate)),
            (open, 90, None, false, Err(TooOld)),
        ] {
            assert_eq!(bounds.judge(t, last, || same), want, "{t} after {last:?}");
        }
    }
}
