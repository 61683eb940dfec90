//! Numbers, labels and histograms as text. A float is the hexadecimal digits of its bits, so that
//! every one survives exactly.

use std::collections::BTreeMap;
use std::fmt::Display;

use model::{CounterResetHint, FloatHistogram, Histogram, Labels, MetricType, Span};
use serde::Deserialize;

use crate::Failure;

#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct HistogramText {
    hint: u8,
    schema: i32,
    zt: String,
    zero: u64,
    count: u64,
    sum: String,
    ps: Vec<(i32, u32)>,
    ns: Vec<(i32, u32)>,
    p: Vec<i64>,
    n: Vec<i64>,
    custom: Vec<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct FloatHistogramText {
    hint: u8,
    schema: i32,
    zt: String,
    zero: String,
    count: String,
    sum: String,
    ps: Vec<(i32, u32)>,
    ns: Vec<(i32, u32)>,
    p: Vec<String>,
    n: Vec<String>,
    custom: Vec<String>,
}

pub(crate) fn labels(pairs: &BTreeMap<String, String>) -> Labels {
    Labels::from_pairs(pairs.iter())
}

pub(crate) fn float(hex: &str) -> Result<f64, Failure> {
    Ok(f64::from_bits(u64::from_str_radix(hex, 16)?))
}

fn floats(texts: &[String]) -> Result<Vec<f64>, Failure> {
    texts.iter().map(|t| float(t)).collect()
}

pub(crate) fn metric_type(name: &str) -> Result<MetricType, Failure> {
    use MetricType::*;
    [Unknown, Counter, Gauge, Histogram, GaugeHistogram, Summary, Info, StateSet]
        .into_iter()
        .find(|t| t.as_str() == name)
        .ok_or_else(|| format!("unknown metric type {name:?}").into())
}

fn spans(texts: &[(i32, u32)]) -> Vec<Span> {
    texts.iter().map(|&(offset, length)| Span { offset, length }).collect()
}

const HINTS: [CounterResetHint; 4] = [
    CounterResetHint::Unknown,
    CounterResetHint::Reset,
    CounterResetHint::NotReset,
    CounterResetHint::Gauge,
];

fn hint(number: u8) -> Result<CounterResetHint, Failure> {
    HINTS.get(usize::from(number)).copied().ok_or_else(|| "unknown hint".into())
}

impl HistogramText {
    pub fn histogram(&self) -> Result<Histogram, Failure> {
        Ok(Histogram {
            counter_reset_hint: hint(self.hint)?,
            schema: self.schema,
            zero_threshold: float(&self.zt)?,
            zero_count: self.zero,
            count: self.count,
            sum: float(&self.sum)?,
            positive_spans: spans(&self.ps),
            negative_spans: spans(&self.ns),
            positive_buckets: self.p.clone(),
            negative_buckets: self.n.clone(),
            custom_values: floats(&self.custom)?,
        })
    }
}

impl FloatHistogramText {
    pub fn histogram(&self) -> Result<FloatHistogram, Failure> {
        Ok(FloatHistogram {
            counter_reset_hint: hint(self.hint)?,
            schema: self.schema,
            zero_threshold: float(&self.zt)?,
            zero_count: float(&self.zero)?,
            count: float(&self.count)?,
            sum: float(&self.sum)?,
            positive_spans: spans(&self.ps),
            negative_spans: spans(&self.ns),
            positive_buckets: floats(&self.p)?,
            negative_buckets: floats(&self.n)?,
            custom_values: floats(&self.custom)?,
        })
    }
}

pub(crate) fn hex(v: f64) -> String {
    format!("{:x}", v.to_bits())
}

fn list<T>(all: &[T], text: impl Fn(&T) -> String) -> String {
    format!("[{}]", all.iter().map(text).collect::<Vec<_>>().join(" "))
}

fn hint_number(hint: CounterResetHint) -> usize {
    HINTS.iter().position(|h| *h == hint).unwrap_or(0)
}

fn line<T>(
    head: impl Display,
    spans: [&[Span]; 2],
    buckets: [&[T]; 2],
    text: fn(&T) -> String,
    custom: &[f64],
) -> String {
    let span = |s: &Span| format!("{}:{}", s.offset, s.length);
    let [positive, negative] = spans.map(|spans| list(spans, span));
    let [p, n] = buckets.map(|buckets| list(buckets, text));
    format!("{head} {positive}{p} {negative}{n} {}", list(custom, |v| hex(*v)))
}

pub(crate) fn histogram_line(h: &Histogram) -> String {
    let head = format!(
        "i {} {} {} {} {} {}",
        hint_number(h.counter_reset_hint),
        h.schema,
        hex(h.zero_threshold),
        h.zero_count,
        h.count,
        hex(h.sum)
    );
    line(
        head,
        [&h.positive_spans, &h.negative_spans],
        [&h.positive_buckets, &h.negative_buckets],
        |v| v.to_string(),
        &h.custom_values,
    )
}

pub(crate) fn float_histogram_line(h: &FloatHistogram) -> String {
    let head = format!(
        "f {} {} {} {} {} {}",
        hint_number(h.counter_reset_hint),
        h.schema,
        hex(h.zero_threshold),
        hex(h.zero_count),
        hex(h.count),
        hex(h.sum)
    );
    line(
        head,
        [&h.positive_spans, &h.negative_spans],
        [&h.positive_buckets, &h.negative_buckets],
        |v| hex(*v),
        &h.custom_values,
    )
}
