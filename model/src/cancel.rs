//! Cancellation: why running work should stop, asked about every millisecond or so of work.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

/// Why work was told to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CancelReason {
    /// The client went away, or the server is stopping.
    Canceled,
    /// The deadline passed.
    TimedOut,
}

/// A flag shared by one piece of work and whoever may stop it. Whoever starts the work owns the
/// timer that trips it, so nothing below needs a clock.
#[derive(Clone, Debug, Default)]
pub struct CancelToken {
    state: Arc<AtomicU8>,
}

impl CancelToken {
    /// Tells the work to stop; the first reason stays.
    pub fn cancel(&self, reason: CancelReason) {
        let code = match reason {
            CancelReason::Canceled => 1,
            CancelReason::TimedOut => 2,
        };
        let _ = self.state.compare_exchange(0, code, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// The reason to stop, or `None` while work may go on.
    pub fn reason(&self) -> Option<CancelReason> {
        match self.state.load(Ordering::Relaxed) {
            0 => None,
            1 => Some(CancelReason::Canceled),
            _ => Some(CancelReason::TimedOut),
        }
    }
}
