//! Limits: how many series the head may hold and how many bytes it may take, and who is refused
//! when it comes to that.
//!
//! Series that exist go on; only new ones are refused. Below nine tenths of a limit everybody is
//! admitted. The last tenth is shared out: each job may add an equal part of what was left when the
//! mark was crossed, so the job that grows is the first to be refused, and the others still start a
//! new target meanwhile. At the limit nobody adds anything. Garbage collection shares out anew.
//!
//! What must hold: a series is counted from its admission, while its batch is still open, until
//! its batch is given up or it leaves the head; so batches that are open at once do not overshoot.
//! Replay and appenders that are exempt count but are never refused.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use model::{AppendError, Labels};

use super::Head;
use super::series::{MAX_SLOTS, PAGE_SLOTS};

/// Slots kept free so that all appenders open at once can still commit below [`MAX_SLOTS`].
const SLOT_RESERVE: usize = 1 << 20;
/// The label that says whose a series is.
const JOB: &str = "job";
/// One part in so many of a limit is shared out by jobs.
const RESERVE: u64 = 10;
/// Bytes of a series beside its label values, before any have been measured.
const SERIES_BYTES: u64 = 320;
/// So many new series are estimated before the head is measured again.
const MEASURE_EVERY: u64 = 16 << 10;
/// Most pairs of metric and job that refusals are counted for; the rest is one pair of empty names.
const MAX_COUNTED: usize = 1000;

/// How often series of a metric and job were refused.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refusals {
    /// Both empty: all that came after the first thousand pairs.
    pub metric: String,
    pub job: String,
    pub count: u64,
}

/// The limits and how far off they are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LimitStats {
    /// 0 = no limit.
    pub max_series: u64,
    /// 0 = no limit.
    pub max_bytes: u64,
    /// Series, those of open batches included.
    pub series: u64,
    /// Bytes of memory as estimated; 0 without a limit.
    pub bytes: u64,
    /// Whether the last new series that asked was refused.
    pub refusing: bool,
    /// Highest counts first.
    pub refused: Vec<Refusals>,
}

/// What an admitted series was counted as; given back with [`Limits::release`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Admitted {
    pub series: u64,
    pub bytes: u64,
}

impl Admitted {
    pub fn add(&mut self, other: Admitted) {
        self.series += other.series;
        self.bytes += other.bytes;
    }
}

/// What is left of a limit, shared out.
#[derive(Debug)]
struct Shares {
    each: u64,
    taken: HashMap<Box<str>, u64>,
}

/// One limit.
#[derive(Debug, Default)]
struct Limit {
    max: u64,
    shares: Option<Shares>,
}

/// Why a series is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Full {
    /// Nothing is left.
    Reached,
    /// The job has had its share.
    Share,
}

impl Limit {
    /// Whether `amount` more fits behind `used`, for a job among `jobs`.
    fn check(
        &mut self,
        used: u64,
        amount: u64,
        job: &str,
        jobs: &dyn Fn() -> u64,
    ) -> Result<(), Full> {
        if self.max == 0 {
            return Ok(());
        }
        let wanted = used.saturating_add(amount);
        if wanted <= self.max - self.max / RESERVE {
            self.shares = None;
            return Ok(());
        }
        if wanted > self.max {
            return Err(Full::Reached);
        }
        let left = self.max - used;
        let shares = self.shares.get_or_insert_with(|| Shares {
            each: left.div_ceil(jobs().max(1)),
            taken: HashMap::new(),
        });
        let taken = shares.taken.get(job).copied().unwrap_or(0);
        if taken + amount > shares.each { Err(Full::Share) } else { Ok(()) }
    }

    /// Notes what an admitted series took.
    fn take(&mut self, amount: u64, job: &str) {
        if let Some(shares) = &mut self.shares {
            match shares.taken.get_mut(job) {
                Some(taken) => *taken += amount,
                None => drop(shares.taken.insert(job.into(), amount)),
            }
        }
    }
}

#[derive(Debug, Default)]
struct State {
    series: Limit,
    bytes: Limit,
    /// Of batches that are open.
    pending: Admitted,
    /// Series the head had when it was measured, and bytes.
    measured: Admitted,
    /// Committed since.
    since: Admitted,
    refused: HashMap<(Box<str>, Box<str>), u64>,
}

/// The limits of a head.
#[derive(Debug, Default)]
pub(crate) struct Limits {
    state: Mutex<State>,
    refusing: AtomicBool,
    /// Somebody is measuring.
    measuring: AtomicBool,
}

impl Limits {
    pub fn new(max_series: u64, max_bytes: u64) -> Limits {
        let limit = |max| Limit { max, shares: None };
        let state =
            State { series: limit(max_series), bytes: limit(max_bytes), ..State::default() };
        Limits { state: Mutex::new(state), ..Limits::default() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives back what an open batch had; `committed` when it is part of the head now.
    pub fn release(&self, admitted: Admitted, committed: bool) {
        if admitted.series == 0 {
            return;
        }
        let mut state = self.lock();
        state.pending.series = state.pending.series.saturating_sub(admitted.series);
        state.pending.bytes = state.pending.bytes.saturating_sub(admitted.bytes);
        if committed {
            state.since.add(admitted);
        }
    }
}

impl State {
    /// Bytes of one more series.
    fn cost(&self, labels: &Labels) -> u64 {
        let text: usize = labels.iter().map(|(_, value)| value.len()).sum();
        let average = self.measured.bytes / self.measured.series.max(1);
        let average = if self.measured.series < MEASURE_EVERY { 0 } else { average };
        average.max(SERIES_BYTES + text as u64)
    }

    fn bytes_used(&self) -> u64 {
        self.measured.bytes + self.since.bytes + self.pending.bytes
    }

    fn count_refusal(&mut self, metric: &str, job: &str) {
        let full = self.refused.len() >= MAX_COUNTED;
        let key: (Box<str>, Box<str>) = (metric.into(), job.into());
        match self.refused.get_mut(&key) {
            Some(count) => *count += 1,
            None if full => *self.refused.entry(Default::default()).or_default() += 1,
            None => drop(self.refused.insert(key, 1)),
        }
    }
}

impl Head {
    /// Whether a new series fits in, and what it then counts as.
    pub(super) fn admit_series(
        &self,
        labels: &Labels,
        exempt: bool,
    ) -> Result<Admitted, AppendError> {
        if self.wants_measuring() {
            self.measure();
        }
        let mut state = self.limits.lock();
        let series = self.metrics.series.get() + state.pending.series;
        if series as usize >= MAX_SLOTS - SLOT_RESERVE - PAGE_SLOTS {
            return Err(AppendError::LimitExceeded(
                "the head holds as many series as it can".into(),
            ));
        }
        let one = Admitted { series: 1, bytes: state.cost(labels) };
        if !exempt {
            let job = labels.get(JOB).unwrap_or("");
            let used = state.bytes_used();
            let jobs = || self.count_jobs(job);
            let State { series: by_series, bytes: by_bytes, .. } = &mut *state;
            let checked = (by_series.check(series, one.series, job, &jobs))
                .map_err(|full| (full, format!("head series limit {} reached", by_series.max)))
                .and_then(|()| {
                    by_bytes.check(used, one.bytes, job, &jobs).map_err(|full| {
                        (full, format!("head memory limit {} bytes reached", by_bytes.max))
                    })
                });
            if let Err((full, mut text)) = checked {
                if full == Full::Share {
                    text.push_str(&format!(" by job {job:?}, which had its share of the rest"));
                }
                state.count_refusal(labels.metric_name(), job);
                self.limits.refusing.store(true, Ordering::Relaxed);
                return Err(AppendError::LimitExceeded(text));
            }
            by_series.take(one.series, job);
            by_bytes.take(one.bytes, job);
            self.limits.refusing.store(false, Ordering::Relaxed);
        }
        state.pending.add(one);
        Ok(one)
    }

    /// Jobs with series in the head, `job` counted as one of them.
    fn count_jobs(&self, job: &str) -> u64 {
        let index = self.index();
        let Some(name) = index.symbols.name_id(JOB) else { return 1 };
        let pairs = index.symbols.pairs_of(name).iter();
        let live = pairs.filter(|&&pair| index.list_len(pair) > 0);
        let mut known = false;
        let count = live.inspect(|pair| known |= index.symbols.pair(**pair).1 == job).count();
        (count + usize::from(!known)) as u64
    }

    /// Whether the estimate is too old to be held against a limit that is near.
    fn wants_measuring(&self) -> bool {
        let state = self.limits.lock();
        let max = state.bytes.max;
        let every = (state.measured.series / 64).max(MEASURE_EVERY);
        let few = if state.bytes_used() > max - max / RESERVE { every / 16 } else { every };
        max > 0 && state.since.series >= few && state.bytes_used() > max / 2
    }

    /// Measures the head and shares out anew what is left, if there is a limit to hold it against.
    pub(crate) fn settle_limits(&self) {
        {
            let mut state = self.limits.lock();
            (state.series.shares, state.bytes.shares) = (None, None);
        }
        self.measure();
    }

    fn measure(&self) {
        if self.limits.lock().bytes.max == 0 || self.limits.measuring.swap(true, Ordering::Acquire)
        {
            return;
        }
        let before = self.limits.lock().since;
        let series = self.metrics.series.get();
        let bytes = self.memory_bytes();
        let mut state = self.limits.lock();
        state.measured = Admitted { series, bytes };
        // What was committed while measuring may be in both: better too much than too little.
        state.since.series = state.since.series.saturating_sub(before.series);
        state.since.bytes = state.since.bytes.saturating_sub(before.bytes);
        self.limits.measuring.store(false, Ordering::Release);
    }

    /// The limits, and who was refused most.
    pub(crate) fn limit_stats(&self, most: usize) -> LimitStats {
        let state = self.limits.lock();
        let mut refused: Vec<Refusals> = (state.refused.iter())
            .map(|((metric, job), &count)| Refusals {
                metric: metric.to_string(),
                job: job.to_string(),
                count,
            })
            .collect();
        refused.sort_unstable_by(|a, b| {
            b.count.cmp(&a.count).then_with(|| (&a.metric, &a.job).cmp(&(&b.metric, &b.job)))
        });
        refused.truncate(most);
        LimitStats {
            max_series: state.series.max,
            max_bytes: state.bytes.max,
            series: self.metrics.series.get() + state.pending.series,
            bytes: if state.bytes.max > 0 { state.bytes_used() } else { 0 },
            refusing: self.limits.refusing.load(Ordering::Relaxed),
            refused,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Admits series one by one: (job, how many of how many asked got in).
    fn admit(limit: &mut Limit, used: &mut u64, jobs: u64, job: &str, asked: u64) -> u64 {
        let mut got = 0;
        for _ in 0..asked {
            if limit.check(*used, 1, job, &|| jobs).is_ok() {
                limit.take(1, job);
                (*used, got) = (*used + 1, got + 1);
            }
        }
        got
    }

    #[test]
    fn the_job_that_grows_is_refused_first() {
        let mut limit = Limit { max: 1000, shares: None };
        let mut used = 0;
        // Nine tenths are anybody's, of the last hundred each of four jobs has a quarter.
        assert_eq!(admit(&mut limit, &mut used, 4, "grows", 5000), 925);
        assert_eq!(admit(&mut limit, &mut used, 4, "steady", 10), 10);
        assert_eq!(admit(&mut limit, &mut used, 4, "grows", 10), 0);
        // A job that was not there yet has its share as well.
        assert_eq!(admit(&mut limit, &mut used, 4, "new", 30), 25);
        assert_eq!(admit(&mut limit, &mut used, 4, "other", 30), 25);
        assert_eq!(admit(&mut limit, &mut used, 4, "steady", 30), 15);
        assert_eq!(used, 1000);
        assert_eq!(limit.check(used, 1, "fifth", &|| 4), Err(Full::Reached));
        // Some went: what is left is shared out anew when settled, and forgotten below the mark.
        (used, limit.shares) = (920, None);
        assert_eq!(admit(&mut limit, &mut used, 4, "grows", 50), 20);
        used = 100;
        assert_eq!(admit(&mut limit, &mut used, 4, "grows", 50), 50);
        assert!(limit.shares.is_none());
    }

    #[test]
    fn no_limit_and_small_ones() {
        let mut used = u64::MAX - 5;
        assert_eq!(admit(&mut Limit::default(), &mut used, 1, "", 3), 3);
        let mut limit = Limit { max: 10, shares: None };
        let mut used = 0;
        assert_eq!(admit(&mut limit, &mut used, 1, "", 30), 10);
        assert_eq!(admit(&mut limit, &mut used, 9, "b", 30), 0);
    }

    #[test]
    fn refusals_are_counted_in_bounded_space() {
        let mut state = State::default();
        for i in 0..3 * MAX_COUNTED {
            state.count_refusal(&format!("m{i}"), "j");
        }
        state.count_refusal("m1", "j");
        assert_eq!(state.refused.len(), MAX_COUNTED + 1);
        assert_eq!(state.refused[&("m1".into(), "j".into())], 2);
        assert_eq!(state.refused[&("".into(), "".into())], 2 * MAX_COUNTED as u64);
    }
}
