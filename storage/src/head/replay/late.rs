//! The log of late samples (WBL). It is replayed whenever it is there: the window may have been
//! closed since, what was acknowledged stays.

use std::path::Path;
use std::sync::Arc;

use super::Replay;
use super::decode::{self, Decoded, Spent};
use crate::db::ReplayProgress;
use crate::fs::Fs;
use crate::head::ooo::{OooSample, OooValue};
use crate::head::series::{page_number, place};
use crate::record::RefMmapMarker;
use crate::wal::{Reader, WalError};

impl Replay<'_> {
    pub(super) fn wbl(
        &mut self,
        fs: &Arc<dyn Fs>,
        dir: &Path,
        progress: &ReplayProgress,
    ) -> Result<Option<String>, WalError> {
        if crate::wal::segments(fs.as_ref(), dir)?.is_empty() {
            return Ok(None);
        }
        let reader = Reader::replay(fs.clone(), dir)?;
        if let Some((first, last)) = reader.remaining(dir) {
            progress.start(first, last);
        }
        let spent = Spent::default();
        match decode::run(reader, &spent, |decoded| self.late_record(decoded, &spent, progress)) {
            Ok(()) => Ok(None),
            Err(error) => self.mend(fs, dir, error).map(Some),
        }
    }

    fn late_record(&mut self, decoded: Decoded, spent: &Spent, progress: &ReplayProgress) {
        match decoded {
            Decoded::Segment(_, number) => progress.read(number),
            Decoded::Samples(samples) => {
                for s in &samples {
                    let value = OooValue::Float(s.v);
                    let sample = OooSample { t: s.t, start_t: s.start_t, value };
                    self.late_sample(s.series.0, sample);
                }
                spent.samples.give(samples);
            }
            Decoded::Histograms(histograms) => {
                for h in histograms {
                    let value = OooValue::Histogram(h.value);
                    let sample = OooSample { t: h.t, start_t: h.start_t, value };
                    self.late_sample(h.series_ref, sample);
                }
            }
            Decoded::Markers(markers) => markers.iter().for_each(|m| self.marker(m)),
            _ => {}
        }
    }

    fn late_sample(&mut self, series_ref: u64, sample: OooSample) {
        let t = sample.t;
        let Some((_, slot)) = self.resolve(series_ref, i64::MIN) else {
            self.head.metrics.unknown_sample_refs.add(1);
            return;
        };
        let Some(page) = self.head.pages.get(page_number(slot)) else { return };
        let mut records = page.lock();
        let ooo = records.cold[place(slot)].extra_mut().ooo.get_or_insert_default();
        let opened = ooo.samples.is_empty();
        ooo.insert(sample);
        drop(records);
        self.head.metrics.chunks.add(u64::from(opened));
        self.head.metrics.chunks_created.add(u64::from(opened));
        self.head.extend_late(t, t);
    }

    /// What the log said of the series so far is in a chunk. If that chunk is not there, because its
    /// buffer died with the process or it is in a block by now, the samples stay: what a block has
    /// too is merged when read.
    fn marker(&mut self, marker: &RefMmapMarker) {
        let Some((_, slot)) = self.resolve(marker.series.0, i64::MIN) else { return };
        let Some(page) = self.head.pages.get(page_number(slot)) else { return };
        let mut records = page.lock();
        let extra = records.cold[place(slot)].extra.as_mut();
        if let Some(ooo) = extra.and_then(|e| e.ooo.as_mut())
            && ooo.chunks.iter().any(|c| c.chunk_ref == marker.chunk)
        {
            self.head.metrics.chunks.sub(u64::from(!ooo.samples.is_empty()));
            ooo.samples.clear();
        }
    }
}
