//! Source: an instant vector over the steps of a grid, one series at a time.
//!
//! Every operator on vectors is a source: a list of series that can be asked for labels and for a
//! column of values by index. Nothing is computed before it is asked for and consumers ask for
//! each column once, so a chain of operators under an aggregation never holds more than one
//! series. What needs all columns at hand keeps them in a [`Table`].

use model::labels::LabelMap;
use model::labels::METRIC_NAME;
use model::{Labels, LabelsBuilder};

use super::column::{Column, SharedHistogram};
use super::parallel;
use super::work::{Held, ROW_BYTES, Work, same_labelset};
use super::wrap::Wrap;
use crate::engine::EngineError;

/// The label that holds a metric's type, with type-and-unit-labels.
pub(crate) const METRIC_TYPE: &str = "__type__";
/// The label that holds a metric's unit, with type-and-unit-labels.
pub(crate) const METRIC_UNIT: &str = "__unit__";

/// Whether `name` belongs to the metric itself and goes when a function changes its meaning.
pub(crate) fn is_metadata_label(name: &str) -> bool {
    name == METRIC_NAME || name == METRIC_TYPE || name == METRIC_UNIT
}

/// `labels` without name, type and unit.
pub(crate) fn without_metadata(labels: &Labels) -> Labels {
    without(labels, is_metadata_label)
}

fn without(labels: &Labels, drops: impl Fn(&str) -> bool) -> Labels {
    if !labels.spans().any(|(n, _)| drops(n)) {
        return labels.clone();
    }
    labels.filtered(|n| !drops(n))
}

/// An instant vector over a grid.
pub(crate) trait Source: Send + Sync {
    /// Number of series, including such that turn out to have no sample.
    fn len(&self) -> usize;

    /// Labels of a series.
    fn labels(&self, i: usize) -> Labels;

    /// One label of a series; the empty string when absent.
    fn label_value(&self, i: usize, name: &str, with: &mut dyn FnMut(&str)) {
        with(self.labels(i).get(name).unwrap_or(""));
    }

    /// Appends a number for the value every series has of a label, see
    /// [`model::Selection::label_ids`].
    fn label_ids(&self, _name: &str, _out: &mut Vec<u64>) -> bool {
        false
    }

    /// Whether the metadata labels of a series go at the end of the query (delayed name removal).
    fn drops_name(&self, _i: usize) -> bool {
        false
    }

    /// Whether label sets are sure to stay distinct without the metadata labels.
    fn distinct_unnamed(&self) -> bool;

    /// Whether columns are at hand, so that asking for one costs next to nothing.
    fn in_memory(&self) -> bool {
        false
    }

    /// Whether a column that nobody needs may stay uncomputed: it cannot fail or give rise to an
    /// annotation.
    fn is_silent(&self) -> bool {
        false
    }

    /// What is held in memory, by a source that holds nothing else.
    fn held(&self) -> Option<Held> {
        None
    }

    /// Computes the values of a series.
    fn column(&self, i: usize, work: &mut Work<'_>, out: &mut Column) -> Result<(), EngineError>;
}

/// A source that lives as long as the plan and selections below it.
pub(crate) type Boxed<'p> = Box<dyn Source + 'p>;

/// Identity of a row of a [`Table`].
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Row {
    pub labels: Labels,
    pub drop_name: bool,
}

impl Row {
    /// The identity of a series.
    pub(crate) fn of(source: &dyn Source, i: usize) -> Row {
        Row { labels: source.labels(i), drop_name: source.drops_name(i) }
    }
}

/// A vector held in memory: rows of values side by side.
#[derive(Clone, Debug, Default)]
pub(crate) struct Table {
    pub steps: usize,
    pub rows: Vec<Row>,
    /// `rows.len() × steps` values.
    pub floats: Vec<f64>,
    /// Histogram samples of the rows that have some, ascending by row.
    pub histograms: Vec<(u32, Vec<(u32, SharedHistogram)>)>,
    /// Set by whoever knows that the rows' labels differ even without metadata labels.
    pub distinct_unnamed: bool,
    /// Samples and bytes of all rows, as the limits count them.
    held: Held,
}

impl Table {
    /// An empty table.
    pub(crate) fn new(steps: usize) -> Table {
        Table { steps, ..Table::default() }
    }

    /// Appends a row.
    pub(crate) fn push(&mut self, row: Row, column: &Column) {
        if !column.histograms.is_empty() {
            self.histograms.push((self.rows.len() as u32, column.histograms.clone()));
        }
        self.held.samples += column.weight();
        self.held.bytes += column.bytes() + ROW_BYTES + row.labels.as_bytes().len() as u64;
        self.rows.push(row);
        self.floats.extend_from_slice(&column.floats);
    }

    /// The float values of a row.
    pub(crate) fn row(&self, i: usize) -> &[f64] {
        &self.floats[i * self.steps..(i + 1) * self.steps]
    }

    /// The histograms of a row.
    pub(crate) fn row_histograms(&self, i: usize) -> &[(u32, SharedHistogram)] {
        match self.histograms.binary_search_by_key(&(i as u32), |h| h.0) {
            Ok(at) => &self.histograms[at].1,
            Err(_) => &[],
        }
    }

    /// Computes every column of `source`; rows without any sample are left out. The samples count
    /// against the query's limit.
    pub(crate) fn collect(
        source: &dyn Source,
        steps: usize,
        work: &mut Work<'_>,
    ) -> Result<Table, EngineError> {
        let mut table = Table::new(steps);
        parallel::each(source, work, |i, column, work| {
            if !column.is_empty() {
                work.shared.budget.hold_column(column)?;
                table.push(Row::of(source, i), column);
            }
            Ok(())
        })?;
        table.distinct_unnamed = source.distinct_unnamed();
        Ok(table)
    }
}

impl Source for Table {
    fn len(&self) -> usize {
        self.rows.len()
    }

    fn labels(&self, i: usize) -> Labels {
        self.rows[i].labels.clone()
    }

    fn label_value(&self, i: usize, name: &str, with: &mut dyn FnMut(&str)) {
        with(self.rows[i].labels.get(name).unwrap_or(""));
    }

    fn drops_name(&self, i: usize) -> bool {
        self.rows[i].drop_name
    }

    fn in_memory(&self) -> bool {
        true
    }

    fn held(&self) -> Option<Held> {
        Some(self.held)
    }

    fn distinct_unnamed(&self) -> bool {
        self.distinct_unnamed || self.rows.len() <= 1
    }

    fn column(&self, i: usize, _work: &mut Work<'_>, out: &mut Column) -> Result<(), EngineError> {
        out.floats.clear();
        out.floats.extend_from_slice(self.row(i));
        out.histograms.clear();
        out.histograms.extend_from_slice(self.row_histograms(i));
        Ok(())
    }
}

/// The error of an operation whose right side failed with `of_right`: Prometheus evaluates the left
/// side first, and here it may still have its columns to compute.
pub(crate) fn left_first(
    lhs: &dyn Source,
    of_right: EngineError,
    work: &mut Work<'_>,
) -> EngineError {
    if !matches!(of_right, EngineError::Execution(_)) {
        // Told to stop, or out of memory: not the time to go on.
        return of_right;
    }
    let mut column = work.take();
    let of_left = (0..lhs.len()).find_map(|i| lhs.column(i, work, &mut column).err());
    work.give(column);
    of_left.unwrap_or(of_right)
}

/// What happens to two series that end up with the same labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Clash {
    /// They are one series where they never have a sample at the same step, else an error.
    Merge,
    /// An error as soon as both have a sample at all.
    Refuse,
}

/// A source whose operator changes what the metric means: without delayed name removal its
/// metadata labels go here and now.
pub(crate) struct Unnamed<'p> {
    inner: Boxed<'p>,
    delayed: bool,
    drops: fn(&str) -> bool,
}

/// Drops the metadata labels of `inner` (or marks them for dropping), and deals with series that
/// become equal by it.
pub(crate) fn unnamed<'p>(inner: Boxed<'p>, clash: Clash, delayed: bool) -> Boxed<'p> {
    let distinct = delayed || inner.distinct_unnamed();
    let out: Boxed<'p> = Box::new(Unnamed { inner, delayed, drops: is_metadata_label });
    if distinct { out } else { merged(out, clash) }
}

/// [`unnamed`] for functions that leave type and unit alone.
pub(crate) fn unnamed_typed<'p>(inner: Boxed<'p>, clash: Clash, delayed: bool) -> Boxed<'p> {
    let distinct = delayed || inner.distinct_unnamed();
    let out: Boxed<'p> = Box::new(Unnamed { inner, delayed, drops: |n| n == METRIC_NAME });
    if distinct { out } else { merged(out, clash) }
}

impl Wrap for Unnamed<'_> {
    fn inner(&self) -> &dyn Source {
        &*self.inner
    }

    fn labels(&self, i: usize) -> Labels {
        let labels = self.inner.labels(i);
        if self.delayed { labels } else { without(&labels, self.drops) }
    }

    fn label_value(&self, i: usize, name: &str, with: &mut dyn FnMut(&str)) {
        if !self.delayed && (self.drops)(name) {
            return with("");
        }
        self.inner.label_value(i, name, with);
    }

    fn label_ids(&self, name: &str, out: &mut Vec<u64>) -> bool {
        (self.delayed || !(self.drops)(name)) && self.inner.label_ids(name, out)
    }

    fn drops_name(&self, i: usize) -> bool {
        self.delayed || self.inner.drops_name(i)
    }

    fn column(&self, i: usize, work: &mut Work<'_>, out: &mut Column) -> Result<(), EngineError> {
        self.inner.column(i, work, out)
    }
}

/// Series with equal labels made one.
pub(crate) struct Merged<'p> {
    inner: Boxed<'p>,
    clash: Clash,
    /// Members of each output series.
    groups: Vec<Vec<u32>>,
}

/// Deals with series of `inner` that have equal labels; `inner` itself when there are none.
pub(crate) fn merged<'p>(inner: Boxed<'p>, clash: Clash) -> Boxed<'p> {
    let mut first = LabelMap::default();
    first.reserve(inner.len());
    let mut groups: Vec<Vec<u32>> = Vec::with_capacity(inner.len());
    let mut clashes = false;
    for i in 0..inner.len() {
        match first.entry(inner.labels(i)) {
            std::collections::hash_map::Entry::Occupied(at) => {
                let group: &usize = at.get();
                groups[*group].push(i as u32);
                clashes = true;
            }
            std::collections::hash_map::Entry::Vacant(free) => {
                free.insert(groups.len());
                groups.push(vec![i as u32]);
            }
        }
    }
    if clashes { Box::new(Merged { inner, clash, groups }) } else { inner }
}

impl Source for Merged<'_> {
    fn len(&self) -> usize {
        self.groups.len()
    }

    fn labels(&self, i: usize) -> Labels {
        self.inner.labels(self.groups[i][0] as usize)
    }

    fn label_value(&self, i: usize, name: &str, with: &mut dyn FnMut(&str)) {
        self.inner.label_value(self.groups[i][0] as usize, name, with);
    }

    fn drops_name(&self, i: usize) -> bool {
        self.inner.drops_name(self.groups[i][0] as usize)
    }

    fn distinct_unnamed(&self) -> bool {
        false
    }

    fn column(&self, i: usize, work: &mut Work<'_>, out: &mut Column) -> Result<(), EngineError> {
        let group = &self.groups[i];
        self.inner.column(group[0] as usize, work, out)?;
        let mut more = work.take();
        for member in &group[1..] {
            self.inner.column(*member as usize, work, &mut more)?;
            let both = !more.is_empty() && !out.is_empty();
            if both && self.clash == Clash::Refuse || !out.merge(&more) {
                return Err(same_labelset());
            }
        }
        work.give(more);
        Ok(())
    }
}

/// `labels` with `name` set to `value`.
pub(crate) fn with_label(labels: &Labels, name: &str, value: &str) -> Labels {
    let mut builder = LabelsBuilder::new(labels);
    builder.set(name, value);
    builder.labels()
}
