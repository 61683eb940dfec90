//! Run: executes the commands of a script against an engine and counts what passed.
//!
//! As in Prometheus's harness an instant query is also run with `@` on its selectors at several
//! times, and each of those as the middle step of a range query.

use model::CancelToken;
use model::append::{AppendOptions, Appendable, Value};
use model::number::go_quote;

use super::command::{Command, Load, LoadedSeries, Script};
use super::compare::{check_sorted, compare};
use super::eval::Eval;
use super::memory::MemoryStorage;
use super::series::SequenceValue;
use super::{nhcb, shift};
use crate::engine::{Engine, EngineOptions, EvalTime, Features, QueryOptions};
use crate::result::{PointValue, QueryResult, QueryValue, Sample, Series};

/// A command that did not do what it should.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Line of the command, from 1.
    pub line: usize,
    pub message: String,
}

/// What came of a script.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Evals that gave what was expected.
    pub passed: usize,
    pub failures: Vec<Failure>,
}

impl Report {
    /// Number of evals that ran, and of loads that failed.
    pub fn total(&self) -> usize {
        self.passed + self.failures.len()
    }
}

/// The engine scripts are written for: every feature on, few samples.
pub fn test_engine() -> Engine {
    Engine::new(EngineOptions {
        lookback_ms: 5 * 60_000,
        max_samples: 10_000,
        default_subquery_step_ms: 60_000,
        threads: 2,
        features: Features {
            experimental_functions: true,
            extended_range_selectors: true,
            binop_fill_modifiers: true,
            delayed_name_removal: true,
            use_start_timestamps: true,
            ..Features::default()
        },
        ..EngineOptions::default()
    })
}

impl Script {
    /// Runs every command. A failed `load` ends the run, a failed `eval` does not.
    pub fn run(&self, engine: &Engine) -> Report {
        let mut report = Report::default();
        let mut storage = MemoryStorage::default();
        for command in &self.commands {
            match command {
                Command::Clear => storage = MemoryStorage::default(),
                Command::Load(load) => {
                    if let Err(message) = load.append_to(&storage, 0) {
                        report.failures.push(Failure { line: load.line, message });
                        return report;
                    }
                }
                Command::Eval(eval) => match eval.run(engine, &storage) {
                    Ok(()) => report.passed += 1,
                    Err(message) => report.failures.push(Failure { line: eval.line, message }),
                },
            }
        }
        report
    }
}

impl Load {
    /// Appends the samples of all series; the first value stands at `start_ms`.
    pub fn append_to(&self, storage: &dyn Appendable, start_ms: i64) -> Result<(), String> {
        self.append_series(storage, &self.series, start_ms)?;
        if self.with_nhcb {
            self.append_series(storage, &nhcb::convert(&self.series)?, start_ms)?;
        }
        Ok(())
    }

    fn append_series(
        &self,
        storage: &dyn Appendable,
        series: &[LoadedSeries],
        start_ms: i64,
    ) -> Result<(), String> {
        let mut appender = storage.appender(AppendOptions::default());
        for s in series {
            let named = |e: &dyn std::fmt::Display| format!("cannot load {}: {e}", s.labels);
            let reference = appender.series(&s.labels).map_err(|e| named(&e))?;
            for (i, value) in s.values.iter().enumerate() {
                let after = i64::try_from(i).unwrap_or(i64::MAX).saturating_mul(self.step_ms);
                let t = start_ms.saturating_add(after);
                let start = s.starts.get(i).copied().flatten();
                let start_t = start.map_or(0, |ms| t.saturating_add(ms));
                let value = match value {
                    SequenceValue::Omitted => continue,
                    SequenceValue::Float(v) => Value::Float(*v),
                    SequenceValue::Histogram { histogram, .. } => Value::FloatHistogram(histogram),
                };
                appender.append(reference, t, start_t, value).map_err(|e| named(&e))?;
            }
        }
        appender.commit().map_err(|e| e.to_string())
    }
}

impl Eval {
    /// Runs the query in all its forms; the error says which form gave what.
    pub fn run(&self, engine: &Engine, storage: &MemoryStorage) -> Result<(), String> {
        if self.is_range {
            return self.check(engine, storage, &self.query, self.time).map(|_| ());
        }
        let t = self.time.start_ms;
        self.instant(engine, storage, &self.query, t)?;
        if let Some((query, times)) = shift::fixed_at(&self.query, t) {
            for at in times {
                self.instant(engine, storage, &query, at)?;
            }
        }
        Ok(())
    }

    /// Runs one query and checks failure, annotations and value. `None`: it failed as expected.
    fn check(
        &self,
        engine: &Engine,
        storage: &MemoryStorage,
        query: &str,
        time: EvalTime,
    ) -> Result<Option<QueryResult>, String> {
        let place = |message: String| {
            let at = match time.step_ms {
                0 => format!("at {}ms", time.start_ms),
                step => format!("from {}ms to {}ms step {step}ms", time.start_ms, time.end_ms),
            };
            format!("{query} ({at}): {message}")
        };
        let answer =
            engine.query(storage, query, time, QueryOptions::default(), &CancelToken::default());
        let result = match (answer, &self.expectations.fail) {
            (Ok(_), Some(_)) => return Err(place("expected error but got none".to_owned())),
            (Ok(result), None) => result,
            (Err(e), None) => return Err(place(format!("error evaluating query: {e}"))),
            (Err(e), Some(wanted)) if wanted.matches(&e.to_string()) => return Ok(None),
            (Err(e), Some(_)) => {
                let e = go_quote(&e.to_string());
                return Err(place(format!("another error than expected: {e}")));
            }
        };
        self.expectations.check_annotations(&result.annotations).map_err(place)?;
        compare(self, &result.value).map_err(place)?;
        Ok(Some(result))
    }

    fn instant(
        &self,
        engine: &Engine,
        storage: &MemoryStorage,
        query: &str,
        t: i64,
    ) -> Result<(), String> {
        let time = EvalTime { start_ms: t, end_ms: t, step_ms: 0 };
        let Some(result) = self.check(engine, storage, query, time)? else { return Ok(()) };
        if self.instant_only || shift::asks_for_context(query) {
            return Ok(());
        }
        let scalar = matches!(result.value, QueryValue::Scalar { .. });
        self.middle_step(engine, storage, query, t, scalar)
            .map_err(|e| format!("{query} (at {t}ms in range mode): {e}"))
    }

    /// Runs the query as a range of three steps and compares the middle one.
    fn middle_step(
        &self,
        engine: &Engine,
        storage: &MemoryStorage,
        query: &str,
        t: i64,
        scalar: bool,
    ) -> Result<(), String> {
        let time = EvalTime {
            start_ms: t.saturating_sub(60_000),
            end_ms: t.saturating_add(60_000),
            step_ms: 60_000,
        };
        let result = engine
            .query(storage, query, time, QueryOptions::default(), &CancelToken::default())
            .map_err(|e| format!("error evaluating query: {e}"))?;
        if self.expectations.ordered {
            // A range query is always sorted by labels.
            return Ok(());
        }
        let QueryValue::Matrix(series) = result.value else {
            return Err("the result of a range query is not a matrix".to_owned());
        };
        check_sorted(&series)?;
        let samples: Vec<Sample> = series.iter().filter_map(|s| sample_at(s, t)).collect();
        let value = match samples.first() {
            Some(Sample { value: PointValue::Float(v), .. }) if scalar => {
                QueryValue::Scalar { t, v: *v }
            }
            _ => QueryValue::Vector(samples),
        };
        compare(self, &value)
    }
}

fn sample_at(series: &Series, t: i64) -> Option<Sample> {
    let float = series.floats.iter().find(|(at, _)| *at == t);
    let histogram = series.histograms.iter().find(|(at, _)| *at == t);
    let value = match (float, histogram) {
        (Some((_, v)), _) => PointValue::Float(*v),
        (None, Some((_, h))) => PointValue::Histogram(Box::new(h.clone())),
        (None, None) => return None,
    };
    Some(Sample { labels: series.labels.clone(), t, value })
}
