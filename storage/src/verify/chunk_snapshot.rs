//! Judging Prometheus's head snapshots: series, their labels and open chunks, tombstones behind
//! them, exemplars. Layout in `docs/format/head-snapshot.md`.

use std::collections::HashSet;
use std::path::Path;

use super::snapshot::open_chunk;
use super::{Around, Verifier, labels_hash};
use crate::encoding::{DecBuf, DecodeError};
use crate::head::chunk_snapshot::{Stored, parse};
use crate::record::{LabelPairs, Record, SeriesBatch};

impl Verifier<'_> {
    pub(super) fn chunk_snapshot(&mut self, path: &Path, around: &Around<'_>) {
        let mut found = Found {
            around,
            refs: HashSet::new(),
            labels: HashSet::new(),
            strangers: 0,
            whole: false,
        };
        let faults = self.counts.faults;
        let mut failed = false;
        self.own_log(path, &mut |record| match failed {
            true => Ok(()),
            false => found.record(record).inspect_err(|_| failed = true),
        });
        if self.counts.faults == faults && !found.whole {
            self.fault(format!("{}: its end is missing", path.display()));
        }
        if found.strangers > 0 {
            let (path, strangers) = (path.display(), found.strangers);
            self.note(format!("{path}: {strangers} series that the log does not know"));
        }
    }
}

/// What the records said so far.
struct Found<'a> {
    around: &'a Around<'a>,
    refs: HashSet<u64>,
    /// Hashes of the labels of all series.
    labels: HashSet<u64>,
    strangers: u64,
    /// The tombstones were there, which come once, behind all series.
    whole: bool,
}

impl Found<'_> {
    fn record(&mut self, record: &[u8]) -> Result<(), String> {
        let mut batch = SeriesBatch::default();
        match parse(record, &mut batch).map_err(|e| e.to_string())? {
            Stored::Series(open) => {
                let (series, labels) = series_of(record).map_err(|e| e.to_string())?;
                if self.whole || series == 0 || !self.refs.insert(series) {
                    return Err(format!(
                        "series {series} is there twice, or behind the tombstones"
                    ));
                }
                let hash = labels_hash(labels.iter())
                    .ok_or_else(|| format!("series {series} has no labels, or not in order"))?;
                if !self.labels.insert(hash) {
                    return Err(format!("series {series} has the labels of another"));
                }
                self.strangers += u64::from(!self.around.series(series, hash)?);
                let judged = open.map_or(Ok(()), |open| open_chunk(&open.image, &open.data));
                judged.map_err(|reason| format!("series {series}: {reason}"))
            }
            Stored::Tombstones(_) if self.whole => Err("there are tombstones twice".to_owned()),
            Stored::Tombstones(_) => {
                self.whole = true;
                Ok(())
            }
            Stored::Exemplars(record) => {
                let Record::Exemplars(found) = Record::classify(&record) else {
                    return Err("exemplars cannot be decoded".to_owned());
                };
                let mut entries = found.entries().map_err(|e| e.to_string())?;
                entries.try_for_each(|e| match self.refs.contains(&e.series.0) {
                    true => Ok(()),
                    false => Err(format!("exemplar of unknown series {}", e.series.0)),
                })
            }
        }
    }
}

/// Reference and labels of a series record, which has more behind them.
fn series_of(record: &[u8]) -> Result<(u64, LabelPairs<'_>), DecodeError> {
    let mut buf = DecBuf::new(record);
    buf.skip(1)?;
    Ok((buf.be64()?, LabelPairs::read(&mut buf)?))
}
