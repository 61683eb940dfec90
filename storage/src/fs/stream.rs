//! Stream: a new file written front to back through one buffer, which knows its position.
//!
//! Memory and writes are aligned as files that go past the page cache want them. Where the system
//! does not take that after all, and for the tail, the file goes through the page cache.

use std::io;
use std::path::Path;
use std::sync::Arc;

use super::{BLOCK_BYTES, File, Fs, IoBuffer, OpenMode};

/// Bytes gathered before they are written through the page cache.
const BUFFER_BYTES: usize = 1 << 20;

/// Whether a file's bytes are kept in the page cache when they are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Caching {
    /// They are: somebody reads them soon.
    #[default]
    Cached,
    /// Where the system can, they are not. It takes less time, and what queries read stays cached.
    Uncached,
}

/// A file being written. Nothing is durable before `finish`.
pub struct Stream {
    file: Arc<dyn File>,
    buffer: IoBuffer,
    /// Bytes in `buffer`.
    len: usize,
    /// Offset in the file of the first of them, a multiple of `BLOCK_BYTES`.
    written: u64,
}

impl Stream {
    /// A new file at `path`, which must not exist.
    pub fn create(fs: &dyn Fs, path: &Path, caching: Caching) -> io::Result<Stream> {
        let (file, buffer) = match caching {
            Caching::Cached => (fs.open(path, OpenMode::CreateNew)?, IoBuffer::small(BUFFER_BYTES)),
            Caching::Uncached => (fs.open_uncached(path, OpenMode::CreateNew)?, IoBuffer::huge()),
        };
        Ok(Stream { file, buffer, len: 0, written: 0 })
    }

    /// Offset of the next byte.
    #[inline]
    pub fn position(&self) -> u64 {
        self.written + self.len as u64
    }

    /// Appends `bytes`.
    #[inline]
    pub fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        let end = self.len + bytes.len();
        if let Some(room) = self.buffer.get_mut(self.len..end) {
            room.copy_from_slice(bytes);
            self.len = end;
            return Ok(());
        }
        self.put_over(bytes)
    }

    fn put_over(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            if self.len == self.buffer.len() {
                self.flush()?;
            }
            let (now, later) = bytes.split_at((self.buffer.len() - self.len).min(bytes.len()));
            self.put(now)?;
            bytes = later;
        }
        Ok(())
    }

    /// Writes what is whole blocks.
    fn flush(&mut self) -> io::Result<()> {
        let end = self.len - self.len % BLOCK_BYTES;
        let whole = self.buffer.get(..end).unwrap_or_default();
        match self.file.write_all_at(whole, self.written) {
            // The system opened the file so, but does not write it so; or it wrote a part that
            // ends inside a block.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                self.file.use_page_cache()?;
                self.file.write_all_at(whole, self.written)?;
            }
            done => done?,
        }
        self.written += end as u64;
        self.buffer.copy_within(end..self.len, 0);
        self.len -= end;
        Ok(())
    }

    /// Writes what is left and makes the content durable; returns the file's length.
    pub fn finish(mut self) -> io::Result<u64> {
        self.flush()?;
        let tail = self.buffer.get(..self.len).unwrap_or_default();
        if !tail.is_empty() {
            self.file.use_page_cache()?;
            self.file.write_all_at(tail, self.written)?;
        }
        self.file.sync()?;
        Ok(self.position())
    }
}

#[cfg(test)]
mod tests {
    use super::super::{RealFs, SimFs};
    use super::*;

    fn check(fs: &dyn Fs, dir: &Path, caching: Caching) {
        for (at, sizes) in [
            &[][..],
            &[1, 2, 3],
            &[BLOCK_BYTES, BLOCK_BYTES, BUFFER_BYTES],
            &[BUFFER_BYTES - 1, 2, BUFFER_BYTES],
            &[3 * BUFFER_BYTES + 5, 7, 0, BLOCK_BYTES - 12],
        ]
        .into_iter()
        .enumerate()
        {
            let path = dir.join(format!("{at}{caching:?}"));
            let mut stream = Stream::create(fs, &path, caching).unwrap();
            let mut want = Vec::new();
            for (i, size) in sizes.iter().enumerate() {
                let piece: Vec<u8> = (0..*size).map(|n| (n / 7 + i) as u8).collect();
                stream.put(&piece).unwrap();
                want.extend_from_slice(&piece);
                assert_eq!(stream.position(), want.len() as u64);
            }
            assert_eq!(stream.finish().unwrap(), want.len() as u64);
            assert!(fs.read(&path).unwrap() == want, "{sizes:?}");
            assert!((*fs.map(&path).unwrap()).as_ref() == want, "{sizes:?}");
            assert!(Stream::create(fs, &path, caching).is_err());
        }
    }

    #[test]
    fn what_is_put_is_in_the_file() {
        let dir = tempfile::tempdir().unwrap();
        for caching in [Caching::Cached, Caching::Uncached] {
            check(&RealFs, dir.path(), caching);
            let sim = SimFs::new(1);
            sim.create_dir_all(Path::new("/d")).unwrap();
            check(&sim, Path::new("/d"), caching);
        }
    }

    /// A file that was opened past the page cache but wants nothing written so.
    #[test]
    fn a_refused_write_goes_through_the_page_cache() {
        struct Picky(Arc<dyn File>, std::sync::atomic::AtomicBool);
        impl File for Picky {
            fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
                self.0.read_at(buf, offset)
            }
            fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
                if self.1.load(std::sync::atomic::Ordering::Relaxed) {
                    return Err(io::ErrorKind::InvalidInput.into());
                }
                self.0.write_at(bytes, offset)
            }
            fn len(&self) -> io::Result<u64> {
                self.0.len()
            }
            fn truncate(&self, len: u64) -> io::Result<()> {
                self.0.truncate(len)
            }
            fn preallocate(&self, len: u64) -> io::Result<()> {
                self.0.preallocate(len)
            }
            fn sync(&self) -> io::Result<()> {
                self.0.sync()
            }
            fn use_page_cache(&self) -> io::Result<()> {
                self.1.store(false, std::sync::atomic::Ordering::Relaxed);
                Ok(())
            }
        }
        let sim = SimFs::new(1);
        let path = Path::new("/a");
        let mut stream = Stream::create(&sim, path, Caching::Uncached).unwrap();
        stream.file = Arc::new(Picky(stream.file.clone(), true.into()));
        let bytes: Vec<u8> = (0..2 * BUFFER_BYTES + 9).map(|n| (n / 3) as u8).collect();
        stream.put(&bytes).unwrap();
        stream.finish().unwrap();
        assert!(sim.read(path).unwrap() == bytes);
    }
}
