//! ScrapeCache: what a target exposed last time, in the order it exposed it.
//!
//! Entry i of a body is expected to be entry i of the body before: its bytes up to the value are
//! compared with the cached ones, and on a match the series is known without parsing or hashing.
//! Only a mismatch looks the text up in a table, only an unknown text is parsed. After a lookup the
//! expectation continues behind the entry found, so an inserted or missing line costs one lookup.
//!
//! Staleness follows from the same marks: an entry tracked in the last iteration and not seen in
//! this one has ended. The cache holds no labels; they are parsed again from the text when needed.

use hashbrown::HashTable;
use model::{MetricType, SeriesRef};
use xxhash_rust::xxh3::xxh3_64;

use super::start_times::StartTimes;

/// What a cached text stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A sample of this series; the text goes up to the first byte of the value.
    Series(SeriesRef),
    /// A sample that metric relabelling drops.
    Dropped,
    /// A comment or metadata line, line break included; the type is the one in force after it.
    Line(MetricType),
}

/// One cached text.
#[derive(Clone, Copy, Debug)]
struct Entry {
    offset: u32,
    len: u32,
    kind: Kind,
    /// Iteration that exposed this text last.
    seen: u32,
    /// Iteration in which its series was last noted for staleness; 0 = never.
    tracked: u32,
    /// Where `order` has this entry.
    position: u32,
}

/// Index of an entry; valid until the next `finish`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EntryId(u32);

/// The cache of one target.
#[derive(Debug)]
pub struct ScrapeCache {
    arena: Vec<u8>,
    entries: Vec<Entry>,
    table: HashTable<u32>,
    /// Entries in the order of the last complete body.
    order: Vec<u32>,
    /// Entries of the running body, kept only once it deviates from `order`.
    current: Option<Vec<u32>>,
    /// Position in `order` expected next.
    expected: usize,
    /// Entries of the running body so far.
    count: usize,
    /// Entries tracked in this iteration and in the last one.
    tracked: usize,
    tracked_last: usize,
    iteration: u32,
    /// Last iteration that parsed a whole body; entries older than it are forgotten.
    complete: u32,
    /// What is concluded about start times; empty unless the rules ask for it.
    pub start_times: StartTimes,
}

impl Default for ScrapeCache {
    fn default() -> ScrapeCache {
        ScrapeCache {
            arena: Vec::new(),
            entries: Vec::new(),
            table: HashTable::new(),
            order: Vec::new(),
            current: None,
            expected: 0,
            count: 0,
            tracked: 0,
            tracked_last: 0,
            // Unused entries say 0; the first iteration must not be its successor.
            iteration: 2,
            complete: 0,
            start_times: StartTimes::default(),
        }
    }
}

impl ScrapeCache {
    /// Number of this iteration; each is one above the one before.
    pub fn iteration(&self) -> u32 {
        self.iteration
    }

    fn text(&self, entry: &Entry) -> &[u8] {
        &self.arena[entry.offset as usize..(entry.offset + entry.len) as usize]
    }

    /// The expected entry, if `rest` (the body from here on) begins with its text.
    #[inline]
    pub fn predict(&self, rest: &[u8]) -> Option<(EntryId, Kind, usize)> {
        let id = *self.order.get(self.expected)?;
        let entry = &self.entries[id as usize];
        rest.starts_with(self.text(entry)).then_some((EntryId(id), entry.kind, entry.len as usize))
    }

    /// Takes an entry as the next one of the running body. Returns whether this body had it
    /// before.
    #[inline]
    pub fn advance(&mut self, id: EntryId) -> bool {
        let entry = &mut self.entries[id.0 as usize];
        let repeated = entry.seen == self.iteration;
        entry.seen = self.iteration;
        if self.order.get(self.expected) == Some(&id.0) {
            self.expected += 1;
        } else {
            let position = entry.position as usize;
            self.deviate();
            if self.order.get(position) == Some(&id.0) {
                self.expected = position + 1;
            }
        }
        if let Some(current) = &mut self.current {
            current.push(id.0);
        }
        self.count += 1;
        repeated
    }

    fn deviate(&mut self) {
        if self.current.is_none() {
            self.current = Some(self.order[..self.count].to_vec());
        }
    }

    /// The entry of a text, if the last complete body or a later one had it.
    pub fn lookup(&self, text: &[u8]) -> Option<(EntryId, Kind)> {
        let id =
            *self.table.find(xxh3_64(text), |id| self.text(&self.entries[*id as usize]) == text)?;
        let entry = &self.entries[id as usize];
        (entry.seen >= self.complete).then_some((EntryId(id), entry.kind))
    }

    /// Adds a text, or gives a forgotten one its new meaning, and takes it as the next entry.
    pub fn add(&mut self, text: &[u8], kind: Kind) -> EntryId {
        let hash = xxh3_64(text);
        let arena = &self.arena;
        let entries = &self.entries;
        let range = |e: &Entry| e.offset as usize..(e.offset + e.len) as usize;
        let found = self.table.find(hash, |id| &arena[range(&entries[*id as usize])] == text);
        let id = match found {
            Some(id) => *id,
            None => {
                let id = self.entries.len() as u32;
                let offset = self.arena.len() as u32;
                self.arena.extend_from_slice(text);
                let (arena, len) = (&self.arena, text.len() as u32);
                self.entries.push(Entry { offset, len, kind, seen: 0, tracked: 0, position: 0 });
                let entries = &self.entries;
                self.table
                    .insert_unique(hash, id, |id| xxh3_64(&arena[range(&entries[*id as usize])]));
                id
            }
        };
        let entry = &mut self.entries[id as usize];
        entry.kind = kind;
        entry.seen = self.iteration;
        self.deviate();
        if let Some(current) = &mut self.current {
            current.push(id);
        }
        self.count += 1;
        EntryId(id)
    }

    /// The series of an entry is now known under another reference.
    pub fn set_series(&mut self, id: EntryId, series: SeriesRef) {
        self.entries[id.0 as usize].kind = Kind::Series(series);
    }

    /// Notes that this iteration stored a sample of the entry, so that its end is marked.
    #[inline]
    pub fn track(&mut self, id: EntryId) {
        let entry = &mut self.entries[id.0 as usize];
        self.tracked += usize::from(entry.tracked != self.iteration);
        entry.tracked = self.iteration;
    }

    /// Whether the running body has been, entry by entry, the one before.
    pub fn is_exact(&self) -> bool {
        self.current.is_none() && self.expected == self.order.len()
    }

    /// Whether `ended` would find nothing: the body is the one before, and as many of its series
    /// were stored.
    pub fn nothing_ended(&self) -> bool {
        self.is_exact() && self.complete + 1 == self.iteration && self.tracked == self.tracked_last
    }

    /// The series tracked in the last iteration and not in this one.
    pub fn ended(&self) -> Vec<SeriesRef> {
        let series = |iteration| {
            self.entries.iter().filter_map(move |e| match e.kind {
                Kind::Series(series) if e.tracked == iteration => Some(series),
                _ => None,
            })
        };
        let mut ended: Vec<SeriesRef> = series(self.iteration - 1).collect();
        if !ended.is_empty() {
            // Another text may stand for the same series now.
            let mut live: Vec<SeriesRef> = series(self.iteration).collect();
            live.sort_unstable();
            ended.retain(|s| live.binary_search(s).is_err());
            ended.sort_unstable();
            ended.dedup();
        }
        ended
    }

    /// Texts of the metadata lines of the running body.
    pub fn lines(&self) -> impl Iterator<Item = &[u8]> {
        let is_line = |e: &&Entry| matches!(e.kind, Kind::Line(_)) && e.seen == self.iteration;
        self.entries.iter().filter(is_line).map(|e| self.text(e))
    }

    /// Ends the iteration. `complete`: the whole body was parsed, so what it did not have is
    /// forgotten; else (a failed scrape) the cache stays as it was.
    pub fn finish(&mut self, complete: bool) {
        self.start_times.finish(self.iteration, complete);
        if complete {
            self.complete = self.iteration;
            if !self.is_exact() {
                match self.current.take() {
                    Some(current) => self.order = current,
                    None => self.order.truncate(self.expected),
                }
                self.compact();
                self.shrink();
                for (position, id) in self.order.iter().enumerate() {
                    self.entries[*id as usize].position = position as u32;
                }
            }
        } else if self.entries.len() > 2 * self.order.len() + 1000 {
            // Failing bodies with ever-changing text would grow the cache without end.
            self.complete = self.iteration;
            self.compact();
        }
        self.current = None;
        self.expected = 0;
        self.count = 0;
        self.tracked_last = std::mem::take(&mut self.tracked);
        self.iteration += 1;
    }

    /// Gives back room for entries that did not come: targets rarely change, and there are many.
    fn shrink(&mut self) {
        fn slack<T>(of: &Vec<T>) -> bool {
            of.capacity() > of.len() + of.len() / 8
        }
        if slack(&self.arena) {
            self.arena.shrink_to_fit();
        }
        if slack(&self.entries) {
            self.entries.shrink_to_fit();
        }
        if slack(&self.order) {
            self.order.shrink_to_fit();
        }
    }

    /// Drops forgotten entries once they are a quarter of all. What was tracked in this iteration
    /// stays: the next one may have to mark its end.
    fn compact(&mut self) {
        let keep = |e: &Entry| e.seen >= self.complete;
        let live = self.entries.iter().filter(|e| keep(e)).count();
        if self.entries.len() - live <= live / 4 + 64 {
            return;
        }
        let mut arena = Vec::with_capacity(self.arena.len());
        let mut entries = Vec::with_capacity(live);
        let mut renamed = vec![u32::MAX; self.entries.len()];
        for (old, entry) in self.entries.iter().enumerate() {
            if keep(entry) {
                renamed[old] = entries.len() as u32;
                let offset = arena.len() as u32;
                arena.extend_from_slice(self.text(entry));
                entries.push(Entry { offset, ..*entry });
            }
        }
        self.order.retain_mut(|id| {
            *id = renamed[*id as usize];
            *id != u32::MAX
        });
        let hash = |e: &Entry| xxh3_64(&arena[e.offset as usize..(e.offset + e.len) as usize]);
        let mut table = HashTable::with_capacity(entries.len());
        for (id, entry) in entries.iter().enumerate() {
            table.insert_unique(hash(entry), id as u32, |id| hash(&entries[*id as usize]));
        }
        self.table = table;
        self.arena = arena;
        self.entries = entries;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds a body of one-letter texts; upper case means "known text, as predicted".
    fn scrape(cache: &mut ScrapeCache, body: &str, complete: bool) -> (String, String) {
        let mut how = String::new();
        for (i, c) in body.char_indices() {
            let rest = &body.as_bytes()[i..];
            let text = &rest[..c.len_utf8()];
            if let Some((id, _, _)) = cache.predict(rest) {
                how.push(if cache.advance(id) { 'R' } else { 'P' });
                cache.track(id);
            } else if let Some((id, _)) = cache.lookup(text) {
                how.push(if cache.advance(id) { 'r' } else { 'l' });
                cache.track(id);
            } else {
                let id = cache.add(text, Kind::Series(SeriesRef(c as u64)));
                how.push('n');
                cache.track(id);
            }
        }
        let ended = cache.ended().iter().map(|s| s.0 as u8 as char).collect();
        cache.finish(complete);
        (how, ended)
    }

    #[test]
    fn predicts_resyncs_and_marks_ends() {
        let mut c = ScrapeCache::default();
        for (body, how, ended) in [
            ("abcd", "nnnn", ""),
            ("abcd", "PPPP", ""),
            ("axbcd", "PnPPP", ""),
            ("abcd", "PlPP", "x"),
            ("acd", "PlP", "b"),
            ("abcd", "PnPP", ""),
            ("aabc", "PrPP", "d"),
            ("aabc", "PRPP", ""),
            ("", "", "abc"),
            ("abc", "nnn", ""),
        ] {
            let (got_how, got_ended) = scrape(&mut c, body, true);
            assert_eq!((got_how.as_str(), got_ended.as_str()), (how, ended), "{body}");
        }
    }

    #[test]
    fn a_failed_scrape_keeps_the_texts() {
        let mut c = ScrapeCache::default();
        scrape(&mut c, "abc", true);
        assert_eq!(scrape(&mut c, "", false), (String::new(), "abc".to_owned()));
        assert_eq!(scrape(&mut c, "abc", true), ("PPP".to_owned(), String::new()));
    }

    #[test]
    fn churn_does_not_grow_it() {
        let mut c = ScrapeCache::default();
        for round in 0..200u32 {
            for i in 0..100u32 {
                let text = format!("series{}\n", round * 100 + i);
                c.add(text.as_bytes(), Kind::Dropped);
            }
            c.finish(true);
        }
        assert!(c.entries.len() <= 400, "{}", c.entries.len());
        assert_eq!(c.table.len(), c.entries.len());
    }
}
