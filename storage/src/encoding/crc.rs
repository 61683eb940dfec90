//! CRC-32C (Castagnoli), the checksum of Prometheus's chunk, index, tombstone and log files.

/// The checksum of `data`.
#[inline]
pub fn crc32c(data: &[u8]) -> u32 {
    ::crc32c::crc32c(data)
}

/// A checksum over several pieces.
#[derive(Clone, Copy, Debug, Default)]
pub struct Crc32c(u32);

impl Crc32c {
    /// The checksum of nothing.
    pub fn new() -> Crc32c {
        Crc32c(0)
    }

    /// Adds the next piece.
    pub fn update(&mut self, data: &[u8]) {
        self.0 = ::crc32c::crc32c_append(self.0, data);
    }

    /// The checksum of everything added.
    pub fn value(self) -> u32 {
        self.0
    }
}
