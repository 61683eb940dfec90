//! What rewriting a plan saves: selections and reads of series, counted.

use std::error::Error;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use model::{
    CancelToken, Columns, EncodedChunk, Labels, Matcher, Querier, QueryError, Queryable,
    SelectHints, Selection, TimeRange,
};
use promql::script::{Command, MemoryStorage, Script};
use promql::{Engine, EngineOptions, EvalTime, Features, QueryOptions};

type Outcome = Result<(), Box<dyn Error>>;

#[derive(Default)]
struct Counts {
    reads: AtomicUsize,
    selections: Mutex<Vec<String>>,
}

/// A store that counts what is asked of it.
struct Counting(MemoryStorage, Arc<Counts>);
struct CountingQuerier(Arc<dyn Querier>, Arc<Counts>);
struct CountingSelection(Arc<dyn Selection>, Arc<Counts>);

impl Queryable for Counting {
    fn querier(&self, range: TimeRange) -> Result<Arc<dyn Querier>, QueryError> {
        Ok(Arc::new(CountingQuerier(self.0.querier(range)?, Arc::clone(&self.1))))
    }
}

impl Querier for CountingQuerier {
    fn select(
        &self,
        matchers: &[Matcher],
        hints: &SelectHints,
        cancel: &CancelToken,
    ) -> Result<Arc<dyn Selection>, QueryError> {
        let text: Vec<String> = matchers.iter().map(Matcher::to_string).collect();
        if let Ok(mut selections) = self.1.selections.lock() {
            selections.push(text.join(","));
        }
        let inner = self.0.select(matchers, hints, cancel)?;
        Ok(Arc::new(CountingSelection(inner, Arc::clone(&self.1))))
    }

    fn label_names(&self, matchers: &[Matcher], limit: usize) -> Result<Vec<String>, QueryError> {
        self.0.label_names(matchers, limit)
    }

    fn label_values(
        &self,
        name: &str,
        matchers: &[Matcher],
        limit: usize,
    ) -> Result<Vec<String>, QueryError> {
        self.0.label_values(name, matchers, limit)
    }
}

impl Selection for CountingSelection {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn labels(&self, i: usize) -> Labels {
        self.0.labels(i)
    }

    fn read(&self, i: usize, range: TimeRange, out: &mut Columns) -> Result<(), QueryError> {
        self.1.reads.fetch_add(1, Ordering::Relaxed);
        self.0.read(i, range, out)
    }

    fn chunks(&self, i: usize, range: TimeRange) -> Result<Vec<EncodedChunk>, QueryError> {
        self.0.chunks(i, range)
    }
}

/// Checks how many series a query reads, and what it selects.
fn check(query: &str, uncounted: bool, reads: usize, selections: &[&str]) -> Outcome {
    let counts = Arc::new(Counts::default());
    let store = Counting(MemoryStorage::default(), Arc::clone(&counts));
    let text = "load 1m
  x{job=\"a\", i=\"1\"} 1+1x10
  x{job=\"a\", i=\"2\"} 2+1x10
  x{job=\"b\", i=\"1\"} 3+1x10
  y{job=\"a\"} 1x10
  y{job=\"b\"} 2x10
";
    for command in Script::parse(text)?.commands {
        if let Command::Load(load) = command {
            load.append_to(&store.0, 0)?;
        }
    }
    let features = Features { binop_fill_modifiers: true, ..Features::default() };
    let engine = Engine::new(EngineOptions { threads: 1, features, ..EngineOptions::default() });
    let at = EvalTime { start_ms: 60_000, end_ms: 300_000, step_ms: 60_000 };
    let options = QueryOptions { uncounted, ..QueryOptions::default() };
    engine.query(&store, query, at, options, &CancelToken::default())?;
    let mut found = counts.selections.lock().map_err(|e| e.to_string())?.clone();
    found.sort();
    assert_eq!(found, selections, "{query}");
    assert_eq!(counts.reads.load(Ordering::Relaxed), reads, "{query}");
    Ok(())
}

/// Two series on the side of ones are refused, unless the other side is empty: it must not be made
/// empty.
#[test]
fn errors_stay() -> Outcome {
    for query in ["y * on (job) x{job=\"a\"}", "y{job=\"b\"} * on (job) x{job=\"a\"}"] {
        for uncounted in [false, true] {
            let found = check(query, uncounted, 0, &[]).map_err(|e| e.to_string());
            let refused = found.is_err_and(|e| e.starts_with("found duplicate series"));
            assert!(refused, "{query}");
        }
    }
    Ok(())
}

const X: &str = "__name__=\"x\"";
const Y: &str = "__name__=\"y\"";

#[test]
fn equal_parts_are_evaluated_once() -> Outcome {
    check("x", false, 3, &[X])?;
    check("x / (x + x)", false, 3, &[X])?;
    check("rate(x[5m]) / rate(x[5m])", false, 3, &[X])?;
    check("sum by (job) (rate(x[5m])) / count by (job) (rate(x[5m]))", false, 3, &[X])?;
    check("max_over_time(rate(x[2m])[5m:1m]) - min_over_time(rate(x[2m])[5m:1m])", false, 3, &[X])?;
    // Written in other words, read at other times, or not at the same steps.
    check("rate(x[5m]) / rate( x[5m])", false, 6, &[X])?;
    check("x / x offset 1m", false, 6, &[X, X])?;
    check("x + on (job, i) last_over_time(x[1m:1m])", false, 6, &[X, X])?;
    check("timestamp(x) - timestamp(x)", false, 3, &[X])
}

#[test]
fn matchers_are_pushed_where_nothing_shows() -> Outcome {
    let (xa, ya) = ("__name__=\"x\",job=\"a\"", "__name__=\"y\",job=\"a\"");
    let (ax, ay) = ("job=\"a\",__name__=\"x\"", "job=\"a\",__name__=\"y\"");
    check("x * on (job) group_left y{job=\"a\"}", false, 4, &[X, ay])?;
    // The side of ones has to show that there is one only; series that meet nobody go unread.
    check("x * on (job) group_left y{job=\"a\"}", true, 3, &[X, ay])?;
    check("y{job=\"a\"} * on (job) group_right x", true, 3, &[X, ay])?;
    check("x * on (job) group_left sum by (job) (y{job=\"a\"})", true, 3, &[xa, ay])?;
    check("x{job=\"a\"} * on (job) group_left y", true, 4, &[Y, ax])?;
    check("y{job=\"a\"} == y", true, 1, &[ay])?;
    check("x{job=\"a\"} * on (job) group_left count by (job) (y)", true, 3, &[ya, ax])?;
    check("x{job=\"a\"} * on (job) group_left sum by (job) (y)", true, 4, &[Y, ax])?;
    check("x{job=\"a\"} and on (job) y", true, 3, &[ya, ax])?;
    check("x and on (job) y{job=\"a\"}", true, 3, &[xa, ay])?;
    check("x{job=\"a\"} unless on (job) y", true, 3, &[ya, ax])?;
    check("x unless on (job) y{job=\"a\"}", true, 4, &[X, ay])?;
    check("x{job=\"a\"} or on (job) y", true, 4, &[Y, ax])?;
    check("x and ignoring (i) (y{job=\"a\"} > 0)", true, 3, &[xa, ay])?;
    check("x and ignoring (i, job) y{job=\"a\"}", true, 4, &[X, ay])?;
    check("x * on (job) group_left fill_right (0) y{job=\"a\"}", true, 4, &[X, ay])?;
    // What could fail or warn is evaluated.
    check("rate(x[2m]) * on (job) group_left y{job=\"a\"}", true, 4, &[X, ay])
}

#[test]
fn series_of_several_selections_are_read_once() -> Outcome {
    let (ax, ix) = ("job=\"a\",__name__=\"x\"", "i=\"1\",__name__=\"x\"");
    check("sum(rate(x{i=\"1\"}[5m])) / sum(rate(x[5m]))", false, 3, &[X, ix])?;
    check("sum(x) - sum(x{job=\"a\"}) - sum(x{i=\"1\"})", false, 3, &[X, ix, ax])?;
    // Whatever the groups are, and whoever comes first.
    check(
        "sum by (job) (x) / on (job) group_right sum without (i) (x{job=\"a\"})",
        false,
        3,
        &[X, ax],
    )?;
    check(
        "count(x{job=~\"a|b\"}) - count(x{job=\"a\"})",
        false,
        3,
        &[ax, "job=~\"a|b\",__name__=\"x\""],
    )?;
    // Parts of their own, below other operators, in subqueries.
    check("max(x) / (max(x) - min(x{job=\"a\"}))", false, 3, &[X, ax])?;
    check("max_over_time((sum(x{job=\"a\"}) / sum(x))[3m:1m])", false, 3, &[X, ax])?;
    check("sum(x @ 120) - sum(x{job=\"a\"} @ 120)", false, 3, &[X, ax])?;
    check("sum( rate(x[2m])) / count(rate( x[2m]))", false, 3, &[X])?;
    // None of these holds the other, or they are not the same at each step.
    check("sum(x{i=\"1\"}) + sum(x{job=\"a\"})", false, 4, &[ix, ax])?;
    check("sum(x offset 1m) / sum(x{job=\"a\"})", false, 5, &[X, ax])?;
    check("sum(rate(x[2m])) / sum(increase(x{job=\"a\"}[2m]))", false, 5, &[X, ax])?;
    check("sum(rate(x[2m])) / sum(rate(x{job=\"a\"}[3m]))", false, 5, &[X, ax])?;
    check(
        "sum(quantile_over_time(0.5, x[2m])) / sum(quantile_over_time(0.6, x[2m]))",
        false,
        6,
        &[X],
    )?;
    // Results for series would have to be kept.
    check("x{job=\"a\"} / ignoring (i) group_left sum by (job) (x)", false, 5, &[X, ax])?;
    check("quantile(0.5, x) / quantile(0.5, x{job=\"a\"})", false, 5, &[X, ax])
}
