//! Queries side by side on one engine: none waits for the threads another one has.

use std::error::Error;
use std::sync::{Arc, Condvar, Mutex, PoisonError, mpsc};
use std::time::Duration;

use model::{
    AppendOptions, Appendable, CancelToken, Columns, EncodedChunk, Labels, Matcher, Querier,
    QueryError, Queryable, SelectHints, Selection, TimeRange, Value,
};
use promql::script::MemoryStorage;
use promql::{Engine, EngineOptions, EvalTime, QueryOptions, QueryResult};

/// How long a query may take on a busy machine before the test calls it stuck.
const PATIENCE: Duration = Duration::from_secs(60);
const AT: EvalTime = EvalTime { start_ms: 60_000, end_ms: 600_000, step_ms: 15_000 };

fn storage(series: usize) -> Result<MemoryStorage, Box<dyn Error>> {
    let storage = MemoryStorage::default();
    let mut appender = storage.appender(AppendOptions::default());
    for i in 0..series {
        let (n, job) = (i.to_string(), (i % 50).to_string());
        let labels = [("__name__", "m"), ("job", &*job), ("n", &*n)];
        let series = appender.series(&Labels::from_pairs(labels))?;
        for s in 0..40 {
            appender.append(series, s * 15_000, 0, Value::Float(i as f64 + s as f64 * 0.1))?;
        }
    }
    appender.commit()?;
    Ok(storage)
}

/// Whether reading waits, and how many do.
#[derive(Debug, Default)]
struct Gate {
    state: Mutex<(bool, usize)>,
    changed: Condvar,
}

impl Gate {
    fn wait_until(&self, is_so: impl Fn(&(bool, usize)) -> bool) {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.changed.wait_timeout_while(state, PATIENCE, |s| !is_so(s)));
    }

    fn change(&self, change: impl FnOnce(&mut (bool, usize))) {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.notify_all();
    }
}

/// A store whose samples no thread of an engine can read before its gate opens.
struct Gated<S> {
    inner: S,
    gate: Arc<Gate>,
}

impl Queryable for Gated<&MemoryStorage> {
    fn querier(&self, range: TimeRange) -> Result<Arc<dyn Querier>, QueryError> {
        let inner = self.inner.querier(range)?;
        Ok(Arc::new(Gated { inner, gate: Arc::clone(&self.gate) }))
    }
}

impl Querier for Gated<Arc<dyn Querier>> {
    fn select(
        &self,
        matchers: &[Matcher],
        hints: &SelectHints,
        cancel: &CancelToken,
    ) -> Result<Arc<dyn Selection>, QueryError> {
        let inner = self.inner.select(matchers, hints, cancel)?;
        Ok(Arc::new(Gated { inner, gate: Arc::clone(&self.gate) }))
    }

    fn label_names(&self, matchers: &[Matcher], limit: usize) -> Result<Vec<String>, QueryError> {
        self.inner.label_names(matchers, limit)
    }

    fn label_values(
        &self,
        name: &str,
        matchers: &[Matcher],
        limit: usize,
    ) -> Result<Vec<String>, QueryError> {
        self.inner.label_values(name, matchers, limit)
    }
}

impl Selection for Gated<Arc<dyn Selection>> {
    fn len(&self) -> usize {
        self.inner.len()
    }

    fn labels(&self, i: usize) -> Labels {
        self.inner.labels(i)
    }

    fn read(&self, i: usize, range: TimeRange, out: &mut Columns) -> Result<(), QueryError> {
        let thread = std::thread::current();
        if thread.name().is_some_and(|name| name.starts_with("query-")) {
            self.gate.change(|state| state.1 += 1);
            self.gate.wait_until(|state| state.0);
        }
        self.inner.read(i, range, out)
    }

    fn chunks(&self, i: usize, range: TimeRange) -> Result<Vec<EncodedChunk>, QueryError> {
        self.inner.chunks(i, range)
    }
}

fn engine(threads: usize) -> Engine {
    Engine::new(EngineOptions { threads, ..EngineOptions::default() })
}

fn run(engine: &Engine, source: &dyn Queryable, query: &str) -> Result<QueryResult, String> {
    let options = QueryOptions::default();
    engine.query(source, query, AT, options, &CancelToken::default()).map_err(|e| e.to_string())
}

/// While one query holds all threads, others of every form run to the end, with the same answers.
#[test]
fn others_go_on_beside_a_query_that_holds_the_threads() -> Result<(), Box<dyn Error>> {
    // Enough that the threads are worth waking.
    let storage = storage(1000)?;
    let shared = engine(2);
    let queries =
        ["m", "sum(rate(m[1m]))", "sum by (job) (rate(m[1m]))", "avg(m)", "topk(3, m) * 2"];
    for holder in queries {
        let gate = Arc::new(Gate::default());
        let gated = Gated { inner: &storage, gate: Arc::clone(&gate) };
        let (ended, others) = mpsc::channel();
        let (shared, storage) = (&shared, &storage);
        let (held, answers) = std::thread::scope(|scope| {
            let held = scope.spawn(|| run(shared, &gated, holder));
            // Both threads wait for their first series.
            gate.wait_until(|state| state.1 >= 2);
            scope.spawn(move || {
                for query in queries {
                    // The receiver has given up if it has gone.
                    let _ = ended.send((query, run(shared, storage, query)));
                }
            });
            let answers: Vec<_> =
                queries.iter().map_while(|_| others.recv_timeout(PATIENCE).ok()).collect();
            gate.change(|state| state.0 = true);
            (held.join(), answers)
        });
        assert_eq!(answers.len(), queries.len(), "stuck behind {holder}");
        let alone = engine(1);
        for (query, answer) in answers {
            assert_eq!(answer?, run(&alone, storage, query)?, "{query} beside {holder}");
        }
        let held = held.map_err(|_| "panic")??;
        assert_eq!(held, run(&alone, storage, holder)?, "{holder}");
    }
    Ok(())
}
