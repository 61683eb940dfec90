//! Metrics: counters, gauges, histograms and summaries as plain structs, registered by hand.
//!
//! There is no global registry: whoever owns a registry hands it to those who report through it.
//! Updates are single atomic operations; everything else happens when somebody asks.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A family as it is shown: all metrics of one name.
#[derive(Clone, Debug, PartialEq)]
pub struct Family {
    pub name: String,
    pub help: String,
    pub kind: Kind,
    pub metrics: Vec<Metric>,
}

/// Type of a family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Counter,
    Gauge,
    Histogram,
    Summary,
}

/// One metric of a family.
#[derive(Clone, Debug, PartialEq)]
pub struct Metric {
    /// In order of name.
    pub labels: Vec<(String, String)>,
    pub value: Value,
}

/// What a metric says.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Number(f64),
    /// Upper bounds with cumulative counts; +Inf is `count`.
    Histogram {
        buckets: Vec<(f64, u64)>,
        sum: f64,
        count: u64,
    },
    /// Quantiles with values.
    Summary {
        quantiles: Vec<(f64, f64)>,
        sum: f64,
        count: u64,
    },
}

/// Where families are gathered.
#[derive(Debug, Default)]
pub struct Gathered {
    families: BTreeMap<String, Family>,
}

impl Gathered {
    /// Adds one metric; families of one name are joined.
    pub fn push(
        &mut self,
        name: &str,
        help: &str,
        kind: Kind,
        labels: &[(&str, &str)],
        value: Value,
    ) {
        let family = self.families.entry(name.to_owned()).or_insert_with(|| Family {
            name: name.to_owned(),
            help: help.to_owned(),
            kind,
            metrics: Vec::new(),
        });
        let mut labels: Vec<(String, String)> =
            labels.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        labels.sort();
        family.metrics.push(Metric { labels, value });
    }

    /// Adds a gauge without labels.
    pub fn gauge(&mut self, name: &str, help: &str, value: f64) {
        self.push(name, help, Kind::Gauge, &[], Value::Number(value));
    }

    /// Adds a counter without labels.
    pub fn counter(&mut self, name: &str, help: &str, value: f64) {
        self.push(name, help, Kind::Counter, &[], Value::Number(value));
    }

    /// Families by name, metrics by labels.
    pub fn into_families(self) -> Vec<Family> {
        let mut families: Vec<Family> = self.families.into_values().collect();
        for family in &mut families {
            family.metrics.sort_by(|a, b| a.labels.cmp(&b.labels));
        }
        families
    }
}

/// Something that reports.
pub trait Collect: Send + Sync {
    /// Adds what it has to say.
    fn collect(&self, out: &mut Gathered);
}

impl<F: Fn(&mut Gathered) + Send + Sync> Collect for F {
    fn collect(&self, out: &mut Gathered) {
        self(out);
    }
}

/// Everything that reports.
#[derive(Default)]
pub struct Registry {
    collectors: Mutex<Vec<Arc<dyn Collect>>>,
}

impl Registry {
    /// Registers a collector.
    pub fn add(&self, collector: Arc<dyn Collect>) {
        lock(&self.collectors).push(collector);
    }

    /// Asks everyone.
    pub fn gather(&self) -> Vec<Family> {
        let collectors = lock(&self.collectors).clone();
        let mut out = Gathered::default();
        for collector in collectors {
            collector.collect(&mut out);
        }
        out.into_families()
    }

    /// A registered counter.
    pub fn counter(&self, name: &'static str, help: &'static str) -> Arc<Counter> {
        let counter = Arc::new(Counter { name, help, value: Number::default() });
        self.add(counter.clone());
        counter
    }

    /// A registered gauge.
    pub fn gauge(&self, name: &'static str, help: &'static str) -> Arc<Gauge> {
        let gauge = Arc::new(Gauge { name, help, value: Number::default() });
        self.add(gauge.clone());
        gauge
    }

    /// Registered counters that differ in labels.
    pub fn counters<const N: usize>(
        &self,
        name: &'static str,
        help: &'static str,
        labels: [&'static str; N],
    ) -> Arc<CounterVec<N>> {
        let vec = Arc::new(CounterVec { name, help, labels, values: Mutex::default() });
        self.add(vec.clone());
        vec
    }

    /// Registered histograms that differ in labels.
    pub fn histograms<const N: usize>(
        &self,
        name: &'static str,
        help: &'static str,
        labels: [&'static str; N],
        bounds: &'static [f64],
    ) -> Arc<HistogramVec<N>> {
        let vec = Arc::new(HistogramVec { name, help, labels, bounds, values: Mutex::default() });
        self.add(vec.clone());
        vec
    }

    /// Registered summaries that differ in labels.
    pub fn summaries<const N: usize>(
        &self,
        name: &'static str,
        help: &'static str,
        labels: [&'static str; N],
    ) -> Arc<SummaryVec<N>> {
        let vec = Arc::new(SummaryVec { name, help, labels, values: Mutex::default() });
        self.add(vec.clone());
        vec
    }
}

/// A lock whose holder cannot leave broken data behind.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An atomic float.
#[derive(Debug, Default)]
struct Number(AtomicU64);

impl Number {
    fn get(&self) -> f64 {
        f64::from_bits(self.0.load(Ordering::Relaxed))
    }

    fn set(&self, value: f64) {
        self.0.store(value.to_bits(), Ordering::Relaxed);
    }

    fn add(&self, value: f64) {
        let add = |bits| Some((f64::from_bits(bits) + value).to_bits());
        // The closure never declines.
        let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
    }
}

/// A number that only grows.
#[derive(Debug)]
pub struct Counter {
    name: &'static str,
    help: &'static str,
    value: Number,
}

impl Counter {
    pub fn add(&self, value: f64) {
        self.value.add(value);
    }

    pub fn inc(&self) {
        self.value.add(1.0);
    }

    pub fn get(&self) -> f64 {
        self.value.get()
    }
}

impl Collect for Counter {
    fn collect(&self, out: &mut Gathered) {
        out.counter(self.name, self.help, self.value.get());
    }
}

/// A number that goes up and down.
#[derive(Debug)]
pub struct Gauge {
    name: &'static str,
    help: &'static str,
    value: Number,
}

impl Gauge {
    pub fn set(&self, value: f64) {
        self.value.set(value);
    }

    pub fn add(&self, value: f64) {
        self.value.add(value);
    }

    pub fn get(&self) -> f64 {
        self.value.get()
    }
}

impl Collect for Gauge {
    fn collect(&self, out: &mut Gathered) {
        out.gauge(self.name, self.help, self.value.get());
    }
}

fn pairs<'a, const N: usize>(
    names: &[&'a str; N],
    values: &'a [String; N],
) -> [(&'a str, &'a str); N] {
    std::array::from_fn(|i| (names[i], values[i].as_str()))
}

/// Values by those of their labels, in order. Finding one that is there allocates nothing.
#[derive(Debug)]
struct ByLabels<const N: usize, T>(Vec<([String; N], T)>);

impl<const N: usize, T> Default for ByLabels<N, T> {
    fn default() -> ByLabels<N, T> {
        ByLabels(Vec::new())
    }
}

impl<const N: usize, T> ByLabels<N, T> {
    /// The value of these labels, made when there is none yet.
    fn get(&mut self, labels: [&str; N], make: impl FnOnce() -> T) -> &mut T {
        let found = self.0.binary_search_by(|(l, _)| l.each_ref().map(String::as_str).cmp(&labels));
        let at = found.unwrap_or_else(|at| {
            self.0.insert(at, (labels.map(str::to_owned), make()));
            at
        });
        &mut self.0[at].1
    }

    fn iter(&self) -> impl Iterator<Item = (&[String; N], &T)> {
        self.0.iter().map(|(labels, value)| (labels, value))
    }
}

/// Counters that differ in labels.
#[derive(Debug)]
pub struct CounterVec<const N: usize> {
    name: &'static str,
    help: &'static str,
    labels: [&'static str; N],
    values: Mutex<ByLabels<N, f64>>,
}

impl<const N: usize> CounterVec<N> {
    /// Adds to the counter with these label values, which appears with its first addition.
    pub fn add(&self, labels: [&str; N], value: f64) {
        *lock(&self.values).get(labels, || 0.0) += value;
    }
}

impl<const N: usize> Collect for CounterVec<N> {
    fn collect(&self, out: &mut Gathered) {
        for (labels, value) in lock(&self.values).iter() {
            let labels = pairs(&self.labels, labels);
            out.push(self.name, self.help, Kind::Counter, &labels, Value::Number(*value));
        }
    }
}

/// Histograms that differ in labels.
#[derive(Debug)]
pub struct HistogramVec<const N: usize> {
    name: &'static str,
    help: &'static str,
    labels: [&'static str; N],
    bounds: &'static [f64],
    values: Mutex<ByLabels<N, Observed>>,
}

#[derive(Clone, Debug)]
struct Observed {
    counts: Vec<u64>,
    sum: f64,
    count: u64,
}

impl Observed {
    fn of(bounds: &[f64]) -> Observed {
        Observed { counts: vec![0; bounds.len()], sum: 0.0, count: 0 }
    }
}

impl<const N: usize> HistogramVec<N> {
    /// Makes the histogram appear, empty.
    pub fn declare(&self, labels: [&str; N]) {
        lock(&self.values).get(labels, || Observed::of(self.bounds));
    }

    /// Counts one observation.
    pub fn observe(&self, labels: [&str; N], value: f64) {
        let mut values = lock(&self.values);
        let observed = values.get(labels, || Observed::of(self.bounds));
        if let Some(at) = self.bounds.iter().position(|b| value <= *b) {
            observed.counts[at] += 1;
        }
        observed.sum += value;
        observed.count += 1;
    }
}

impl<const N: usize> Collect for HistogramVec<N> {
    fn collect(&self, out: &mut Gathered) {
        for (labels, observed) in lock(&self.values).iter() {
            let mut total = 0;
            let buckets = self
                .bounds
                .iter()
                .zip(&observed.counts)
                .map(|(bound, n)| {
                    total += n;
                    (*bound, total)
                })
                .collect();
            let value = Value::Histogram { buckets, sum: observed.sum, count: observed.count };
            out.push(self.name, self.help, Kind::Histogram, &pairs(&self.labels, labels), value);
        }
    }
}

/// Quantiles of summaries.
const QUANTILES: [f64; 3] = [0.5, 0.9, 0.99];
/// How long an observation counts for the quantiles, as in Prometheus's client library.
const SUMMARY_AGE: Duration = Duration::from_secs(600);
/// Most observations kept for the quantiles of one summary.
const SUMMARY_KEPT: usize = 2048;

/// Summaries that differ in labels. Quantiles are exact over the latest observations.
#[derive(Debug)]
pub struct SummaryVec<const N: usize> {
    name: &'static str,
    help: &'static str,
    labels: [&'static str; N],
    values: Mutex<ByLabels<N, Recent>>,
}

#[derive(Debug, Default)]
struct Recent {
    latest: VecDeque<(Instant, f64)>,
    sum: f64,
    count: u64,
}

impl<const N: usize> SummaryVec<N> {
    /// Makes the summary appear, empty.
    pub fn declare(&self, labels: [&str; N]) {
        lock(&self.values).get(labels, Recent::default);
    }

    /// Counts one observation.
    pub fn observe(&self, labels: [&str; N], value: f64) {
        let mut values = lock(&self.values);
        let recent = values.get(labels, Recent::default);
        if recent.latest.len() == SUMMARY_KEPT {
            recent.latest.pop_front();
        }
        recent.latest.push_back((Instant::now(), value));
        recent.sum += value;
        recent.count += 1;
    }
}

impl<const N: usize> Collect for SummaryVec<N> {
    fn collect(&self, out: &mut Gathered) {
        for (labels, recent) in lock(&self.values).iter() {
            let mut sorted: Vec<f64> = recent
                .latest
                .iter()
                .filter(|(at, _)| at.elapsed() < SUMMARY_AGE)
                .map(|(_, v)| *v)
                .collect();
            sorted.sort_by(f64::total_cmp);
            let quantile = |q: f64| match sorted.len() {
                0 => f64::NAN,
                // A rank inside the slice: q < 1.
                n => sorted[((n as f64 * q) as usize).min(n - 1)],
            };
            let quantiles = QUANTILES.iter().map(|q| (*q, quantile(*q))).collect();
            let value = Value::Summary { quantiles, sum: recent.sum, count: recent.count };
            out.push(self.name, self.help, Kind::Summary, &pairs(&self.labels, labels), value);
        }
    }
}
