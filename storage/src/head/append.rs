//! HeadAppender: one batch on its way into the head.
//!
//! Nothing an appender does shows before `commit`. A series it creates has a ref of its own from the
//! start, but becomes real at commit, and only if nobody was faster: then the samples go to the
//! winner's series and the ref stays unknown.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use model::columns::HistogramValue;
use model::value::is_stale_nan;
use model::{
    AppendError, AppendOptions, Appender, CounterResetHint, Exemplar, FloatHistogram, Histogram,
    Labels, Metadata, SeriesRef, Value,
};

use super::Head;
use super::apply::Series;
use super::batch::{HistogramType, NEW, Staged, StagedFloat, StagedHistogram};
use super::judge::{Bounds, Verdict};
use super::limits::Admitted;
use super::refs::RefSnapshot;
use super::series::{DYING, NO_SAMPLE, Slot, page_number, place};
use crate::record::RefSample;

/// Most labels a series can have.
const MAX_LABELS: usize = u16::MAX as usize;

/// Most floats that room is made for in advance.
const MAX_EXPECTED: usize = 4096;

/// A series that an appender wants to create.
#[derive(Debug)]
pub(crate) struct NewSeries {
    pub series_ref: u64,
    pub labels: Labels,
    pub hash: u64,
}

/// An open batch.
pub(crate) struct HeadAppender {
    head: Arc<Head>,
    /// Its number among open appenders.
    opening: u64,
    options: AppendOptions,
    refs: RefSnapshot,
    /// Known from the first sample on: an empty head takes its bounds from it.
    bounds: Option<Bounds>,
    staged: Staged,
    /// Ascending by ref.
    new: Vec<NewSeries>,
    new_by_labels: HashMap<Labels, u64>,
    /// What `new` counts as against the limits of the head.
    admitted: Admitted,
}

impl HeadAppender {
    pub fn new(head: Arc<Head>, options: AppendOptions) -> HeadAppender {
        let staged = Staged::expecting(head.expected_floats.load(Ordering::Relaxed));
        head.metrics.active_appenders.add(1);
        head.metrics.appenders_created.add(1);
        HeadAppender {
            opening: head.appenders.open(),
            refs: head.refs.snapshot(),
            head,
            options,
            bounds: None,
            staged,
            new: Vec::new(),
            new_by_labels: HashMap::new(),
            admitted: Admitted::default(),
        }
    }

    #[inline]
    fn bounds(&mut self, t: i64) -> Bounds {
        match self.bounds {
            Some(bounds) => bounds,
            None => {
                let bounds = self.head.bounds_for(t);
                self.bounds = Some(bounds);
                bounds
            }
        }
    }

    fn slot(&mut self, series: SeriesRef) -> Result<Slot, AppendError> {
        let is_new = self.new.first().is_some_and(|first| series.0 >= first.series_ref);
        if is_new && self.new.binary_search_by_key(&series.0, |n| n.series_ref).is_ok() {
            return Ok(NEW);
        }
        match self.head.refs.lookup(&mut self.refs, series.0) {
            Some(slot) => Ok(slot),
            None => Err(AppendError::UnknownSeries),
        }
    }

    /// Judges a sample against the series as it is now.
    #[inline]
    fn judge(
        &mut self,
        (series_ref, slot): (SeriesRef, Slot),
        t: i64,
        identical: impl Fn(&Series<'_>) -> bool,
    ) -> Result<Verdict, AppendError> {
        let bounds = self.bounds(t);
        if slot == NEW {
            return bounds.judge(t, None, || false);
        }
        let Some(page) = self.head.pages.get(page_number(slot)) else {
            return Err(AppendError::UnknownSeries);
        };
        let last = page.last_t(place(slot));
        if t > last && t >= bounds.min_valid {
            return Ok(Verdict::InOrder);
        }
        let mut records = page.lock();
        if records.cold[place(slot)].series_ref != series_ref.0 {
            return Err(AppendError::UnknownSeries);
        }
        let series = Series { page, records: &mut records, place: place(slot) };
        if last == DYING {
            page.set_last_t(place(slot), series.last_t().unwrap_or(NO_SAMPLE));
        }
        bounds.judge(t, series.last_t(), || identical(&series))
    }

    fn append_float(
        &mut self,
        series: SeriesRef,
        t: i64,
        start_t: i64,
        v: f64,
    ) -> Result<(), AppendError> {
        let slot = self.slot(series)?;
        if is_stale_nan(v)
            && let Some(kind) = self.staged.histogram_type(series.0)
        {
            return match kind {
                HistogramType::Integer | HistogramType::IntegerCustom => {
                    let h = Histogram { sum: v, ..Histogram::default() };
                    self.stage_histogram(series, t, start_t, HistogramValue::Integer(Box::new(h)))
                }
                HistogramType::Float | HistogramType::FloatCustom => {
                    let h = FloatHistogram { sum: v, ..FloatHistogram::default() };
                    self.stage_histogram(series, t, start_t, HistogramValue::Float(Box::new(h)))
                }
            };
        }
        let verdict = self.judge((series, slot), t, |s| s.last_is_float(v));
        self.refuse(verdict, false)?;
        let sample = RefSample { series, start_t, t, v };
        self.staged.push_float(StagedFloat { sample, slot });
        Ok(())
    }

    /// Stages the zero that a cumulative sample began with at its start time, where the series has
    /// nothing at that time or later. What cannot be stored is let go, as in Prometheus.
    fn append_zero(
        &mut self,
        series: SeriesRef,
        t: i64,
        start_t: i64,
        value: Value<'_>,
    ) -> Result<(), AppendError> {
        let slot = self.slot(series)?;
        if start_t >= t || start_t < self.bounds(t).min_valid {
            return Ok(());
        }
        let zero = match value {
            Value::Float(_) => {
                let verdict = self.judge((series, slot), start_t, |s| s.last_is_float(0.0));
                if matches!(verdict, Ok(verdict) if verdict != Verdict::OutOfOrder) {
                    let sample = RefSample { series, start_t: 0, t: start_t, v: 0.0 };
                    self.staged.push_float(StagedFloat { sample, slot });
                }
                return Ok(());
            }
            // The layout of the sample, so that no chunk ends for it.
            Value::Histogram(h) => HistogramValue::Integer(Box::new(Histogram {
                counter_reset_hint: CounterResetHint::Reset,
                schema: h.schema,
                zero_threshold: h.zero_threshold,
                custom_values: h.custom_values.clone(),
                ..Histogram::default()
            })),
            Value::FloatHistogram(h) => HistogramValue::Float(Box::new(FloatHistogram {
                counter_reset_hint: CounterResetHint::Reset,
                schema: h.schema,
                zero_threshold: h.zero_threshold,
                custom_values: h.custom_values.clone(),
                ..FloatHistogram::default()
            })),
        };
        let verdict = self.judge((series, slot), start_t, |s| s.last_is_histogram(&zero));
        if matches!(verdict, Ok(verdict) if verdict != Verdict::OutOfOrder) {
            let (t, start_t) = (start_t, 0);
            let staged = StagedHistogram { series_ref: series.0, slot, t, start_t, value: zero };
            self.staged.push_histogram(staged);
        }
        Ok(())
    }

    fn stage_histogram(
        &mut self,
        series: SeriesRef,
        t: i64,
        start_t: i64,
        value: HistogramValue,
    ) -> Result<(), AppendError> {
        let slot = self.slot(series)?;
        let verdict = self.judge((series, slot), t, |s| s.last_is_histogram(&value));
        self.refuse(verdict, true)?;
        let staged = StagedHistogram { series_ref: series.0, slot, t, start_t, value };
        self.staged.push_histogram(staged);
        Ok(())
    }

    /// Turns a bad verdict into an error, and counts it.
    #[inline]
    fn refuse(
        &self,
        verdict: Result<Verdict, AppendError>,
        histogram: bool,
    ) -> Result<(), AppendError> {
        let error = match verdict {
            Ok(Verdict::OutOfOrder) if self.options.reject_out_of_order => AppendError::OutOfOrder,
            Ok(_) => return Ok(()),
            Err(error) => error,
        };
        let m = &self.head.metrics;
        let by_type = match error {
            AppendError::OutOfOrder => &m.out_of_order,
            AppendError::OutOfBounds => &m.out_of_bound,
            AppendError::TooOld => &m.too_old,
            _ => return Err(error),
        };
        if histogram {
            by_type.histogram.add(1)
        } else {
            by_type.float.add(1)
        }
        Err(error)
    }
}

impl Appender for HeadAppender {
    fn set_options(&mut self, options: AppendOptions) {
        self.options = options;
    }

    fn series(&mut self, labels: &Labels) -> Result<SeriesRef, AppendError> {
        if labels.is_empty() {
            return Err(AppendError::InvalidLabels("empty labelset".into()));
        }
        let hash = labels.hash64();
        if let Some(slot) = self.head.index().find(hash, labels)
            && let Some(series_ref) = self.head.series_ref(slot)
        {
            return Ok(SeriesRef(series_ref));
        }
        if let Some(&series_ref) = self.new_by_labels.get(labels) {
            return Ok(SeriesRef(series_ref));
        }
        if labels.len() > MAX_LABELS {
            return Err(AppendError::InvalidLabels("too many labels".into()));
        }
        let admitted = self.head.admit_series(labels, self.options.exempt_from_limits)?;
        self.admitted.add(admitted);
        let series_ref = self.head.next_ref();
        self.new.push(NewSeries { series_ref, labels: labels.clone(), hash });
        self.new_by_labels.insert(labels.clone(), series_ref);
        Ok(SeriesRef(series_ref))
    }

    #[inline]
    fn append(
        &mut self,
        series: SeriesRef,
        t: i64,
        start_t: i64,
        value: Value<'_>,
    ) -> Result<(), AppendError> {
        let has_zero = start_t != 0 && self.head.options.start_times_as_zeros;
        match value {
            Value::Float(v) => {
                if has_zero {
                    self.append_zero(series, t, start_t, value)?;
                }
                self.append_float(series, t, start_t, v)
            }
            Value::Histogram(h) => {
                h.validate().map_err(AppendError::InvalidHistogram)?;
                if has_zero {
                    self.append_zero(series, t, start_t, value)?;
                }
                let value = HistogramValue::Integer(Box::new(h.clone()));
                self.stage_histogram(series, t, start_t, value)
            }
            Value::FloatHistogram(h) => {
                h.validate().map_err(AppendError::InvalidHistogram)?;
                if has_zero {
                    self.append_zero(series, t, start_t, value)?;
                }
                self.stage_histogram(series, t, start_t, HistogramValue::Float(Box::new(h.clone())))
            }
        }
    }

    fn append_exemplar(
        &mut self,
        series: SeriesRef,
        exemplar: &Exemplar,
    ) -> Result<(), AppendError> {
        if !self.head.exemplars_enabled() {
            return Ok(());
        }
        self.slot(series)?;
        if self.head.check_exemplar(series.0, exemplar)? {
            self.staged.exemplars.push((series.0, exemplar.clone()));
        }
        Ok(())
    }

    fn update_metadata(
        &mut self,
        series: SeriesRef,
        metadata: &Metadata,
    ) -> Result<(), AppendError> {
        let slot = self.slot(series)?;
        if slot == NEW || self.head.metadata(slot).as_ref() != Some(metadata) {
            self.staged.metadata.push((series.0, metadata.clone()));
        }
        Ok(())
    }

    fn commit(mut self: Box<Self>) -> Result<(), AppendError> {
        let staged = std::mem::take(&mut self.staged);
        let new = std::mem::take(&mut self.new);
        // What is created must not copy the list of runs for a snapshot that nobody needs any more.
        self.refs = RefSnapshot::default();
        let floats = staged.floats().min(MAX_EXPECTED);
        self.head.expected_floats.store(floats, Ordering::Relaxed);
        let admitted = std::mem::take(&mut self.admitted);
        let done = self.head.commit(staged, new, self.bounds);
        self.head.limits.release(admitted, done.is_ok());
        done
    }

    fn rollback(self: Box<Self>) {}
}

impl Drop for HeadAppender {
    fn drop(&mut self) {
        self.head.appenders.close(self.opening);
        self.head.limits.release(self.admitted, false);
        self.head.metrics.active_appenders.sub(1);
    }
}
