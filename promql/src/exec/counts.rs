//! Histograms reduced to count and sum, for queries that look at nothing else.
//!
//! Without buckets a counter reset cannot be found any more, so each histogram gets an explicit
//! hint while its buckets are still at hand.

use model::columns::HistogramValue;
use model::value::is_stale_nan;
use model::{Columns, CounterResetHint, FloatHistogram};

/// Takes the buckets out of every histogram in `read`, whose samples follow each other.
pub(crate) fn strip(read: &mut Columns) {
    let mut prev: Option<FloatHistogram> = None;
    for sample in &mut read.histograms {
        let h = sample.value.to_float();
        let mut hint = h.counter_reset_hint;
        let stale = is_stale_nan(h.sum);
        if let (CounterResetHint::Unknown, Some(prev), false) = (hint, &prev, stale) {
            hint = match h.detect_reset(prev) {
                true => CounterResetHint::Reset,
                false => CounterResetHint::NotReset,
            };
        }
        sample.value = HistogramValue::Float(Box::new(FloatHistogram {
            counter_reset_hint: hint,
            schema: h.schema,
            count: h.count,
            sum: h.sum,
            ..FloatHistogram::default()
        }));
        if !stale {
            prev = Some(h);
        }
    }
}
