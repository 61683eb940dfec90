//! Answers: the ids that satisfy whole sets of matchers. Long ones are remembered and brought up to
//! date by looking at the series that came or went since, if these are few; they are shared with who
//! asked, not copied.

use std::sync::Arc;

use model::{CancelToken, Matcher, QueryError};

use super::cache::PostingsCache;
use super::matchers::evaluate;
use super::source::PostingsSource;

/// Answers of fewer ids are not remembered: they are cheap, or what made them dear is remembered.
const LONG_ANSWER: usize = 1024;
/// Looking at one series that came or went costs about as much as finding this many ids anew.
const IDS_PER_CHANGE: usize = 64;
/// From this many changes on they are written down even if they made no difference.
const MANY_CHANGES: usize = 16;

/// Ids of the series that satisfy all matchers, ascending; every series when there is none.
pub fn postings_for_matchers<S: PostingsSource + ?Sized>(
    source: &S,
    matchers: &[Matcher],
    cache: Option<&PostingsCache>,
    cancel: &CancelToken,
) -> Result<Arc<Vec<u32>>, QueryError> {
    let keeps = cache.zip(source.generation()).filter(|_| !matchers.is_empty());
    if let Some((cache, generation)) = keeps
        && let Some(known) = remembered(source, matchers, cache, generation)?
    {
        return Ok(known);
    }
    let ids = Arc::new(evaluate(source, matchers, cache, cancel)?);
    if let Some((cache, generation)) = keeps.filter(|_| ids.len() >= LONG_ANSWER) {
        cache.put_answer(matchers, generation, ids.clone());
    }
    Ok(ids)
}

/// An answer given before, brought up to date; `None` when there is none or it is too old.
fn remembered<S: PostingsSource + ?Sized>(
    source: &S,
    matchers: &[Matcher],
    cache: &PostingsCache,
    generation: u64,
) -> Result<Option<Arc<Vec<u32>>>, QueryError> {
    let Some((then, mut known)) = cache.answer(matchers) else { return Ok(None) };
    if then == generation {
        return Ok(Some(known));
    }
    let few = known.len() / IDS_PER_CHANGE;
    let Some(changed) = source.changed_since(then).filter(|c| c.len() <= few) else {
        return Ok(None);
    };
    let mut differs = false;
    for id in changed {
        match (known.binary_search(id), source.has(*id) && satisfies(source, *id, matchers)?) {
            (Err(at), true) => Arc::make_mut(&mut known).insert(at, *id),
            (Ok(at), false) => {
                Arc::make_mut(&mut known).remove(at);
            }
            _ => continue,
        }
        differs = true;
    }
    if differs || changed.len() >= MANY_CHANGES {
        cache.put_answer(matchers, generation, known.clone());
    }
    Ok(Some(known))
}

/// Whether the labels of one series satisfy all matchers.
fn satisfies<S: PostingsSource + ?Sized>(
    source: &S,
    id: u32,
    matchers: &[Matcher],
) -> Result<bool, QueryError> {
    for matcher in matchers {
        let mut matches = false;
        source.label_value(id, &matcher.name, &mut |value| matches = matcher.matches(value))?;
        if !matches {
            return Ok(false);
        }
    }
    Ok(true)
}
