//! DbView: which blocks there are and where the head begins, as of one moment.
//!
//! What must hold: a sample is in a block of the view, or in the head at or above `head_min`. A new
//! view is published before the head forgets what its new block holds.

use std::sync::{Arc, PoisonError, RwLock};

use model::TimeRange;

use crate::block::Block;
use crate::head::{Head, HeadView};
use crate::source::BlockReader;

/// Blocks in order of time, and the lower bound of in-order samples read from the head.
pub(super) struct DbView {
    pub blocks: Vec<Arc<Block>>,
    pub head_min: i64,
}

/// The view of the moment.
pub(super) struct CurrentView {
    view: RwLock<Arc<DbView>>,
}

impl CurrentView {
    /// Starts without blocks.
    pub fn new() -> CurrentView {
        CurrentView {
            view: RwLock::new(Arc::new(DbView { blocks: Vec::new(), head_min: i64::MIN })),
        }
    }

    /// The view of the moment.
    pub fn get(&self) -> Arc<DbView> {
        self.view.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Replaces it.
    pub fn publish(&self, view: DbView) {
        *self.view.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(view);
    }

    /// The sources of a query of `range`, head first. The head is pinned while nobody can publish,
    /// so that its pin is older than any view published later.
    pub fn sources(&self, head: &Arc<Head>, range: TimeRange) -> Vec<Arc<dyn BlockReader>> {
        let view = self.view.read().unwrap_or_else(PoisonError::into_inner);
        let head = HeadView::new(head.clone(), view.head_min);
        let mut sources: Vec<Arc<dyn BlockReader>> = Vec::new();
        if head.range().overlaps(range) {
            sources.push(Arc::new(head));
        }
        for block in &view.blocks {
            if block.range().overlaps(range) {
                sources.push(block.clone());
            }
        }
        sources
    }
}
