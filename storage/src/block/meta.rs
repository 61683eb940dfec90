//! BlockMeta: the file `meta.json` of a block, `docs/format/block.md`.
//!
//! Fields, their order and the indentation are Prometheus's; unknown fields are passed over, `null`
//! and absent ones mean zero.

use std::io;
use std::path::Path;

use model::QueryError;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use ulid::Ulid;

use crate::fs::{Fs, atomic};

/// Name of the file.
pub const META_FILENAME: &str = "meta.json";
/// The only version there is.
const VERSION: i64 = 1;

/// Hint of a block whose samples all came out of order.
pub const HINT_OUT_OF_ORDER: &str = "from-out-of-order";
/// Hint of a block of stale series cut off the head early.
pub const HINT_STALE_SERIES: &str = "from-stale-series";
/// Hint of a block of series somebody chose.
pub const HINT_SELECTED_SERIES: &str = "from-selected-series";

/// What a block says about itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct BlockMeta {
    #[serde(serialize_with = "put_ulid", deserialize_with = "get_ulid")]
    pub ulid: Ulid,
    /// First millisecond samples may have.
    #[serde(rename = "minTime", deserialize_with = "or_default")]
    pub min_time: i64,
    /// First millisecond that no sample has any more.
    #[serde(rename = "maxTime", deserialize_with = "or_default")]
    pub max_time: i64,
    #[serde(deserialize_with = "or_default")]
    pub stats: BlockStats,
    #[serde(deserialize_with = "or_default")]
    pub compaction: BlockMetaCompaction,
    #[serde(deserialize_with = "or_default")]
    pub version: i64,
}

/// How much is in a block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct BlockStats {
    #[serde(skip_serializing_if = "is_default", deserialize_with = "or_default")]
    pub num_samples: u64,
    #[serde(skip_serializing_if = "is_default", deserialize_with = "or_default")]
    pub num_float_samples: u64,
    #[serde(skip_serializing_if = "is_default", deserialize_with = "or_default")]
    pub num_histogram_samples: u64,
    #[serde(skip_serializing_if = "is_default", deserialize_with = "or_default")]
    pub num_series: u64,
    #[serde(skip_serializing_if = "is_default", deserialize_with = "or_default")]
    pub num_chunks: u64,
    #[serde(skip_serializing_if = "is_default", deserialize_with = "or_default")]
    pub num_tombstones: u64,
}

/// Where a block came from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct BlockMetaCompaction {
    /// Merges the data went through; 1 = cut off a head.
    #[serde(deserialize_with = "or_default")]
    pub level: i64,
    /// The level-1 blocks that went into this one, ascending.
    #[serde(
        skip_serializing_if = "Vec::is_empty",
        serialize_with = "put_ulids",
        deserialize_with = "get_ulids"
    )]
    pub sources: Vec<Ulid>,
    /// Merging this block left nothing: it can go.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "or_default")]
    pub deletable: bool,
    /// The blocks this one was made from; they go once this one is loaded.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "or_default")]
    pub parents: Vec<BlockDesc>,
    /// Merging this block failed once; it is not tried again.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "or_default")]
    pub failed: bool,
    /// Sorted; see the `HINT_` constants.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "or_default")]
    pub hints: Vec<String>,
}

/// A block by name and time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct BlockDesc {
    #[serde(serialize_with = "put_ulid", deserialize_with = "get_ulid")]
    pub ulid: Ulid,
    #[serde(rename = "minTime", deserialize_with = "or_default")]
    pub min_time: i64,
    #[serde(rename = "maxTime", deserialize_with = "or_default")]
    pub max_time: i64,
}

impl BlockMetaCompaction {
    /// Whether `hint` is set.
    pub fn has_hint(&self, hint: &str) -> bool {
        self.hints.iter().any(|h| h == hint)
    }

    /// Sets `hint`.
    pub fn set_hint(&mut self, hint: &str) {
        if !self.has_hint(hint) {
            self.hints.push(hint.to_owned());
            self.hints.sort();
        }
    }
}

impl BlockMeta {
    /// The meta of a block to be cut off a head, or rewritten from `base`: level 1, its own source,
    /// `base` as parent and with its hints.
    pub fn new(ulid: Ulid, min_time: i64, max_time: i64, base: Option<&BlockMeta>) -> BlockMeta {
        let mut compaction =
            BlockMetaCompaction { level: 1, sources: vec![ulid], ..Default::default() };
        if let Some(base) = base {
            compaction.parents.push(base.desc());
            for hint in [HINT_OUT_OF_ORDER, HINT_STALE_SERIES, HINT_SELECTED_SERIES] {
                if base.compaction.has_hint(hint) {
                    compaction.set_hint(hint);
                }
            }
        }
        BlockMeta { ulid, min_time, max_time, compaction, version: VERSION, ..Default::default() }
    }

    /// The meta of the merge of `blocks`: covers them all, one level up. It is out of order only if
    /// all of them are, and of stale or selected series if one is.
    pub fn merge(ulid: Ulid, blocks: &[&BlockMeta]) -> BlockMeta {
        let mut compaction = BlockMetaCompaction::default();
        for block in blocks {
            let from = &block.compaction;
            compaction.level = compaction.level.max(from.level);
            compaction.sources.extend(&from.sources);
            compaction.parents.push(block.desc());
            for hint in [HINT_STALE_SERIES, HINT_SELECTED_SERIES] {
                if from.has_hint(hint) {
                    compaction.set_hint(hint);
                }
            }
        }
        if blocks.iter().all(|b| b.compaction.has_hint(HINT_OUT_OF_ORDER)) {
            compaction.set_hint(HINT_OUT_OF_ORDER);
        }
        compaction.level += 1;
        compaction.sources.sort();
        compaction.sources.dedup();
        BlockMeta {
            ulid,
            min_time: blocks.iter().map(|b| b.min_time).min().unwrap_or(0),
            max_time: blocks.iter().map(|b| b.max_time).max().unwrap_or(0),
            compaction,
            version: VERSION,
            ..Default::default()
        }
    }

    /// Name and time.
    pub fn desc(&self) -> BlockDesc {
        BlockDesc { ulid: self.ulid, min_time: self.min_time, max_time: self.max_time }
    }

    /// Whether the block may share a millisecond with `[min, max]`, both inclusive.
    pub fn overlaps(&self, min: i64, max: i64) -> bool {
        self.min_time <= max && min < self.max_time
    }

    /// Reads the file's content.
    pub fn parse(text: &[u8]) -> Result<BlockMeta, String> {
        let meta: BlockMeta = serde_json::from_slice(text).map_err(|e| e.to_string())?;
        if meta.version != VERSION {
            return Err(format!("unexpected meta file version {}", meta.version));
        }
        Ok(meta)
    }

    /// The file's content.
    pub fn print(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let indent = serde_json::ser::PrettyFormatter::with_indent(b"\t");
        let mut writer = serde_json::Serializer::with_formatter(&mut out, indent);
        // Writing numbers, strings and lists to memory does not fail.
        let _ = BlockMeta { version: VERSION, ..self.clone() }.serialize(&mut writer);
        out
    }

    /// Reads the meta of the block in `dir`; also returns the file's size.
    pub fn read(fs: &dyn Fs, dir: &Path) -> Result<(BlockMeta, u64), QueryError> {
        let path = dir.join(META_FILENAME);
        let text =
            fs.read(&path).map_err(|e| QueryError::Io(format!("open {}: {e}", path.display())))?;
        let meta = BlockMeta::parse(&text)
            .map_err(|e| QueryError::Corrupt(format!("{}: {e}", path.display())))?;
        Ok((meta, text.len() as u64))
    }

    /// Replaces the meta of the block in `dir`; returns the file's size.
    pub fn write(&self, fs: &dyn Fs, dir: &Path) -> io::Result<u64> {
        let text = self.print();
        atomic::write(fs, &dir.join(META_FILENAME), &text)?;
        Ok(text.len() as u64)
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

fn parse_ulid<E: serde::de::Error>(text: &str) -> Result<Ulid, E> {
    Ulid::from_string(text).map_err(|e| E::custom(format!("ulid {text:?}: {e}")))
}

fn get_ulid<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Ulid, D::Error> {
    match Option::<String>::deserialize(deserializer)? {
        Some(text) => parse_ulid(&text),
        None => Ok(Ulid::nil()),
    }
}

fn get_ulids<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Ulid>, D::Error> {
    let texts: Vec<String> = or_default(deserializer)?;
    texts.iter().map(|text| parse_ulid(text)).collect()
}

fn put_ulid<S: Serializer>(ulid: &Ulid, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(ulid)
}

fn put_ulids<S: Serializer>(ulids: &[Ulid], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(ulids.iter().map(|ulid| ulid.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden_metas_come_back_byte_for_byte() {
        for data in ["killed", "stopped", "xor2"] {
            let Some(dir) = testdata::shared(&format!("golden/prometheus-3.14/{data}/data")) else {
                return;
            };
            for entry in std::fs::read_dir(dir).unwrap() {
                let path = entry.unwrap().path().join(META_FILENAME);
                let Ok(text) = std::fs::read(&path) else { continue };
                let meta = BlockMeta::parse(&text).unwrap();
                assert_eq!(
                    String::from_utf8(meta.print()).unwrap(),
                    String::from_utf8(text).unwrap()
                );
            }
        }
    }

    #[test]
    fn what_is_absent_is_zero_and_what_is_unknown_passed_over() {
        let text = br#"{"ulid":"01BZJ9WJQPWHGNC2W4J9TA62KC","minTime":-5,"stats":null,
            "compaction":{"sources":null,"thanos":{}},"version":1,"thanos":[1]}"#;
        let meta = BlockMeta::parse(text).unwrap();
        assert_eq!((meta.min_time, meta.max_time, meta.compaction.level), (-5, 0, 0));
        assert_eq!(
            String::from_utf8(meta.print()).unwrap(),
            "{\n\t\"ulid\": \"01BZJ9WJQPWHGNC2W4J9TA62KC\",\n\t\"minTime\": -5,\n\t\"maxTime\": 0,\
             \n\t\"stats\": {},\n\t\"compaction\": {\n\t\t\"level\": 0\n\t},\n\t\"version\": 1\n}"
        );
    }

    #[test]
    fn other_versions_and_broken_text_are_refused() {
        for (text, expected) in [
            (r#"{"version":2}"#, "unexpected meta file version 2"),
            ("{}", "unexpected meta file version 0"),
            ("{", "EOF while parsing an object at line 1 column 1"),
        ] {
            assert_eq!(BlockMeta::parse(text.as_bytes()).unwrap_err(), expected);
        }
        assert!(BlockMeta::parse(br#"{"ulid":"nonsense","version":1}"#).is_err());
    }

    #[test]
    fn hints_of_a_merge() {
        let meta = |n: u64, hints: &[&str]| {
            let mut meta = BlockMeta::new(Ulid::from_parts(n, 0), n as i64, n as i64 + 10, None);
            hints.iter().for_each(|hint| meta.compaction.set_hint(hint));
            meta
        };
        let hints = |blocks: &[BlockMeta]| {
            let blocks: Vec<&BlockMeta> = blocks.iter().collect();
            BlockMeta::merge(Ulid::nil(), &blocks).compaction.hints
        };
        let (plain, ooo) = (meta(1, &[]), meta(2, &[HINT_OUT_OF_ORDER]));
        let stale = meta(3, &[HINT_STALE_SERIES]);
        assert_eq!(hints(&[ooo.clone(), ooo.clone()]), [HINT_OUT_OF_ORDER]);
        assert_eq!(hints(&[ooo.clone(), plain.clone()]), Vec::<String>::new());
        assert_eq!(hints(&[stale.clone(), plain]), [HINT_STALE_SERIES]);
        let merged = BlockMeta::merge(Ulid::nil(), &[&stale, &ooo]);
        assert_eq!((merged.min_time, merged.max_time, merged.compaction.level), (2, 13, 2));
        assert_eq!(merged.compaction.sources, [ooo.ulid, stale.ulid]);
        assert_eq!(merged.compaction.parents, [stale.desc(), ooo.desc()]);
    }
}
