//! sort, sort_desc, sort_by_label, sort_by_label_desc: the order of an instant vector.

use std::cmp::Ordering;

use super::column::{Column, is_absent};
use super::source::{Row, Source, Table};
use super::work::Work;
use crate::engine::EngineError;

/// What an instant vector is sorted by.
pub(crate) enum By<'a> {
    Value,
    /// Labels in natural order, the whole label set last.
    Labels(Vec<&'a str>),
}

/// The samples of `source` at its only step, sorted.
pub(crate) fn run(
    source: &dyn Source,
    by: &By<'_>,
    descending: bool,
    work: &mut Work<'_>,
) -> Result<Table, EngineError> {
    let all = Table::collect(source, 1, work)?;
    let mut order: Vec<usize> = (0..all.rows.len()).collect();
    match by {
        By::Value => {
            // Histograms have no order and are left out.
            order.retain(|i| !is_absent(all.floats[*i]));
            by_value(&mut order, &all.floats, descending);
        }
        By::Labels(names) => order.sort_by(|a, b| {
            let ordering = labels(&all.rows[*a], &all.rows[*b], names);
            if descending { ordering.reverse() } else { ordering }
        }),
    }
    let mut out = Table::new(1);
    out.distinct_unnamed = all.distinct_unnamed;
    for i in order {
        let column =
            Column { floats: all.row(i).to_vec(), histograms: all.row_histograms(i).to_vec() };
        out.push(all.rows[i].clone(), &column);
    }
    Ok(out)
}

/// Samples that Go sorts by insertion, one after the other moving up.
const FEW: usize = 12;

/// Sorts places of `floats`, NaN last either way. Equal values keep their order. Of few samples,
/// those that are NaN come in reverse: Prometheus's comparison lets any value pass a NaN, another
/// NaN as well.
fn by_value(order: &mut [usize], floats: &[f64], descending: bool) {
    if order.len() > FEW {
        order.sort_by(|a, b| values(floats[*a], floats[*b], descending));
        return;
    }
    let passes = |a: f64, b: f64| b.is_nan() || if descending { b < a } else { b > a };
    for i in 1..order.len() {
        let mut at = i;
        while at > 0 && passes(floats[order[at]], floats[order[at - 1]]) {
            order.swap(at, at - 1);
            at -= 1;
        }
    }
}

fn values(a: f64, b: f64, descending: bool) -> Ordering {
    match (a.is_nan(), b.is_nan()) {
        (false, false) => {
            let ordering = a.partial_cmp(&b).unwrap_or(Ordering::Equal);
            if descending { ordering.reverse() } else { ordering }
        }
        (a, b) => a.cmp(&b),
    }
}

fn labels(a: &Row, b: &Row, names: &[&str]) -> Ordering {
    for name in names {
        let (x, y) = (a.labels.get(name).unwrap_or(""), b.labels.get(name).unwrap_or(""));
        if x != y {
            return if natural_less(x, y) { Ordering::Less } else { Ordering::Greater };
        }
    }
    a.labels.cmp(&b.labels)
}

/// Natural order: runs of digits compare as numbers, the rest by text.
pub(crate) fn natural_less(a: &str, b: &str) -> bool {
    let (a, b) = (chunks(a), chunks(b));
    for (i, x) in a.iter().enumerate() {
        let Some(y) = b.get(i) else { return false };
        let equal = match (x.parse::<i64>(), y.parse::<i64>()) {
            (Ok(n), Ok(m)) if n != m => return n < m,
            (Ok(_), Ok(_)) => true,
            _ => x == y,
        };
        if !equal {
            return x < y;
        }
        if i + 1 == a.len() {
            return true;
        }
        if i + 1 == b.len() {
            return false;
        }
    }
    false
}

/// A text cut where digits and other characters meet.
fn chunks(text: &str) -> Vec<&str> {
    let mut out = Vec::new();
    let mut start = 0;
    let bytes = text.as_bytes();
    for i in 1..bytes.len() {
        if bytes[i].is_ascii_digit() != bytes[i - 1].is_ascii_digit() {
            out.push(&text[start..i]);
            start = i;
        }
    }
    if start < text.len() {
        out.push(&text[start..]);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_and_nan() {
        let floats = [f64::NAN, 2.0, f64::NAN, 1.0, 2.0, f64::NAN];
        for (descending, want) in [(false, [3, 1, 4, 5, 2, 0]), (true, [1, 4, 3, 5, 2, 0])] {
            let mut order: Vec<usize> = (0..floats.len()).collect();
            by_value(&mut order, &floats, descending);
            assert_eq!(order, want, "descending {descending}");
        }
    }

    #[test]
    fn natural_order() {
        for (a, b) in [("a2", "a10"), ("1.9", "1.10"), ("a", "b"), ("a", "a1"), ("9", "a")] {
            assert!(natural_less(a, b), "{a} < {b}");
            assert!(!natural_less(b, a), "{b} < {a}");
        }
    }
}
