//! What must hold for every query: rewriting its plan, the number of threads, and evaluating its
//! steps in two goes do not show in the answer.

mod random;

use std::collections::BTreeSet;
use std::error::Error;

use model::CancelToken;
use promql::script::MemoryStorage;
use promql::{
    Engine, EngineError, EngineOptions, EvalTime, Features, QueryOptions, QueryResult, QueryValue,
    Series,
};
use random::{Dice, Queries, SPAN_MS};

type Outcome = Result<(), Box<dyn Error>>;

fn engine(threads: usize, rewrites: bool, delayed_name_removal: bool) -> Engine {
    let features = Features {
        experimental_functions: true,
        extended_range_selectors: true,
        per_step_stats: true,
        delayed_name_removal,
        ..Features::default()
    };
    Engine::new(EngineOptions { threads, rewrites, features, ..EngineOptions::default() })
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

/// All of an answer, with floats as bits, but for what was held at once.
fn told(answer: &Result<QueryResult, EngineError>) -> String {
    let answer = match answer {
        Ok(answer) => answer,
        Err(e) => return format!("error: {e}"),
    };
    let stats = &answer.stats;
    let value = match &answer.value {
        QueryValue::Matrix(series) => series.iter().map(|s| exact(s) + "\n").collect(),
        // A NaN is printed as such whatever its bits are.
        other => format!("{other:?}\n"),
    };
    let mut notes: Vec<_> =
        answer.annotations.warnings().iter().chain(answer.annotations.infos()).collect();
    notes.sort();
    format!(
        "{value}{notes:?}\n{} {} {:?} {:?}",
        stats.total_queryable_samples,
        stats.samples_read,
        stats.total_queryable_samples_per_step,
        stats.samples_read_per_step
    )
}

fn exact(s: &Series) -> String {
    let floats: Vec<_> = s.floats.iter().map(|(t, v)| (*t, v.to_bits())).collect();
    format!("{} {floats:?} {:?}", s.labels, s.histograms)
}

/// These seeds, or those asked for.
fn seeds(usual: std::ops::Range<u64>) -> std::ops::Range<u64> {
    let asked = std::env::var("EPIMETHEUS_QUERY_SEEDS").unwrap_or_default();
    let bounds = asked.split_once("..").map(|(a, b)| (a.parse(), b.parse()));
    match bounds {
        Some((Ok(first), Ok(end))) => first..end,
        _ => usual,
    }
}

fn answer_only(result: QueryResult) -> QueryResult {
    QueryResult { stats: promql::Statistics::default(), ..result }
}

/// Times of a query: one time or a range.
fn time(dice: &mut Dice) -> EvalTime {
    let start_ms = 30_000 * dice.below(20) as i64 + 7 * dice.below(2) as i64;
    if dice.one_in(4) {
        return EvalTime { start_ms, end_ms: start_ms, step_ms: 0 };
    }
    let step_ms = [15_000, 30_000, 60_000, 47_000][dice.below(4)];
    EvalTime { start_ms, end_ms: SPAN_MS - 30_000 * dice.below(9) as i64, step_ms }
}

#[test]
fn rewrites_and_threads_do_not_show() -> Outcome {
    let storage = random::storage()?;
    let (mut answered, mut passes) = (0, 0);
    for delayed in [false, true] {
        let plain = engine(1, false, delayed);
        let others = [engine(1, true, delayed), engine(2, true, delayed), engine(8, true, delayed)];
        for seed in seeds(0..600) {
            let mut dice = Dice::new(seed);
            let at = time(&mut dice);
            let query = Queries { dice: &mut dice, anchors: true }.query();
            let answer = run(&plain, &storage, &query, at);
            let first = told(&answer);
            let plan = others[0].explain(&query, at, QueryOptions::default());
            passes += u64::from(answer.is_ok() && plan.is_ok_and(|plan| plan.contains("[pass ")));
            answered += u64::from(answer.as_ref().is_ok_and(|a| a.stats.samples_read > 0));
            let uncounted = QueryOptions { uncounted: true, ..QueryOptions::default() };
            let less = others[1].query(&storage, &query, at, uncounted, &CancelToken::default());
            let answer = answer.map(answer_only);
            let less = less.map(answer_only);
            assert_eq!(told(&less), told(&answer), "seed {seed}, uncounted, {at:?}: {query}");
            for other in &others {
                let again = told(&run(other, &storage, &query, at));
                let threads = other.options().threads;
                assert_eq!(again, first, "seed {seed}, {threads} threads, {at:?}: {query}");
            }
        }
    }
    assert!(answered > 400 && passes > 100, "{answered} {passes}");
    Ok(())
}

/// The texts of annotations; those that add something up only up to there.
fn notes(answer: &QueryResult) -> BTreeSet<String> {
    let notes = answer.annotations.warnings().iter().chain(answer.annotations.infos());
    let up_to = |n: &String| {
        let n = n.split(", from buckets").next().unwrap_or(n);
        n.split(" occurrences").next().unwrap_or(n).trim_end_matches(char::is_numeric).to_owned()
    };
    notes.map(up_to).collect()
}

fn matrix(answer: QueryResult) -> Vec<Series> {
    match answer.value {
        QueryValue::Matrix(series) => series,
        _ => Vec::new(),
    }
}

#[test]
fn a_range_split_at_any_step_is_the_whole() -> Outcome {
    let storage = random::storage()?;
    let engine = engine(2, true, false);
    let mut compared = 0;
    for seed in seeds(10_000..10_900) {
        let mut dice = Dice::new(seed);
        let mut at = time(&mut dice);
        at.step_ms = at.step_ms.max(20_000);
        at.end_ms = at.end_ms.max(at.start_ms + 3 * at.step_ms);
        let query = Queries { dice: &mut dice, anchors: false }.query();
        let steps = (at.end_ms - at.start_ms) / at.step_ms;
        let last = at.start_ms + at.step_ms * dice.below(steps as usize) as i64;
        let before = EvalTime { end_ms: last, ..at };
        let after = EvalTime { start_ms: last + at.step_ms, ..at };
        let parts = (run(&engine, &storage, &query, before), run(&engine, &storage, &query, after));
        let whole = run(&engine, &storage, &query, at);
        let context = format!("seed {seed}, {at:?} after {last}: {query}");
        let (Ok(whole), Ok(left), Ok(right)) = (whole, parts.0, parts.1) else {
            // Series that become one may meet in the whole only; never in a part only.
            assert!(run(&engine, &storage, &query, at).is_err(), "{context}");
            continue;
        };
        compared += u64::from(whole.stats.samples_read > 0);
        let both: BTreeSet<String> = notes(&left).union(&notes(&right)).cloned().collect();
        assert_eq!(notes(&whole), both, "{context}");
        let total = |r: &QueryResult| r.stats.total_queryable_samples;
        assert_eq!(total(&whole), total(&left) + total(&right), "{context}");
        let mut joined = matrix(left);
        for more in matrix(right) {
            match joined.iter_mut().find(|s| s.labels == more.labels) {
                Some(series) => {
                    series.floats.extend(more.floats);
                    series.histograms.extend(more.histograms);
                }
                None => joined.push(more),
            }
        }
        joined.sort_by(|a, b| a.labels.cmp(&b.labels));
        let told = |s: &[Series]| s.iter().map(|s| exact(s) + "\n").collect::<String>();
        assert_eq!(told(&matrix(whole)), told(&joined), "{context}");
    }
    assert!(compared > 300, "{compared}");
    Ok(())
}
