//! Lanes: the loops that go through every value of every series, compiled a second time for
//! processors with wider registers. What they compute is the same to the bit: no operation is fused
//! or done in another order. Whether all values are of a kind is found by counting those that are: a
//! count is as wide as a value, a truth is not and would have to be packed.
#![allow(
    unsafe_code,
    reason = "twice the values a register where all values pass: with the threads of selections \
              measured at 3 % of sums of rates of 7,120 series"
)]

/// Values between two looks whether all rose so far.
const RISING_BLOCK: usize = 512;

/// Compiles a function once more, and takes the copy where the processor has what it needs.
macro_rules! wide {
    ($(#[$doc:meta])* $name:ident($($arg:ident: $type:ty),*) $(-> $out:ty)?, $plain:ident) => {
        $(#[$doc])*
        pub(crate) fn $name($($arg: $type),*) $(-> $out)? {
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx2")]
                fn wide($($arg: $type),*) $(-> $out)? {
                    $plain($($arg),*)
                }
                if std::is_x86_feature_detected!("avx2") {
                    // SAFETY: this processor has what the function was compiled for.
                    return unsafe { wide($($arg),*) };
                }
            }
            $plain($($arg),*)
        }
    };
}

wide!(
    /// Whether all are numbers, and none is below the one before it: what counters mostly are, and
    /// what gauges show in their first few values not to be.
    rises(values: &[f64]) -> bool,
    rises_plain
);

#[inline(always)]
fn rises_plain(values: &[f64]) -> bool {
    let rises = |block: &[f64]| {
        let pairs = block.iter().zip(&block[1..]);
        pairs.filter(|(a, b)| a <= b).count() == block.len() - 1
    };
    let starts = (0..values.len()).step_by(RISING_BLOCK);
    let mut blocks = starts.map(|at| &values[at..values.len().min(at + RISING_BLOCK + 1)]);
    values.first().is_none_or(|first| !first.is_nan()) && blocks.all(rises)
}

wide!(
    /// Adds `values` to `sums` and what rounding loses to `lost`, where every value and every sum is
    /// there and none is so large that sums and differences of two overflow; else does nothing and
    /// says so. What rounding loses is exact whichever way it is found; this one needs no comparison.
    add_moderate(sums: &mut [f64], lost: &mut [f64], values: &[f64]) -> bool,
    add_moderate_plain
);

#[inline(always)]
fn add_moderate_plain(sums: &mut [f64], lost: &mut [f64], values: &[f64]) -> bool {
    let moderate =
        |all: &[f64]| all.iter().filter(|v| v.abs() <= f64::MAX / 4.0).count() == all.len();
    if !moderate(values) || !moderate(sums) {
        return false;
    }
    for ((sum, lost), v) in sums.iter_mut().zip(lost).zip(values) {
        let (s, v) = (*sum, *v);
        let t = s + v;
        let part = t - s;
        let more = *lost + ((s - (t - part)) + (v - part));
        *sum = t;
        *lost = more;
    }
    true
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// One value that is below the one before it, or no number, is found wherever it is.
        #[test]
        fn what_does_not_rise_is_found(
            len in 1..2 * RISING_BLOCK + 20,
            at in any::<prop::sample::Index>(),
            other in prop_oneof![Just(f64::NAN), Just(-1.0), Just(-0.0), Just(1e9)],
        ) {
            let mut values: Vec<f64> = (0..len).map(|i| (i / 2) as f64).collect();
            prop_assert!(rises(&values));
            values[at.index(len)] = other;
            let want = !values[0].is_nan() && values.is_sorted();
            prop_assert_eq!(rises(&values), want);
        }
    }

    #[test]
    fn nothing_rises() {
        assert!(rises(&[]));
    }
}
