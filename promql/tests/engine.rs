//! The engine from outside: limits, stopping, statistics, and the same answers for any number of
//! threads.

use std::error::Error;

use std::sync::Arc;

use model::cancel::CancelReason;
use model::histogram::Span;
use model::{AppendOptions, Appendable, CancelToken, FloatHistogram, Labels, Value};
use promql::script::MemoryStorage;
use promql::{
    Engine, EngineError, EngineOptions, EvalTime, Features, MemoryPool, QueryOptions, QueryResult,
    QueryValue,
};

type Outcome = Result<(), Box<dyn Error>>;

/// `series` counters of `samples` samples, 15 s apart, with a reset now and then.
fn storage(series: usize, samples: usize) -> Result<MemoryStorage, Box<dyn Error>> {
    let storage = MemoryStorage::default();
    let mut appender = storage.appender(AppendOptions::default());
    for i in 0..series {
        let (job, n, le) = ((i % 7).to_string(), i.to_string(), (i % 5).to_string());
        let labels = [("__name__", "requests_total"), ("job", &*job), ("n", &*n), ("le", &*le)];
        let series = appender.series(&Labels::from_pairs(labels))?;
        let mut total = 0.1 * i as f64;
        for s in 0..samples {
            total = if (s + i) % 97 == 96 {
                0.3
            } else {
                total + ((s * 31 + i * 17) % 13) as f64 / 7.0
            };
            appender.append(series, s as i64 * 15_000, 0, Value::Float(total))?;
        }
    }
    appender.commit()?;
    Ok(storage)
}

/// Eighty native histograms with more and more buckets.
fn natives(storage: &MemoryStorage) -> Outcome {
    let mut appender = storage.appender(AppendOptions::default());
    for i in 0..80 {
        let n = i.to_string();
        let labels = Labels::from_pairs([("__name__", "native"), ("n", &*n)]);
        let series = appender.series(&labels)?;
        for s in 0..200 {
            let h = FloatHistogram {
                count: f64::from(i + 1),
                positive_spans: vec![Span { offset: i, length: 20 }],
                positive_buckets: vec![1.0; 20],
                ..FloatHistogram::default()
            };
            appender.append(series, s * 15_000, 0, Value::FloatHistogram(&h))?;
        }
    }
    appender.commit()?;
    Ok(())
}

fn engine(threads: usize, max_samples: u64) -> Engine {
    let features = Features { per_step_stats: true, ..Features::default() };
    Engine::new(EngineOptions { max_samples, threads, features, ..EngineOptions::default() })
}

const RANGE: EvalTime = EvalTime { start_ms: 600_000, end_ms: 2_400_000, step_ms: 60_000 };

fn instant(t: i64) -> EvalTime {
    EvalTime { start_ms: t, end_ms: t, step_ms: 0 }
}

fn run(
    engine: &Engine,
    storage: &MemoryStorage,
    query: &str,
    at: EvalTime,
) -> Result<QueryResult, EngineError> {
    let options = QueryOptions { lookback_ms: None, per_step_stats: true, uncounted: false };
    engine.query(storage, query, at, options, &CancelToken::default())
}

/// A value with floats as bits, so that equal means equal.
fn exact(value: &QueryValue) -> String {
    let QueryValue::Matrix(series) = value else { return format!("{value:?}") };
    let series = series.iter().map(|s| {
        let points: Vec<_> = s.floats.iter().map(|(t, v)| (*t, v.to_bits())).collect();
        format!("{} {points:?}", s.labels)
    });
    series.collect()
}

#[test]
fn threads_do_not_change_answers() -> Outcome {
    let storage = storage(300, 200)?;
    let engines = [1, 2, 3, 5].map(|threads| engine(threads, 50_000_000));
    for query in [
        "requests_total",
        "rate(requests_total[5m])",
        "sum(rate(requests_total[5m]))",
        "avg(rate(requests_total[5m]))",
        "max(requests_total)",
        "min(deriv(requests_total[5m]))",
        "count(requests_total > 80)",
        "stdvar(requests_total)",
        "quantile(0.3, requests_total)",
        "sum by (job) (rate(requests_total[5m]))",
        "avg by (n) (avg_over_time(requests_total[3m]))",
        "stddev without (n) (requests_total)",
        "topk(3, increase(requests_total[2m]))",
        "quantile by (le) (0.3, requests_total)",
        "histogram_quantile(0.9, sum by (job, le) (rate(requests_total[4m])))",
        "requests_total / on (n) rate(requests_total[5m])",
        "requests_total and on (n) (requests_total > 80)",
        "requests_total{job=\"1\"} or requests_total{job=~\"1|2\"}",
        "sum(max_over_time(rate(requests_total[1m])[5m:30s]))",
        "count_values by (job) (\"v\", round(requests_total, 10))",
        "limitk(3, requests_total) + 1",
    ] {
        // With steps this fine the steps of one group are shared out as well.
        for at in [RANGE, EvalTime { step_ms: 15_000, ..RANGE }] {
            let Ok(first) = run(&engines[0], &storage, query, at) else { continue };
            for engine in &engines[1..] {
                let other = run(engine, &storage, query, at)?;
                assert_eq!(exact(&other.value), exact(&first.value), "{query}");
                assert_eq!(other.annotations, first.annotations, "{query}");
                let counts = |r: &QueryResult| {
                    let steps = r.stats.samples_read_per_step.clone();
                    (r.stats.total_queryable_samples, r.stats.samples_read, steps)
                };
                assert_eq!(counts(&other), counts(&first), "{query}");
            }
        }
    }
    Ok(())
}

#[test]
fn statistics_count_what_prometheus_counts() -> Outcome {
    let storage = storage(2, 200)?;
    let engine = engine(1, 50_000_000);
    let check = |query: &str, at: EvalTime, total: u64, read: u64| -> Outcome {
        let stats = run(&engine, &storage, query, at)?.stats;
        assert_eq!((stats.total_queryable_samples, stats.samples_read), (total, read), "{query}");
        Ok(())
    };
    check("requests_total", instant(600_000), 2, 2)?;
    check("requests_total[5m]", instant(600_000), 40, 40)?;
    // 31 steps of 20 samples each, of which 4 are new from the second step on.
    check("rate(requests_total[5m])", RANGE, 2 * 31 * 20, 2 * (20 + 30 * 4))?;
    check("1 + 1", RANGE, 0, 0)?;
    // Evaluated once, counted for every step.
    check("sum(requests_total @ 900)", RANGE, 2 * 31, 2)?;
    check("sum_over_time(requests_total[2m:30s])", instant(600_000), 8, 8)
}

#[test]
fn the_limit_on_samples_has_prometheus_words() -> Outcome {
    let storage = storage(10, 200)?;
    let engine = engine(1, 100);
    let error = run(&engine, &storage, "requests_total", RANGE).err();
    let text = "query processing would load too many samples into memory in query execution";
    assert_eq!(error.map(|e| e.to_string()).as_deref(), Some(text));
    // What an aggregation folds away does not stay.
    assert!(run(&engine, &storage, "sum(requests_total) + sum(requests_total)", RANGE).is_ok());
    // A subquery of more steps than that is not even begun.
    let error = run(&engine, &storage, "max_over_time(requests_total[1h:1s])", instant(0)).err();
    assert_eq!(error.map(|e| e.to_string()).as_deref(), Some(text));
    Ok(())
}

#[test]
fn told_to_stop() -> Outcome {
    let storage = storage(2, 20)?;
    let engine = engine(1, 1_000);
    for (reason, text) in [
        (CancelReason::Canceled, "query was canceled in query execution"),
        (CancelReason::TimedOut, "query timed out in query execution"),
    ] {
        let cancel = CancelToken::default();
        cancel.cancel(reason);
        let options = QueryOptions::default();
        let error = engine.query(&storage, "requests_total", RANGE, options, &cancel).err();
        assert_eq!(error.map(|e| e.to_string()).as_deref(), Some(text));
    }
    Ok(())
}

#[test]
fn range_queries_give_vectors_or_scalars() -> Outcome {
    let storage = storage(1, 20)?;
    let engine = engine(1, 1_000);
    for (query, text) in [
        (
            "requests_total[5m]",
            "invalid expression type \"range vector\" for range query, must be Scalar or instant Vector",
        ),
        (
            "\"text\"",
            "invalid expression type \"string\" for range query, must be Scalar or instant Vector",
        ),
    ] {
        match run(&engine, &storage, query, RANGE) {
            Err(EngineError::Parse(got)) => assert_eq!(got, text),
            other => return Err(format!("{query}: {other:?}").into()),
        }
    }
    let scalar = run(&engine, &storage, "1 + 1", instant(5_000))?.value;
    assert_eq!(scalar, QueryValue::Scalar { t: 5_000, v: 2.0 });
    Ok(())
}

/// Bytes are counted per query and in total, errors name what would not fit, and nothing stays
/// counted.
#[test]
fn memory_is_limited() -> Outcome {
    let storage = storage(300, 200)?;
    natives(&storage)?;
    for threads in [1, 3] {
        let run = |max_bytes: u64, total: u64, query: &str| {
            let memory = Arc::new(MemoryPool::new(total));
            let options = EngineOptions {
                threads,
                max_bytes,
                memory: Arc::clone(&memory),
                features: Features { experimental_functions: true, ..Features::default() },
                ..EngineOptions::default()
            };
            let engine = Engine::new(options);
            let account = engine.account();
            let result = engine.query_with(
                &storage,
                query,
                RANGE,
                QueryOptions::default(),
                &CancelToken::default(),
                &account,
            );
            let held = (account.bytes(), account.peak_bytes(), account.samples());
            assert_eq!(account.bytes(), memory.held(), "{query}");
            drop(account);
            assert_eq!(memory.held(), 0, "{query}");
            (result.map_err(|e| e.to_string()), held)
        };
        for (query, what) in [
            ("requests_total", "the result of selector requests_total"),
            ("requests_total{job=~\"[1-5]\"}", "requests_total{job=~\"[1-5]\"}"),
            ("sort(rate(requests_total[5m]))", "selector requests_total"),
            ("requests_total / on (n) requests_total", "selector requests_total"),
            ("quantile by (n) (0.5, requests_total)", "quantile over selector requests_total"),
            ("count_values by (n) (\"v\", requests_total)", "selector requests_total"),
            ("topk(100, requests_total)", "topk over selector requests_total"),
            ("max_over_time(requests_total[10m:1m])", "selector requests_total"),
            ("sum by (n) (native)", "sum over selector native"),
            ("avg by (n) (native)", "avg over selector native"),
            ("info(requests_total)", "info over selector requests_total"),
            (
                "requests_total{n=\"7\"} + time() * scalar(requests_total{n=\"8\"})",
                "requests_total",
            ),
        ] {
            let (free, (bytes, peak, samples)) = run(0, 0, query);
            assert!(free.is_ok(), "{query}: {free:?}");
            assert!(bytes > 0 && samples > 0 && peak >= bytes, "{query}: {bytes} of {peak}");
            // How much several threads hold at once, and who asks for too much, is up to them.
            let alone = threads == 1;
            let (room, tight) = if alone { (peak, peak / 2) } else { (peak * 16, bytes / 2) };
            let (roomy, _) = run(room, room, query);
            assert!(roomy.is_ok(), "{query}: {roomy:?}");
            let error = run(tight, 0, query).0.err().unwrap_or_default();
            let metric = if query.contains("native") { "native" } else { "requests_total" };
            let named = if alone { what } else { metric };
            assert!(error.contains(named), "{query}: {error}");
            assert!(error.contains(&format!("limit of one query, {tight} bytes")), "{error}");
            let error = run(0, tight, query).0.err().unwrap_or_default();
            assert!(error.contains(&format!("limit of all, {tight} bytes")), "{error}");
        }
        // What is folded is let go: the sum of everything holds little.
        let whole = run(0, 0, "requests_total").1.1;
        let (sum, (left, ..)) = run(whole * threads as u64, 0, "sum(requests_total)");
        assert!(sum.is_ok() && left < 1000, "{left}");
        // A series too large by itself names its selector.
        let error = run(1000, 0, "rate(requests_total{n=\"7\"}[5m])").0.err().unwrap_or_default();
        assert!(error.contains("in selector requests_total{n=\"7\"},"), "{error}");
    }
    Ok(())
}
