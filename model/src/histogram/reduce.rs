//! Reduction: an exponential histogram finer than what is kept becomes coarser on arrival, each
//! bucket merged into the one that covers it.

use super::{EXPONENTIAL_SCHEMA_MAX, FloatHistogram, Histogram, Span};

/// Highest schema that is reserved for exponential histograms of the future.
const SCHEMA_MAX_RESERVED: i32 = 52;

impl Histogram {
    /// Reduces a schema between 9 and 52 to 8; leaves everything else as it is.
    pub fn reduce_to_kept_schema(&mut self) {
        let Some(by) = reduction(self.schema) else { return };
        for (spans, buckets) in [
            (&mut self.positive_spans, &mut self.positive_buckets),
            (&mut self.negative_spans, &mut self.negative_buckets),
        ] {
            let mut last = 0i64;
            let absolute = buckets.iter().map(|d| {
                last = last.wrapping_add(*d);
                last
            });
            let merged = merge(spans, absolute, by, i64::wrapping_add);
            last = 0;
            *buckets = merged
                .iter()
                .map(|(_, count)| {
                    let delta = count.wrapping_sub(last);
                    last = *count;
                    delta
                })
                .collect();
            *spans = spans_of(&merged);
        }
        self.schema = EXPONENTIAL_SCHEMA_MAX;
    }
}

impl FloatHistogram {
    /// Reduces a schema between 9 and 52 to 8; leaves everything else as it is.
    pub fn reduce_to_kept_schema(&mut self) {
        let Some(by) = reduction(self.schema) else { return };
        for (spans, buckets) in [
            (&mut self.positive_spans, &mut self.positive_buckets),
            (&mut self.negative_spans, &mut self.negative_buckets),
        ] {
            let merged = merge(spans, buckets.iter().copied(), by, |a, b| a + b);
            *buckets = merged.iter().map(|(_, count)| *count).collect();
            *spans = spans_of(&merged);
        }
        self.schema = EXPONENTIAL_SCHEMA_MAX;
    }
}

/// How many times the resolution has to be halved.
fn reduction(schema: i32) -> Option<u32> {
    (EXPONENTIAL_SCHEMA_MAX + 1..=SCHEMA_MAX_RESERVED)
        .contains(&schema)
        .then(|| schema.abs_diff(EXPONENTIAL_SCHEMA_MAX))
}

/// Buckets with their index in the coarser schema. Spans of a histogram that is not valid are
/// followed as far as there are buckets; validation refuses it afterwards or before.
fn merge<T: Copy>(
    spans: &[Span],
    counts: impl Iterator<Item = T>,
    by: u32,
    add: impl Fn(T, T) -> T,
) -> Vec<(i64, T)> {
    let mut counts = counts;
    let mut out: Vec<(i64, T)> = Vec::new();
    let mut index = 0i64;
    for span in spans {
        index += i64::from(span.offset);
        for _ in 0..span.length {
            let Some(count) = counts.next() else { return out };
            let target = ((index - 1) >> by) + 1;
            match out.last_mut() {
                Some((last, sum)) if *last == target => *sum = add(*sum, count),
                _ => out.push((target, count)),
            }
            index += 1;
        }
    }
    out
}

fn spans_of<T>(buckets: &[(i64, T)]) -> Vec<Span> {
    let mut spans: Vec<Span> = Vec::new();
    let mut next = 0i64;
    for (index, _) in buckets {
        match spans.last_mut() {
            Some(span) if *index == next => span.length += 1,
            _ => {
                let gap = (*index - next).clamp(i32::MIN.into(), i32::MAX.into());
                spans.push(Span { offset: gap as i32, length: 1 });
            }
        }
        next = index + 1;
    }
    spans
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merges_pairs() {
        let mut h = Histogram {
            schema: 9,
            count: 11,
            positive_spans: vec![Span { offset: 1, length: 3 }, Span { offset: 4, length: 1 }],
            // Counts 1, 2, 3 at indices 1, 2, 3 and 5 at 8.
            positive_buckets: vec![1, 1, 1, 2],
            ..Histogram::default()
        };
        let mut float = h.to_float();
        h.reduce_to_kept_schema();
        assert_eq!(h.schema, 8);
        assert_eq!(
            h.positive_spans,
            [Span { offset: 1, length: 2 }, Span { offset: 1, length: 1 }]
        );
        assert_eq!(h.positive_buckets, [3, 0, 2]);
        assert_eq!(h.validate(), Ok(()));
        float.reduce_to_kept_schema();
        assert_eq!(float, h.to_float());
        let kept = Histogram { schema: 8, ..h.clone() };
        let mut same = kept.clone();
        same.reduce_to_kept_schema();
        assert_eq!(same, kept);
    }
}
