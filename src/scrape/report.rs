//! The synthetic series of a target: `up` and its companions.

use model::{AppendError, AppendOptions, Appender, Labels, SeriesRef, Value};

use super::mutate::report_labels;

/// Names in the order Prometheus writes them; the last three only with `extra_scrape_metrics`.
const NAMES: [&str; 8] = [
    "up",
    "scrape_duration_seconds",
    "scrape_samples_scraped",
    "scrape_samples_post_metric_relabeling",
    "scrape_series_added",
    "scrape_timeout_seconds",
    "scrape_sample_limit",
    "scrape_body_size_bytes",
];

/// How many of `NAMES` are always written.
const ALWAYS: usize = 5;

/// The values of one scrape, in the order of the series.
#[derive(Clone, Copy, Debug)]
pub struct Report {
    pub up: bool,
    pub duration_seconds: f64,
    pub scraped: usize,
    pub added: usize,
    pub series_added: usize,
    /// Timeout, sample limit and body size (-1 when the body was too large), if wanted.
    pub extra: Option<[f64; 3]>,
}

/// Writes the synthetic series of one target; remembers their references.
#[derive(Debug, Default)]
pub struct Reporter {
    series: [Option<SeriesRef>; NAMES.len()],
}

impl Reporter {
    /// Stages the report of a scrape at `time_ms`.
    pub fn report(
        &mut self,
        app: &mut dyn Appender,
        target: &Labels,
        time_ms: i64,
        report: &Report,
    ) -> Result<(), AppendError> {
        let [timeout, limit, size] = report.extra.unwrap_or_default();
        let values = [
            f64::from(u8::from(report.up)),
            report.duration_seconds,
            report.scraped as f64,
            report.added as f64,
            report.series_added as f64,
            timeout,
            limit,
            size,
        ];
        let count = if report.extra.is_some() { NAMES.len() } else { ALWAYS };
        app.set_options(AppendOptions { exempt_from_limits: true, ..AppendOptions::default() });
        (0..count).try_for_each(|i| self.append(app, target, i, time_ms, values[i]))
    }

    /// Stages staleness markers for all synthetic series that were ever written.
    pub fn stale(&mut self, app: &mut dyn Appender, time_ms: i64) -> Result<(), AppendError> {
        app.set_options(AppendOptions { reject_out_of_order: true, ..AppendOptions::default() });
        for series in self.series.iter().flatten() {
            expected(app.append(*series, time_ms, 0, Value::Float(model::value::STALE_NAN)))?;
        }
        app.set_options(AppendOptions::default());
        Ok(())
    }

    fn append(
        &mut self,
        app: &mut dyn Appender,
        target: &Labels,
        i: usize,
        time_ms: i64,
        value: f64,
    ) -> Result<(), AppendError> {
        if let Some(series) = self.series[i] {
            match app.append(series, time_ms, 0, Value::Float(value)) {
                Err(AppendError::UnknownSeries) => {}
                other => return expected(other),
            }
        }
        let series = app.series(&report_labels(NAMES[i], target))?;
        self.series[i] = Some(series);
        expected(app.append(series, time_ms, 0, Value::Float(value)))
    }
}

/// A target that went away and came back under a new loop may already have written this time.
fn expected(result: Result<(), AppendError>) -> Result<(), AppendError> {
    match result {
        Err(AppendError::OutOfOrder | AppendError::Duplicate | AppendError::UnknownSeries) => {
            Ok(())
        }
        other => other,
    }
}
