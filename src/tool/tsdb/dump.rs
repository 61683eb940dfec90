//! `tsdb dump` and `tsdb dump-openmetrics`: what a data directory holds, a line a sample, a series
//! at a time.

use std::collections::HashSet;
use std::io::Write;
use std::sync::Arc;

use model::columns::HistogramValue;
use model::labels::METRIC_NAME;
use model::number::{format_g, go_quote};
use model::{CancelToken, Columns, Labels, Queryable, SelectHints, Selection, TimeRange};
use promql::parser;

use super::{Call, Failure, open, said};

/// `tsdb dump`
pub(super) fn samples(call: &mut Call<'_>) -> std::io::Result<u8> {
    let done = if call.values.flag("format") == "seriesjson" {
        let mut seen = HashSet::new();
        dump(call, false, &mut |labels, _, out| {
            let line = json(labels);
            if !seen.contains(&line) {
                writeln!(out, "{line}")?;
                seen.insert(line);
            }
            Ok(())
        })
    } else {
        dump(call, true, &mut print_samples)
    };
    call.finish(done)
}

/// `tsdb dump-openmetrics`
pub(super) fn openmetrics(call: &mut Call<'_>) -> std::io::Result<u8> {
    let done = dump(call, true, &mut print_openmetrics);
    let done = done.and_then(|()| Ok(writeln!(call.out, "# EOF")?));
    call.finish(done)
}

type Print<'p> = &'p mut dyn FnMut(&Labels, &Columns, &mut dyn Write) -> std::io::Result<()>;

/// Hands every series that is asked for to `print`, with its samples if it wants them.
fn dump(call: &mut Call<'_>, with_samples: bool, print: Print<'_>) -> Result<(), Failure> {
    // Checked when the line was read.
    let time = |name| call.values.flag(name).parse::<i64>().unwrap_or_default();
    let range = TimeRange { min: time("min-time"), max: time("max-time") };
    let db = open(call, call.values.flag("sandbox-dir-root"))?;
    let view = db.load(range.max).map_err(said)?;
    let querier = view.querier(range).map_err(said)?;
    let sets: Vec<Vec<model::Matcher>> = call
        .values
        .flags("match")
        .iter()
        .map(|text| parser::parse_metric_selector(text))
        .collect::<Result<_, _>>()
        .map_err(said)?;
    let select = |matchers: &Vec<model::Matcher>| {
        querier.select(matchers, &SelectHints::default(), &CancelToken::default())
    };
    let selections: Vec<Arc<dyn Selection>> =
        sets.iter().map(select).collect::<Result<_, _>>().map_err(said)?;
    let mut columns = Columns::default();
    let mut one = |selection: &dyn Selection, i: usize| -> Result<(), Failure> {
        columns.clear();
        if with_samples {
            selection.read(i, range, &mut columns).map_err(said)?;
        }
        Ok(print(&selection.labels(i), &columns, call.out)?)
    };
    if let [selection] = selections.as_slice() {
        for i in 0..selection.len() {
            one(&**selection, i)?;
        }
        return Ok(());
    }
    for (selection, i) in union(&selections) {
        one(selection, i)?;
    }
    Ok(())
}

/// The series of several selections, each once, in label order.
fn union(selections: &[Arc<dyn Selection>]) -> Vec<(&dyn Selection, usize)> {
    let mut all: Vec<(Labels, &dyn Selection, usize)> = Vec::new();
    for selection in selections {
        all.extend((0..selection.len()).map(|i| (selection.labels(i), &**selection, i)));
    }
    all.sort_by(|a, b| a.0.cmp(&b.0));
    all.dedup_by(|a, b| a.0 == b.0);
    all.into_iter().map(|(_, selection, i)| (selection, i)).collect()
}

fn print_samples(labels: &Labels, columns: &Columns, out: &mut dyn Write) -> std::io::Result<()> {
    let labels = labels.to_string();
    let mut histograms = columns.histograms.iter().peekable();
    for (i, (t, v)) in columns.timestamps.iter().zip(&columns.floats).enumerate() {
        match histograms.next_if(|h| h.index as usize == i).map(|h| &h.value) {
            None => writeln!(out, "{labels} {} {t}", format_g(*v))?,
            Some(HistogramValue::Integer(h)) => writeln!(out, "{labels} {h} {t}")?,
            Some(HistogramValue::Float(h)) => writeln!(out, "{labels} {h} {t}")?,
        }
    }
    Ok(())
}

/// A series' samples up to the first histogram, as promtool prints them.
fn print_openmetrics(
    labels: &Labels,
    columns: &Columns,
    out: &mut dyn Write,
) -> std::io::Result<()> {
    let mut name = labels.metric_name().to_owned();
    name.push('{');
    let others = labels.iter().filter(|(name, _)| *name != METRIC_NAME);
    for (i, (label, value)) in others.enumerate() {
        let comma = if i > 0 { "," } else { "" };
        name.push_str(&format!("{comma}{label}={}", go_quote(value)));
    }
    name.push('}');
    let floats = columns.histograms.first().map_or(columns.len(), |h| h.index as usize);
    for (t, v) in columns.timestamps.iter().zip(&columns.floats).take(floats) {
        writeln!(out, "{name} {} {:.3}", format_g(*v), *t as f64 / 1000.0)?;
    }
    Ok(())
}

/// Labels as Go's encoder prints a map of strings.
fn json(labels: &Labels) -> String {
    let string = |text: &str| {
        let plain = serde_json::Value::from(text).to_string();
        // Go's encoder keeps these out of HTML and JavaScript.
        let mut out = String::with_capacity(plain.len());
        for c in plain.chars() {
            match c {
                '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                    out.push_str(&format!("\\u{:04x}", u32::from(c)));
                }
                c => out.push(c),
            }
        }
        out
    };
    let pairs: Vec<String> =
        labels.iter().map(|(n, v)| format!("{}:{}", string(n), string(v))).collect();
    format!("{{{}}}", pairs.join(","))
}
