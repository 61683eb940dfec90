//! Open and close: from a directory to a running database and back.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, RwLock};

use super::maintain::Maintenance;
use super::view::{CurrentView, DbView};
use super::{
    Db, DbError, DbMetrics, Env, HeadSnapshot, Level, Options, ReplayProgress, WalCompression,
    WalFsync,
};
use crate::block;
use crate::compact::in_order_max_time;
use crate::fs::{DirLock, atomic};
use crate::head::{Head, chunk_snapshot, snapshot};
use crate::wal::{Compression, LogPosition, SyncPolicy, Wal, checkpoint, segments};

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
        let took = || format!("{}ms", (self.env.clock)().saturating_sub(started));
        if self.load_snapshot(min_valid, progress) {
            self.log(Level::Info, "Head snapshot loaded", &[("duration", took())]);
        } else {
            self.replay(min_valid, progress)?;
            let field = ("total_replay_duration", took());
            self.log(Level::Info, "WAL replay completed", &[field]);
        }
        self.head.metrics.replay_ms.set((self.env.clock)().saturating_sub(started));
        self.remove_snapshots();
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

    fn load_snapshot(&self, min_valid: i64, progress: &ReplayProgress) -> bool {
        if self.options.snapshot == HeadSnapshot::Off {
            return false;
        }
        match self.head.load_snapshot(&self.env.fs, &self.dir, min_valid) {
            Ok(true) => {
                let found = segments(self.env.fs.as_ref(), &self.dir.join("wal"));
                if let Some(last) = found.ok().and_then(|all| Some(all.last()?.index)) {
                    progress.start(last, last);
                }
                true
            }
            Ok(false) => false,
            Err(error) => {
                self.snapshot_refused(error.to_string());
                self.head.forget();
                false
            }
        }
    }

    fn snapshot_refused(&self, error: String) {
        self.head.metrics.snapshot_errors.add(1);
        let text = "Head snapshot cannot be used, the log is replayed";
        self.log(Level::Warn, text, &[("err", error)]);
    }

    fn replay(&self, min_valid: i64, progress: &ReplayProgress) -> Result<(), DbError> {
        let mended = self
            .head
            .replay(&self.env.fs, &self.dir, min_valid, progress)
            .map_err(|e| DbError::Corrupt(format!("replay: {e}")))?;
        if let Some(error) = mended.chunks {
            self.log(Level::Error, "Loading on-disk chunks failed", &[("err", error.to_string())]);
        }
        if mended.from_snapshot {
            self.log(Level::Info, "chunk snapshot loaded", &[]);
        }
        if let Some(error) = mended.snapshot {
            self.snapshot_refused(error);
        }
        for (what, cut) in [("WAL", mended.wal), ("WBL", mended.wbl)] {
            if let Some(error) = cut {
                let text = format!("Encountered {what} read error, repaired");
                self.log(Level::Warn, &text, &[("err", error)]);
            }
        }
        Ok(())
    }

    /// Removes snapshots before anything new is logged. One that stays is not used again, because
    /// the log goes on in a new segment.
    fn remove_snapshots(&self) {
        let fs = self.env.fs.as_ref();
        let mut removed = snapshot::remove_all(fs, &self.dir);
        if self.options.snapshot == HeadSnapshot::Prometheus {
            removed = removed.and(chunk_snapshot::remove_all_but(fs, &self.dir, None));
        }
        if let Err(error) = removed {
            let fields = [("err", error.to_string())];
            self.log(Level::Warn, "Failed to remove head snapshots", &fields);
        }
    }

    /// Leaves a snapshot of the head, whose log was closed at `end`. Without one the next start
    /// replays the log.
    fn write_snapshot(&self, end: LogPosition) {
        let fs = self.env.fs.as_ref();
        let started = (self.env.clock)();
        let written = match self.options.snapshot {
            HeadSnapshot::Off => return,
            HeadSnapshot::Own => {
                let head_min = self.view.get().head_min;
                self.head.write_snapshot(fs, &self.dir, head_min, end)
            }
            HeadSnapshot::Prometheus => {
                let compression = self.compression();
                self.head.write_chunk_snapshot(fs, &self.dir, end, compression)
            }
        };
        match written {
            Ok(()) => {
                let took = (self.env.clock)().saturating_sub(started);
                let fields = [("duration", format!("{took}ms"))];
                self.log(Level::Info, "Head snapshot written", &fields);
            }
            Err(error) => {
                let fields = [("err", error.to_string())];
                self.log(Level::Warn, "No head snapshot was written", &fields);
            }
        }
    }

    fn compression(&self) -> Compression {
        match self.options.wal_compression {
            WalCompression::None => Compression::None,
            WalCompression::Snappy => Compression::Snappy,
            WalCompression::Zstd => Compression::Zstd,
        }
    }

    /// Opens a log of the data directory for writing.
    pub(super) fn open_log(&self, name: &str) -> Result<Wal, DbError> {
        let spawn = self.env.spawn.clone();
        let options = crate::wal::Options {
            segment_size: self.options.wal_segment_bytes,
            compression: self.compression(),
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
        // Commits fail from here on; one that is at work ends before what follows.
        let wal = self.head.wal();
        errors.extend(wal.as_ref().and_then(|wal| wal.close().err()).map(|e| e.to_string()));
        self.head.rest();
        let wbl = self.head.wbl();
        errors.extend(wbl.and_then(|wbl| wbl.close().err()).map(|e| e.to_string()));
        self.head.write_waiting_chunks();
        errors.extend(self.head.flush_chunks().err().map(|e| e.to_string()));
        if let Some(wal) = wal.filter(|_| errors.is_empty()) {
            self.write_snapshot(wal.end());
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
