//! Tests of ingest: bodies in, what reaches the store out.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use model::value::is_stale_nan;
use model::{
    AppendError, AppendOptions, Appender, Exemplar, Labels, Metadata, SeriesRef, Value, number,
};

use super::cache::ScrapeCache;
use super::ingest::{Ingest, SampleRules};
use super::metadata::MetadataStore;
use super::metrics::ScrapeMetrics;
use super::mutate::LabelLimits;
use crate::telemetry::metrics::Registry;

/// A store that writes down what it is given.
#[derive(Default)]
struct Recorder {
    series: BTreeMap<Labels, u64>,
    log: String,
}

impl Appender for Recorder {
    fn set_options(&mut self, _: AppendOptions) {}

    fn series(&mut self, labels: &Labels) -> Result<SeriesRef, AppendError> {
        let next = self.series.len() as u64 + 1;
        Ok(SeriesRef(*self.series.entry(labels.clone()).or_insert(next)))
    }

    fn append(
        &mut self,
        series: SeriesRef,
        t: i64,
        start_ms: i64,
        value: Value<'_>,
    ) -> Result<(), AppendError> {
        let known = self.series.iter().find(|(_, s)| **s == series.0);
        let Some((labels, _)) = known else { return Err(AppendError::UnknownSeries) };
        let text = match value {
            Value::Float(v) if is_stale_nan(v) => "stale".to_owned(),
            Value::Float(v) => number::format_f(v),
            _ => "histogram".to_owned(),
        };
        write!(self.log, "{labels} {text} @{t}").unwrap();
        if start_ms != 0 {
            write!(self.log, " since {start_ms}").unwrap();
        }
        self.log.push('\n');
        Ok(())
    }

    fn append_exemplar(&mut self, _: SeriesRef, _: &Exemplar) -> Result<(), AppendError> {
        Ok(())
    }

    fn update_metadata(&mut self, _: SeriesRef, _: &Metadata) -> Result<(), AppendError> {
        Ok(())
    }

    fn commit(self: Box<Self>) -> Result<(), AppendError> {
        Ok(())
    }

    fn rollback(self: Box<Self>) {}
}

struct Fixture {
    rules: SampleRules,
    cache: ScrapeCache,
    metadata: MetadataStore,
    metrics: ScrapeMetrics,
    store: Recorder,
    time_ms: i64,
}

impl Fixture {
    fn new() -> Fixture {
        Fixture {
            rules: SampleRules {
                target: Labels::from_pairs([("job", "j")]),
                metric_relabel: Vec::new(),
                honor_labels: false,
                honor_timestamps: true,
                track_timestamps_staleness: false,
                legacy_names: false,
                label_limits: LabelLimits::default(),
                sample_limit: 0,
                synthesize_start_times: false,
            },
            cache: ScrapeCache::default(),
            metadata: MetadataStore::default(),
            metrics: ScrapeMetrics::new(&Registry::default()),
            store: Recorder::default(),
            time_ms: 0,
        }
    }

    /// Scrapes `body`; answers "scraped/added/series_added", what was stored, and the error.
    fn scrape(&mut self, body: &str) -> (String, String, Option<String>) {
        self.time_ms += 1000;
        self.store.log.clear();
        let mut ingest = Ingest {
            rules: &self.rules,
            cache: &mut self.cache,
            metadata: &self.metadata,
            metrics: &self.metrics,
            app: &mut self.store,
            time_ms: self.time_ms,
            max_time_ms: self.time_ms + 600_000,
        };
        let (totals, _, result) = ingest.body(body.as_bytes());
        let log = self.store.log.clone();
        if result.is_err() {
            let mut again = Ingest {
                rules: &self.rules,
                cache: &mut self.cache,
                metadata: &self.metadata,
                metrics: &self.metrics,
                app: &mut self.store,
                time_ms: self.time_ms,
                max_time_ms: self.time_ms + 600_000,
            };
            again.empty().unwrap();
        }
        let counts = format!("{}/{}/{}", totals.scraped, totals.added, totals.series_added);
        (counts, log, result.err())
    }

    #[track_caller]
    fn check(&mut self, body: &str, counts: &str, stored: &str) {
        let got = self.scrape(body);
        let stored: String = stored.lines().map(|l| format!("{}\n", l.trim())).collect();
        assert_eq!(got, (counts.to_owned(), stored.trim_start().to_owned(), None), "{body}");
    }
}

#[test]
fn known_new_and_ended_series() {
    let mut f = Fixture::new();
    f.check(
        "# TYPE a gauge\na 1\nb{x=\"1\"} 2.5e3\n",
        "2/2/2",
        "{__name__=\"a\", job=\"j\"} 1 @1000
         {__name__=\"b\", job=\"j\", x=\"1\"} 2500 @1000",
    );
    f.check(
        "# TYPE a gauge\na 2\nb{x=\"1\"} NaN\n",
        "2/2/0",
        "{__name__=\"a\", job=\"j\"} 2 @2000
         {__name__=\"b\", job=\"j\", x=\"1\"} NaN @2000",
    );
    f.check(
        "c 7\na 3\n",
        "2/2/1",
        "{__name__=\"c\", job=\"j\"} 7 @3000
         {__name__=\"a\", job=\"j\"} 3 @3000
         {__name__=\"b\", job=\"j\", x=\"1\"} stale @3000",
    );
    f.check(
        "c 7\na 3\n",
        "2/2/0",
        "{__name__=\"c\", job=\"j\"} 7 @4000
         {__name__=\"a\", job=\"j\"} 3 @4000",
    );
}

#[test]
fn timestamps_and_duplicates() {
    let mut f = Fixture::new();
    f.check("a 1 1234\n", "1/1/1", "{__name__=\"a\", job=\"j\"} 1 @1234");
    // A series with its own timestamps is not marked as ended.
    f.check("b 1\nb 2\n", "2/2/1", "{__name__=\"b\", job=\"j\"} 1 @2000");
    f.rules.honor_timestamps = false;
    f.check(
        "b 1\na 1 1234\n",
        "2/2/1",
        "{__name__=\"b\", job=\"j\"} 1 @3000
         {__name__=\"a\", job=\"j\"} 1 @3000",
    );
    // The cached text goes up to the value, so a timestamp that comes or goes changes nothing.
    f.check(
        "b 1\na 1\n",
        "2/2/0",
        "{__name__=\"b\", job=\"j\"} 1 @4000
         {__name__=\"a\", job=\"j\"} 1 @4000",
    );
}

#[test]
fn a_failed_body_ends_what_was_there() {
    let mut f = Fixture::new();
    f.scrape("a 1\nb 2\n");
    let (_, _, error) = f.scrape("a 2\nb x\n");
    assert_eq!(
        error.unwrap(),
        r#"strconv.ParseFloat: parsing "x": invalid syntax while parsing: "b x""#
    );
    assert!(f.store.log.ends_with("{__name__=\"b\", job=\"j\"} stale @2000\n"), "{}", f.store.log);
    // What the failed body had before its error ends with the next scrape that lacks it.
    f.check(
        "b 3\n",
        "1/1/0",
        "{__name__=\"b\", job=\"j\"} 3 @3000
         {__name__=\"a\", job=\"j\"} stale @3000",
    );
}

#[test]
fn limits() {
    let mut f = Fixture::new();
    f.rules.sample_limit = 1;
    assert_eq!(f.scrape("a 1\nb 2\nc 3\n").2.unwrap(), "sample limit exceeded");
    assert_eq!(f.scrape("a 1\n").2, None);
    f.rules.label_limits.labels = 1;
    assert!(f.scrape("d 1\n").2.unwrap().starts_with("label_limit exceeded (metric: d,"));
}

#[test]
fn a_forgotten_series_is_found_again() {
    let mut f = Fixture::new();
    f.scrape("le_x_bucket{le=\"1\"} 1\n");
    f.store.series.clear();
    f.check(
        "le_x_bucket{le=\"1\"} 2\n",
        "1/1/0",
        "{__name__=\"le_x_bucket\", job=\"j\", le=\"1\"} 2 @2000",
    );
}

#[test]
fn metadata_outlives_its_family_by_ten_scrapes() {
    let mut f = Fixture::new();
    f.scrape("# HELP a Some\\nhelp.\n# TYPE a counter\na 1\n");
    let metadata = f.metadata.get("a").unwrap();
    assert_eq!((metadata.metric_type.as_str(), metadata.help.as_str()), ("counter", "Some\nhelp."));
    for _ in 0..10 {
        f.scrape("b 1\n");
    }
    assert!(f.metadata.get("a").is_some());
    f.scrape("b 1\n");
    assert!(f.metadata.get("a").is_none());
}

/// The first sample is not stored, those behind it count from there; a fall is a new beginning.
#[test]
fn start_times_are_concluded() {
    let mut f = Fixture::new();
    f.rules.synthesize_start_times = true;
    let body = |c: i64, g: i64| format!("# TYPE c counter\nc {c}\n# TYPE g gauge\ng {g}\n");
    let c = "{__name__=\"c\", job=\"j\"}";
    let g = "{__name__=\"g\", job=\"j\"}";
    f.check(&body(5, 1), "2/2/2", &format!("{g} 1 @1000"));
    f.check(&body(7, 1), "2/2/0", &format!("{c} 2 @2000 since 1000\n{g} 1 @2000"));
    f.check(&body(3, 1), "2/2/0", &format!("{c} 3 @3000 since 2999\n{g} 1 @3000"));
    f.check(&body(4, 1), "2/2/0", &format!("{c} 4 @4000 since 2999\n{g} 1 @4000"));
    // A series that was gone begins anew.
    f.check("# TYPE g gauge\ng 1\n", "1/1/0", &format!("{g} 1 @5000\n{c} stale @5000"));
    f.check(&body(9, 1), "2/2/1", &format!("{g} 1 @6000"));
    f.check(&body(9, 1), "2/2/0", &format!("{c} 0 @7000 since 6000\n{g} 1 @7000"));
    // A sample that is refused ends what is known.
    let twice = "# TYPE c counter\nc 10\nc 11\n# TYPE g gauge\ng 1\n";
    f.check(twice, "3/3/0", &format!("{c} 1 @8000 since 6000\n{g} 1 @8000"));
    f.check(&body(12, 1), "2/2/0", &format!("{g} 1 @9000"));
    f.check(&body(14, 1), "2/2/0", &format!("{c} 2 @10000 since 9000\n{g} 1 @10000"));
}
