//! Schedule: when a target is scraped, and which timestamp its samples get.

use std::time::Duration;

/// Scrapes at most this late get the time they were due, so that timestamps compress well.
const TOLERANCE: Duration = Duration::from_millis(2);

/// Time until a target's next turn. All durations in nanoseconds since the epoch or as said.
///
/// Every target has its fixed place in the interval, `hash ^ seed mod interval`; the seed differs
/// from server to server so that a pair of them does not scrape at the same moment.
pub fn offset(now_ns: u64, interval: Duration, hash: u64, seed: u64) -> Duration {
    let interval_ns = (interval.as_nanos() as u64).max(1);
    let until_next = interval_ns - now_ns % interval_ns;
    let place = (hash ^ seed) % interval_ns;
    let next = until_next + place;
    Duration::from_nanos(if next > interval_ns { next - interval_ns } else { next })
}

/// Keeps scrape times on the grid they started on.
#[derive(Clone, Copy, Debug)]
pub struct Grid {
    due_ns: u64,
    interval_ns: u64,
    tolerance_ns: u64,
}

impl Grid {
    /// A grid whose first scrape is due now.
    pub fn new(now_ns: u64, interval: Duration) -> Grid {
        Grid {
            due_ns: now_ns,
            interval_ns: (interval.as_nanos() as u64).max(1),
            tolerance_ns: (interval / 100).min(TOLERANCE).as_nanos() as u64,
        }
    }

    /// The timestamp, in milliseconds, of a scrape that starts now: when it was due if that is
    /// within the tolerance, else now.
    pub fn timestamp_ms(&mut self, now_ns: u64) -> i64 {
        if now_ns >= self.due_ns {
            self.due_ns += (now_ns - self.due_ns) / self.interval_ns * self.interval_ns;
        }
        let on_time = now_ns.saturating_sub(self.due_ns) <= self.tolerance_ns;
        (if on_time { self.due_ns } else { now_ns } / 1_000_000) as i64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_keeps_its_place() {
        let interval = Duration::from_secs(15);
        for now in [0u64, 1, 7_000_000_000, 14_999_999_999, 1_700_000_000_123_456_789] {
            let wait = offset(now, interval, 12_345_678_901, 42);
            assert!(wait <= interval);
            assert_eq!((now + wait.as_nanos() as u64) % 15_000_000_000, 12_345_678_901u64 ^ 42);
        }
    }

    #[test]
    fn timestamps_snap_to_the_grid() {
        let ms = 1_000_000u64;
        let mut grid = Grid::new(1_000 * ms, Duration::from_secs(1));
        for (now_ms, stamp) in
            [(1_000, 1_000), (2_001, 2_000), (3_002, 3_000), (4_003, 4_003), (7_000, 7_000)]
        {
            assert_eq!(grid.timestamp_ms(now_ms * ms), stamp);
        }
    }
}
