//! Size: the bytes of memory that series take in the head, counted by walking over them. Files that
//! are mapped are not memory; exemplars and the buffers of a commit are bounded elsewhere.

use model::EncodedChunk;
use model::columns::HistogramValue;

use super::Head;
use super::ooo::{OooSample, OooSeries, OooValue};
use super::series::{Cold, Extra, MappedChunk, Page, Records};

impl Head {
    /// Bytes of all series: records, open chunks, references to mapped ones, labels and index.
    pub fn memory_bytes(&self) -> u64 {
        let pages: usize = self.pages.iter().map(|(_, page)| page_bytes(page)).sum();
        (pages + self.index().heap_bytes() + self.refs.heap_bytes()) as u64
    }
}

impl Head {
    /// Counts the series whose last sample is a native histogram, and the buckets of those.
    pub(crate) fn count_histograms(&self) {
        let (mut series, mut buckets) = (0, 0);
        for (_, page) in self.pages.iter() {
            let records = page.lock();
            for value in records.cold.iter().filter_map(Cold::last_histogram) {
                series += 1;
                buckets += match value {
                    HistogramValue::Integer(h) => {
                        h.positive_buckets.len() + h.negative_buckets.len()
                    }
                    HistogramValue::Float(h) => h.positive_buckets.len() + h.negative_buckets.len(),
                };
            }
        }
        self.metrics.histogram_series.set(series);
        self.metrics.histogram_buckets.set(buckets as u64);
    }
}

fn page_bytes(page: &Page) -> usize {
    let records = page.lock();
    let Records { hot, cold, slab, earlier } = &*records;
    let commits: usize = earlier.values().map(|list| list.capacity() * 16 + 32).sum();
    size_of::<Page>()
        + size_of_val(&**hot)
        + size_of_val(&**cold)
        + slab.heap_bytes()
        + commits
        + cold.iter().map(cold_bytes).sum::<usize>()
}

fn cold_bytes(cold: &Cold) -> usize {
    cold.chunks.heap_bytes() + cold.extra.as_ref().map_or(0, |extra| extra_bytes(extra))
}

fn extra_bytes(extra: &Extra) -> usize {
    let metadata = extra.metadata.as_ref().map_or(0, |m| m.help.capacity() + m.unit.capacity());
    size_of::<Extra>()
        + extra.open.as_ref().map_or(0, |open| open.bytes().len())
        + encoded_bytes(&extra.unwritten)
        + extra.last_histogram.as_ref().map_or(0, histogram_bytes)
        + extra.ooo.as_ref().map_or(0, late_bytes)
        + metadata
}

fn encoded_bytes(chunks: &Vec<EncodedChunk>) -> usize {
    let data: usize = chunks.iter().map(|chunk| chunk.data.capacity()).sum();
    chunks.capacity() * size_of::<EncodedChunk>() + data
}

fn late_bytes(late: &OooSeries) -> usize {
    let values: usize = (late.samples.iter())
        .map(|sample| match &sample.value {
            OooValue::Float(_) => 0,
            OooValue::Histogram(h) => histogram_bytes(h),
        })
        .sum();
    late.chunks.capacity() * size_of::<MappedChunk>()
        + encoded_bytes(&late.unwritten)
        + late.samples.capacity() * size_of::<OooSample>()
        + values
}

fn histogram_bytes(value: &HistogramValue) -> usize {
    let (spans, buckets, own) = match value {
        HistogramValue::Integer(h) => (
            h.positive_spans.len() + h.negative_spans.len(),
            h.positive_buckets.len() + h.negative_buckets.len() + h.custom_values.len(),
            size_of_val(&**h),
        ),
        HistogramValue::Float(h) => (
            h.positive_spans.len() + h.negative_spans.len(),
            h.positive_buckets.len() + h.negative_buckets.len() + h.custom_values.len(),
            size_of_val(&**h),
        ),
    };
    own + (spans + buckets) * 8
}
