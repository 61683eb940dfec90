//! Bodies: decompression in one call, with a bound on what a small body may grow to.

use std::io::Read;

use libdeflater::{DecompressionError, Decompressor};

/// Bodies beyond this fail even without a `body_size_limit`: the parser's offsets are 32 bits wide.
pub const HARD_LIMIT: usize = 1 << 30;

/// `body_size_limit exceeded`, in Prometheus's words.
pub const LIMIT_ERROR: &str = "body size limit exceeded";

/// Magic and method of a gzip member.
const MEMBER_START: [u8; 3] = [0x1f, 0x8b, 0x08];

/// Undoes gzip. `limit` bounds the size of the result, in bytes; reaching it is an error.
pub fn gunzip(body: &[u8], limit: usize) -> Result<Vec<u8>, String> {
    // Only the streaming decoder reads several members in a row. Their header inside the compressed
    // bytes is rare enough by chance to go the slow way for it.
    if memchr::memmem::find(body.get(1..).unwrap_or_default(), &MEMBER_START).is_some() {
        return gunzip_members(body, limit);
    }
    // The last four bytes of a gzip member give its size, but they are the target's word only: the
    // first guess is never more than a plausible ratio.
    let claimed = body.last_chunk::<4>().map_or(0, |b| u32::from_le_bytes(*b) as usize);
    let mut capacity = claimed.clamp(1024, body.len().saturating_mul(64).max(1024)).min(limit);
    let mut decompressor = Decompressor::new();
    loop {
        // The caller adds a line break.
        let mut out = Vec::with_capacity(capacity + 1);
        out.resize(capacity, 0);
        match decompressor.gzip_decompress(body, &mut out) {
            Ok(size) if size >= limit => return Err(LIMIT_ERROR.to_owned()),
            Ok(size) if size == claimed => {
                out.truncate(size);
                return Ok(out);
            }
            // Bytes behind the member.
            Ok(_) => return gunzip_members(body, limit),
            Err(DecompressionError::InsufficientSpace) if capacity >= limit => {
                return Err(LIMIT_ERROR.to_owned());
            }
            Err(DecompressionError::InsufficientSpace) => {
                capacity = capacity.saturating_mul(4).min(limit);
            }
            Err(DecompressionError::BadData) => return gunzip_members(body, limit),
        }
    }
}

/// The slow way, which reads several members in a row and says what is wrong with a bad one.
fn gunzip_members(body: &[u8], limit: usize) -> Result<Vec<u8>, String> {
    let mut out = Vec::new();
    let mut reader = flate2::read::MultiGzDecoder::new(body).take(limit as u64);
    reader.read_to_end(&mut out).map_err(|e| match e.kind() {
        std::io::ErrorKind::UnexpectedEof => "unexpected EOF".to_owned(),
        _ => format!("gzip: {e}"),
    })?;
    if out.len() >= limit {
        return Err(LIMIT_ERROR.to_owned());
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn undoes_gzip_within_limits() {
        let text = b"up 1\n".repeat(10_000);
        let packed = gzip(&text);
        assert_eq!(gunzip(&packed, HARD_LIMIT).unwrap(), text);
        assert_eq!(gunzip(&packed, 50_001).unwrap(), text);
        assert_eq!(gunzip(&packed, 50_000).unwrap_err(), LIMIT_ERROR);
        assert_eq!(gunzip(&[gzip(b"a"), gzip(b"b")].concat(), HARD_LIMIT).unwrap(), b"ab");
        assert_eq!(gunzip(&gzip(b""), HARD_LIMIT).unwrap(), b"");
    }

    #[test]
    fn bad_bodies_are_errors() {
        let packed = gzip(b"some text that is long enough to be cut");
        assert_eq!(gunzip(&packed[..20], HARD_LIMIT).unwrap_err(), "unexpected EOF");
        assert!(gunzip(b"not gzip", HARD_LIMIT).is_err());
        assert!(gunzip(b"", HARD_LIMIT).is_err());
    }
}
