//! Exemplars: the most recent ones of all series, a bounded number; the one that came first goes
//! first. Exemplars of a series ascend in time.

use std::collections::{HashMap, VecDeque};

use model::exemplar::MAX_LABEL_RUNES;
use model::{AppendError, Exemplar, Labels, Matcher, TimeRange};

/// A series and the exemplars of it that are left.
pub type SeriesExemplars = (Labels, Vec<Exemplar>);

/// The store. With a capacity of 0 it takes nothing.
#[derive(Debug, Default)]
pub(crate) struct Exemplars {
    capacity: usize,
    /// In order of arrival: series and the number of the exemplar.
    arrivals: VecDeque<(Labels, u64)>,
    series: HashMap<Labels, Vec<(u64, Exemplar)>>,
    next: u64,
}

fn equal(a: &Exemplar, b: &Exemplar) -> bool {
    let same_time = a.timestamp_ms == b.timestamp_ms || !(a.has_timestamp || b.has_timestamp);
    a.labels == b.labels && same_time && a.value == b.value
}

impl Exemplars {
    /// Changes how many are kept; the newest stay.
    pub fn resize(&mut self, capacity: usize) {
        self.capacity = capacity;
        while self.arrivals.len() > capacity {
            self.evict();
        }
    }

    /// Whether it takes anything.
    pub fn is_enabled(&self) -> bool {
        self.capacity > 0
    }

    /// Whether the exemplar can be added: `Ok(false)` for a repetition of the newest one.
    pub fn check(
        &self,
        series: Option<&Labels>,
        e: &Exemplar,
        window_ms: i64,
    ) -> Result<bool, AppendError> {
        let runes = |(n, v): (&str, &str)| n.chars().count() + v.chars().count();
        if e.labels.iter().map(runes).sum::<usize>() > MAX_LABEL_RUNES {
            let text = format!(
                "label length for exemplar exceeds maximum of {MAX_LABEL_RUNES} UTF-8 characters"
            );
            return Err(AppendError::InvalidExemplar(text));
        }
        let newest = series.and_then(|s| self.series.get(s)).and_then(|list| list.last());
        let Some((_, newest)) = newest else { return Ok(true) };
        if equal(newest, e) {
            return Ok(false);
        }
        let (t, last) = (e.timestamp_ms, newest.timestamp_ms);
        let late = t < last && t <= last.saturating_sub(window_ms)
            || t == last && e.value < newest.value
            || t == last && e.value == newest.value && e.labels.hash64() < newest.labels.hash64();
        if late { Err(AppendError::OutOfOrderExemplar) } else { Ok(true) }
    }

    /// Adds an exemplar that `check` lets pass; says whether it is there now.
    pub fn add(
        &mut self,
        series: &Labels,
        e: &Exemplar,
        window_ms: i64,
    ) -> Result<bool, AppendError> {
        if self.capacity == 0 || !self.check(Some(series), e, window_ms)? {
            return Ok(false);
        }
        if let Some(list) = self.series.get(series)
            && let Some((_, newest)) = list.last()
            && e.timestamp_ms < newest.timestamp_ms
            && list.iter().any(|(_, other)| other.timestamp_ms == e.timestamp_ms)
        {
            return Ok(false);
        }
        if self.arrivals.len() >= self.capacity {
            self.evict();
        }
        let number = self.next;
        self.next += 1;
        let list = self.series.entry(series.clone()).or_default();
        let at = list.partition_point(|(_, other)| other.timestamp_ms <= e.timestamp_ms);
        list.insert(at, (number, e.clone()));
        self.arrivals.push_back((series.clone(), number));
        Ok(true)
    }

    /// All of them in the order of arrival, with their series.
    pub fn arrivals(&self) -> impl Iterator<Item = (&Labels, &Exemplar)> {
        self.arrivals.iter().filter_map(|(series, number)| {
            let list = self.series.get(series)?;
            let (_, exemplar) = list.iter().find(|(n, _)| n == number)?;
            Some((series, exemplar))
        })
    }

    fn evict(&mut self) {
        let Some((series, number)) = self.arrivals.pop_front() else { return };
        if let Some(list) = self.series.get_mut(&series) {
            list.retain(|(n, _)| *n != number);
            if list.is_empty() {
                self.series.remove(&series);
            }
        }
    }

    /// Exemplars inside `range` of series that satisfy one of the matcher sets, in label order.
    pub fn select(&self, range: TimeRange, sets: &[Vec<Matcher>]) -> Vec<SeriesExemplars> {
        let matches = |labels: &Labels| {
            sets.iter().any(|set| set.iter().all(|m| m.matches(labels.get(&m.name).unwrap_or(""))))
        };
        let mut found: Vec<SeriesExemplars> = (self.series.iter())
            .filter(|(labels, _)| matches(labels))
            .map(|(labels, list)| {
                let inside = list.iter().filter(|(_, e)| range.contains(e.timestamp_ms));
                (labels.clone(), inside.map(|(_, e)| e.clone()).collect())
            })
            .filter(|(_, list): &SeriesExemplars| !list.is_empty())
            .collect();
        found.sort_by(|a, b| a.0.cmp(&b.0));
        found
    }

    /// Most that are kept, and time of the one that is to go next; 0 when there is none.
    pub fn bounds(&self) -> (usize, i64) {
        let oldest = self.arrivals.front().and_then(|(series, number)| {
            let list = self.series.get(series)?;
            list.iter().find(|(n, _)| n == number).map(|(_, e)| e.timestamp_ms)
        });
        (self.capacity, oldest.unwrap_or(0))
    }

    /// Number kept, and number of series that have one.
    pub fn len(&self) -> (usize, usize) {
        (self.arrivals.len(), self.series.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exemplar(t: i64, trace: &str) -> Exemplar {
        let labels = Labels::from_pairs([("trace_id", trace)]);
        Exemplar { labels, value: t as f64, timestamp_ms: t, has_timestamp: true }
    }

    #[test]
    fn keeps_the_last_ones() {
        let mut store = Exemplars::default();
        store.resize(3);
        let (a, b) = (Labels::from_pairs([("s", "a")]), Labels::from_pairs([("s", "b")]));
        for t in 1..=3 {
            assert_eq!(store.add(&a, &exemplar(t, "x"), 0), Ok(true));
        }
        assert_eq!(store.add(&a, &exemplar(3, "x"), 0), Ok(false));
        assert_eq!(store.add(&a, &exemplar(2, "x"), 0), Err(AppendError::OutOfOrderExemplar));
        assert_eq!(store.add(&b, &exemplar(1, "y"), 0), Ok(true));
        let any = vec![vec![Matcher::equal("s", "a")], vec![Matcher::equal("s", "b")]];
        let got = store.select(TimeRange { min: 0, max: 2 }, &any);
        assert_eq!(got, [(a, vec![exemplar(2, "x")]), (b, vec![exemplar(1, "y")])]);
        let long = exemplar(9, &"t".repeat(121));
        assert!(matches!(store.check(None, &long, 0), Err(AppendError::InvalidExemplar(_))));
    }
}
