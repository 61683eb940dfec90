//! Labels: one series' identity, a sorted set of (name, value) pairs.
//!
//! Stored as Prometheus's "stringlabels" bytes, so the hash that scrape offsets, `limit_ratio` and
//! `hashmod` users depend on is xxhash64 over exactly these bytes: for each label in order of name,
//! length (one byte, or 255 and three little-endian bytes) + name, then the same for the value.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

/// The label that holds a series' metric name.
pub const METRIC_NAME: &str = "__name__";
/// The label a scrape pool's job name goes to.
pub const JOB: &str = "job";
/// The label a target's address goes to.
pub const INSTANCE: &str = "instance";
/// The label that holds a classic histogram bucket's upper bound.
pub const BUCKET: &str = "le";

/// An immutable, cheaply cloned label set: names are unique and sorted bytewise, values not empty
/// (an empty value means the label is absent).
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Labels {
    data: Arc<[u8]>,
}

impl Default for Labels {
    fn default() -> Labels {
        Labels { data: Arc::from([]) }
    }
}

impl Labels {
    /// The empty label set.
    pub fn empty() -> Labels {
        Labels::default()
    }

    /// Builds labels from pairs in any order; later pairs win over earlier ones of the same name,
    /// pairs with an empty value are left out.
    pub fn from_pairs<N: AsRef<str>, V: AsRef<str>>(
        pairs: impl IntoIterator<Item = (N, V)>,
    ) -> Labels {
        let mut builder = LabelsBuilder::default();
        for (name, value) in pairs {
            builder.set(name.as_ref(), value.as_ref());
        }
        builder.labels()
    }

    /// Builds labels from pairs already sorted by name, without duplicates or empty values.
    /// The order is checked in debug builds only.
    pub fn from_sorted<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Labels {
        let mut data = Vec::with_capacity(128);
        let mut last: Option<&str> = None;
        for (name, value) in pairs {
            debug_assert!(last.is_none_or(|l| l < name), "labels out of order at {name}");
            last = Some(name);
            push_sized(&mut data, name);
            push_sized(&mut data, value);
        }
        Labels { data: data.into() }
    }

    /// Pairs in order of name.
    pub fn iter(&self) -> LabelsIter<'_> {
        LabelsIter { rest: &self.data }
    }

    /// The value of `name`, or `None` when the label is absent.
    pub fn get(&self, name: &str) -> Option<&str> {
        for (n, v) in self.iter() {
            match n.cmp(name) {
                Ordering::Equal => return Some(v),
                Ordering::Greater => return None,
                Ordering::Less => {}
            }
        }
        None
    }

    /// The metric name, or the empty string.
    pub fn metric_name(&self) -> &str {
        self.get(METRIC_NAME).unwrap_or("")
    }

    /// Number of labels.
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// Whether there is no label at all.
    pub fn is_empty(&self) -> bool {
        self.data.is_empty()
    }

    /// xxhash64 over the stringlabels bytes: Prometheus's `Labels.Hash()`.
    pub fn hash64(&self) -> u64 {
        xxhash_rust::xxh64::xxh64(&self.data, 0)
    }

    /// The stringlabels bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.data
    }

    /// A copy without the label `name`.
    pub fn without(&self, name: &str) -> Labels {
        self.filtered(|n| n != name)
    }

    /// A copy with the labels whose names `keeps` approves of.
    pub fn filtered(&self, mut keeps: impl FnMut(&str) -> bool) -> Labels {
        let mut data = Vec::with_capacity(self.data.len());
        self.spans().filter(|(name, _)| keeps(name)).for_each(|(_, span)| data.extend(span));
        Labels { data: data.into() }
    }

    /// Name and bytes of each label, the bytes being those in [`as_bytes`](Self::as_bytes). Equal
    /// labels have equal bytes, and bytes of labels side by side can be taken apart in one way only.
    pub fn spans(&self) -> impl Iterator<Item = (&str, &[u8])> {
        let mut rest = self.iter();
        std::iter::from_fn(move || {
            let name = rest.clone().take_name()?;
            Some((name, rest.next_bytes()?))
        })
    }

    /// A copy that keeps only the labels named in `names` (any order).
    pub fn keep(&self, names: &[impl AsRef<str>]) -> Labels {
        self.filtered(|n| names.iter().any(|k| k.as_ref() == n))
    }
}

/// Appends one label in the form of [`Labels::as_bytes`].
pub fn push_label(out: &mut Vec<u8>, name: &str, value: &str) {
    push_sized(out, name);
    push_sized(out, value);
}

fn push_sized(out: &mut Vec<u8>, text: &str) {
    let len = text.len();
    if len < 255 {
        out.push(len as u8);
    } else {
        debug_assert!(len < 1 << 24, "label text too long");
        out.extend_from_slice(&[255, len as u8, (len >> 8) as u8, (len >> 16) as u8]);
    }
    out.extend_from_slice(text.as_bytes());
}

/// A map by labels, or by bytes of labels: hashed as a whole instead of byte by byte.
pub type LabelMap<K, V> = HashMap<K, V, BuildHasherDefault<TextHasher>>;

/// A fast hash of texts.
#[derive(Clone, Copy, Debug, Default)]
pub struct TextHasher(u64);

impl Hasher for TextHasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0 = xxhash_rust::xxh3::xxh3_64_with_seed(bytes, self.0);
    }

    fn write_usize(&mut self, n: usize) {
        // Lengths, mostly: the text that follows is hashed with this as the seed.
        self.0 = self.0.rotate_left(5) ^ n as u64;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// Iterator over (name, value).
#[derive(Clone)]
pub struct LabelsIter<'a> {
    rest: &'a [u8],
}

impl<'a> LabelsIter<'a> {
    /// Walks the bytes of [`Labels::as_bytes`], wherever they are kept. Other bytes give nonsense.
    pub fn new(bytes: &'a [u8]) -> LabelsIter<'a> {
        LabelsIter { rest: bytes }
    }

    /// The bytes of the next label: name and value with their lengths.
    pub fn next_bytes(&mut self) -> Option<&'a [u8]> {
        let before = self.rest;
        if before.is_empty() {
            return None;
        }
        self.take_bytes();
        self.take_bytes();
        Some(&before[..before.len() - self.rest.len()])
    }

    fn take_bytes(&mut self) -> &'a [u8] {
        let (len, head) = match *self.rest {
            [255, a, b, c, ..] => (a as usize | (b as usize) << 8 | (c as usize) << 16, 4),
            [len, ..] => (len as usize, 1),
            [] => (0, 0),
        };
        let (text, rest) = self.rest[head..].split_at(len.min(self.rest.len() - head));
        self.rest = rest;
        text
    }

    fn take_name(&mut self) -> Option<&'a str> {
        (!self.rest.is_empty()).then(|| self.take())
    }

    fn take(&mut self) -> &'a str {
        let text = self.take_bytes();
        // Only whole `&str` are ever pushed, so this cannot fail.
        std::str::from_utf8(text).unwrap_or_default()
    }
}

impl<'a> Iterator for LabelsIter<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        Some((self.take(), self.take()))
    }
}

impl Ord for Labels {
    /// By name, then value, label by label; a prefix sorts first. The order of series in a block.
    fn cmp(&self, other: &Labels) -> Ordering {
        // Bytes of text compare as the text does.
        let (mut a, mut b) = (self.iter(), other.iter());
        loop {
            match (a.rest.is_empty(), b.rest.is_empty()) {
                (true, true) => return Ordering::Equal,
                (true, false) => return Ordering::Less,
                (false, true) => return Ordering::Greater,
                (false, false) => match a.take_bytes().cmp(b.take_bytes()) {
                    Ordering::Equal => {}
                    unequal => return unequal,
                },
            }
        }
    }
}

impl PartialOrd for Labels {
    fn partial_cmp(&self, other: &Labels) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Labels {
    /// `{a="b", c="d"}`, values quoted as Go quotes, names that are not legacy-valid quoted too.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (i, (name, value)) in self.iter().enumerate() {
            if i > 0 {
                f.write_str(", ")?;
            }
            if is_legacy_label_name(name) {
                f.write_str(name)?;
            } else {
                f.write_str(&crate::number::go_quote(name))?;
            }
            f.write_str("=")?;
            f.write_str(&crate::number::go_quote(value))?;
        }
        f.write_str("}")
    }
}

impl fmt::Debug for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Whether `name` is a label name of the legacy (pre UTF-8) scheme: `[a-zA-Z_][a-zA-Z0-9_]*`.
pub fn is_legacy_label_name(name: &str) -> bool {
    let bytes = name.as_bytes();
    !bytes.is_empty()
        && !bytes[0].is_ascii_digit()
        && bytes.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'_')
}

/// Whether `name` is a metric name of the legacy scheme: `[a-zA-Z_:][a-zA-Z0-9_:]*`.
pub fn is_legacy_metric_name(name: &str) -> bool {
    let bytes = name.as_bytes();
    !bytes.is_empty()
        && !bytes[0].is_ascii_digit()
        && bytes.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'_' || *b == b':')
}

/// Changes a label set step by step. Setting a label to the empty string removes it.
#[derive(Clone, Debug, Default)]
pub struct LabelsBuilder {
    pairs: Vec<(String, String)>,
}

impl LabelsBuilder {
    /// Starts from the labels of `base`.
    pub fn new(base: &Labels) -> LabelsBuilder {
        LabelsBuilder { pairs: base.iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect() }
    }

    /// Sets `name` to `value`; an empty value removes the label.
    pub fn set(&mut self, name: &str, value: &str) -> &mut LabelsBuilder {
        match self.position(name) {
            Ok(at) if value.is_empty() => {
                self.pairs.remove(at);
            }
            Ok(at) => value.clone_into(&mut self.pairs[at].1),
            Err(_) if value.is_empty() => {}
            Err(at) => self.pairs.insert(at, (name.to_owned(), value.to_owned())),
        }
        self
    }

    /// Removes `name`.
    pub fn del(&mut self, name: &str) -> &mut LabelsBuilder {
        self.set(name, "")
    }

    /// The value of `name`; the empty string when absent.
    pub fn get(&self, name: &str) -> &str {
        self.position(name).map_or("", |at| &self.pairs[at].1)
    }

    /// Keeps the labels for which `keep(name)` holds.
    pub fn retain(&mut self, mut keep: impl FnMut(&str) -> bool) {
        self.pairs.retain(|(n, _)| keep(n));
    }

    /// Pairs in order of name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs.iter().map(|(n, v)| (n.as_str(), v.as_str()))
    }

    /// Whether no label is set.
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// The label set as it stands.
    pub fn labels(&self) -> Labels {
        Labels::from_sorted(self.iter())
    }

    fn position(&self, name: &str) -> Result<usize, usize> {
        self.pairs.binary_search_by(|(n, _)| n.as_str().cmp(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn builds_sorts_and_prints() {
        let l = Labels::from_pairs([("b", "2"), ("__name__", "up"), ("a", ""), ("ü", "x\"y")]);
        assert_eq!(l.to_string(), r#"{__name__="up", b="2", "ü"="x\"y"}"#);
        assert_eq!(l.get("b"), Some("2"));
        assert_eq!(l.get("a"), None);
        assert_eq!(l.metric_name(), "up");
        assert_eq!(l.len(), 3);
    }

    #[test]
    fn long_values_keep_their_length() {
        let long = "v".repeat(70_000);
        let l = Labels::from_pairs([("a", long.as_str()), ("b", "1")]);
        assert_eq!(l.get("a").map(str::len), Some(70_000));
        assert_eq!(l.get("b"), Some("1"));
    }

    #[test]
    fn labels_are_left_out_by_name() {
        let l = Labels::from_pairs([("a", "1"), ("b", "2"), ("ü", "3")]);
        assert_eq!(l.filtered(|n| n != "b"), Labels::from_pairs([("a", "1"), ("ü", "3")]));
        assert_eq!(l.filtered(|_| false), Labels::empty());
        let bytes: Vec<u8> = l.spans().flat_map(|(_, span)| span.to_vec()).collect();
        assert_eq!(bytes, l.as_bytes());
    }

    #[test]
    fn orders_like_a_block() {
        let a = Labels::from_pairs([("a", "1")]);
        let ab = Labels::from_pairs([("a", "1"), ("b", "1")]);
        let b = Labels::from_pairs([("a", "2")]);
        assert!(a < ab && ab < b && Labels::empty() < a);
    }
}
