//! Histogram literals: `{{schema:1 sum:3 count:22 buckets:[5 10 7]}}`, read and written.

use std::fmt::Write as _;

use model::histogram::CUSTOM_BUCKETS_SCHEMA;
use model::number::{format_g, go_quote, go_quote_char};
use model::{CounterResetHint, FloatHistogram, Span};

use super::histogram::{Side, buckets};
use super::series::Reader;
use crate::parser::ParseError;

/// Reads a literal; also tells whether it gives a counter reset hint.
pub(super) fn parse(reader: &mut Reader<'_>) -> Result<(FloatHistogram, bool), ParseError> {
    let start = reader.pos;
    if !reader.accept("{{") {
        let message = "unexpected end of histogram arithmetic in series values, expected \"{{\"";
        return Err(reader.error_at(start, message));
    }
    let mut parts = Parts::default();
    let mut first = true;
    loop {
        let spaced = reader.skip_spaces();
        if reader.accept("}}") {
            return Ok((parts.build(), parts.hint.is_some()));
        }
        if !first && !spaced {
            return Err(incomplete(reader));
        }
        first = false;
        parts.descriptor(reader)?;
    }
}

fn incomplete(reader: &Reader<'_>) -> ParseError {
    let c = reader.peek().unwrap_or(char::REPLACEMENT_CHARACTER);
    let message = format!("histogram description incomplete unexpected: {}", go_quote_char(c));
    reader.error_at(reader.pos, message)
}

/// What a literal gives.
#[derive(Default)]
struct Parts {
    seen: Vec<String>,
    schema: i32,
    sum: f64,
    count: f64,
    zero_count: f64,
    zero_threshold: f64,
    custom_values: Vec<f64>,
    hint: Option<CounterResetHint>,
    positive: (i32, Vec<f64>),
    negative: (i32, Vec<f64>),
}

impl Parts {
    fn descriptor(&mut self, reader: &mut Reader<'_>) -> Result<(), ParseError> {
        let start = reader.pos;
        let word = reader.run(|c| c.is_ascii_alphabetic() || c == '_');
        if word.is_empty() {
            return Err(incomplete(reader));
        }
        let key = word.to_ascii_lowercase();
        let known = [
            "schema",
            "sum",
            "count",
            "z_bucket",
            "z_bucket_w",
            "custom_values",
            "buckets",
            "offset",
            "n_buckets",
            "n_offset",
            "counter_reset_hint",
        ];
        if !known.contains(&key.as_str()) {
            let message = format!("bad histogram descriptor found: {}", go_quote(word));
            return Err(reader.error_at(start, message));
        }
        if !reader.accept(":") {
            return Err(reader.error_at(start, "missing `:` for histogram descriptor"));
        }
        if self.seen.contains(&key) {
            let message = format!("duplicate key \"{key}\" in histogram");
            return Err(reader.error_at(0, message));
        }
        match key.as_str() {
            "schema" => self.schema = int(reader)?,
            "sum" => self.sum = signed(reader)?,
            "count" => self.count = signed(reader)?,
            "z_bucket" => self.zero_count = signed(reader)?,
            "z_bucket_w" => self.zero_threshold = reader.number()?,
            "custom_values" => self.custom_values = list(reader)?,
            "buckets" => self.positive.1 = list(reader)?,
            "offset" => self.positive.0 = int(reader)?,
            "n_buckets" => self.negative.1 = list(reader)?,
            "n_offset" => self.negative.0 = int(reader)?,
            _ => self.hint = Some(hint(reader)?),
        }
        self.seen.push(key);
        Ok(())
    }

    fn build(&self) -> FloatHistogram {
        let spans = |(offset, buckets): &(i32, Vec<f64>)| match buckets.is_empty() {
            true => Vec::new(),
            false => vec![Span { offset: *offset, length: buckets.len() as u32 }],
        };
        FloatHistogram {
            counter_reset_hint: self.hint.unwrap_or_default(),
            schema: self.schema,
            zero_threshold: self.zero_threshold,
            zero_count: self.zero_count,
            count: self.count,
            sum: self.sum,
            positive_spans: spans(&self.positive),
            negative_spans: spans(&self.negative),
            positive_buckets: self.positive.1.clone(),
            negative_buckets: self.negative.1.clone(),
            custom_values: self.custom_values.clone(),
        }
    }
}

fn signed(reader: &mut Reader<'_>) -> Result<f64, ParseError> {
    let negative = reader.accept("-");
    let value = reader.number()?;
    Ok(if negative { -value } else { value })
}

fn int(reader: &mut Reader<'_>) -> Result<i32, ParseError> {
    let start = reader.pos;
    let value = signed(reader)?;
    if value.fract() != 0.0 || value.abs() > f64::from(i32::MAX) {
        return Err(reader.error_at(start, "histogram description needs a whole number"));
    }
    Ok(value as i32)
}

fn hint(reader: &mut Reader<'_>) -> Result<CounterResetHint, ParseError> {
    let start = reader.pos;
    let word = reader.run(|c| c.is_ascii_alphabetic() || c == '_');
    match word.to_ascii_lowercase().as_str() {
        "unknown" => Ok(CounterResetHint::Unknown),
        "reset" => Ok(CounterResetHint::Reset),
        "not_reset" => Ok(CounterResetHint::NotReset),
        "gauge" => Ok(CounterResetHint::Gauge),
        _ => {
            let message = format!("bad histogram descriptor found: {}", go_quote(word));
            Err(reader.error_at(start, message))
        }
    }
}

/// `[5 10 7]`
fn list(reader: &mut Reader<'_>) -> Result<Vec<f64>, ParseError> {
    let start = reader.pos;
    if !reader.accept("[") {
        return Err(incomplete(reader));
    }
    let mut out = vec![signed(reader)?];
    loop {
        let spaced = reader.skip_spaces();
        if reader.accept("]") {
            return Ok(out);
        }
        match reader.peek() {
            Some(c) if spaced && (c == '-' || c.is_ascii_alphanumeric()) => {
                out.push(signed(reader)?);
            }
            Some(c) => {
                let c = go_quote_char(c);
                let message = format!("invalid character in buckets description: {c}");
                return Err(reader.error_at(reader.pos, message));
            }
            None => return Err(reader.error_at(start, "unclosed left bracket")),
        }
    }
}

/// The literal of `h`. Empty buckets between filled ones are written out, so that one offset is
/// enough.
pub fn print(h: &FloatHistogram) -> String {
    let mut out = String::from("{{");
    let mut part = |text: String| {
        if out.len() > 2 {
            out.push(' ');
        }
        out.push_str(&text);
    };
    if h.schema != 0 {
        part(format!("schema:{}", h.schema));
    }
    for (key, value) in [
        ("count", h.count),
        ("sum", h.sum),
        ("z_bucket", h.zero_count),
        ("z_bucket_w", h.zero_threshold),
    ] {
        if value != 0.0 {
            part(format!("{key}:{}", format_g(value)));
        }
    }
    if h.schema == CUSTOM_BUCKETS_SCHEMA {
        part(format!("custom_values:{}", numbers(&h.custom_values)));
    }
    match h.counter_reset_hint {
        CounterResetHint::Unknown => {}
        CounterResetHint::Reset => part("counter_reset_hint:reset".to_owned()),
        CounterResetHint::NotReset => part("counter_reset_hint:not_reset".to_owned()),
        CounterResetHint::Gauge => part("counter_reset_hint:gauge".to_owned()),
    }
    for (side, key, offset_key) in
        [(Side::Positive, "buckets", "offset"), (Side::Negative, "n_buckets", "n_offset")]
    {
        let filled = buckets(h, side);
        let (Some((first, _)), Some((last, _))) = (filled.first(), filled.last()) else { continue };
        if *first != 0 {
            part(format!("{offset_key}:{first}"));
        }
        let width = (last - first).min(MAX_PRINTED) as usize;
        let mut dense = vec![0.0; width + 1];
        for (index, value) in &filled {
            if let Some(slot) = dense.get_mut((index - first) as usize) {
                *slot = *value;
            }
        }
        part(format!("{key}:{}", numbers(&dense)));
    }
    out.push_str("}}");
    out
}

/// Most buckets written out for one side.
const MAX_PRINTED: i64 = 10_000;

fn numbers(values: &[f64]) -> String {
    let mut out = String::from("[");
    for (i, v) in values.iter().enumerate() {
        let _ = write!(out, "{}{}", if i > 0 { " " } else { "" }, format_g(*v));
    }
    out + "]"
}
