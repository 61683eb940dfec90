//! Classic histograms as native ones with custom buckets: the series `x_bucket`, `x_sum` and
//! `x_count` of one `load` become the histograms of series `x`.

use std::collections::BTreeMap;

use model::histogram::CUSTOM_BUCKETS_SCHEMA;
use model::labels::BUCKET;
use model::{FloatHistogram, Labels, LabelsBuilder, Span};

use super::command::LoadedSeries;
use super::series::SequenceValue;

/// What is known of one histogram at one position of the sequence.
#[derive(Clone, Debug, Default)]
struct Classic {
    /// Upper bound and cumulative count, in order of arrival.
    buckets: Vec<(f64, f64)>,
    count: Option<f64>,
    sum: f64,
}

/// The histograms of every position, by labels of the new series.
pub fn convert(series: &[LoadedSeries]) -> Result<Vec<LoadedSeries>, String> {
    let mut all: Vec<(Labels, BTreeMap<usize, Classic>)> = Vec::new();
    for s in series {
        let name = s.labels.metric_name();
        let (base, part) = match name.rsplit_once('_') {
            Some((base, part @ ("bucket" | "count" | "sum"))) => (base, part),
            _ => continue,
        };
        let bound = match (part, s.labels.get(BUCKET)) {
            ("bucket", None) => {
                return Err(format!("expected bucket label in metric {}", s.labels));
            }
            ("bucket", Some(le)) => match le.parse::<f64>() {
                Ok(le) if !le.is_nan() => le,
                _ => continue,
            },
            _ => 0.0,
        };
        let mut builder = LabelsBuilder::new(&s.labels);
        builder.set(model::labels::METRIC_NAME, base).del(BUCKET);
        let labels = builder.labels();
        let at = match all.iter().position(|(l, _)| *l == labels) {
            Some(at) => at,
            None => {
                all.push((labels, BTreeMap::new()));
                all.len() - 1
            }
        };
        for (i, value) in s.values.iter().enumerate() {
            let SequenceValue::Float(v) = value else { continue };
            let classic = all[at].1.entry(i).or_default();
            match part {
                "bucket" => classic.buckets.push((bound, *v)),
                "count" => classic.count = Some(*v),
                _ => classic.sum = *v,
            }
        }
    }
    all.into_iter()
        .map(|(labels, by_position)| {
            let len = by_position.last_key_value().map_or(0, |(i, _)| i + 1);
            let mut values = vec![SequenceValue::Omitted; len];
            for (i, classic) in by_position {
                let histogram = Box::new(classic.build()?);
                values[i] = SequenceValue::Histogram { histogram, hint_given: false };
            }
            Ok(LoadedSeries { labels, values, starts: Vec::new() })
        })
        .collect()
}

impl Classic {
    fn build(mut self) -> Result<FloatHistogram, String> {
        self.buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
        self.buckets.dedup_by(|b, a| a.0 == b.0);
        let highest = self.buckets.last().copied();
        let count = self.count.or(highest.map(|(_, c)| c)).unwrap_or(0.0);
        if count < 0.0 {
            return Err(format!("count must be non-negative: count={count}"));
        }
        if highest.is_none_or(|(le, _)| le != f64::INFINITY) {
            self.buckets.push((f64::INFINITY, count));
        }
        let mut before = 0.0;
        let mut positive_buckets = Vec::with_capacity(self.buckets.len());
        for (le, cumulative) in &self.buckets {
            if *cumulative < 0.0 {
                return Err(format!(
                    "bucket count must be non-negative: le={le}, count={cumulative}"
                ));
            }
            if *cumulative < before {
                return Err(format!("count is not cumulative: {cumulative} < {before}"));
            }
            positive_buckets.push(cumulative - before);
            before = *cumulative;
        }
        if before != count {
            return Err(format!("count mismatch: count={count} != le=+Inf count={before}"));
        }
        let length = positive_buckets.len() as u32;
        let bounds = self.buckets.iter().map(|(le, _)| *le).filter(|le| *le != f64::INFINITY);
        Ok(FloatHistogram {
            schema: CUSTOM_BUCKETS_SCHEMA,
            count,
            sum: self.sum,
            positive_spans: vec![Span { offset: 0, length }],
            custom_values: bounds.collect(),
            positive_buckets,
            ..FloatHistogram::default()
        })
    }
}
