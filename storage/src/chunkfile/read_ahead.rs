//! ReadAhead: the chunks of a block in the order of its index, read once in large pieces past the
//! page cache, as merging a block does whose pages nobody else looks at.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use super::reader::{CRC_LEN, Reader, StoredChunk, stored};
use crate::chunk::ChunkRef;
use crate::file_error::FileError;
use crate::fs::{BLOCK_BYTES, File, Fs, OpenMode, read_full_at};

/// Bytes read at a time.
const WINDOW_BYTES: usize = 1 << 20;

/// Reads the segments of a block front to back.
pub struct ReadAhead {
    fs: Arc<dyn Fs>,
    reader: Arc<Reader>,
    window_bytes: usize,
    /// The segment being read.
    open: Option<(u32, PathBuf, Arc<dyn File>)>,
    /// Pieces that are or were in use; the last one was read last.
    windows: Vec<Arc<Window>>,
}

/// A piece of a segment.
struct Window {
    segment: u32,
    /// Where it starts in the segment.
    offset: u64,
    /// Never grows, so it stays where it is.
    bytes: Vec<u8>,
    /// What was read: from the first aligned byte on.
    read: std::ops::Range<usize>,
}

impl Window {
    fn new(size: usize) -> Window {
        let bytes = vec![0; size + BLOCK_BYTES];
        let start = bytes.as_ptr().align_offset(BLOCK_BYTES).min(BLOCK_BYTES);
        Window { segment: 0, offset: 0, bytes, read: start..start }
    }

    fn content(&self) -> &[u8] {
        self.bytes.get(self.read.clone()).unwrap_or_default()
    }

    /// Where `at` lies in the content.
    fn place(&self, at: ChunkRef) -> Option<usize> {
        let place = u64::from(at.offset()).checked_sub(self.offset)?;
        let place = usize::try_from(place).ok()?;
        (at.file() == self.segment && place < self.read.len()).then_some(place)
    }

    /// Whether `at` lies behind all of it.
    fn is_before(&self, at: ChunkRef) -> bool {
        let end = self.offset + self.read.len() as u64;
        (at.file(), u64::from(at.offset())) >= (self.segment, end)
    }
}

/// A chunk with the piece it lies in.
#[derive(Clone)]
pub struct ReadChunk {
    window: Arc<Window>,
    encoding: u8,
    data_len: usize,
    place: (usize, usize),
    end: u32,
}

impl ReadChunk {
    /// The chunk, whose checksum was right.
    pub fn stored(&self) -> StoredChunk<'_> {
        let segment = self.window.content();
        let data_end = self.place.1 - CRC_LEN;
        StoredChunk {
            encoding: self.encoding,
            data: segment.get(data_end - self.data_len..data_end).unwrap_or_default(),
            segment,
            place: self.place,
            end: self.end,
        }
    }
}

impl ReadAhead {
    /// Reads what `reader` has mapped.
    pub fn new(fs: Arc<dyn Fs>, reader: Arc<Reader>) -> ReadAhead {
        ReadAhead { fs, reader, window_bytes: WINDOW_BYTES, open: None, windows: Vec::new() }
    }

    /// The chunk at `at`; `None` when it is better read where it is mapped: it lies before what was
    /// read last, is larger than a piece, or is damaged.
    pub fn chunk(&mut self, at: ChunkRef) -> Result<Option<ReadChunk>, FileError> {
        if let Some(chunk) = self.current(at) {
            return Ok(Some(chunk));
        }
        // Reading on from inside the current piece: the chunk reaches over its end.
        if self.windows.last().is_some_and(|w| w.place(at).is_none() && !w.is_before(at)) {
            return Ok(None);
        }
        self.read(at)?;
        Ok(self.current(at))
    }

    fn current(&self, at: ChunkRef) -> Option<ReadChunk> {
        let window = self.windows.last()?;
        let found = stored(window.content(), window.place(at)?, window.offset).ok()?;
        Some(ReadChunk {
            window: window.clone(),
            encoding: found.encoding,
            data_len: found.data.len(),
            place: found.place,
            end: found.end,
        })
    }

    /// Reads the piece that begins at `at`.
    fn read(&mut self, at: ChunkRef) -> Result<(), FileError> {
        let (path, file) = match &self.open {
            Some((segment, path, file)) if *segment == at.file() => (path.clone(), file.clone()),
            _ => {
                let path = self.reader.path(at.file()).to_owned();
                let file = self
                    .fs
                    .open_uncached(&path, OpenMode::Read)
                    .map_err(FileError::io("open", &path))?;
                self.open = Some((at.file(), path.clone(), file.clone()));
                (path, file)
            }
        };
        // Chunks of the series being merged may still lie in pieces read before.
        let free = self.windows.iter_mut().position(|w| Arc::get_mut(w).is_some());
        let mut window = match free {
            Some(free) => self.windows.remove(free),
            None => Arc::new(Window::new(self.window_bytes)),
        };
        if let Some(window) = Arc::get_mut(&mut window) {
            let start = window.read.start;
            window.segment = at.file();
            window.offset = u64::from(at.offset()) / BLOCK_BYTES as u64 * BLOCK_BYTES as u64;
            window.read = start..start;
            let into = window.bytes.get_mut(start..start + self.window_bytes).unwrap_or_default();
            let read =
                read_uncached(&*file, into, window.offset).map_err(FileError::io("read", &path))?;
            window.read = start..start + read;
        }
        self.windows.push(window);
        Ok(())
    }
}

fn read_uncached(file: &dyn File, into: &mut [u8], offset: u64) -> io::Result<usize> {
    match read_full_at(file, into, offset) {
        // The file system opens files so but does not read them so, or it read a part that ends
        // inside a block.
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
            file.use_page_cache()?;
            read_full_at(file, into, offset)
        }
        read => read,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::prelude::*;

    use super::super::Writer;
    use super::*;
    use crate::fs::{RealFs, SimFs};

    /// Reads chunks (by position) of a block with chunks of these sizes, keeping some.
    fn check(fs: Arc<dyn Fs>, dir: &Path, sizes: &[usize], order: &[usize]) {
        let mut writer = Writer::new(fs.clone(), dir, 40_000).unwrap();
        let refs: Vec<ChunkRef> =
            sizes.iter().map(|size| writer.write(1, &vec![*size as u8; *size]).unwrap()).collect();
        writer.finish().unwrap();
        let reader = Arc::new(Reader::open(&*fs, dir).unwrap());
        let mut ahead = ReadAhead::new(fs, reader.clone());
        ahead.window_bytes = 2 * BLOCK_BYTES;
        let mut kept: Vec<(ReadChunk, StoredChunk<'_>)> = Vec::new();
        let mut last = None;
        for at in order.iter().map(|at| refs[at % refs.len()]) {
            let want = reader.chunk(at).unwrap();
            let behind = last > Some(at);
            last = last.max(Some(at));
            let Some(got) = ahead.chunk(at).unwrap() else {
                // Behind, or so large that it does not fit behind the start of a block.
                assert!(behind || want.entry().len() > BLOCK_BYTES, "{at:?}");
                continue;
            };
            kept.push((got, want));
            for (got, want) in &kept {
                let got = got.stored();
                assert_eq!((got.encoding, got.data), (want.encoding, want.data));
                assert_eq!((got.entry(), got.end), (want.entry(), want.end));
                assert!(got.is_canonical());
            }
            if kept.len() == 5 {
                kept.drain(..4);
            }
        }
    }

    proptest! {
        #[test]
        fn pieces_hold_what_is_mapped(
            sizes in prop::collection::vec(prop_oneof![9 => 1usize..900, 1 => 1usize..20_000], 1..150),
            skips in prop::collection::vec(prop_oneof![9 => Just(1usize), 1 => 0usize..200], 1..200),
        ) {
            let order: Vec<usize> = skips
                .iter()
                .scan(0, |at, skip| {
                    *at += skip;
                    Some(*at)
                })
                .collect();
            check(Arc::new(SimFs::new(1)), Path::new("/chunks"), &sizes, &order);
            let dir = tempfile::tempdir().unwrap();
            check(Arc::new(RealFs), &dir.path().join("chunks"), &sizes, &order);
        }
    }
}
