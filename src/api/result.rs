//! Results: values of queries as JSON, streamed series by series.

use std::time::Duration;

use model::FloatHistogram;
use promql::{PointValue, QueryValue, Series, Statistics};

use super::histogram::push_histogram;
use super::json::{
    Points, push_labels, push_number, push_string, push_timestamp, push_uint, push_value,
};
use super::sink::Sink;
use crate::governor::Timings;

/// Writes `{"resultType":…,"result":…`; the object stays open for `stats`.
pub fn push_value_of(sink: &mut Sink, value: &QueryValue) {
    let kind = match value {
        QueryValue::Scalar { .. } => "scalar",
        QueryValue::String { .. } => "string",
        QueryValue::Vector(_) => "vector",
        QueryValue::Matrix(_) => "matrix",
    };
    sink.buf.extend_from_slice(b"{\"resultType\":\"");
    sink.buf.extend_from_slice(kind.as_bytes());
    sink.buf.extend_from_slice(b"\",\"result\":");
    match value {
        // These two print their time as any number: `5.5`, where points have `5.500`.
        QueryValue::Scalar { t, v } => {
            sink.buf.push(b'[');
            push_number(&mut sink.buf, *t as f64 / 1000.0);
            sink.buf.push(b',');
            push_value(&mut sink.buf, *v);
            sink.buf.push(b']');
        }
        QueryValue::String { t, text } => {
            sink.buf.push(b'[');
            push_number(&mut sink.buf, *t as f64 / 1000.0);
            sink.buf.push(b',');
            push_string(&mut sink.buf, text);
            sink.buf.push(b']');
        }
        QueryValue::Vector(samples) => {
            push_list(sink, samples, |sink, sample| {
                sink.buf.extend_from_slice(b"{\"metric\":");
                push_labels(&mut sink.buf, &sample.labels);
                match &sample.value {
                    PointValue::Float(v) => {
                        sink.buf.extend_from_slice(b",\"value\":");
                        Points::default().push(&mut sink.buf, sample.t, *v);
                    }
                    PointValue::Histogram(h) => {
                        sink.buf.extend_from_slice(b",\"histogram\":");
                        push_histogram_point(&mut sink.buf, sample.t, h);
                    }
                }
                sink.buf.push(b'}');
            });
        }
        QueryValue::Matrix(series) => push_list(sink, series, push_series),
    }
}

fn push_list<T>(sink: &mut Sink, items: &[T], push: fn(&mut Sink, &T)) {
    sink.buf.push(b'[');
    for (i, item) in items.iter().enumerate() {
        if i > 0 {
            sink.buf.push(b',');
        }
        push(sink, item);
        if !sink.spill() {
            return;
        }
    }
    sink.buf.push(b']');
}

fn push_series(sink: &mut Sink, series: &Series) {
    let out = &mut sink.buf;
    out.extend_from_slice(b"{\"metric\":");
    push_labels(out, &series.labels);
    let mut points = Points::default();
    for (i, (t, v)) in series.floats.iter().enumerate() {
        if i == 0 {
            out.extend_from_slice(b",\"values\":[");
        } else {
            out.push(b',');
        }
        points.push(out, *t, *v);
    }
    if !series.floats.is_empty() {
        out.push(b']');
    }
    for (i, (t, h)) in series.histograms.iter().enumerate() {
        out.extend_from_slice(if i == 0 { b",\"histograms\":[".as_slice() } else { b"," });
        push_histogram_point(out, *t, h);
    }
    if !series.histograms.is_empty() {
        out.push(b']');
    }
    out.push(b'}');
}

fn push_histogram_point(out: &mut Vec<u8>, t: i64, h: &FloatHistogram) {
    out.push(b'[');
    push_timestamp(out, t);
    out.push(b',');
    push_histogram(out, h);
    out.push(b']');
}

/// Writes `,"stats":{…}`.
pub fn push_stats(out: &mut Vec<u8>, stats: &Statistics, timings: Timings) {
    let Timings { queued, prepared, evaluated } = timings;
    let total = prepared + evaluated;
    out.extend_from_slice(b",\"stats\":{\"timings\":{");
    for (i, (key, time)) in [
        ("evalTotalTime", total),
        ("resultSortTime", Duration::ZERO),
        ("queryPreparationTime", prepared),
        ("innerEvalTime", evaluated),
        ("execQueueTime", queued),
        ("execTotalTime", queued + total),
    ]
    .into_iter()
    .enumerate()
    {
        out.extend_from_slice(if i > 0 { b"," } else { b"" });
        out.extend_from_slice(format!("\"{key}\":").as_bytes());
        push_number(out, time.as_secs_f64());
    }
    out.extend_from_slice(b"},\"samples\":{");
    push_steps(out, "totalQueryableSamplesPerStep", &stats.total_queryable_samples_per_step);
    out.extend_from_slice(b"\"totalQueryableSamples\":");
    push_uint(out, stats.total_queryable_samples);
    out.push(b',');
    push_steps(out, "samplesReadPerStep", &stats.samples_read_per_step);
    out.extend_from_slice(b"\"samplesRead\":");
    push_uint(out, stats.samples_read);
    out.extend_from_slice(b",\"peakSamples\":");
    push_uint(out, stats.peak_samples);
    out.extend_from_slice(b"}}");
}

/// Writes a list of samples a step and a comma; nothing when the list is empty.
fn push_steps(out: &mut Vec<u8>, key: &str, steps: &[(i64, u64)]) {
    if steps.is_empty() {
        return;
    }
    out.extend_from_slice(format!("\"{key}\":[").as_bytes());
    for (i, (t, samples)) in steps.iter().enumerate() {
        out.extend_from_slice(if i > 0 { b",[" } else { b"[" });
        push_number(out, *t as f64 / 1000.0);
        out.push(b',');
        push_uint(out, *samples);
        out.push(b']');
    }
    out.extend_from_slice(b"],");
}
