//! ReadAhead: the chunks of a block in the order of its index, read once in pieces, as merging the
//! block does: past the page cache when nobody else looks at its pages, and also from there at half
//! the time that walking a mapping page by page takes.

use std::io;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use super::reader::Reader;
use super::run::{self, NoRun, Run};
use crate::chunk::ChunkRef;
use crate::file_error::FileError;
use crate::fs::{BLOCK_BYTES, Caching, File, Fs, IoBuffer, OpenMode, read_full_at};

/// Bytes read from the page cache at a time: they should still be near the processor when they are
/// looked at.
const CACHED_BYTES: usize = 256 << 10;

/// Reads the segments of a block front to back.
pub struct ReadAhead<'a> {
    fs: Arc<dyn Fs>,
    reader: &'a Reader,
    caching: Caching,
    /// The segment being read.
    open: Option<(u32, PathBuf, Arc<dyn File>)>,
    /// The piece read last.
    piece: IoBuffer,
    /// Bytes of it.
    len: usize,
    /// Where it starts in the segment, at a multiple of `BLOCK_BYTES`.
    offset: u64,
}

impl<'a> ReadAhead<'a> {
    /// Reads what `reader` has mapped.
    pub fn new(fs: Arc<dyn Fs>, reader: &'a Reader, caching: Caching) -> ReadAhead<'a> {
        let piece = match caching {
            Caching::Cached => IoBuffer::small(CACHED_BYTES),
            Caching::Uncached => IoBuffer::huge(),
        };
        ReadAhead { fs, reader, caching, open: None, piece, len: 0, offset: 0 }
    }

    /// The chunks at `refs` and the place of their entries in what was read, as [`Reader::run`]
    /// gives them, until the next call; also `None` when they are better looked at where they are mapped: they lie before what was read
    /// last, or are more than a piece.
    pub fn run(
        &mut self,
        refs: impl Iterator<Item = ChunkRef> + Clone,
    ) -> Result<Option<(Run, Range<usize>)>, FileError> {
        let Some(first) = refs.clone().next() else { return Ok(Some((Run::default(), 0..0))) };
        let segment = self.open.as_ref().map(|(segment, ..)| *segment);
        let start = u64::from(first.offset());
        if segment > Some(first.file()) || (segment == Some(first.file()) && start < self.offset) {
            return Ok(None);
        }
        let mut found = Err(NoRun::Short);
        if segment == Some(first.file()) {
            found = run::check(self.from(start), refs.clone());
        }
        // Behind the piece, or over its end.
        if found == Err(NoRun::Short)
            && (segment != Some(first.file()) || self.goes_on_behind(start))
        {
            self.read(first)?;
            found = run::check(self.from(start), refs);
        }
        let Ok(run) = found else { return Ok(None) };
        let place = (start - self.offset) as usize;
        Ok(Some((run, place..place + run.len)))
    }

    /// Bytes of what was read.
    pub fn bytes(&self, place: Range<usize>) -> &[u8] {
        self.piece.get(place).unwrap_or_default()
    }

    /// What was read, from `start` on.
    fn from(&self, start: u64) -> &[u8] {
        let from = usize::try_from(start - self.offset).unwrap_or(usize::MAX);
        self.piece.get(from..self.len).unwrap_or_default()
    }

    /// Whether a piece that begins at `start` would have more of the segment.
    fn goes_on_behind(&self, start: u64) -> bool {
        // A piece that is not full was the segment's last.
        self.len == self.piece.len() && start >= self.offset + BLOCK_BYTES as u64
    }

    /// Reads the piece that begins at `at`.
    fn read(&mut self, at: ChunkRef) -> Result<(), FileError> {
        let (path, file) = match &self.open {
            Some((segment, path, file)) if *segment == at.file() => (path, file),
            _ => {
                let path = self.reader.path(at.file()).to_owned();
                let opened = match self.caching {
                    Caching::Cached => self.fs.open(&path, OpenMode::Read),
                    Caching::Uncached => self.fs.open_uncached(&path, OpenMode::Read),
                };
                let file = opened.map_err(FileError::io("open", &path))?;
                let (_, path, file) = self.open.insert((at.file(), path, file));
                (&*path, &*file)
            }
        };
        self.len = 0;
        self.offset = u64::from(at.offset()) / BLOCK_BYTES as u64 * BLOCK_BYTES as u64;
        self.len = read_uncached(&**file, &mut self.piece, self.offset)
            .map_err(FileError::io("read", path))?;
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

    /// Reads series of so many chunks (and passes over some) of a block with chunks of these sizes.
    fn check(
        fs: Arc<dyn Fs>,
        dir: &Path,
        caching: Caching,
        sizes: &[usize],
        series: &[(usize, usize)],
    ) {
        let mut writer = Writer::new(fs.clone(), dir, 40_000).unwrap();
        let refs: Vec<ChunkRef> =
            sizes.iter().map(|size| writer.write(1, &vec![*size as u8; *size]).unwrap()).collect();
        writer.finish().unwrap();
        let reader = Reader::open(&*fs, dir).unwrap();
        let mut ahead = ReadAhead::new(fs, &reader, caching);
        ahead.piece = IoBuffer::small(2 * BLOCK_BYTES);
        let mut rest = &refs[..];
        for (skipped, chunks) in series {
            rest = rest.get(*skipped..).unwrap_or_default();
            let (these, behind) = rest.split_at((*chunks).min(rest.len()));
            rest = behind;
            let want = reader.run(these.iter().copied());
            match (ahead.run(these.iter().copied()).unwrap(), want) {
                (Some((run, place)), want) => assert_eq!(Some((run, ahead.bytes(place))), want),
                // They do not fit behind the start of a block; or lie in two segments.
                (None, Some((run, _))) => assert!(run.len > BLOCK_BYTES, "{these:?}"),
                (None, None) => assert!(these[0].file() < these[these.len() - 1].file()),
            }
        }
        if let Some(first) = refs.first().filter(|_| ahead.offset > 0) {
            assert_eq!(ahead.run([*first].into_iter()).unwrap(), None);
        }
    }

    proptest! {
        #[test]
        fn pieces_hold_what_is_mapped(
            sizes in prop::collection::vec(prop_oneof![9 => 2usize..900, 1 => 2usize..20_000], 1..150),
            series in prop::collection::vec(
                (prop_oneof![9 => Just(0usize), 1 => 0usize..50], 0usize..7),
                1..70,
            ),
        ) {
            for caching in [Caching::Cached, Caching::Uncached] {
                check(Arc::new(SimFs::new(1)), Path::new("/chunks"), caching, &sizes, &series);
                let dir = tempfile::tempdir().unwrap();
                check(Arc::new(RealFs), &dir.path().join("chunks"), caching, &sizes, &series);
            }
        }
    }
}
