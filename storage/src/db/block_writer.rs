//! BlockWriter: a block made of samples that come from somewhere else than a server's scrapes: a
//! head without a log, written out at the end.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::{AppendOptions, Appendable, Appender, CancelToken};

use super::read_only::Sandbox;
use super::{DbError, Env, Options, RuntimeOptions};
use crate::block::{self, BlockMeta};
use crate::compact::{WriteOptions, write_block};
use crate::head::{Head, HeadView};
use crate::source::BlockReader;

/// A block in the making. Nothing of it is in its directory before [`flush`](Self::flush).
pub struct BlockWriter {
    dir: PathBuf,
    env: Env,
    head: Arc<Head>,
    /// Full chunks; goes last.
    _scratch: Sandbox,
}

impl BlockWriter {
    /// A writer of a block in `dir`; full chunks wait in a directory of their own in `scratch`.
    /// Samples more than half of `range_ms` older than the newest one are refused.
    pub fn new(
        dir: &Path,
        scratch: &Path,
        range_ms: i64,
        env: Env,
    ) -> Result<BlockWriter, DbError> {
        let scratch = Sandbox::create(&env, scratch, "head")?;
        let runtime = RuntimeOptions { out_of_order_window_ms: 0, ..RuntimeOptions::default() };
        let options = Options { min_block_range_ms: range_ms, runtime, ..Options::default() };
        let head = Arc::new(Head::open(scratch.dir(), options, &env.fs, &*env.log)?);
        Ok(BlockWriter { dir: dir.to_owned(), env, head, _scratch: scratch })
    }

    /// Writes the block and says what it is; `None` when there was no sample.
    pub fn flush(self) -> Result<Option<BlockMeta>, DbError> {
        let Some(range) = self.head.time_range() else { return Ok(None) };
        let ulid = block::new_ulid((self.env.clock)(), (self.env.random)());
        let meta = BlockMeta::new(ulid, range.min, range.max.saturating_add(1), None);
        let source: Arc<dyn BlockReader> = Arc::new(HeadView::in_order(self.head.clone(), range));
        let options = WriteOptions::default();
        let cancel = CancelToken::default();
        write_block(&self.env.fs, &self.dir, &[source], meta, &options, &cancel)
            .map_err(|e| DbError::Io(format!("compactor write: {e}")))
    }
}

impl Appendable for BlockWriter {
    fn appender(&self, options: AppendOptions) -> Box<dyn Appender> {
        self.head.appender(options)
    }
}
