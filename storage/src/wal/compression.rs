//! Compression of records: none, snappy or zstd, chosen per record by two header bits.

use snap::raw::{Decoder as SnapDecoder, Encoder as SnapEncoder};
use zstd::stream::raw::{Decoder as ZstdDecoder, InBuffer, Operation, OutBuffer};

/// How records are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    None,
    #[default]
    Snappy,
    Zstd,
}

const SNAPPY_BIT: u8 = 1 << 3;
const ZSTD_BIT: u8 = 1 << 4;

/// Fast, and close to the default level on records.
const ZSTD_LEVEL: i32 = 1;

/// No record is larger when decompressed: a bound for hostile input.
const MAX_RECORD: usize = 1 << 30;

impl Compression {
    /// The bits in a fragment's header.
    pub(super) fn flags(self) -> u8 {
        match self {
            Compression::None => 0,
            Compression::Snappy => SNAPPY_BIT,
            Compression::Zstd => ZSTD_BIT,
        }
    }

    /// The compression that a fragment's header names.
    pub(super) fn of_flags(flags: u8) -> Compression {
        if flags & SNAPPY_BIT != 0 {
            Compression::Snappy
        } else if flags & ZSTD_BIT != 0 {
            Compression::Zstd
        } else {
            Compression::None
        }
    }

    /// The name in flags and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Compression::None => "none",
            Compression::Snappy => "snappy",
            Compression::Zstd => "zstd",
        }
    }
}

/// Compresses records; keeps its tables between them.
pub(super) struct Compressor {
    snappy: SnapEncoder,
    zstd: Option<zstd::bulk::Compressor<'static>>,
}

impl Default for Compressor {
    fn default() -> Compressor {
        Compressor { snappy: SnapEncoder::new(), zstd: None }
    }
}

impl Compressor {
    /// Appends the compressed record to `out`; false, with `out` as it was, when that would not
    /// be smaller (or the record cannot be compressed at all).
    pub(super) fn compress(&mut self, kind: Compression, record: &[u8], out: &mut Vec<u8>) -> bool {
        let start = out.len();
        let len = match kind {
            Compression::None => None,
            Compression::Snappy => {
                out.resize(start + snap::raw::max_compress_len(record.len()), 0);
                self.snappy.compress(record, &mut out[start..]).ok()
            }
            Compression::Zstd => {
                out.resize(start + zstd::zstd_safe::compress_bound(record.len()), 0);
                self.zstd().and_then(|zstd| zstd.compress_to_buffer(record, &mut out[start..]).ok())
            }
        };
        match len {
            Some(len) if len < record.len() => {
                out.truncate(start + len);
                true
            }
            _ => {
                out.truncate(start);
                false
            }
        }
    }

    fn zstd(&mut self) -> Option<&mut zstd::bulk::Compressor<'static>> {
        if self.zstd.is_none() {
            self.zstd = zstd::bulk::Compressor::new(ZSTD_LEVEL).ok();
        }
        self.zstd.as_mut()
    }
}

/// Decompresses records; keeps its tables between them.
pub struct Decompressor {
    snappy: SnapDecoder,
    zstd: Option<ZstdDecoder<'static>>,
}

impl Default for Decompressor {
    fn default() -> Decompressor {
        Decompressor { snappy: SnapDecoder::new(), zstd: None }
    }
}

impl Decompressor {
    /// Replaces the content of `out` by the decompressed record. Allocates no more than the bytes
    /// can really become.
    pub fn decompress(
        &mut self,
        kind: Compression,
        data: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), &'static str> {
        out.clear();
        if data.is_empty() {
            return Ok(());
        }
        match kind {
            Compression::None => {
                out.extend_from_slice(data);
                Ok(())
            }
            Compression::Snappy => self.snappy(data, out).ok_or("snappy: corrupt input"),
            Compression::Zstd => self.zstd(data, out).ok_or("zstd: corrupt input"),
        }
    }

    fn snappy(&mut self, data: &[u8], out: &mut Vec<u8>) -> Option<()> {
        let len = snap::raw::decompress_len(data).ok()?;
        // Three bytes of input give at most 64 of output.
        if len > MAX_RECORD || len / 22 > data.len() {
            return None;
        }
        out.resize(len, 0);
        let done = self.snappy.decompress(data, out).ok()?;
        (done == len).then_some(())
    }

    fn zstd(&mut self, data: &[u8], out: &mut Vec<u8>) -> Option<()> {
        if self.zstd.is_none() {
            self.zstd = ZstdDecoder::new().ok();
        }
        let zstd = self.zstd.as_mut()?;
        zstd.reinit().ok()?;
        let mut input = InBuffer::around(data);
        loop {
            let done = out.len();
            if done >= MAX_RECORD {
                return None;
            }
            out.resize((done * 2).max(data.len().saturating_mul(4)).clamp(1024, MAX_RECORD), 0);
            let room = out.len() - done;
            let mut output = OutBuffer::around(&mut out[done..]);
            let left = zstd.run(&mut input, &mut output).ok()?;
            let made = output.pos();
            out.truncate(done + made);
            if left == 0 && input.pos() == data.len() {
                return Some(());
            }
            // Neither room nor input was the limit: the frame ends too early.
            if left != 0 && made < room && input.pos() == data.len() {
                return None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_come_back() {
        let (mut compressor, mut decompressor) = (Compressor::default(), Decompressor::default());
        for kind in [Compression::Snappy, Compression::Zstd] {
            for len in [100usize, 5_000, 300_000] {
                let record: Vec<u8> = (0..len).map(|i| (i / 7 % 50) as u8).collect();
                let (mut small, mut back) = (vec![1, 2], Vec::new());
                assert!(compressor.compress(kind, &record, &mut small));
                decompressor.decompress(kind, &small[2..], &mut back).unwrap();
                assert_eq!(back, record);
                assert!(
                    decompressor.decompress(kind, &small[2..small.len() - 1], &mut back).is_err()
                );
            }
            let mut out = vec![9];
            assert!(!compressor.compress(kind, &[1, 2, 3], &mut out));
            assert_eq!(out, [9]);
        }
    }

    #[test]
    fn a_lie_about_the_length_allocates_nothing() {
        let mut out = Vec::new();
        let lie = [0xff, 0xff, 0xff, 0xff, 0x0f, 0x00];
        assert!(Decompressor::default().decompress(Compression::Snappy, &lie, &mut out).is_err());
        assert_eq!(out.capacity(), 0);
    }
}
