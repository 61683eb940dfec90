//! info: series enriched with labels of the info metrics (`target_info` …) of their target.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use model::labels::{INSTANCE, JOB, METRIC_NAME};
use model::number::go_quote;
use model::{Labels, LabelsBuilder, MatchOp, Matcher, Querier, SelectHints, TimeRange};

use super::column::{Column, Point};
use super::grid::Grid;
use super::select::{Give, InstantSelector, Selected};
use super::source::{Row, Source, Table};
use super::work::{ROW_BYTES, Work, failed, same_labelset};
use crate::engine::EngineError;
use crate::plan::{Kind, Node, Select};

/// Matchers on labels of info metrics, by label name.
type DataMatchers = BTreeMap<String, Vec<Matcher>>;

/// The labels info metrics are joined on.
const IDENTIFYING: [&str; 2] = [INSTANCE, JOB];

/// Which time of the info series goes with a first argument: fixed time and offset of its first
/// selector, added up through the subqueries around it until one fixes the time.
pub(crate) fn reference(node: &Node) -> (Option<i64>, i64) {
    fn find(node: &Node) -> Option<(Option<i64>, i64)> {
        match &node.kind {
            Kind::Vector(s) | Kind::Matrix(s) => Some((s.at, s.offset_ms)),
            Kind::Subquery(s) => {
                let (at, offset) = find(&s.expr)?;
                match at {
                    Some(_) => Some((at, offset)),
                    None => Some((s.at, offset.saturating_add(s.offset_ms))),
                }
            }
            Kind::Call { args, .. } => args.iter().find_map(find),
            Kind::Aggregate(a) => find(&a.expr).or_else(|| find(a.param.as_ref()?)),
            Kind::Binary(b) => find(&b.lhs).or_else(|| find(&b.rhs)),
            Kind::Shared(s) => find(&s.node),
            Kind::Negate(e) | Kind::Plus(e) | Kind::Invariant(e) => find(e),
            Kind::Number(_) | Kind::String(_) => None,
        }
    }
    find(node).unwrap_or((None, 0))
}

/// Bytes an entry of the newest info series takes.
const NEWEST_BYTES: u64 = 56;
/// Bytes a step of a row takes that is known to be taken.
const TAKEN_BYTES: u64 = 20;

/// One call of info.
pub(crate) struct Info<'a> {
    pub querier: &'a dyn Querier,
    pub grid: Grid,
    /// Matchers of the second argument; `None` without one.
    pub matchers: Option<&'a [Matcher]>,
    pub reference: (Option<i64>, i64),
}

/// Info series with what they are found by.
struct InfoSeries {
    table: Table,
    /// Names of the info metrics there are.
    names: BTreeSet<String>,
    /// Rows by metric name and identifying labels.
    rows: HashMap<(String, [String; 2]), Vec<usize>>,
}

fn identity(labels: &Labels) -> [String; 2] {
    IDENTIFYING.map(|name| labels.get(name).unwrap_or("").to_owned())
}

impl Info<'_> {
    /// Enriches `base`.
    pub(crate) fn run(&self, base: &dyn Source, work: &mut Work<'_>) -> Result<Table, EngineError> {
        let base = Table::collect(base, self.grid.steps, work)?;
        let (names, data) = self.split_matchers()?;
        let is_info = |labels: &Labels| names.iter().all(|m| m.matches(labels.metric_name()));
        let plain: Vec<bool> = base.rows.iter().map(|r| is_info(&r.labels)).collect();
        let info = self.fetch(&base, &plain, names, &data, work)?;
        self.combine(&base, &plain, &info, &data, work)
    }

    /// Matchers on the names of info metrics, and on their other labels by label name.
    fn split_matchers(&self) -> Result<(Vec<Matcher>, DataMatchers), EngineError> {
        let mut names = Vec::new();
        let mut data: DataMatchers = BTreeMap::new();
        for m in self.matchers.unwrap_or(&[]) {
            match m.is_metric_name() {
                true => names.push(m.clone()),
                false => data.entry(m.name.clone()).or_default().push(m.clone()),
            }
        }
        let positive = |m: &Matcher| matches!(m.op, MatchOp::Equal | MatchOp::Regex);
        if names.is_empty() {
            names.push(Matcher::equal(METRIC_NAME, "target_info"));
        } else if !names.iter().any(positive) {
            names.insert(0, regex(METRIC_NAME, ".+_info")?);
        }
        Ok((names, data))
    }

    fn fetch(
        &self,
        base: &Table,
        plain: &[bool],
        names: Vec<Matcher>,
        data: &DataMatchers,
        work: &mut Work<'_>,
    ) -> Result<InfoSeries, EngineError> {
        let steps = self.grid.steps;
        let mut info =
            InfoSeries { table: Table::new(steps), names: BTreeSet::new(), rows: HashMap::new() };
        let mut matchers = Vec::new();
        for name in IDENTIFYING {
            let mut values: BTreeSet<&str> = BTreeSet::new();
            for (row, _) in base.rows.iter().zip(plain).filter(|(_, plain)| !**plain) {
                values.extend(row.labels.get(name));
            }
            if !values.is_empty() {
                let quoted: Vec<String> = values.into_iter().map(quote_meta).collect();
                matchers.push(regex(name, &quoted.join("|"))?);
            }
        }
        if matchers.is_empty() {
            return Ok(info);
        }
        matchers.extend(data.values().flatten().cloned());
        matchers.extend(names);
        let selected = self.querier.select(&matchers, &self.hints(work), &work.shared.cancel);
        let selected = selected.map_err(|e| work.shared.expanding(e))?;
        let selected = Selected::new(selected, &matchers);
        let (at, offset_ms) = self.reference;
        let select = Select {
            read: 0,
            offset_ms,
            at,
            range_ms: 0,
            within: TimeRange::ALL,
            anchored: false,
            smoothed: false,
            counts_only: false,
        };
        let lookback = work.shared.lookback_ms;
        let give = Give::TimestampMillis;
        let series = InstantSelector::new(&selected, &select, self.grid, lookback, give);
        info.table = Table::collect(&series, steps, work)?;
        for (i, row) in info.table.rows.iter().enumerate() {
            let name = row.labels.metric_name().to_owned();
            info.names.insert(name.clone());
            info.rows.entry((name, identity(&row.labels))).or_default().push(i);
        }
        Ok(info)
    }

    fn hints(&self, work: &Work<'_>) -> SelectHints {
        let (at, offset) = self.reference;
        let (start, end) = match at {
            Some(at) => (at, at),
            None => (self.grid.start, self.grid.end),
        };
        SelectHints {
            start: start.saturating_sub(work.shared.lookback_ms - 1).saturating_sub(offset),
            end: end.saturating_sub(offset),
            step: self.grid.interval,
            func: "info".to_owned(),
            ..SelectHints::default()
        }
    }

    fn combine(
        &self,
        base: &Table,
        plain: &[bool],
        info: &InfoSeries,
        data: &DataMatchers,
        work: &mut Work<'_>,
    ) -> Result<Table, EngineError> {
        let mut out = Output::new(self.grid.steps);
        let needs_info = data.values().flatten().any(|m| !m.matches_empty());
        let mut newest: HashMap<(&str, &[String; 2], usize), Option<usize>> = HashMap::new();
        for step in 0..self.grid.steps {
            if (0..base.rows.len()).any(|i| base.point_at(i, step).is_some()) {
                for ((name, id), rows) in &info.rows {
                    if newest.len() == newest.capacity() {
                        // Room doubles when it is full.
                        let room = newest.capacity().max(4) as u64;
                        work.shared.budget.hold_bytes(room * NEWEST_BYTES)?;
                        work.shared.check()?;
                    }
                    newest.insert((name, id, step), info.newest(rows, step)?);
                }
            }
        }
        for (i, row) in base.rows.iter().enumerate() {
            work.shared.check()?;
            let id = identity(&row.labels);
            let mut cache: HashMap<Vec<usize>, Labels> = HashMap::new();
            for step in 0..self.grid.steps {
                let Some(point) = base.point_at(i, step) else { continue };
                if plain[i] {
                    out.put(row, row.labels.clone(), step, point, work)?;
                    continue;
                }
                let found: Vec<usize> = info
                    .names
                    .iter()
                    .filter_map(|name| newest.get(&(name.as_str(), &id, step)).copied().flatten())
                    .collect();
                if found.is_empty() && needs_info {
                    continue;
                }
                let labels = match cache.get(&found) {
                    Some(labels) => labels.clone(),
                    None => {
                        let labels = info.enrich(&row.labels, &found, data)?;
                        cache.insert(found, labels.clone());
                        labels
                    }
                };
                out.put(row, labels, step, point, work)?;
            }
        }
        out.into_table(work)
    }
}

impl InfoSeries {
    /// The row with the newest sample at a step.
    fn newest(&self, rows: &[usize], step: usize) -> Result<Option<usize>, EngineError> {
        let mut best: Option<(i64, usize)> = None;
        for row in rows {
            let Some(Point::Float(t)) = self.table.point_at(*row, step) else { continue };
            let t = t as i64;
            match best {
                Some((newest, _)) if newest > t => {}
                Some((newest, other)) if newest == t => {
                    let (a, b) = (&self.table.rows[other].labels, &self.table.rows[*row].labels);
                    return failed(format!(
                        "found duplicate series for info metric: existing {a} @ {newest}, new {b} @ {t}"
                    ));
                }
                _ => best = Some((t, *row)),
            }
        }
        Ok(best.map(|(_, row)| row))
    }

    fn enrich(
        &self,
        base: &Labels,
        rows: &[usize],
        data: &DataMatchers,
    ) -> Result<Labels, EngineError> {
        let mut added = LabelsBuilder::default();
        for row in rows {
            for (name, value) in self.table.rows[*row].labels.iter() {
                let wanted = data.is_empty() || data.contains_key(name);
                if name == METRIC_NAME || !wanted {
                    continue;
                }
                let before = added.get(name);
                if !before.is_empty() && before != value {
                    return failed(format!("conflicting label: {name}"));
                }
                if base.get(name).is_none() {
                    added.set(name, value);
                }
            }
        }
        let mut labels = LabelsBuilder::new(base);
        added.iter().for_each(|(name, value)| {
            labels.set(name, value);
        });
        Ok(labels.labels())
    }
}

/// Series of the result, found by labels.
struct Output {
    steps: usize,
    rows: Vec<(Row, Column)>,
    known: HashMap<Labels, usize>,
    taken: HashSet<(usize, usize)>,
}

impl Output {
    fn new(steps: usize) -> Output {
        Output { steps, rows: Vec::new(), known: HashMap::new(), taken: HashSet::new() }
    }

    /// What a new row costs: values, which steps are taken, and its labels twice.
    fn row_bytes(&self, labels: &Labels) -> u64 {
        ROW_BYTES + self.steps as u64 * (8 + TAKEN_BYTES) + 2 * labels.as_bytes().len() as u64
    }

    /// Takes a point in; a new row is counted.
    fn put(
        &mut self,
        row: &Row,
        labels: Labels,
        step: usize,
        point: Point<'_>,
        work: &Work<'_>,
    ) -> Result<(), EngineError> {
        let at = match self.known.get(&labels) {
            Some(at) => *at,
            None => {
                work.shared.budget.hold_bytes(self.row_bytes(&labels))?;
                let mut column = Column::default();
                column.reset(self.steps);
                self.known.insert(labels.clone(), self.rows.len());
                self.rows.push((Row { labels, drop_name: row.drop_name }, column));
                self.rows.len() - 1
            }
        };
        if !self.taken.insert((at, step)) {
            return Err(same_labelset());
        }
        match point {
            Point::Float(v) => self.rows[at].1.floats[step] = v,
            Point::Histogram(h) => self.rows[at].1.histograms.push((step as u32, h.clone())),
        }
        Ok(())
    }

    fn into_table(self, work: &mut Work<'_>) -> Result<Table, EngineError> {
        let mut table = Table::new(self.steps);
        for (row, mut column) in self.rows {
            column.histograms.sort_by_key(|h| h.0);
            work.shared.budget.hold_column(&column)?;
            table.push(row, &column);
            // The values of the next row take the place of these.
            work.shared.budget.release_bytes(self.steps as u64 * 8);
        }
        Ok(table)
    }
}

fn regex(name: &str, pattern: &str) -> Result<Matcher, EngineError> {
    Matcher::new(MatchOp::Regex, name, pattern).map_err(|e| {
        EngineError::Execution(format!("bad pattern for label {}: {e}", go_quote(name)))
    })
}

/// `regexp.QuoteMeta`.
fn quote_meta(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if r"\.+*?()|[]{}^$".contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}
