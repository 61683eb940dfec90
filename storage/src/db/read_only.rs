//! ReadOnlyDb: a data directory looked at without opening it: no lock, no repair, no file changed.
//!
//! Replaying a log fills chunks, and full ones are written out; they go to a sandbox directory that
//! is removed at the end. It holds second names of the files of `chunks_head`, as replay may have to
//! remove some.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::{Querier, QueryError, Queryable, TimeRange};
use ulid::Ulid;

use super::view::{CurrentView, DbView};
use super::{DbError, Env, Options, ReplayProgress};
use crate::block::{self, Block};
use crate::compact::in_order_max_time;
use crate::fs::{FileKind, FrozenFs, Fs, OpenMode};
use crate::head::Head;
use crate::read::MergeQuerier;
use crate::wal::{Reader, WalError};

/// Start of the name of a sandbox directory, Prometheus's.
const SANDBOX_PREFIX: &str = "tmp_dbro_sandbox";
/// Where the head keeps its full chunks.
const CHUNKS_HEAD: &str = "chunks_head";

/// A data directory to be read.
pub struct ReadOnlyDb {
    dir: PathBuf,
    sandbox_root: PathBuf,
    env: Env,
}

/// Blocks and head of a [`ReadOnlyDb`], loaded.
pub struct ReadOnlyView {
    view: CurrentView,
    head: Arc<Head>,
    sandbox: Sandbox,
}

/// A directory that goes with its owner.
pub(super) struct Sandbox {
    dir: PathBuf,
    fs: Arc<dyn Fs>,
}

impl Sandbox {
    /// Makes a directory in `root` whose name begins with `prefix`.
    pub(super) fn create(env: &Env, root: &Path, prefix: &str) -> Result<Sandbox, DbError> {
        let random = (env.random)() as u64;
        let dir = root.join(format!("{prefix}{random}"));
        let failed = |e| DbError::Io(format!("setting up sandbox dir: {}: {e}", dir.display()));
        env.fs.create_dir_all(&dir).map_err(failed)?;
        Ok(Sandbox { dir, fs: env.fs.clone() })
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        // Nobody is left to be told; the name says what it is.
        let _ = self.fs.remove_dir_all(&self.dir);
    }
}

impl ReadOnlyDb {
    /// Looks at `dir`. The sandbox, if one is needed, is made in `sandbox_root`, or in `dir`.
    pub fn open(dir: &Path, sandbox_root: Option<&Path>, env: Env) -> Result<ReadOnlyDb, DbError> {
        let found = env.fs.metadata(dir);
        found.map_err(|e| DbError::Io(format!("opening the db dir: {}: {e}", dir.display())))?;
        let sandbox_root = sandbox_root.unwrap_or(dir).to_owned();
        Ok(ReadOnlyDb { dir: dir.to_owned(), sandbox_root, env })
    }

    /// The blocks in order of time. A block that cannot be opened is an error, unless another one
    /// was made from it.
    pub fn blocks(&self) -> Result<Vec<Arc<Block>>, DbError> {
        let fs = &*self.env.fs;
        let list = block::list(fs, &self.dir);
        let list = list.map_err(|e| DbError::Io(format!("{}: {e}", self.dir.display())))?;
        let (mut blocks, mut broken) = (Vec::new(), Vec::new());
        for dir in list {
            match Block::open(fs, &dir) {
                Ok(block) => blocks.push(Arc::new(block)),
                Err(error) => broken.push((dir, error)),
            }
        }
        broken.retain(|(dir, _)| {
            let name = dir.file_name().and_then(|n| n.to_str()).unwrap_or_default();
            let parents = blocks.iter().flat_map(|b: &Arc<Block>| &b.meta().compaction.parents);
            !parents.into_iter().any(|p| p.ulid.to_string() == name)
        });
        if !broken.is_empty() {
            let texts: Vec<String> = broken
                .iter()
                .map(|(dir, error)| {
                    let name = dir.file_name().unwrap_or_default().to_string_lossy();
                    format!("corrupted block {name}: {error}")
                })
                .collect();
            return Err(DbError::Corrupt(texts.join("\n")));
        }
        blocks.sort_by_key(|b| b.meta().min_time);
        Ok(blocks)
    }

    /// The name of the block made last.
    pub fn last_block_id(&self) -> Result<String, DbError> {
        let list = block::list(&*self.env.fs, &self.dir);
        let list = list.map_err(|e| DbError::Io(format!("{}: {e}", self.dir.display())))?;
        let mut last: Option<(u64, String)> = None;
        for name in list.iter().filter_map(|dir| dir.file_name()?.to_str()) {
            let made = Ulid::from_string(name).map_or(0, |u| u.timestamp_ms());
            if made > last.as_ref().map_or(0, |l| l.0) {
                last = Some((made, name.to_owned()));
            }
        }
        last.map(|l| l.1).ok_or_else(|| DbError::Invalid("no blocks found".to_owned()))
    }

    /// The block named `id`.
    pub fn block(&self, id: &str) -> Result<Block, DbError> {
        let dir = self.dir.join(id);
        let invalid = || DbError::Invalid(format!("invalid block ID {id}"));
        if !self.env.fs.exists(&dir).map_err(|_| invalid())? {
            return Err(invalid());
        }
        Block::open(&*self.env.fs, &dir).map_err(|e| match e {
            QueryError::Corrupt(text) => DbError::Corrupt(text),
            other => DbError::Io(other.to_string()),
        })
    }

    /// Loads what is needed to read samples up to `max`: the blocks, and the log unless the blocks
    /// reach further. A corrupt log is an error.
    pub fn load(&self, max: i64) -> Result<ReadOnlyView, DbError> {
        let blocks = self.blocks()?;
        let sandbox = Sandbox::create(&self.env, &self.sandbox_root, SANDBOX_PREFIX)?;
        let frozen: Arc<dyn Fs> = Arc::new(FrozenFs::new(self.env.fs.clone(), &sandbox.dir));
        let in_blocks = in_order_max_time(blocks.iter().map(|b| b.meta())).unwrap_or(i64::MIN);
        let with_log = in_blocks <= max;
        if with_log {
            self.link_chunks(&sandbox.dir)?;
        }
        let head = Head::open(&sandbox.dir, Options::default(), &frozen, &*self.env.log)?;
        if with_log {
            let replayed = head.replay(&frozen, &self.dir, in_blocks, &ReplayProgress::default());
            replayed.map_err(|e| self.log_error(&e))?;
        }
        let view = CurrentView::new();
        view.publish(DbView { blocks, head_min: in_blocks });
        Ok(ReadOnlyView { view, head: Arc::new(head), sandbox })
    }

    /// Why the log could not be read. Replay wants to cut a corrupt log and may not; what it found
    /// is found again here.
    fn log_error(&self, error: &WalError) -> DbError {
        for log in ["wal", "wbl"] {
            if let Err(error) = read_through(&self.env.fs, &self.dir.join(log)) {
                return DbError::Corrupt(format!("read WAL: {error}"));
            }
        }
        DbError::Io(format!("read WAL: {error}"))
    }

    /// Gives the files of `chunks_head` a second name in the sandbox, or copies them where another
    /// file system makes that impossible.
    fn link_chunks(&self, sandbox: &Path) -> Result<(), DbError> {
        let fs = &*self.env.fs;
        let (from, to) = (self.dir.join(CHUNKS_HEAD), sandbox.join(CHUNKS_HEAD));
        let failed = |e: std::io::Error| DbError::Io(format!("{}: {e}", to.display()));
        fs.create_dir_all(&to).map_err(failed)?;
        if !fs.exists(&from).map_err(failed)? {
            return Ok(());
        }
        for entry in fs.list(&from).map_err(failed)? {
            if entry.kind != FileKind::File || entry.name.parse::<u32>().is_err() {
                continue;
            }
            let (from, to) = (from.join(&entry.name), to.join(&entry.name));
            if fs.hard_link(&from, &to).is_err() {
                let copy = || {
                    let bytes = fs.read(&from)?;
                    fs.open(&to, OpenMode::Create)?.write_all_at(&bytes, 0)
                };
                copy().map_err(failed)?;
            }
        }
        Ok(())
    }
}

fn read_through(fs: &Arc<dyn Fs>, dir: &Path) -> Result<(), WalError> {
    let mut reader = Reader::replay(fs.clone(), dir)?;
    while reader.next_entry()?.is_some() {}
    Ok(())
}

impl ReadOnlyView {
    /// Where the head's chunks are while this lives.
    pub fn sandbox(&self) -> &Path {
        &self.sandbox.dir
    }
}

impl Queryable for ReadOnlyView {
    fn querier(&self, range: TimeRange) -> Result<Arc<dyn Querier>, QueryError> {
        let sources = self.view.sources(&self.head, range);
        Ok(Arc::new(MergeQuerier::new(sources, range, false)))
    }
}
