//! Matchers → postings. A series satisfies a matcher when its label value does, a missing label
//! counting as the empty string; an index has no list for "missing", so what the empty string
//! satisfies is found by taking away the values that do not.
//!
//! Order of work: exact lists first, the shortest leading, then the scans over values; a scan
//! whose name has more values than the result has series becomes a check of each series.

use std::ops::ControlFlow;
use std::sync::Arc;

use model::{CancelToken, MatchOp, Matcher, QueryError};
use roaring::RoaringBitmap;

use super::cache::PostingsCache;
use super::set::Postings;
use super::source::{ListRef, PostingsSource};
use super::union::union;

/// Values or series looked at between two questions whether to stop.
const CANCEL_EVERY: usize = 1024;
/// Checking one series costs about as much as scanning this many values.
const VALUES_PER_CHECK: usize = 2;
/// Ids gathered before repetitions among them are taken out: lists that lie about each other must
/// not make the array much larger than the index has series.
const MOST_GATHERED: usize = 1 << 22;
/// Bitmaps of at least this many ids are united as bitmaps.
const LARGE_BITMAP: u64 = 4096;
/// Checking one series costs about as much as uniting this many ids.
const IDS_PER_CHECK: usize = 16;

/// Ids of the series that satisfy all matchers, ascending; every series when there is none.
pub(super) fn evaluate<S: PostingsSource + ?Sized>(
    source: &S,
    matchers: &[Matcher],
    cache: Option<&PostingsCache>,
    cancel: &CancelToken,
) -> Result<Vec<u32>, QueryError> {
    let eval = Evaluation { source, cache, cancel };
    let mut lists = Vec::new();
    let mut scans = Vec::new();
    for matcher in matchers {
        let Some(mut term) = eval.term(matcher)? else { continue };
        match &mut term.kind {
            Kind::Nothing if term.subtract => {}
            Kind::Nothing => return Ok(Vec::new()),
            Kind::Lists { .. } => lists.push(term),
            Kind::Scan { .. } => scans.push(term),
        }
    }
    // Intersections before subtractions, short before long; the sort is stable.
    lists.sort_by_key(|t| (t.subtract, t.cost()));
    scans.sort_by_key(|t| (t.subtract, t.cost()));
    let (list_cuts, list_rests) = split(&lists);
    let (scan_cuts, scan_rests) = split(&scans);

    let (mut result, list_cuts) = eval.start(list_cuts)?;
    for term in list_cuts.iter().chain(scan_cuts).chain(list_rests).chain(scan_rests) {
        eval.check()?;
        let current = match (result.take(), term.subtract) {
            (Some(ids), _) => Some(ids),
            (None, true) => Some(eval.all()?),
            (None, false) => None,
        };
        let next = eval.apply(current, term)?;
        if next.is_empty() {
            return Ok(Vec::new());
        }
        result = Some(next);
    }
    match result {
        Some(ids) => Ok(ids.into_vec()),
        None => Ok(eval.all()?.into_vec()),
    }
}

fn split<'t, 'm, P>(terms: &'t [Term<'m, P>]) -> (&'t [Term<'m, P>], &'t [Term<'m, P>]) {
    terms.split_at(terms.partition_point(|t| !t.subtract))
}

/// One matcher as work on lists.
struct Term<'m, P> {
    matcher: &'m Matcher,
    /// Whether the ids found are taken away.
    subtract: bool,
    kind: Kind<P>,
}

enum Kind<P> {
    /// No value satisfies.
    Nothing,
    /// Exactly these pairs, with the sum of their lengths.
    Lists { pairs: Vec<P>, total: usize },
    /// The values of the name that the term accepts, out of about `values`.
    Scan { values: usize },
}

impl<P: Copy> Term<'_, P> {
    /// The pair of a term that is one list.
    fn only_pair(&self) -> Option<P> {
        match &self.kind {
            Kind::Lists { pairs, .. } if pairs.len() == 1 => pairs.first().copied(),
            _ => None,
        }
    }

    fn cost(&self) -> usize {
        match &self.kind {
            Kind::Nothing => 0,
            Kind::Lists { total, .. } => *total,
            // What has a literal prefix looks at a part of the values only.
            Kind::Scan { values } if !self.prefix().is_empty() => *values / 8,
            Kind::Scan { values } => *values,
        }
    }

    /// Whether the ids of this value belong to the term.
    fn accepts(&self, value: &str) -> bool {
        self.accepts_every_value() || self.matcher.matches(value) != self.subtract
    }

    /// Whether every value that is not empty is accepted, known without asking.
    fn accepts_every_value(&self) -> bool {
        match self.matcher.op {
            MatchOp::Equal | MatchOp::NotEqual => self.matcher.value.is_empty(),
            MatchOp::Regex | MatchOp::NotRegex => self.matcher.value == ".+",
        }
    }

    /// A literal that every accepted value starts with.
    fn prefix(&self) -> &str {
        match self.matcher.regex() {
            // The accepted values are those the pattern itself matches.
            Some(regex) if (self.matcher.op == MatchOp::NotRegex) == self.subtract => {
                regex.prefix()
            }
            _ => "",
        }
    }
}

/// What the first terms have in common, if anything was found out, and the terms after them.
type Started<'t, 'm, P> = (Option<Postings>, &'t [Term<'m, P>]);

struct Evaluation<'a, S: ?Sized> {
    source: &'a S,
    cache: Option<&'a PostingsCache>,
    cancel: &'a CancelToken,
}

impl<S: PostingsSource + ?Sized> Evaluation<'_, S> {
    fn check(&self) -> Result<(), QueryError> {
        self.cancel.reason().map_or(Ok(()), |reason| Err(QueryError::Cancelled(reason)))
    }

    /// The first terms, where they can be had together for less than one after the other: two lists
    /// without a copy of either, or the part of a list that lies inside the span of another.
    fn start<'t, 'm>(
        &self,
        cuts: &'t [Term<'m, S::Pair>],
    ) -> Result<Started<'t, 'm, S::Pair>, QueryError> {
        let [a, b, rest @ ..] = cuts else { return Ok((None, cuts)) };
        let (Some(pair), Some(other)) = (a.only_pair(), b.only_pair()) else {
            return Ok((None, cuts));
        };
        let mut found = Postings::empty();
        let mut inner = Ok(());
        for (term, pair, other) in [(b, other, pair), (a, pair, other)] {
            if let Some((first, last)) = self.span(term, pair)? {
                self.source.with_list(other, &mut |list| {
                    found = Postings::copy_of_span(list, first, last);
                })?;
                return Ok((Some(found), rest));
            }
        }
        self.source.with_list(pair, &mut |list| {
            inner = self.source.with_list(other, &mut |other| {
                found = Postings::of_both(list, other);
            });
        })?;
        inner?;
        Ok((Some(found), rest))
    }

    fn span(
        &self,
        term: &Term<'_, S::Pair>,
        pair: S::Pair,
    ) -> Result<Option<(u32, u32)>, QueryError> {
        self.source.span(&term.matcher.name, pair)
    }

    fn all(&self) -> Result<Postings, QueryError> {
        let mut ids = Postings::empty();
        self.source.with_all(&mut |list| ids = Postings::copy_of(list))?;
        Ok(ids)
    }

    /// The work a matcher means; `None` when every series satisfies it.
    fn term<'m>(&self, matcher: &'m Matcher) -> Result<Option<Term<'m, S::Pair>>, QueryError> {
        let negative = matches!(matcher.op, MatchOp::NotEqual | MatchOp::NotRegex);
        if matcher.regex().is_some() && matcher.value == ".*" {
            let kind = Kind::Nothing;
            return Ok(negative.then_some(Term { matcher, subtract: false, kind }));
        }
        let subtract = matcher.matches_empty();
        let mut term = Term { matcher, subtract, kind: Kind::Nothing };
        // The values named by the matcher are the wanted ones when it is positive and cuts, or
        // negative and takes away.
        let named = negative == subtract;
        term.kind = match (matcher.op, matcher.regex().and_then(|r| r.set_matches())) {
            (MatchOp::Equal | MatchOp::NotEqual, _) if named => {
                self.lists(&matcher.name, std::slice::from_ref(&matcher.value))?
            }
            (_, Some(set)) if named => self.lists(&matcher.name, set)?,
            _ => match self.source.value_count(&matcher.name) {
                0 => Kind::Nothing,
                values => Kind::Scan { values },
            },
        };
        Ok(Some(term))
    }

    fn lists(&self, name: &str, values: &[String]) -> Result<Kind<S::Pair>, QueryError> {
        let mut sorted: Vec<&String> = values.iter().collect();
        sorted.sort();
        sorted.dedup();
        let mut pairs = Vec::new();
        let mut total = 0;
        for value in sorted {
            if let Some(pair) = self.source.pair(name, value)? {
                total += self.source.list_len(pair)?;
                pairs.push(pair);
            }
        }
        Ok(if pairs.is_empty() { Kind::Nothing } else { Kind::Lists { pairs, total } })
    }

    fn apply(
        &self,
        current: Option<Postings>,
        term: &Term<'_, S::Pair>,
    ) -> Result<Postings, QueryError> {
        match &term.kind {
            Kind::Nothing => Ok(Postings::empty()),
            Kind::Lists { pairs, total } => self.apply_lists(current, term, pairs, *total),
            Kind::Scan { values } => self.apply_scan(current, term, *values),
        }
    }

    fn apply_lists(
        &self,
        current: Option<Postings>,
        term: &Term<'_, S::Pair>,
        pairs: &[S::Pair],
        total: usize,
    ) -> Result<Postings, QueryError> {
        let Some(mut ids) = current else { return self.unite(pairs, total) };
        match pairs {
            [pair] if !term.subtract => match self.span(term, *pair)? {
                Some((first, last)) => ids.intersect_span(first, last),
                None => self.source.with_list(*pair, &mut |list| ids.intersect(list))?,
            },
            pairs if term.subtract => {
                for pair in pairs {
                    self.source.with_list(*pair, &mut |list| ids.subtract(list))?;
                }
            }
            pairs => ids.intersect(self.unite(pairs, total)?.as_list()),
        }
        Ok(ids)
    }

    fn apply_scan(
        &self,
        current: Option<Postings>,
        term: &Term<'_, S::Pair>,
        values: usize,
    ) -> Result<Postings, QueryError> {
        let Some(mut ids) = current else {
            return Ok(self.scan(term, usize::MAX)?.map_or_else(Postings::empty, into_owned));
        };
        let few = ids.len();
        let found = if few < term.cost() / VALUES_PER_CHECK && few < values {
            None
        } else {
            self.scan(term, few.saturating_mul(IDS_PER_CHECK))?
        };
        match found {
            Some(found) if term.subtract => ids.subtract(found.as_list()),
            Some(found) => ids.intersect(found.as_list()),
            None => return self.filter(ids, term),
        }
        Ok(ids)
    }

    /// Keeps the series whose label satisfies the matcher.
    fn filter(&self, ids: Postings, term: &Term<'_, S::Pair>) -> Result<Postings, QueryError> {
        let mut kept = Vec::new();
        for (n, id) in ids.into_vec().into_iter().enumerate() {
            if n % CANCEL_EVERY == 0 {
                self.check()?;
            }
            let mut keep = false;
            self.source.label_value(id, &term.matcher.name, &mut |value| {
                keep = term.matcher.matches(value);
            })?;
            if keep {
                kept.push(id);
            }
        }
        Ok(Postings::List(kept))
    }

    /// The ids of all values the term accepts; `None` when there are more than `most`, counted
    /// with repetition.
    fn scan(
        &self,
        term: &Term<'_, S::Pair>,
        most: usize,
    ) -> Result<Option<Arc<Postings>>, QueryError> {
        let name = &term.matcher.name;
        let cache = self.cache.zip(self.source.generation());
        if let Some((cache, generation)) = cache
            && let Some(known) = self.remembered(term, cache, generation)?
        {
            return Ok(Some(known));
        }
        let mut pairs = Vec::new();
        let mut seen = 0;
        let mut stopped = Ok(());
        self.source.pairs(name, term.prefix(), &mut |value, pair| {
            seen += 1;
            if seen % CANCEL_EVERY == 0 {
                stopped = self.check();
                if stopped.is_err() {
                    return ControlFlow::Break(());
                }
            }
            if term.accepts(value) {
                pairs.push(pair);
            }
            ControlFlow::Continue(())
        })?;
        stopped?;
        let mut total = 0usize;
        for pair in &pairs {
            total = total.saturating_add(self.source.list_len(*pair)?);
            if total > most {
                return Ok(None);
            }
        }
        let found = Arc::new(self.unite(&pairs, total)?);
        if let Some((cache, generation)) = cache {
            cache.put(term.matcher, generation, found.clone());
        }
        Ok(Some(found))
    }

    /// What a scan found earlier, brought up to date by looking at the series that came or went.
    fn remembered(
        &self,
        term: &Term<'_, S::Pair>,
        cache: &PostingsCache,
        generation: u64,
    ) -> Result<Option<Arc<Postings>>, QueryError> {
        let Some((then, mut known)) = cache.get(term.matcher) else { return Ok(None) };
        if then == generation {
            return Ok(Some(known));
        }
        let Some(changed) = self.source.changed_since(then) else { return Ok(None) };
        let mut differs = false;
        for (n, id) in changed.iter().enumerate() {
            if n % CANCEL_EVERY == 0 {
                self.check()?;
            }
            let mut member = false;
            if self.source.has(*id) {
                self.source.label_value(*id, &term.matcher.name, &mut |value| {
                    member = !value.is_empty() && term.accepts(value);
                })?;
            }
            if known.as_list().contains(*id) != member {
                Arc::make_mut(&mut known).set(*id, member);
                differs = true;
            }
        }
        // Small steps are made again rather than written down each time.
        if differs || changed.len() >= CANCEL_EVERY {
            cache.put(term.matcher, generation, known.clone());
        }
        Ok(Some(known))
    }

    fn unite(&self, pairs: &[S::Pair], total: usize) -> Result<Postings, QueryError> {
        if let [pair] = pairs {
            let mut ids = Postings::empty();
            self.source.with_list(*pair, &mut |list| ids = Postings::copy_of(list))?;
            return Ok(ids);
        }
        let mut gathered = Vec::new();
        // What comes as large bitmaps stays so.
        let mut bitmaps = RoaringBitmap::new();
        let mut most = MOST_GATHERED;
        for (n, pair) in pairs.iter().enumerate() {
            if n % CANCEL_EVERY == 0 {
                self.check()?;
            }
            self.source.with_list(*pair, &mut |list| match list {
                ListRef::Bitmap(bitmap) if bitmap.len() >= LARGE_BITMAP => bitmaps |= bitmap,
                list => {
                    if gathered.is_empty() {
                        gathered.reserve(total.min(MOST_GATHERED));
                    }
                    list.append_to(&mut gathered);
                }
            })?;
            if gathered.len() > most {
                gathered = union(gathered, n + 1).into_vec();
                most = MOST_GATHERED.max(gathered.len() * 2);
            }
        }
        if bitmaps.is_empty() {
            return Ok(union(gathered, pairs.len()));
        }
        bitmaps.extend(gathered);
        Ok(Postings::Bitmap(bitmaps))
    }
}

fn into_owned(shared: Arc<Postings>) -> Postings {
    Arc::try_unwrap(shared).unwrap_or_else(|shared| (*shared).clone())
}

#[cfg(test)]
mod tests;
