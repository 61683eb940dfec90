//! Engine: the entry point. Parses, plans and evaluates one query against a [`Queryable`].

use std::sync::{Arc, OnceLock};

use model::number::go_quote;
use model::{CancelToken, Queryable};

use crate::exec::work::Shared;
use crate::memory::{MemoryError, MemoryPool, QueryMemory};
use crate::parser::ast::{Expr, ValueType};
use crate::parser::{self, ParserOptions};
use crate::plan::Plan;
use crate::result::QueryResult;
use crate::threads::Threads;
use crate::{exec, plan};

/// Limits and language switches of an engine.
#[derive(Clone, Debug)]
pub struct EngineOptions {
    /// How far an instant selector looks back, milliseconds.
    pub lookback_ms: i64,
    /// Most samples a query may hold at once.
    pub max_samples: u64,
    /// Most bytes a query may hold at once; 0 = no limit.
    pub max_bytes: u64,
    /// What the queries of all engines hold together.
    pub memory: Arc<MemoryPool>,
    /// Step of a subquery that names none (`global.evaluation_interval`), milliseconds.
    pub default_subquery_step_ms: i64,
    /// Threads that compute series; 0 = one for every core.
    pub threads: usize,
    /// Whether plans are rewritten to do less work. Answers do not depend on it; tests do.
    pub rewrites: bool,
    pub features: Features,
}

/// Language features behind `--enable-feature`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Features {
    /// promql-experimental-functions
    pub experimental_functions: bool,
    /// promql-extended-range-selectors
    pub extended_range_selectors: bool,
    /// promql-binop-fill-modifiers
    pub binop_fill_modifiers: bool,
    /// promql-delayed-name-removal
    pub delayed_name_removal: bool,
    /// use-start-timestamps
    pub use_start_timestamps: bool,
    /// promql-per-step-stats
    pub per_step_stats: bool,
    /// type-and-unit-labels
    pub type_and_unit_labels: bool,
}

impl Default for EngineOptions {
    fn default() -> EngineOptions {
        EngineOptions {
            lookback_ms: 300_000,
            max_samples: 50_000_000,
            max_bytes: 0,
            memory: Arc::default(),
            default_subquery_step_ms: 60_000,
            threads: 0,
            rewrites: true,
            features: Features::default(),
        }
    }
}

/// When a query is evaluated. An instant query has `start_ms == end_ms` and `step_ms == 0`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EvalTime {
    pub start_ms: i64,
    pub end_ms: i64,
    pub step_ms: i64,
}

/// What one query may override.
#[derive(Clone, Copy, Debug, Default)]
pub struct QueryOptions {
    /// Lookback of this query, milliseconds; `None` = the engine's.
    pub lookback_ms: Option<i64>,
    /// Collect sample counts per step.
    pub per_step_stats: bool,
    /// Nobody looks at the statistics: samples that cannot have a part in the answer may be left
    /// unread, and are not counted then.
    pub uncounted: bool,
}

/// Why a query failed. `Display` is the text the API shows.
#[derive(Clone, Debug, thiserror::Error)]
pub enum EngineError {
    /// The text does not parse (`bad_data`).
    #[error("{0}")]
    Parse(String),
    /// The evaluation failed (`execution`).
    #[error("{0}")]
    Execution(String),
    /// The evaluation would take too much memory (`execution`).
    #[error("{0}")]
    Memory(MemoryError),
    /// Told to stop (`canceled`).
    #[error("query was canceled in {0}")]
    Canceled(&'static str),
    /// Ran out of time (`timeout`).
    #[error("query timed out in {0}")]
    Timeout(&'static str),
    /// Storage could not be read (`internal`).
    #[error("{0}")]
    Storage(String),
}

/// Evaluates queries. Cheap to clone, safe to share.
#[derive(Clone, Debug)]
pub struct Engine {
    options: Arc<EngineOptions>,
    threads: Arc<OnceLock<Arc<Threads>>>,
}

impl Engine {
    /// An engine with these limits.
    pub fn new(options: EngineOptions) -> Engine {
        Engine { options: Arc::new(options), threads: Arc::new(OnceLock::new()) }
    }

    /// The threads of this engine, started by its first query.
    fn threads(&self) -> Result<Arc<Threads>, EngineError> {
        if let Some(threads) = self.threads.get() {
            return Ok(threads.clone());
        }
        let threads = Threads::start(self.options.threads)
            .map_err(|e| EngineError::Execution(format!("cannot start query threads: {e}")))?;
        // Another query may have been faster; its threads stay.
        Ok(self.threads.get_or_init(|| Arc::new(threads)).clone())
    }

    /// The options in force.
    pub fn options(&self) -> &EngineOptions {
        &self.options
    }

    /// An account for one query.
    pub fn account(&self) -> Arc<QueryMemory> {
        Arc::new(QueryMemory::new(Arc::clone(&self.options.memory), self.options.max_bytes))
    }

    /// Evaluates `query`. Blocks the calling thread; `cancel` stops it within milliseconds.
    pub fn query(
        &self,
        source: &dyn Queryable,
        query: &str,
        at: EvalTime,
        options: QueryOptions,
        cancel: &CancelToken,
    ) -> Result<QueryResult, EngineError> {
        self.query_with(source, query, at, options, cancel, &self.account())
    }

    /// The same, counting what it holds on an account that others can look at; the result stays
    /// on it.
    pub fn query_with(
        &self,
        source: &dyn Queryable,
        query: &str,
        at: EvalTime,
        options: QueryOptions,
        cancel: &CancelToken,
        memory: &Arc<QueryMemory>,
    ) -> Result<QueryResult, EngineError> {
        self.run(&self.prepare(query, at, options)?, source, cancel, memory)
    }

    /// Parses and plans a query; reads nothing.
    pub fn prepare(
        &self,
        query: &str,
        at: EvalTime,
        options: QueryOptions,
    ) -> Result<Prepared, EngineError> {
        let parser = ParserOptions::from(self.options.features);
        let expr = parser::parse(query, &parser).map_err(|e| EngineError::Parse(e.to_string()))?;
        self.planned(query, &expr, at, options)
    }

    /// Evaluates a parsed query; `query` is its text, for the positions in annotations.
    pub fn evaluate(
        &self,
        source: &dyn Queryable,
        query: &str,
        expr: &Expr,
        at: EvalTime,
        options: QueryOptions,
        cancel: &CancelToken,
    ) -> Result<QueryResult, EngineError> {
        self.run(&self.planned(query, expr, at, options)?, source, cancel, &self.account())
    }

    /// How a query would be evaluated, as text for people.
    pub fn explain(
        &self,
        query: &str,
        at: EvalTime,
        options: QueryOptions,
    ) -> Result<String, EngineError> {
        let parser = ParserOptions::from(self.options.features);
        let expr = parser::parse(query, &parser).map_err(|e| EngineError::Parse(e.to_string()))?;
        Ok(plan::explain(&self.plan(&expr, at, options)?, at))
    }

    fn lookback_ms(&self, options: QueryOptions) -> i64 {
        options.lookback_ms.filter(|ms| *ms > 0).unwrap_or(self.options.lookback_ms)
    }

    fn plan(&self, expr: &Expr, at: EvalTime, options: QueryOptions) -> Result<Plan, EngineError> {
        let instant = at.start_ms == at.end_ms && at.step_ms == 0;
        let value_type = expr.value_type();
        if !instant && !matches!(value_type, ValueType::Vector | ValueType::Scalar) {
            return Err(EngineError::Parse(format!(
                "invalid expression type {} for range query, must be Scalar or instant Vector",
                go_quote(value_type.documented())
            )));
        }
        let lookback_ms = self.lookback_ms(options);
        let default_step_ms = self.options.default_subquery_step_ms.max(1);
        let mut plan = plan::build(expr, at, lookback_ms, default_step_ms)
            .map_err(|e| EngineError::Parse(e.0))?;
        if self.options.rewrites {
            if options.uncounted {
                plan::push(&mut plan);
            }
            plan::share(&mut plan);
            plan::pass(&mut plan);
        }
        Ok(plan)
    }

    fn planned(
        &self,
        query: &str,
        expr: &Expr,
        at: EvalTime,
        options: QueryOptions,
    ) -> Result<Prepared, EngineError> {
        let plan = self.plan(expr, at, options)?;
        Ok(Prepared {
            query: query.to_owned(),
            normal: expr.to_string(),
            plan,
            at,
            lookback_ms: self.lookback_ms(options),
            per_step: options.per_step_stats && self.options.features.per_step_stats,
            uncounted: self.options.rewrites && options.uncounted,
        })
    }

    /// Evaluates what [`Engine::prepare`] made, counting on `memory`. Blocks the calling thread;
    /// `cancel` stops it within milliseconds.
    pub fn run(
        &self,
        prepared: &Prepared,
        source: &dyn Queryable,
        cancel: &CancelToken,
        memory: &Arc<QueryMemory>,
    ) -> Result<QueryResult, EngineError> {
        let Prepared { query, plan, at, lookback_ms, per_step, uncounted, .. } = prepared;
        let mut shared = Shared::new(&self.options, *lookback_ms, &self.threads()?, cancel, memory);
        shared.uncounted = *uncounted;
        shared.check_before_start()?;
        let querier =
            source.querier(plan.range).map_err(|e| EngineError::Storage(e.to_string()))?;
        exec::run(plan, query, *at, &*querier, &shared, *per_step)
    }
}

/// A query that has been understood: what is left to do is reading and computing.
#[derive(Debug)]
pub struct Prepared {
    query: String,
    normal: String,
    plan: Plan,
    at: EvalTime,
    lookback_ms: i64,
    per_step: bool,
    uncounted: bool,
}

impl Prepared {
    /// The query as the printer writes it: one text for all that differ in layout only.
    pub fn normal_text(&self) -> &str {
        &self.normal
    }
}
