//! Ooo: samples that came after newer ones of their series.
//!
//! A series keeps up to a few dozen of them sorted in memory; when there are more they become a
//! chunk in `chunks_head` that is marked out of order, and the write-behind log (WBL) gets a marker
//! that what it said of the series so far is in that chunk. What must hold: `samples` has strictly
//! ascending times; chunks may overlap each other, the samples and everything in order.

use model::columns::HistogramValue;
use model::{Columns, EncodedChunk, SeriesRef};

use super::apply::{Apply, Series};
use super::mmap::HeadChunks;
use super::series::MappedChunk;
use crate::chunk::{CutRule, EncodeOptions, encode};
use crate::record::{
    HistogramKind, HistogramsEncoder, MmapMarkersEncoder, RefMmapMarker, RefSample, SamplesEncoder,
    SamplesVersion,
};

/// Most samples of a series held in memory.
pub(crate) const MAX_SAMPLES: usize = 32;

/// A value that came late.
#[derive(Clone, Debug)]
pub(crate) enum OooValue {
    Float(f64),
    Histogram(HistogramValue),
}

/// A sample that came late.
#[derive(Clone, Debug)]
pub(crate) struct OooSample {
    pub t: i64,
    pub start_t: i64,
    pub value: OooValue,
}

/// What came late of one series.
#[derive(Clone, Debug, Default)]
pub(crate) struct OooSeries {
    pub chunks: Vec<MappedChunk>,
    /// Full chunks that could not be written yet.
    pub unwritten: Vec<EncodedChunk>,
    pub samples: Vec<OooSample>,
}

impl OooSeries {
    /// First and last time of anything here; nothing while min > max.
    pub fn bounds(&self) -> (i64, i64) {
        let chunks = self.chunks.iter().map(|c| (c.min_t, c.max_t()));
        let unwritten = self.unwritten.iter().map(|c| (c.range.min, c.range.max));
        let samples = self.samples.iter().map(|s| (s.t, s.t));
        chunks
            .chain(unwritten)
            .chain(samples)
            .fold((i64::MAX, i64::MIN), |(min, max), (a, b)| (min.min(a), max.max(b)))
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.chunks.is_empty() && self.unwritten.is_empty() && self.samples.is_empty()
    }

    /// Chunks as Prometheus counts them: the samples are in one that is open.
    pub fn chunk_count(&self) -> u64 {
        let open = usize::from(!self.samples.is_empty());
        (self.chunks.len() + self.unwritten.len() + open) as u64
    }

    /// Puts a sample in its place; `false` when there is one of the same time.
    pub fn insert(&mut self, sample: OooSample) -> bool {
        match self.samples.binary_search_by_key(&sample.t, |s| s.t) {
            Ok(_) => false,
            Err(at) => {
                self.samples.insert(at, sample);
                true
            }
        }
    }

    /// Turns the samples into chunks of `chunks_head`; returns where they went, 0 for one that
    /// waits in memory.
    pub fn spill(
        &mut self,
        series_ref: u64,
        chunks: &HeadChunks,
        options: EncodeOptions,
    ) -> Vec<u64> {
        let columns = columns_of(&self.samples);
        let Ok(encoded) = encode(&columns, options) else { return Vec::new() };
        self.samples.clear();
        let mut refs = Vec::with_capacity(encoded.len());
        for chunk in encoded {
            match chunks.write(series_ref, &chunk, true) {
                Some(mapped) => {
                    refs.push(mapped.chunk_ref);
                    self.chunks.push(mapped);
                }
                None => self.unwritten.push(chunk),
            }
        }
        refs
    }
}

/// The samples as columns.
pub(crate) fn columns_of(samples: &[OooSample]) -> Columns {
    let mut columns = Columns::default();
    for s in samples {
        match &s.value {
            OooValue::Float(v) => columns.push_float(s.t, *v),
            OooValue::Histogram(h) => columns.push_histogram(s.t, h.clone()),
        }
        columns.set_last_start(s.start_t);
    }
    columns
}

/// Appends sample `at` of `from`.
pub(crate) fn push_from(from: &Columns, at: usize, out: &mut Columns) {
    let t = from.timestamps[at];
    match from.histogram(at) {
        None => out.push_float(t, from.floats[at]),
        Some(h) => out.push_histogram(t, h.clone()),
    }
    out.set_last_start(from.start_timestamps.get(at).copied().unwrap_or(0));
}

/// What one commit has to say in the WBL, in order.
#[derive(Debug, Default)]
pub(crate) struct OooLog {
    events: Vec<Event>,
    /// Times of what was added.
    pub range: Option<(i64, i64)>,
}

#[derive(Debug)]
enum Event {
    Sample(u64, OooSample),
    Marker(RefMmapMarker),
}

impl OooLog {
    /// Whether there is nothing to say.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// The records. Runs of markers, floats and histograms become one record each.
    pub fn records(&self, start_timestamps: bool) -> Vec<Vec<u8>> {
        let kind = |e: &Event| match e {
            Event::Marker(_) => (0, None),
            Event::Sample(_, OooSample { value: OooValue::Float(_), .. }) => (1, None),
            Event::Sample(_, OooSample { value: OooValue::Histogram(h), .. }) => {
                (2, Some(super::batch::HistogramType::of(h)))
            }
        };
        let mut records = Vec::new();
        for run in self.events.chunk_by(|a, b| kind(a) == kind(b)) {
            let mut out = Vec::new();
            match &run[0] {
                Event::Marker(_) => put_markers(run, &mut out),
                Event::Sample(_, OooSample { value: OooValue::Float(_), .. }) => {
                    put_floats(run, start_timestamps, &mut out);
                }
                Event::Sample(_, OooSample { value: OooValue::Histogram(h), .. }) => match h {
                    HistogramValue::Integer(first) => {
                        let kind = histogram_kind(first.schema, start_timestamps);
                        let mut encoder = HistogramsEncoder::new(&mut out, kind);
                        for_histograms(run, |series, s, h| {
                            if let HistogramValue::Integer(h) = h {
                                encoder.push(SeriesRef(series), s.start_t, s.t, h.as_ref());
                            }
                        });
                    }
                    HistogramValue::Float(first) => {
                        let kind = histogram_kind(first.schema, start_timestamps);
                        let mut encoder = HistogramsEncoder::new(&mut out, kind);
                        for_histograms(run, |series, s, h| {
                            if let HistogramValue::Float(h) = h {
                                encoder.push(SeriesRef(series), s.start_t, s.t, h.as_ref());
                            }
                        });
                    }
                },
            }
            records.push(out);
        }
        records
    }
}

fn histogram_kind(schema: i32, start_timestamps: bool) -> HistogramKind {
    if start_timestamps { HistogramKind::V2 } else { HistogramKind::for_schema(schema) }
}

fn for_histograms(run: &[Event], mut f: impl FnMut(u64, &OooSample, &HistogramValue)) {
    for event in run {
        if let Event::Sample(series, s) = event
            && let OooValue::Histogram(h) = &s.value
        {
            f(*series, s, h);
        }
    }
}

fn put_markers(run: &[Event], out: &mut Vec<u8>) {
    let mut encoder = MmapMarkersEncoder::new(out);
    for event in run {
        if let Event::Marker(marker) = event {
            encoder.push(*marker);
        }
    }
}

fn put_floats(run: &[Event], start_timestamps: bool, out: &mut Vec<u8>) {
    let version = if start_timestamps { SamplesVersion::V2 } else { SamplesVersion::V1 };
    let mut encoder = SamplesEncoder::new(out, version);
    for event in run {
        if let Event::Sample(series, OooSample { t, start_t, value: OooValue::Float(v) }) = event {
            encoder.push(RefSample { series: SeriesRef(*series), start_t: *start_t, t: *t, v: *v });
        }
    }
}

impl Series<'_> {
    /// Puts a late sample in its place and notes it for the WBL; `false` for one whose time is
    /// taken.
    pub fn insert_ooo(
        &mut self,
        log: &mut OooLog,
        apply: &mut Apply<'_>,
        t: i64,
        start_t: i64,
        value: OooValue,
    ) -> bool {
        let cold = &mut self.records.cold[self.place];
        let series_ref = cold.series_ref;
        let ooo = cold.extra_mut().ooo.get_or_insert_default();
        let before = ooo.chunk_count();
        let full = ooo.samples.len() >= MAX_SAMPLES;
        if full || ooo.samples.is_empty() {
            let refs = if full {
                ooo.spill(series_ref, apply.chunks, apply.ooo_encoding())
            } else {
                vec![0]
            };
            log.events.extend(refs.into_iter().map(|chunk| {
                Event::Marker(RefMmapMarker { series: SeriesRef(series_ref), chunk })
            }));
        }
        let sample = OooSample { t, start_t, value };
        let inserted = ooo.insert(sample.clone());
        apply.done.chunks_created += ooo.chunk_count().saturating_sub(before);
        if !inserted {
            return false;
        }
        log.events.push(Event::Sample(series_ref, sample));
        let (min, max) = log.range.unwrap_or((t, t));
        log.range = Some((min.min(t), max.max(t)));
        true
    }
}

impl Apply<'_> {
    /// How out-of-order samples are encoded.
    pub fn ooo_encoding(&self) -> EncodeOptions {
        EncodeOptions {
            rule: CutRule::OutOfOrder,
            xor2: self.xor2 || self.start_timestamps,
            histogram_st: self.histogram_st,
        }
    }
}
