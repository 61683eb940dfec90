//! Start time lines: `metric{a="b"}@st -1m -1m+0sx3 _`, the start times of the samples on the next
//! line, relative to each sample.

use model::number::go_quote;
use model::{Labels, duration};

use super::command::ScriptError;
use super::series::parse_series;

/// Most values one line may describe.
const MAX_VALUES: u64 = 10_000_000;

/// Whether a line of a `load` gives start times.
pub fn is_start_line(line: &str) -> bool {
    line.split_once([' ', '\t']).is_some_and(|(metric, _)| metric.ends_with("@st"))
}

/// Parses line `index` (from 0): labels and start times in milliseconds, `None` where omitted.
pub fn parse(line: &str, index: usize) -> Result<(Labels, Vec<Option<i64>>), ScriptError> {
    let (metric, values) = line.split_once([' ', '\t']).unwrap_or((line, ""));
    let metric = metric.strip_suffix("@st").unwrap_or(metric);
    let (labels, _) = parse_series(metric).map_err(|e| {
        let metric = go_quote(metric);
        ScriptError::at(index, format!("invalid @st line metric {metric}: {e}"))
    })?;
    let mut out = Vec::new();
    for text in values.split_whitespace() {
        item(text, &mut out).map_err(|e| {
            let text = go_quote(text);
            ScriptError::at(index, format!("invalid @st sequence: invalid ST item {text}: {e}"))
        })?;
    }
    Ok((labels, out))
}

fn item(text: &str, out: &mut Vec<Option<i64>>) -> Result<(), String> {
    if text == "_" {
        out.push(None);
        return Ok(());
    }
    if let Some(times) = text.strip_prefix("_x") {
        let n = count(times).filter(|n| *n > 0).ok_or("invalid repeat count")?;
        out.extend((0..n).map(|_| None));
        return Ok(());
    }
    let (mut offset, rest) = signed_duration(text)?;
    let (step, rest) = match rest.chars().next() {
        None => {
            out.push(Some(offset));
            return Ok(());
        }
        Some('x') => (0, rest),
        Some('+' | '-') => {
            signed_duration(rest).map_err(|e| format!("invalid step duration: {e}"))?
        }
        Some(c) => {
            let c = model::number::go_quote_char(c);
            return Err(format!("unexpected character {c} after duration"));
        }
    };
    let times = rest.strip_prefix('x').ok_or("expected 'x<count>' after step duration")?;
    let n = count(times).ok_or("invalid repeat count")?;
    for _ in 0..=n {
        out.push(Some(offset));
        offset = offset.saturating_add(step);
    }
    Ok(())
}

fn count(text: &str) -> Option<u64> {
    text.parse().ok().filter(|n| *n < MAX_VALUES)
}

/// A duration with an optional sign at the start of `text`, and what follows it.
fn signed_duration(text: &str) -> Result<(i64, &str), String> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let digits = unsigned.bytes().take_while(u8::is_ascii_digit).count();
    if digits == 0 {
        return Err(match text.is_empty() {
            true => "empty duration".to_owned(),
            false => format!("expected digits in duration {}", go_quote(text)),
        });
    }
    let letters =
        unsigned[digits..].bytes().take_while(|b| b.is_ascii_alphabetic() && *b != b'x').count();
    let (number, rest) = unsigned.split_at(digits + letters);
    let ms = duration::parse(number)
        .map_err(|e| format!("invalid duration {}: {e}", go_quote(number)))?;
    Ok((if text.starts_with('-') { -ms } else { ms }, rest))
}
