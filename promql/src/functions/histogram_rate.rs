//! rate, increase, delta, irate and idelta of native histograms.

use std::sync::Arc;

use model::{CounterResetHint, FloatHistogram};

use super::mixed::{Answer, Met};
use super::rate::{Rate, Shape, Start, from_start};
use crate::exec::column::SharedHistogram;
use crate::exec::notes::HistogramOperation;
use crate::exec::samples::{HistogramSample, Samples};
use crate::exec::window::Bounds;

impl HistogramSample {
    fn begin(&self) -> Start {
        Start { start: self.start, t: self.t }
    }

    fn is_gauge(&self) -> bool {
        self.h.counter_reset_hint == CounterResetHint::Gauge
    }

    /// Whether a counter reset lies between this sample and `next`.
    fn reset_before(&self, next: &HistogramSample) -> bool {
        self.begin().reset_before(next.begin()) || next.h.detect_reset(&self.h)
    }
}

/// rate, increase or delta of a window that holds histograms only.
pub(crate) fn rate(rate: &Rate, samples: &Samples, b: &Bounds, met: &mut Met) -> Answer {
    let hs = &samples.histograms[b.h_lo..b.h_hi];
    let (first, last) = (&hs[0], &hs[hs.len() - 1]);
    let mut change = None;
    if hs.len() > 1 {
        change = difference(rate, hs, met);
        if change.is_none() {
            return Answer::Nothing;
        }
    }
    let mut shape = Shape::new(b, first.t, last.t, hs.len() - 1);
    let started =
        rate.counter && first.start != 0 && first.start > b.start && first.start < first.t;
    let factor;
    if started {
        // The counter started inside the window: it was zero there.
        shape.to_start = 0.0;
        shape.sampled = (last.t - first.start) as f64 / 1000.0;
        factor = from_start(rate, &shape, first.t, last.t);
        change = Some(match change {
            None => (*first.h).clone(),
            Some(mut change) => {
                let added = change.add(&first.h);
                if met.combined(added, HistogramOperation::Add).is_none() {
                    return Answer::Nothing;
                }
                change
            }
        });
    } else {
        let Some(change) = &change else { return Answer::Nothing };
        let falls_to_zero = rate.counter && change.count > 0.0 && first.h.count >= 0.0;
        let to_zero = falls_to_zero.then(|| shape.sampled * (first.h.count / change.count));
        shape.limit_start(to_zero);
        factor = shape.factor(rate);
    }
    match change {
        Some(mut change) => {
            change.scale(factor);
            Answer::Histogram(Arc::new(change))
        }
        None => Answer::Nothing,
    }
}

/// The change over at least two histograms, resets added back.
fn difference(rate: &Rate, hs: &[HistogramSample], met: &mut Met) -> Option<FloatHistogram> {
    let (first, second, last) = (&hs[0], &hs[1], &hs[hs.len() - 1]);
    if rate.counter && (first.is_gauge() || last.is_gauge()) {
        met.not_counter = true;
    }
    // What lies before a reset has no say in the layout.
    let mut before = first.h.clone();
    if rate.counter && first.reset_before(second) {
        before = Arc::new(FloatHistogram {
            schema: second.h.schema,
            custom_values: second.h.custom_values.clone(),
            ..FloatHistogram::default()
        });
    }
    let custom = before.uses_custom_buckets();
    if last.h.uses_custom_buckets() != custom {
        met.exponential_custom = true;
        return None;
    }
    let mut schema = last.h.schema.min(before.schema);
    if rate.counter {
        for s in &hs[1..hs.len() - 1] {
            met.not_counter |= s.is_gauge();
            schema = schema.min(s.h.schema);
            if s.h.uses_custom_buckets() != custom {
                met.exponential_custom = true;
                return None;
            }
        }
    }
    let mut change = last.h.copy_to_schema(schema);
    let result = change.sub(&before);
    met.combined(result, HistogramOperation::Sub)?;
    if rate.counter {
        add_resets(&mut change, before, hs, met)?;
    } else if !first.is_gauge() || !last.is_gauge() {
        met.not_gauge = true;
    }
    change.counter_reset_hint = CounterResetHint::Gauge;
    change.compact();
    Some(change)
}

fn add_resets(
    change: &mut FloatHistogram,
    before: SharedHistogram,
    hs: &[HistogramSample],
    met: &mut Met,
) -> Option<()> {
    let mut overlaps = false;
    let mut prev = before;
    for pair in hs.windows(2) {
        let (a, b) = (&pair[0], &pair[1]);
        overlaps |= a.begin().overlapped_by(b.begin());
        if a.begin().reset_before(b.begin()) || b.h.detect_reset(&prev) {
            let added = change.add(&prev);
            met.combined(added, HistogramOperation::Add)?;
        }
        prev = b.h.clone();
    }
    met.overlaps += u64::from(overlaps);
    Some(())
}

/// One of the last two samples of a window.
#[derive(Clone, Copy)]
struct Last<'a> {
    at: Start,
    v: f64,
    h: Option<&'a SharedHistogram>,
}

/// irate and idelta: the change between the last two samples, whatever they are.
pub(crate) fn instant(samples: &Samples, b: &Bounds, per_second: bool, met: &mut Met) -> Answer {
    let floats = (b.hi.saturating_sub(2).max(b.lo)..b.hi).map(|i| Last {
        at: Start { start: samples.starts.get(i).copied().unwrap_or(0), t: samples.timestamps[i] },
        v: samples.floats[i],
        h: None,
    });
    let hs = &samples.histograms[b.h_hi.saturating_sub(2).max(b.h_lo)..b.h_hi];
    let histograms = hs.iter().map(|s| Last { at: s.begin(), v: 0.0, h: Some(&s.h) });
    let mut last: Vec<Last<'_>> = floats.chain(histograms).collect();
    last.sort_by_key(|l| l.at.t);
    let [.., prev, curr] = last[..] else { return Answer::Nothing };
    let distance = curr.at.t - prev.at.t;
    if distance == 0 {
        return Answer::Nothing;
    }
    let seconds = distance as f64 / 1000.0;
    let restarted = || prev.at.reset_before(curr.at);
    match (prev.h, curr.h) {
        (None, None) => {
            let reset = per_second && (curr.v < prev.v || restarted());
            let change = if reset { curr.v } else { curr.v - prev.v };
            Answer::Float(if per_second { change / seconds } else { change })
        }
        (Some(p), Some(c)) => {
            let gauges = [p, c].map(|h| h.counter_reset_hint == CounterResetHint::Gauge);
            met.not_counter |= per_second && (gauges[0] || gauges[1]);
            met.not_gauge |= !(per_second || gauges[0] && gauges[1]);
            let mut change = (**c).clone();
            if !per_second || !restarted() && !c.detect_reset(p) {
                let result = change.sub(p);
                if met.combined(result, HistogramOperation::Sub).is_none() {
                    return Answer::Nothing;
                }
            }
            change.counter_reset_hint = CounterResetHint::Gauge;
            change.compact();
            if per_second {
                change.divide(seconds);
            }
            Answer::Histogram(Arc::new(change))
        }
        _ => {
            met.mixed = true;
            Answer::Nothing
        }
    }
}
