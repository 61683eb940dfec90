//! Memory: bytes that queries hold, each against its own limit and all against one.
//!
//! What counts is what grows with the data: decoded samples, columns, tables, states of
//! aggregations, results. It is counted where it is made, so the figure is close to, not equal to,
//! what the allocator has given out.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What all queries of a server share.
#[derive(Debug, Default)]
pub struct MemoryPool {
    /// 0: no limit.
    limit: u64,
    held: AtomicU64,
}

impl MemoryPool {
    /// A pool of `limit` bytes, 0 for no limit.
    pub fn new(limit: u64) -> MemoryPool {
        MemoryPool { limit, held: AtomicU64::new(0) }
    }

    /// Bytes all queries hold now.
    pub fn held(&self) -> u64 {
        self.held.load(Ordering::Relaxed)
    }

    /// The limit, 0 for none.
    pub fn limit(&self) -> u64 {
        self.limit
    }
}

/// What one query holds, and the most it ever held. What it still has goes back to the pool when
/// this is dropped, so whoever keeps the result keeps this.
#[derive(Debug)]
pub struct QueryMemory {
    pool: Arc<MemoryPool>,
    /// 0: no limit.
    limit: u64,
    bytes: AtomicU64,
    peak_bytes: AtomicU64,
    pub(crate) samples: AtomicU64,
    pub(crate) peak_samples: AtomicU64,
}

impl QueryMemory {
    /// The account of a query that may hold `limit` bytes (0: any number) of `pool`.
    pub fn new(pool: Arc<MemoryPool>, limit: u64) -> QueryMemory {
        let zero = || AtomicU64::new(0);
        QueryMemory {
            pool,
            limit,
            bytes: zero(),
            peak_bytes: zero(),
            samples: zero(),
            peak_samples: zero(),
        }
    }

    /// Bytes held now.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Most bytes held at once.
    pub fn peak_bytes(&self) -> u64 {
        self.peak_bytes.load(Ordering::Relaxed)
    }

    /// Samples held now, as `--query.max-samples` counts them.
    pub fn samples(&self) -> u64 {
        self.samples.load(Ordering::Relaxed)
    }

    /// Most samples held at once.
    pub fn peak_samples(&self) -> u64 {
        self.peak_samples.load(Ordering::Relaxed)
    }

    /// Whether `bytes` are at most an eighth of each limit.
    pub(crate) fn has_room(&self, bytes: u64) -> bool {
        [self.limit, self.pool.limit].into_iter().all(|limit| limit == 0 || bytes <= limit / 8)
    }

    /// Takes `bytes` more.
    pub(crate) fn hold(&self, bytes: u64) -> Result<(), MemoryError> {
        let own = self.bytes.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes);
        let all = self.pool.held.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes);
        self.peak_bytes.fetch_max(own, Ordering::Relaxed);
        let over =
            |scope, bytes, limit| Err(MemoryError { what: String::new(), scope, bytes, limit });
        if self.limit > 0 && own > self.limit {
            return over(Scope::Query, own, self.limit);
        }
        if self.pool.limit > 0 && all > self.pool.limit {
            return over(Scope::Total, all, self.pool.limit);
        }
        Ok(())
    }

    /// Gives `bytes` back; never more than are held.
    pub(crate) fn release(&self, bytes: u64) {
        let less = |held: u64| Some(held.saturating_sub(bytes));
        let before = self.bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        let before = before.unwrap_or_default();
        self.pool.held.fetch_sub(before.min(bytes), Ordering::Relaxed);
    }

    /// Says how many bytes are left.
    pub(crate) fn settle(&self, bytes: u64) {
        let before = self.bytes.swap(bytes, Ordering::Relaxed);
        self.pool.held.fetch_add(bytes, Ordering::Relaxed);
        self.pool.held.fetch_sub(before, Ordering::Relaxed);
    }
}

impl Drop for QueryMemory {
    fn drop(&mut self) {
        self.settle(0);
    }
}

/// Whose limit it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    Query,
    Total,
}

/// A query that would hold too many bytes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "query processing would hold {bytes} bytes of memory in {what}, {} {limit} bytes",
    match scope {
        Scope::Query => "more than the limit of one query,",
        Scope::Total => "counting all queries, more than the limit of all,",
    }
)]
pub struct MemoryError {
    /// The selector or operator; empty until somebody knows.
    pub what: String,
    pub scope: Scope,
    /// What would have been held.
    pub bytes: u64,
    pub limit: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_goes_back() {
        let pool = Arc::new(MemoryPool::new(100));
        let a = QueryMemory::new(Arc::clone(&pool), 60);
        let b = QueryMemory::new(Arc::clone(&pool), 0);
        assert_eq!(a.hold(50), Ok(()));
        assert_eq!(
            a.hold(20).map_err(|e| (e.scope, e.bytes, e.limit)),
            Err((Scope::Query, 70, 60))
        );
        a.settle(10);
        assert_eq!((a.bytes(), a.peak_bytes(), pool.held()), (10, 70, 10));
        assert_eq!(b.hold(95).map_err(|e| (e.scope, e.bytes)), Err((Scope::Total, 105)));
        b.release(1000);
        assert_eq!((b.bytes(), pool.held()), (0, 10));
        drop(a);
        assert_eq!(pool.held(), 0);
    }
}
