//! Values of a label over the series that satisfy matchers, shared by head and block.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use model::{CancelToken, Matcher, QueryError};

use super::answers::postings_for_matchers;
use super::source::PostingsSource;

/// Looking at one series costs about as much as testing this many value lists.
const LISTS_PER_SERIES: usize = 2;

/// Sorted, distinct values of `name` over the series that satisfy all matchers.
pub fn label_values<S: PostingsSource + ?Sized>(
    source: &S,
    name: &str,
    matchers: &[Matcher],
    cancel: &CancelToken,
) -> Result<Vec<String>, QueryError> {
    let mut values = Vec::new();
    // A matcher on the name itself is settled by the values.
    let own: Vec<&Matcher> = matchers.iter().filter(|m| m.name == name).collect();
    source.pairs(name, "", &mut |value, pair| {
        if own.iter().all(|m| m.matches(value)) {
            values.push((value.to_owned(), pair));
        }
        ControlFlow::Continue(())
    })?;
    if !source.sorted_values() {
        values.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    }
    if own.len() == matchers.len() || values.is_empty() {
        return Ok(values.into_iter().map(|(value, _)| value).collect());
    }
    let ids = postings_for_matchers(source, matchers, None, cancel)?;
    if ids.len() / LISTS_PER_SERIES < values.len() {
        return values_of(source, name, &ids);
    }
    let mut found = Vec::new();
    for (value, pair) in values {
        let mut hit = false;
        source.with_list(pair, &mut |list| hit = list.intersects(&ids))?;
        if hit {
            found.push(value);
        }
    }
    Ok(found)
}

fn values_of<S: PostingsSource + ?Sized>(
    source: &S,
    name: &str,
    ids: &[u32],
) -> Result<Vec<String>, QueryError> {
    let mut found = BTreeSet::new();
    for id in ids {
        source.label_value(*id, name, &mut |value| {
            if !value.is_empty() && !found.contains(value) {
                found.insert(value.to_owned());
            }
        })?;
    }
    Ok(found.into_iter().collect())
}
