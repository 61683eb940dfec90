//! Aggregations that share a pass over many series: the same answers as one by one, to the bit, on
//! any number of threads, and the same errors.

use std::error::Error;

use model::{AppendOptions, Appendable, CancelToken, Labels, Value};
use promql::script::MemoryStorage;
use promql::{Engine, EngineOptions, EvalTime, Features, QueryOptions};

type Outcome = Result<(), Box<dyn Error>>;

/// Enough series that threads are worth waking, and columns are folded by steps side by side.
const SERIES: u32 = 1500;

fn storage() -> Result<MemoryStorage, Box<dyn Error>> {
    let storage = MemoryStorage::default();
    let mut appender = storage.appender(AppendOptions::default());
    for i in 0..SERIES {
        let (n, job, code) = (i.to_string(), (i % 50).to_string(), (i % 7).to_string());
        let labels = [("__name__", "m"), ("job", &*job), ("n", &*n), ("code", &*code)];
        let series = appender.series(&Labels::from_pairs(labels))?;
        for s in 0..30u32 {
            // What sums of such numbers are depends on their order.
            let v = f64::from(i.wrapping_mul(2_654_435_761) % 1000) / 7.0 * f64::from(s);
            let v = if i % 97 == 5 && s == 11 { f64::INFINITY } else { v };
            if (i + s) % 29 != 3 {
                appender.append(series, i64::from(s) * 15_000, 0, Value::Float(v))?;
            }
        }
    }
    appender.commit()?;
    Ok(storage)
}

const QUERIES: [&str; 9] = [
    "sum by (job) (rate(m{code=~\"[2-6]\"}[1m])) / sum by (job) (rate(m[1m]))",
    "sum(rate(m{code!=\"3\"}[1m])) / sum(rate(m[1m]))",
    "avg(m{code=\"1\"}) + stddev(m) - stdvar(m{job=\"7\"}) + on () count(m{n=~\"1.*\"})",
    "max without (n, code) (m) - on (job) group_right sum by (job, code) (m{code!~\"1|2\"})",
    "sum by (code) (m{code=\"1\"}) or sum by (job) (m) or min by (n) (m{job=~\"4.*\"})",
    "sum by (n) (increase(m[2m])) * on () group_left sum(increase(m{code=\"2\"}[2m]))",
    "topk(3, sum by (job) (m{code=\"1\"})) / on (job) avg by (job) (m) + on (job) group by (job) (m)",
    "max_over_time((sum(m{code=\"4\"}) / sum(m))[1m:10s])",
    "histogram_quantile(0.5, sum by (le) (m{code=\"4\"})) or sum(m)",
];

#[test]
fn passes_do_not_show() -> Outcome {
    let storage = storage()?;
    let engine = |threads, rewrites| {
        let features = Features { per_step_stats: true, ..Features::default() };
        Engine::new(EngineOptions { threads, rewrites, features, ..EngineOptions::default() })
    };
    let plain = engine(1, false);
    let engines = [engine(1, true), engine(2, true), engine(8, true)];
    let range = EvalTime { start_ms: 15_000, end_ms: 420_000, step_ms: 13_000 };
    let instant = EvalTime { start_ms: 300_000, end_ms: 300_000, step_ms: 0 };
    for query in QUERIES {
        for at in [range, instant] {
            let plan = engines[0].explain(query, at, QueryOptions::default())?;
            assert!(plan.contains("[pass 1 over "), "{plan}");
            let options = QueryOptions { per_step_stats: true, ..QueryOptions::default() };
            let told = |engine: &Engine| {
                let answer = engine.query(&storage, query, at, options, &CancelToken::default());
                answer.map(|answer| {
                    let stats = &answer.stats;
                    let counts = (stats.total_queryable_samples, stats.samples_read);
                    let steps = (
                        stats.total_queryable_samples_per_step.clone(),
                        stats.samples_read_per_step.clone(),
                    );
                    (answer.value, answer.annotations, counts, steps)
                })
            };
            let want = told(&plain)?;
            for engine in &engines {
                let threads = engine.options().threads;
                // Floats as text: shortest digits that tell them apart.
                let same = format!("{:?}", told(engine)?) == format!("{want:?}");
                assert!(same, "{query}, {threads} threads, {at:?}");
            }
        }
    }
    Ok(())
}

/// Limits hit the query that would hit them without a pass, and no other.
#[test]
fn limits_stay() -> Outcome {
    let storage = storage()?;
    let at = EvalTime { start_ms: 15_000, end_ms: 420_000, step_ms: 15_000 };
    let query = "sum by (n) (m) / on () group_left sum(m{code=\"1\"})";
    let run = |max_samples, max_bytes, rewrites| {
        let engine = Engine::new(EngineOptions {
            max_samples,
            max_bytes,
            rewrites,
            threads: 2,
            ..EngineOptions::default()
        });
        let options = QueryOptions::default();
        let answer = engine.query(&storage, query, at, options, &CancelToken::default());
        answer.map(|answer| format!("{answer:?}")).map_err(|e| e.to_string())
    };
    let plain = run(u64::MAX, 0, false);
    for max_samples in [10_000, 42_000, 83_000, 90_000, 300_000, 700_000] {
        let (with, without) = (run(max_samples, 0, true), run(max_samples, 0, false));
        assert_eq!(with.is_ok(), without.is_ok(), "{max_samples} samples");
        assert_eq!(with.as_ref().err(), without.as_ref().err());
    }
    for max_bytes in [100_000, 400_000, 800_000, 5_000_000, 50_000_000] {
        let (with, without) = (run(u64::MAX, max_bytes, true), run(u64::MAX, max_bytes, false));
        assert_eq!(with.is_ok(), without.is_ok(), "{max_bytes} bytes");
    }
    assert!(plain.is_ok());
    Ok(())
}
