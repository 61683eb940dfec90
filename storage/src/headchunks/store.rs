//! HeadChunks: the directory of head chunk files, appended to and read from by many threads.

use std::collections::BTreeMap;
use std::ops::{Deref, Range};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use model::{SeriesRef, TimeRange};

use super::entry::{self, Entries, Parsed};
use super::{HEADER_SIZE, MAGIC, MAX_FILE_BYTES, WHAT};
use crate::chunk::ChunkRef;
use crate::chunkfile::{VERSION, file_name, header, header_fault};
use crate::file_error::FileError;
use crate::fs::{File, FileKind, Fs, Mapped, OpenMode, read_full_at};

/// Bytes gathered before they are written to the open file.
const BUFFER_BYTES: usize = 256 << 10;
/// Bytes of the first read of an entry in the open file; most entries are shorter.
const FIRST_READ_BYTES: usize = 2048;

/// The head chunk files of a head.
pub struct HeadChunks {
    fs: Arc<dyn Fs>,
    dir: PathBuf,
    sealed: RwLock<BTreeMap<u32, Mapped>>,
    writing: Mutex<Writing>,
}

#[derive(Default)]
struct Writing {
    open: Option<Open>,
    /// The next entry begins a new file.
    cut: bool,
}

struct Open {
    number: u32,
    path: PathBuf,
    file: Arc<dyn File>,
    /// Bytes in the file; the rest is in `buffer`.
    written: u64,
    buffer: Vec<u8>,
}

/// Files that were sealed at some time; they can be read for as long as this is held.
#[derive(Clone, Default)]
pub struct Sealed(Vec<(u32, Mapped)>);

/// A chunk read back.
#[derive(Clone, Debug)]
pub struct HeadChunk {
    pub series: SeriesRef,
    /// First and last sample time.
    pub range: TimeRange,
    pub encoding: u8,
    pub out_of_order: bool,
    pub data: ChunkBytes,
}

/// Chunk data: part of a mapping that lives as long as this, or a copy.
#[derive(Clone)]
pub struct ChunkBytes(Bytes);

#[derive(Clone)]
enum Bytes {
    Mapped(Mapped, Range<usize>),
    Owned(Vec<u8>, Range<usize>),
}

impl Deref for ChunkBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.0 {
            Bytes::Mapped(mapped, range) => (**mapped).as_ref().get(range.clone()),
            Bytes::Owned(bytes, range) => bytes.get(range.clone()),
        }
        .unwrap_or_default()
    }
}

impl std::fmt::Debug for ChunkBytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes", self.len())
    }
}

impl Open {
    fn len(&self) -> u64 {
        self.written + self.buffer.len() as u64
    }

    /// After an error the buffer is kept; writing it again at the same place is harmless.
    fn flush(&mut self) -> Result<(), FileError> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        self.file
            .write_all_at(&self.buffer, self.written)
            .map_err(FileError::io("write", &self.path))?;
        self.written += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    fn sync(&mut self) -> Result<(), FileError> {
        self.flush()?;
        self.file.sync().map_err(FileError::io("sync", &self.path))
    }
}

impl HeadChunks {
    /// Opens the files of `dir`, which is made when absent. A last file without content, as a kill
    /// between making and writing leaves it, is removed. Errors: a gap in the numbers, a bad header
    /// (its `file_number` is what to delete from), the system.
    pub fn open(fs: Arc<dyn Fs>, dir: &Path) -> Result<HeadChunks, FileError> {
        fs.create_dir_all(dir).map_err(FileError::io("create", dir))?;
        let mut files = BTreeMap::new();
        for e in fs.list(dir).map_err(FileError::io("list", dir))? {
            if let (Ok(number), FileKind::File) = (e.name.parse::<u32>(), e.kind) {
                files.insert(number, dir.join(e.name));
            }
        }
        remove_empty_last(&*fs, &mut files)?;
        let mut sealed = BTreeMap::new();
        let mut last: Option<u32> = None;
        for (&number, path) in &files {
            let corrupt = |offset, reason| {
                Err(FileError::Corrupt { what: WHAT, path: path.clone(), offset, reason })
            };
            if let Some(last) = last.filter(|&last| last + 1 != number) {
                let reason = format!("found unsequential head chunk files {last} and {number}");
                return corrupt(0, reason);
            }
            last = Some(number);
            let mapped = fs.map(path).map_err(FileError::io("map", path))?;
            if let Some((offset, reason)) = header_fault((*mapped).as_ref(), MAGIC) {
                return corrupt(offset, reason);
            }
            sealed.insert(number, mapped);
        }
        Ok(HeadChunks {
            fs,
            dir: dir.to_path_buf(),
            sealed: RwLock::new(sealed),
            writing: Mutex::new(Writing::default()),
        })
    }

    /// Removes the files of `dir` numbered `from` and above, without opening them: what a
    /// corruption that [`open`](Self::open) or [`entries`](Self::entries) reports calls for.
    pub fn delete_from(fs: &dyn Fs, dir: &Path, from: u32) -> Result<(), FileError> {
        for e in fs.list(dir).map_err(FileError::io("list", dir))? {
            if e.name.parse::<u32>().is_ok_and(|number| number >= from) {
                let path = dir.join(e.name);
                fs.remove_file(&path).map_err(FileError::io("remove", &path))?;
            }
        }
        fs.sync_dir(dir).map_err(FileError::io("sync", dir))
    }

    /// Forgets and removes the sealed files numbered `from` and above (a corruption found later).
    pub fn drop_from(&self, from: u32) -> Result<(), FileError> {
        let dropped = self.sealed_mut(|sealed| sealed.split_off(&from));
        self.remove(dropped.into_keys())
    }

    /// All entries of the sealed files.
    pub fn entries(&self) -> Entries {
        let sealed = self.sealed.read().unwrap_or_else(PoisonError::into_inner);
        let file = |(&n, mapped): (&u32, &Mapped)| (n, self.path(n), mapped.clone());
        Entries::new(sealed.iter().map(file).collect())
    }

    /// Appends a chunk and says where it will be found. It may stay in memory until
    /// [`flush`](Self::flush), but can be read at once.
    pub fn write(
        &self,
        series: SeriesRef,
        range: TimeRange,
        encoding: u8,
        out_of_order: bool,
        data: &[u8],
    ) -> Result<ChunkRef, FileError> {
        let mut writing = self.lock();
        let size = entry::size(data.len());
        let full =
            |open: &Open| open.len() > HEADER_SIZE as u64 && open.len() + size > MAX_FILE_BYTES;
        if writing.cut || writing.open.as_ref().is_none_or(full) {
            self.cut(&mut writing)?;
        }
        let Some(open) = &mut writing.open else { return Ok(ChunkRef::default()) };
        if open.buffer.len() as u64 + size > BUFFER_BYTES as u64 {
            open.flush()?;
        }
        let at = ChunkRef::new(open.number, open.len() as u32);
        entry::put(&mut open.buffer, series, range, (encoding, out_of_order), data);
        Ok(at)
    }

    /// Seals the open file and begins the next.
    fn cut(&self, writing: &mut Writing) -> Result<(), FileError> {
        self.seal(writing)?;
        let last = self.sealed.read().unwrap_or_else(PoisonError::into_inner);
        let number = last.last_key_value().map_or(0, |(&n, _)| n) + 1;
        drop(last);
        let path = self.path(number);
        let file =
            self.fs.open(&path, OpenMode::Truncate).map_err(FileError::io("create", &path))?;
        self.fs.sync_dir(&self.dir).map_err(FileError::io("sync", &self.dir))?;
        let mut buffer = Vec::with_capacity(BUFFER_BYTES);
        buffer.extend_from_slice(&header(MAGIC, VERSION));
        writing.open = Some(Open { number, path, file, written: 0, buffer });
        writing.cut = false;
        Ok(())
    }

    /// Makes the open file durable and maps it.
    fn seal(&self, writing: &mut Writing) -> Result<(), FileError> {
        let Some(open) = &mut writing.open else { return Ok(()) };
        open.sync()?;
        let mapped = self.fs.map(&open.path).map_err(FileError::io("map", &open.path))?;
        let number = open.number;
        self.sealed_mut(|sealed| sealed.insert(number, mapped));
        writing.open = None;
        Ok(())
    }

    /// The next chunk begins a new file (before a truncation, so that the open file can go some day).
    pub fn cut_file(&self) {
        let mut writing = self.lock();
        writing.cut |= writing.open.as_ref().is_some_and(|open| open.len() > HEADER_SIZE as u64);
    }

    /// Hands everything written to the system.
    pub fn flush(&self) -> Result<(), FileError> {
        self.lock().open.as_mut().map_or(Ok(()), Open::flush)
    }

    /// Makes everything written durable.
    pub fn sync(&self) -> Result<(), FileError> {
        self.lock().open.as_mut().map_or(Ok(()), Open::sync)
    }

    /// Removes the files numbered below `file`, oldest first, never the open one, and begins a new
    /// file with the next chunk. Chunks read before stay readable.
    pub fn truncate(&self, file: u32) -> Result<(), FileError> {
        self.cut_file();
        let gone = self.sealed_mut(|sealed| {
            let kept = sealed.split_off(&file);
            std::mem::replace(sealed, kept)
        });
        self.remove(gone.into_keys())
    }

    fn remove(&self, files: impl Iterator<Item = u32>) -> Result<(), FileError> {
        for number in files {
            let path = self.path(number);
            self.fs.remove_file(&path).map_err(FileError::io("remove", &path))?;
        }
        Ok(())
    }

    /// The chunk at `at`, its checksum verified.
    pub fn read(&self, at: ChunkRef) -> Result<HeadChunk, FileError> {
        if let Some(chunk) = self.read_sealed(at)? {
            return Ok(chunk);
        }
        let writing = self.lock();
        let Some(open) = writing.open.as_ref().filter(|open| open.number == at.file()) else {
            drop(writing);
            // Sealed since the first look, or not there.
            let missing = || {
                let reason = format!("head chunk file index {} does not exist on disk", at.file());
                self.corrupt(at, reason)
            };
            return self.read_sealed(at)?.ok_or_else(missing);
        };
        let offset = u64::from(at.offset());
        let bytes = match offset.checked_sub(open.written) {
            Some(inside) => {
                let entry = open.buffer.get(inside as usize..).unwrap_or_default();
                let needed = entry::needed(entry).unwrap_or(0).min(entry.len() as u64);
                entry[..needed as usize].to_vec()
            }
            None => {
                let (file, path) = (open.file.clone(), open.path.clone());
                drop(writing);
                read_entry(&*file, offset).map_err(FileError::io("read", &path))?
            }
        };
        let parsed = entry::parse(&bytes).map_err(|reason| self.corrupt(at, reason))?;
        let range = parsed.data.clone();
        Ok(head_chunk(&parsed, Bytes::Owned(bytes, range)))
    }

    fn read_sealed(&self, at: ChunkRef) -> Result<Option<HeadChunk>, FileError> {
        let sealed = self.sealed.read().unwrap_or_else(PoisonError::into_inner);
        let Some(mapped) = sealed.get(&at.file()).cloned() else { return Ok(None) };
        drop(sealed);
        let bytes = (*mapped).as_ref();
        let entry = bytes.get(at.offset() as usize..).unwrap_or_default();
        let parsed = entry::parse(entry).map_err(|reason| self.corrupt(at, reason))?;
        let start = at.offset() as usize;
        let range = start + parsed.data.start..start + parsed.data.end;
        Ok(Some(head_chunk(&parsed, Bytes::Mapped(mapped.clone(), range))))
    }

    /// The files that are sealed by now, ascending.
    pub fn sealed(&self) -> Sealed {
        let sealed = self.sealed.read().unwrap_or_else(PoisonError::into_inner);
        Sealed(sealed.iter().map(|(number, mapped)| (*number, mapped.clone())).collect())
    }

    /// Hands encoding and data of the chunk at `at`, its checksum verified, to `with`. A chunk in one
    /// of the files of `sealed` costs no lock.
    pub fn with_chunk<R>(
        &self,
        sealed: &Sealed,
        at: ChunkRef,
        with: impl FnOnce(u8, &[u8]) -> R,
    ) -> Result<R, FileError> {
        let Ok(found) = sealed.0.binary_search_by_key(&at.file(), |(number, _)| *number) else {
            let chunk = self.read(at)?;
            return Ok(with(chunk.encoding, &chunk.data));
        };
        let bytes = (*sealed.0[found].1).as_ref();
        let entry = bytes.get(at.offset() as usize..).unwrap_or_default();
        let parsed = entry::parse(entry).map_err(|reason| self.corrupt(at, reason))?;
        Ok(with(parsed.encoding, entry.get(parsed.data.clone()).unwrap_or_default()))
    }

    #[cold]
    fn corrupt(&self, at: ChunkRef, reason: String) -> FileError {
        let offset = u64::from(at.offset());
        FileError::Corrupt { what: WHAT, path: self.path(at.file()), offset, reason }
    }

    /// Bytes of all files, those still in memory included.
    pub fn size_bytes(&self) -> u64 {
        let open = self.lock().open.as_ref().map_or(0, Open::len);
        let sealed = self.sealed.read().unwrap_or_else(PoisonError::into_inner);
        sealed.values().map(|mapped| (**mapped).as_ref().len() as u64).sum::<u64>() + open
    }

    /// Number of the newest file, 0 when there is none.
    pub fn last_file(&self) -> u32 {
        let open = self.lock().open.as_ref().map(|open| open.number);
        let sealed = self.sealed.read().unwrap_or_else(PoisonError::into_inner);
        open.or(sealed.last_key_value().map(|(&n, _)| n)).unwrap_or(0)
    }

    fn path(&self, number: u32) -> PathBuf {
        self.dir.join(file_name(number))
    }

    /// A thread that panicked cannot have left the state half changed in a way that matters here.
    fn lock(&self) -> MutexGuard<'_, Writing> {
        self.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sealed_mut<R>(&self, change: impl FnOnce(&mut BTreeMap<u32, Mapped>) -> R) -> R {
        change(&mut self.sealed.write().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Removes the last file if it has no magic number, or a zero one.
fn remove_empty_last(fs: &dyn Fs, files: &mut BTreeMap<u32, PathBuf>) -> Result<(), FileError> {
    let Some((&number, path)) = files.last_key_value() else { return Ok(()) };
    let file = fs.open(path, OpenMode::Read).map_err(FileError::io("open", path))?;
    let mut magic = [0u8; 4];
    let read = read_full_at(&*file, &mut magic, 0).map_err(FileError::io("read", path))?;
    if read < magic.len() || magic == [0; 4] {
        fs.remove_file(path).map_err(FileError::io("remove", path))?;
        files.remove(&number);
    }
    Ok(())
}

/// The bytes of the entry at `offset` of the open file.
fn read_entry(file: &dyn File, offset: u64) -> std::io::Result<Vec<u8>> {
    let mut bytes = vec![0; FIRST_READ_BYTES];
    let read = read_full_at(file, &mut bytes, offset)?;
    bytes.truncate(read);
    // What the entry says it needs is believed only as far as the file goes.
    let left = file.len()?.saturating_sub(offset);
    let needed = entry::needed(&bytes).unwrap_or(0).min(left) as usize;
    if needed > bytes.len() {
        let start = bytes.len();
        bytes.resize(needed, 0);
        let more = read_full_at(file, &mut bytes[start..], offset + start as u64)?;
        bytes.truncate(start + more);
    }
    Ok(bytes)
}

fn head_chunk(parsed: &Parsed, data: Bytes) -> HeadChunk {
    HeadChunk {
        series: parsed.series,
        range: parsed.range,
        encoding: parsed.encoding,
        out_of_order: parsed.out_of_order,
        data: ChunkBytes(data),
    }
}
