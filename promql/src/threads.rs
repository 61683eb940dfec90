//! Threads: the pool that speeds up one evaluation at a time.
//!
//! What must hold: a query never waits for threads that work for another one. Whoever asks while
//! they are taken does its piece of work on its own thread, to the same result, and asks again for
//! the next piece. So a cheap query takes as long as it takes alone on one thread, however many
//! heavy ones run beside it.

use std::sync::{Mutex, MutexGuard, TryLockError};

use rayon::{ThreadPool, ThreadPoolBuildError, ThreadPoolBuilder};

/// The threads of an engine.
#[derive(Debug)]
pub(crate) struct Threads {
    pool: ThreadPool,
    taken: Mutex<()>,
}

impl Threads {
    /// Starts `count` threads, 0 for one a core.
    pub(crate) fn start(count: usize) -> Result<Threads, ThreadPoolBuildError> {
        let pool = ThreadPoolBuilder::new()
            .num_threads(count)
            .thread_name(|i| format!("query-{i}"))
            .build()?;
        Ok(Threads { pool, taken: Mutex::new(()) })
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.pool.current_num_threads()
    }

    /// Takes the threads for a piece of work, unless they work for somebody else.
    pub(crate) fn lease(&self) -> Option<Lease<'_>> {
        if self.pool.current_thread_index().is_some() {
            // A part of a piece of work that has them.
            return Some(Lease { pool: &self.pool, _taken: None });
        }
        match self.taken.try_lock() {
            Ok(taken) => Some(Lease { pool: &self.pool, _taken: Some(taken) }),
            // The lock guards no data that a panic could have left half done.
            Err(TryLockError::Poisoned(e)) => {
                Some(Lease { pool: &self.pool, _taken: Some(e.into_inner()) })
            }
            Err(TryLockError::WouldBlock) => None,
        }
    }
}

/// The right to use the threads, until dropped.
pub(crate) struct Lease<'a> {
    pool: &'a ThreadPool,
    _taken: Option<MutexGuard<'a, ()>>,
}

impl Lease<'_> {
    /// Runs `work`, whose parallel parts use the threads.
    pub(crate) fn run<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        self.pool.install(work)
    }
}
