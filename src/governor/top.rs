//! Top: what the queries of the last half to whole hour cost, by their normal text.
//!
//! Two half hours are kept, the current one and the one before; each has a bounded number of texts,
//! and a new text takes the place of the one that took the least time.

use std::collections::HashMap;

/// Most texts of a half hour.
const TEXTS: usize = 500;
/// Most bytes of a text.
const TEXT_BYTES: usize = 4096;
const HALF_HOUR_MS: i64 = 30 * 60 * 1000;

/// What one evaluation cost.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Cost {
    pub seconds: f64,
    /// Most held at once.
    pub bytes: u64,
    pub samples: u64,
    pub failed: bool,
}

/// What all evaluations of a text cost.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Total {
    pub query: String,
    pub count: u64,
    pub failures: u64,
    pub seconds: f64,
    pub max_seconds: f64,
    pub max_bytes: u64,
    pub samples: u64,
    /// The end of the last one, milliseconds since the epoch.
    pub last_ms: i64,
}

impl Total {
    fn add(&mut self, now_ms: i64, cost: Cost) {
        self.count += 1;
        self.failures += u64::from(cost.failed);
        self.seconds += cost.seconds;
        self.max_seconds = self.max_seconds.max(cost.seconds);
        self.max_bytes = self.max_bytes.max(cost.bytes);
        self.samples = self.samples.saturating_add(cost.samples);
        self.last_ms = now_ms;
    }

    fn merge(&mut self, other: &Total) {
        self.count += other.count;
        self.failures += other.failures;
        self.seconds += other.seconds;
        self.max_seconds = self.max_seconds.max(other.max_seconds);
        self.max_bytes = self.max_bytes.max(other.max_bytes);
        self.samples = self.samples.saturating_add(other.samples);
        self.last_ms = self.last_ms.max(other.last_ms);
    }
}

#[derive(Debug, Default)]
struct HalfHour {
    since_ms: i64,
    totals: HashMap<String, Total>,
}

/// The costs of late.
#[derive(Debug, Default)]
pub struct Top {
    current: HalfHour,
    previous: Option<HalfHour>,
}

/// The heaviest queries.
#[derive(Clone, Debug, PartialEq)]
pub struct Heaviest {
    /// Since when costs are counted, milliseconds since the epoch.
    pub since_ms: i64,
    pub by_time: Vec<Total>,
    pub by_bytes: Vec<Total>,
    pub by_samples: Vec<Total>,
}

impl Top {
    /// Counts one evaluation.
    pub fn record(&mut self, now_ms: i64, text: &str, cost: Cost) {
        self.turn(now_ms);
        let text = clip(text);
        let totals = &mut self.current.totals;
        if let Some(total) = totals.get_mut(text) {
            return total.add(now_ms, cost);
        }
        if totals.len() >= TEXTS {
            let least = totals.values().min_by(|a, b| a.seconds.total_cmp(&b.seconds));
            match least.map(|total| (total.query.clone(), total.seconds)) {
                Some((query, seconds)) if seconds <= cost.seconds => totals.remove(&query),
                _ => return,
            };
        }
        let mut total = Total { query: text.to_owned(), ..Total::default() };
        total.add(now_ms, cost);
        totals.insert(text.to_owned(), total);
    }

    /// Begins a new half hour when the current one is over.
    fn turn(&mut self, now_ms: i64) {
        let age = now_ms - self.current.since_ms;
        if (0..HALF_HOUR_MS).contains(&age) {
            return;
        }
        let fresh = HalfHour { since_ms: now_ms, totals: HashMap::new() };
        let old = std::mem::replace(&mut self.current, fresh);
        self.previous = Some(old).filter(|_| (0..2 * HALF_HOUR_MS).contains(&age));
    }

    /// The heaviest queries, at most `limit` in each list.
    pub fn heaviest(&mut self, now_ms: i64, limit: usize) -> Heaviest {
        self.turn(now_ms);
        let mut totals = self.current.totals.clone();
        for (text, old) in self.previous.iter().flat_map(|half| &half.totals) {
            totals
                .entry(text.clone())
                .or_insert_with(|| Total { query: text.clone(), ..Total::default() })
                .merge(old);
        }
        let all: Vec<Total> = totals.into_values().collect();
        let first = |weight: fn(&Total) -> f64| {
            let mut list: Vec<&Total> = all.iter().collect();
            list.sort_by(|a, b| weight(b).total_cmp(&weight(a)).then(a.query.cmp(&b.query)));
            list.into_iter().take(limit).cloned().collect()
        };
        Heaviest {
            since_ms: self.previous.as_ref().unwrap_or(&self.current).since_ms,
            by_time: first(|total| total.seconds),
            by_bytes: first(|total| total.max_bytes as f64),
            by_samples: first(|total| total.samples as f64),
        }
    }
}

/// As much of a text as is kept.
fn clip(text: &str) -> &str {
    &text[..text.floor_char_boundary(TEXT_BYTES)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cost(seconds: f64, bytes: u64, samples: u64) -> Cost {
        Cost { seconds, bytes, samples, failed: false }
    }

    fn texts(list: &[Total]) -> Vec<&str> {
        list.iter().map(|total| total.query.as_str()).collect()
    }

    #[test]
    fn orders_by_each_weight() {
        let mut top = Top::default();
        let start = 1_700_000_000_000;
        top.record(start, "slow", cost(3.0, 10, 10));
        top.record(start, "large", cost(1.0, 500, 20));
        top.record(start, "broad", cost(0.5, 20, 900));
        for i in 0..8 {
            top.record(start + i, "often", Cost { failed: i == 0, ..cost(0.5, 5, 1) });
        }
        let heaviest = top.heaviest(start + 10, 2);
        assert_eq!(heaviest.since_ms, start);
        assert_eq!(texts(&heaviest.by_time), ["often", "slow"]);
        assert_eq!(texts(&heaviest.by_bytes), ["large", "broad"]);
        assert_eq!(texts(&heaviest.by_samples), ["broad", "large"]);
        let often = &heaviest.by_time[0];
        assert_eq!((often.count, often.failures, often.seconds), (8, 1, 4.0));
        assert_eq!((often.max_seconds, often.last_ms), (0.5, start + 7));
    }

    #[test]
    fn forgets_after_an_hour() {
        let mut top = Top::default();
        let start = 1_700_000_000_000;
        top.record(start, "a", cost(1.0, 1, 1));
        top.record(start + HALF_HOUR_MS, "a", cost(2.0, 1, 1));
        let both = top.heaviest(start + HALF_HOUR_MS + 1, 9);
        assert_eq!((both.since_ms, both.by_time[0].seconds), (start, 3.0));
        let later = top.heaviest(start + 2 * HALF_HOUR_MS, 9);
        assert_eq!((later.since_ms, later.by_time[0].seconds), (start + HALF_HOUR_MS, 2.0));
        assert_eq!(top.heaviest(start + 10 * HALF_HOUR_MS, 9).by_time, []);
        // A clock that was set back starts anew.
        top.record(start, "b", cost(1.0, 1, 1));
        assert_eq!(texts(&top.heaviest(start, 9).by_time), ["b"]);
    }

    #[test]
    fn memory_is_bounded() {
        let mut top = Top::default();
        top.record(0, "heavy", cost(100.0, 1, 1));
        for i in 0..TEXTS * 3 {
            top.record(1, &i.to_string(), cost(1.0 + i as f64 / 1e6, 1, 1));
        }
        top.record(2, "cheap", cost(0.1, 1, 1));
        top.record(3, &"é".repeat(TEXT_BYTES), cost(50.0, 1, 1));
        let heaviest = top.heaviest(4, TEXTS * 2);
        assert_eq!(heaviest.by_time.len(), TEXTS);
        assert_eq!(heaviest.by_time[0].query, "heavy");
        assert_eq!(heaviest.by_time[1].query.len(), TEXT_BYTES);
        assert!(!texts(&heaviest.by_time).contains(&"cheap"));
    }
}
