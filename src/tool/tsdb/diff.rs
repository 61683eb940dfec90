//! `tsdb diff`: two data directories, series by series and sample by sample (not in promtool).

use std::io::Write;
use std::path::Path;

use model::columns::HistogramValue;
use model::number::format_g;
use model::{Columns, TimeRange};
use promql::parser;
use storage::db::ReadOnlyDb;
use storage::diff::{Difference, diff};

use super::{Call, Failure, env, missing, said};
use crate::gotext;

pub(super) fn run(call: &mut Call<'_>) -> std::io::Result<u8> {
    let done = compare(call);
    call.finish(done)
}

fn compare(call: &mut Call<'_>) -> Result<(), Failure> {
    let time = |name| call.values.flag(name).parse::<i64>().unwrap_or_default();
    let range = TimeRange { min: time("min-time"), max: time("max-time") };
    let matchers = parser::parse_metric_selector(call.values.flag("match")).map_err(said)?;
    let limit =
        gotext::parse_float(call.values.flag("limit")).unwrap_or_default().max(0.0) as usize;
    let root = call.values.flag("sandbox-dir-root");
    let root = (!root.is_empty()).then_some(Path::new(root));
    let load = |name: &str| {
        let dir = Path::new(call.values.arg(name));
        missing(dir)?;
        let db = ReadOnlyDb::open(dir, root, env()).map_err(said)?;
        db.load(range.max).map_err(said)
    };
    let (first, second) = (load("first db path")?, load("second db path")?);
    let mut printed = Ok(());
    let out = &mut *call.out;
    let counts = diff((&first, &second), &matchers, range, &mut |difference| {
        if printed.is_ok() {
            printed = print(out, difference, limit);
        }
    });
    printed?;
    let counts = counts.map_err(said)?;
    writeln!(
        call.out,
        "{} series, {} samples compared: {} series only in the first, {} only in the second, {} \
         with {} differing samples",
        counts.series,
        counts.samples,
        counts.only_first,
        counts.only_second,
        counts.differing_series,
        counts.differing_samples
    )?;
    if counts.is_equal() { Ok(()) } else { Err(Failure::Said("the directories differ".to_owned())) }
}

fn print(out: &mut dyn Write, difference: &Difference<'_>, limit: usize) -> std::io::Result<()> {
    match difference {
        Difference::OnlyFirst(labels, samples) => writeln!(out, "- {labels} ({samples} samples)"),
        Difference::OnlySecond(labels, samples) => writeln!(out, "+ {labels} ({samples} samples)"),
        Difference::Samples { labels, samples, first, second } => {
            writeln!(out, "~ {labels} ({} samples differ)", samples.len())?;
            for one in samples.iter().take(limit) {
                for (sign, side, at) in [('-', first, one.first), ('+', second, one.second)] {
                    if let Some(i) = at {
                        writeln!(out, "  {sign} {} {}", value(side, i), one.t)?;
                    }
                }
            }
            if samples.len() > limit {
                writeln!(out, "  and {} more", samples.len() - limit)?;
            }
            Ok(())
        }
    }
}

fn value(columns: &Columns, i: usize) -> String {
    match columns.histogram(i) {
        None => format_g(columns.floats[i]),
        Some(HistogramValue::Integer(h)) => h.to_string(),
        Some(HistogramValue::Float(h)) => h.to_string(),
    }
}
