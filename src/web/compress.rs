//! Compression of answers: gzip or deflate (zlib), whichever of the two the client lists first;
//! quality values are not looked at, as in Prometheus.

use std::io::{self, Write};

use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use hyper::HeaderMap;
use hyper::header::ACCEPT_ENCODING;

/// How a body is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    Identity,
    Gzip,
    Deflate,
}

impl Encoding {
    /// The encoding that a request's `Accept-Encoding` leads to.
    pub fn negotiate(headers: &HeaderMap) -> Encoding {
        let accepted = headers.get(ACCEPT_ENCODING).and_then(|v| v.to_str().ok()).unwrap_or("");
        accepted
            .split(',')
            .find_map(|name| match name.trim() {
                "gzip" => Some(Encoding::Gzip),
                "deflate" => Some(Encoding::Deflate),
                _ => None,
            })
            .unwrap_or(Encoding::Identity)
    }

    /// The value of `Content-Encoding`.
    pub fn name(self) -> Option<&'static str> {
        match self {
            Encoding::Identity => None,
            Encoding::Gzip => Some("gzip"),
            Encoding::Deflate => Some("deflate"),
        }
    }
}

/// Encodes a body piece by piece. Fast rather than tight: answers of the API are repetitive and
/// shrink about tenfold at the lowest level already.
pub enum Encoder {
    Identity(Vec<u8>),
    Gzip(GzEncoder<Vec<u8>>),
    Deflate(ZlibEncoder<Vec<u8>>),
}

impl Encoder {
    /// An encoder with nothing in it.
    pub fn new(encoding: Encoding) -> Encoder {
        match encoding {
            Encoding::Identity => Encoder::Identity(Vec::new()),
            Encoding::Gzip => Encoder::Gzip(GzEncoder::new(Vec::new(), Compression::fast())),
            Encoding::Deflate => {
                Encoder::Deflate(ZlibEncoder::new(Vec::new(), Compression::fast()))
            }
        }
    }

    /// Takes `bytes` in.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Encoder::Identity(out) => out.write_all(bytes),
            Encoder::Gzip(e) => e.write_all(bytes),
            Encoder::Deflate(e) => e.write_all(bytes),
        }
    }

    /// Takes all of `bytes` in; what has been encoded since the last call.
    pub fn pass(&mut self, bytes: &mut Vec<u8>) -> Vec<u8> {
        if matches!(self, Encoder::Identity(out) if out.is_empty()) {
            let room = bytes.capacity();
            return std::mem::replace(bytes, Vec::with_capacity(room));
        }
        // Writing into memory cannot fail.
        let _ = self.write(bytes);
        bytes.clear();
        self.take()
    }

    /// What has been encoded since the last call.
    pub fn take(&mut self) -> Vec<u8> {
        match self {
            Encoder::Identity(out) => std::mem::take(out),
            Encoder::Gzip(e) => std::mem::take(e.get_mut()),
            Encoder::Deflate(e) => std::mem::take(e.get_mut()),
        }
    }

    /// Ends the body; what is left of it.
    pub fn finish(self) -> io::Result<Vec<u8>> {
        match self {
            Encoder::Identity(out) => Ok(out),
            Encoder::Gzip(e) => e.finish(),
            Encoder::Deflate(e) => e.finish(),
        }
    }
}

/// Encodes a whole body at once.
pub fn encode(encoding: Encoding, bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = Encoder::new(encoding);
    encoder.write(bytes)?;
    encoder.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_of_the_two_wins() {
        for (header, encoding) in [
            ("", Encoding::Identity),
            ("br", Encoding::Identity),
            ("br, deflate, gzip", Encoding::Deflate),
            ("gzip;q=1, deflate", Encoding::Deflate),
            ("zstd,gzip", Encoding::Gzip),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT_ENCODING, header.parse().unwrap());
            assert_eq!(Encoding::negotiate(&headers), encoding, "{header}");
        }
    }

    #[test]
    fn pieces_make_one_stream() {
        use std::io::Read;
        let mut encoder = Encoder::new(Encoding::Gzip);
        let mut out = Vec::new();
        for _ in 0..1000 {
            encoder.write(b"[1,\"2\"],").unwrap();
            out.extend(encoder.take());
        }
        out.extend(encoder.finish().unwrap());
        let mut text = String::new();
        flate2::read::GzDecoder::new(&out[..]).read_to_string(&mut text).unwrap();
        assert_eq!(text.len(), 8000);
    }
}
