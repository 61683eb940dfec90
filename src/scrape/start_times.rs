//! StartTimes: when counters began, concluded from what a target exposes (feature `st-synthesis`).
//!
//! As in Prometheus, the first sample of a cumulative series is not stored: its time becomes the
//! start time of those that follow, its value is subtracted from them. When the value falls, the
//! series began anew a millisecond before, at 0. A sample that is refused ends what is known of its
//! series; so does a body without it.

use std::collections::HashMap;

use model::MetricType;
use xxhash_rust::xxh3::xxh3_64;

/// What a sample becomes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Synthesized {
    /// It is stored as it is.
    Plain,
    /// It is the reference for those to come and not stored.
    First,
    /// It is stored with this value and this start time, milliseconds.
    Since { value: f64, start_ms: i64 },
}

/// What is known of the series of a text.
#[derive(Clone, Copy, Debug)]
enum Known {
    /// It is no cumulative series of this family.
    Plain { family: u64 },
    /// The value before, the one that is subtracted, and the start time.
    Since { before: f64, first: f64, start_ms: i64 },
}

/// The family that metadata lines named last.
#[derive(Debug, Default)]
pub struct Family {
    name: String,
    metric_type: MetricType,
    hash: u64,
}

/// The series of one target.
#[derive(Debug, Default)]
pub struct StartTimes {
    /// By hash of the text in front of the value, with the iteration that had it last.
    known: HashMap<u64, (Known, u32)>,
    family: Family,
    /// Types by family, of the running body.
    types: HashMap<String, MetricType>,
    /// How much was known after the last complete body.
    complete: usize,
}

impl StartTimes {
    /// A `# TYPE` or `# HELP` line.
    pub fn family(&mut self, name: &str, metric_type: Option<MetricType>) {
        if let Some(metric_type) = metric_type {
            self.types.insert(name.to_owned(), metric_type);
        }
        let metric_type = self.types.get(name).copied().unwrap_or_default();
        let hash = xxh3_64(name.as_bytes()).wrapping_add(metric_type as u64);
        self.family = Family { name: name.to_owned(), metric_type, hash };
    }

    /// Takes a sample. `name` is its stored metric name, asked for only when the series is not known.
    pub fn sample(
        &mut self,
        text: &[u8],
        iteration: u32,
        (time_ms, value): (i64, f64),
        name: impl FnOnce() -> Result<String, String>,
    ) -> Result<Synthesized, String> {
        let key = xxh3_64(text);
        let family = &self.family;
        if let Some((known, seen)) = self.known.get_mut(&key) {
            *seen = iteration;
            match known {
                Known::Plain { family: of } if *of == family.hash => return Ok(Synthesized::Plain),
                Known::Plain { .. } => {}
                Known::Since { before, first, start_ms } => {
                    if value < *before {
                        (*first, *start_ms) = (0.0, time_ms - 1);
                    }
                    *before = value;
                    let (value, start_ms) = (value - *first, *start_ms);
                    return Ok(Synthesized::Since { value, start_ms });
                }
            }
        }
        let (known, becomes) = match family.is_cumulative(&name()?) {
            true => {
                let known = Known::Since { before: value, first: value, start_ms: time_ms };
                (known, Synthesized::First)
            }
            false => (Known::Plain { family: family.hash }, Synthesized::Plain),
        };
        self.known.insert(key, (known, iteration));
        Ok(becomes)
    }

    /// A sample of this text was refused.
    pub fn forget(&mut self, text: &[u8]) {
        self.known.remove(&xxh3_64(text));
    }

    /// Ends the iteration. `complete`: the whole body was parsed, so what it did not have is
    /// forgotten.
    pub fn finish(&mut self, iteration: u32, complete: bool) {
        // Failing bodies with ever-changing text must not fill the memory.
        if complete || self.known.len() > 2 * self.complete + 1000 {
            self.known.retain(|_, (_, seen)| *seen == iteration);
            self.complete = self.known.len();
        }
        self.family = Family::default();
        self.types.clear();
    }
}

impl Family {
    /// Whether a series of this name belongs to the family and only ever grows.
    fn is_cumulative(&self, name: &str) -> bool {
        let without = |suffixes: &[&str]| {
            suffixes.iter().find_map(|suffix| name.strip_suffix(suffix)).unwrap_or(name).to_owned()
        };
        let family = self.name.as_str();
        // The type of the family decides which suffixes its series have.
        if family.is_empty() || !name.starts_with(family) {
            return false;
        }
        match self.metric_type {
            MetricType::Counter => {
                without(&["_total"]) == family.strip_suffix("_total").unwrap_or(family)
            }
            MetricType::Histogram => without(&["_bucket", "_sum", "_count"]) == family,
            MetricType::Summary => name != family && without(&["_sum", "_count"]) == family,
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families() {
        use MetricType::{Counter, Gauge, Histogram, Summary, Unknown};
        for (family, metric_type, name, cumulative) in [
            ("c", Counter, "c", true),
            ("c", Counter, "c_total", true),
            ("c_total", Counter, "c_total", true),
            ("c_total", Counter, "c", false),
            ("c", Counter, "c_other", false),
            ("c", Counter, "d", false),
            ("c", Gauge, "c", false),
            ("c", Unknown, "c", false),
            ("h", Histogram, "h_bucket", true),
            ("h", Histogram, "h_sum", true),
            ("h", Histogram, "h_count", true),
            ("h", Histogram, "h", true),
            ("h", Histogram, "h_max", false),
            ("s", Summary, "s", false),
            ("s", Summary, "s_sum", true),
            ("s", Summary, "s_count", true),
            ("s", Summary, "s_total", false),
        ] {
            let family = Family { name: family.to_owned(), metric_type, hash: 0 };
            assert_eq!(family.is_cumulative(name), cumulative, "{name} of {family:?}");
        }
    }
}
