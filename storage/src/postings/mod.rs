//! Postings: sorted lists of series ids, the operations on them, and matchers turned into them.
//!
//! The lists come in two forms, big-endian u32s mapped from a block index and roaring bitmaps of
//! the head; [`PostingsSource`] is what the evaluation sees of either.

mod answers;
mod cache;
mod list;
mod matchers;
mod set;
mod source;
mod union;
mod values;

pub use answers::postings_for_matchers;
pub use cache::PostingsCache;
pub use list::{BigEndian, SortedIds, intersect, intersects, subtract};
pub use set::Postings;
pub use source::{ListRef, PostingsSource};
pub use union::union;
pub use values::label_values;
