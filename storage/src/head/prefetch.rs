//! Prefetch: has a series' record brought near before a commit comes to it. Records of a large head
//! are in no cache; loading them ahead of time without waiting takes a tenth off an append's time,
//! which ordinary loads do not, as they hold up what comes behind them.
#![allow(unsafe_code, reason = "there is no safe way to say it, and it was measured")]

use super::series::Hot;

/// Asks for both cache lines of a record.
#[inline]
pub(crate) fn record(hot: &Hot) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        let at = std::ptr::from_ref(hot).cast::<i8>();
        // SAFETY: a record is 128 bytes, so both places are inside of it; and a prefetch neither
        // faults nor changes anything that the program can see.
        unsafe {
            _mm_prefetch::<_MM_HINT_T0>(at);
            _mm_prefetch::<_MM_HINT_T0>(at.add(64));
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = hot;
}
