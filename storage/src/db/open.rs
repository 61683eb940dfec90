//! Open and close: from a directory to a running database and back.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, RwLock};

use super::maintain::Maintenance;
use super::view::{CurrentView, DbView};
use super::{
    Db, DbError, DbMetrics, Env, Level, Options, ReplayProgress, WalCompression, WalFsync,
};
use crate::block;
use crate::compact::in_order_max_time;
use crate::fs::{DirLock, atomic};
use crate::head::Head;
use crate::wal::{Compression, SyncPolicy, Wal, checkpoint, segments};

impl Db {
    /// Opens `dir`, making it when absent: takes the lock, removes what an interrupted run left
    /// half done, opens the blocks and replays the log. `progress` moves meanwhile.
    pub fn open(
        dir: &Path,
        options: Options,
        env: Env,
        progress: &ReplayProgress,
    ) -> Result<Arc<Db>, DbError> {
        let options = options.normalized();
        let io = |e: std::io::Error| DbError::Io(format!("{}: {e}", dir.display()));
        if !env.fs.exists(dir).map_err(io)? {
            // Or a power cut takes the directory with everything that was made durable in it.
            env.fs.create_dir_all(dir).map_err(io)?;
            env.fs.sync_dir(atomic::parent(dir)).map_err(io)?;
        }
        clean(dir, &env)?;
        let metrics = DbMetrics::default();
        metrics.clean_start.set(-1);
        let lock = if options.no_lockfile {
            None
        } else {
            let lock = DirLock::acquire(env.fs.clone(), dir)
                .map_err(|e| DbError::Locked(e.to_string()))?;
            metrics.clean_start.set(i64::from(!lock.replaced()));
            Some(lock)
        };
        let head = Arc::new(Head::open(dir, options.clone(), &env.fs, &*env.log)?);
        let db = Arc::new(Db {
            dir: dir.to_owned(),
            runtime: RwLock::new(options.runtime),
            options,
            env,
            metrics,
            head,
            view: CurrentView::new(),
            maintenance: Mutex::new(Maintenance::default()),
            lock: Mutex::new(lock),
            overlaps: Mutex::default(),
            closed: AtomicBool::new(false),
        });
        db.reload(i64::MIN)?;
        db.load_head(progress)?;
        Ok(db)
    }

    /// Replays the log into the head and opens it for writing.
    fn load_head(&self, progress: &ReplayProgress) -> Result<(), DbError> {
        let blocks = self.view.get().blocks.clone();
        let min_valid = in_order_max_time(blocks.iter().map(|b| b.meta())).unwrap_or(i64::MIN);
        let started = (self.env.clock)();
        let mended = self
            .head
            .replay(&self.env.fs, &self.dir, min_valid, progress)
            .map_err(|e| DbError::Corrupt(format!("replay: {e}")))?;
        let took = (self.env.clock)().saturating_sub(started);
        self.head.metrics.replay_ms.set(took);
        if let Some(error) = mended.chunks {
            self.log(Level::Error, "Loading on-disk chunks failed", &[("err", error.to_string())]);
        }
        for (what, cut) in [("WAL", mended.wal), ("WBL", mended.wbl)] {
            if let Some(error) = cut {
                let text = format!("Encountered {what} read error, repaired");
                self.log(Level::Warn, &text, &[("err", error)]);
            }
        }
        let duration = format!("{}ms", took);
        self.log(Level::Info, "WAL replay completed", &[("total_replay_duration", duration)]);
        self.view.publish(DbView { blocks, head_min: min_valid });
        // Replay knows no limits, but counts.
        self.head.settle_limits();

        self.head.set_wal(Arc::new(self.open_log("wal")?));
        let wbl = self.dir.join("wbl");
        let found = segments(self.env.fs.as_ref(), &wbl).is_ok_and(|s| !s.is_empty());
        if found || self.runtime().out_of_order_window_ms > 0 {
            self.head.set_wbl(Arc::new(self.open_log("wbl")?));
        }
        Ok(())
    }

    /// Opens a log of the data directory for writing.
    pub(super) fn open_log(&self, name: &str) -> Result<Wal, DbError> {
        let spawn = self.env.spawn.clone();
        let options = crate::wal::Options {
            segment_size: self.options.wal_segment_bytes,
            compression: match self.options.wal_compression {
                WalCompression::None => Compression::None,
                WalCompression::Snappy => Compression::Snappy,
                WalCompression::Zstd => Compression::Zstd,
            },
            sync: match self.options.wal_fsync {
                WalFsync::Off => SyncPolicy::Off,
                WalFsync::EachCommit => SyncPolicy::Always,
                WalFsync::Interval(ms) => {
                    SyncPolicy::Interval(std::time::Duration::from_millis(ms))
                }
            },
            spawn: Some(spawn),
        };
        let path = self.dir.join(name);
        Wal::open(self.env.fs.clone(), &path, options).map_err(|e| DbError::Io(e.to_string()))
    }

    /// Flushes and closes; whoever still reads keeps what it has.
    pub fn close(&self) -> Result<(), DbError> {
        if self.closed.swap(true, Ordering::AcqRel) {
            return Err(DbError::Closed);
        }
        // Waits for a round of maintenance that is running.
        let _maintenance = super::lock(&self.maintenance);
        let mut errors = Vec::new();
        errors.extend(self.head.flush_chunks().err().map(|e| e.to_string()));
        for log in [self.head.wal(), self.head.wbl()].into_iter().flatten() {
            errors.extend(log.close().err().map(|e| e.to_string()));
        }
        drop(super::lock(&self.lock).take());
        if errors.is_empty() { Ok(()) } else { Err(DbError::Io(errors.join("; "))) }
    }
}

/// Removes what an interrupted run left half made or half deleted.
fn clean(dir: &Path, env: &Env) -> Result<(), DbError> {
    let fs = env.fs.as_ref();
    let io = |e: std::io::Error| DbError::Io(format!("remove tmp dirs: {}: {e}", dir.display()));
    for (path, result) in block::remove_temporary(fs, dir).map_err(io)? {
        let field = [("dir", path.display().to_string())];
        match result {
            Ok(()) => (env.log)(Level::Info, "Found and deleted tmp dir", &field),
            Err(_) => (env.log)(Level::Error, "failed to delete tmp dir", &field),
        }
    }
    let wal = dir.join("wal");
    checkpoint::delete_temporary(fs, &wal).map_err(|e| DbError::Io(e.to_string()))?;
    for path in block::list(fs, dir).map_err(io)? {
        // A meta that cannot be read at all is reported when the block is opened.
        let _ = block::repair_index_version(fs, &path);
    }
    Ok(())
}
