//! PostingsSource: what matcher evaluation sees of a block index or of the head's index.

use std::ops::ControlFlow;

use model::QueryError;
use roaring::RoaringBitmap;

/// One postings list where it lies.
#[derive(Clone, Copy, Debug)]
pub enum ListRef<'a> {
    /// Ascending big-endian u32s of a block index.
    BigEndian(&'a [u8]),
    /// Ascending, distinct ids.
    Sorted(&'a [u32]),
    /// The bitmap of a head pair.
    Bitmap(&'a RoaringBitmap),
}

/// An inverted index: (name, value) → series ids. Lists are lent to closures, which may ask the
/// source again.
pub trait PostingsSource {
    /// Names one (name, value) pair for as long as the source is borrowed.
    type Pair: Copy;

    /// The pair of `name` and a value that is not empty, if any series has it.
    fn pair(&self, name: &str, value: &str) -> Result<Option<Self::Pair>, QueryError>;

    /// Visits the pairs of `name` whose value starts with `prefix`, until told to stop. In order
    /// of value when `sorted_values` says so.
    fn pairs(
        &self,
        name: &str,
        prefix: &str,
        visit: &mut dyn FnMut(&str, Self::Pair) -> ControlFlow<()>,
    ) -> Result<(), QueryError>;

    /// Whether `pairs` visits values in ascending order.
    fn sorted_values(&self) -> bool;

    /// Number of values of `name`; an estimate will do.
    fn value_count(&self, name: &str) -> usize;

    /// Number of ids in the list of `pair`.
    fn list_len(&self, pair: Self::Pair) -> Result<usize, QueryError>;

    /// Lends the list of `pair` to `with`.
    fn with_list(
        &self,
        pair: Self::Pair,
        with: &mut dyn FnMut(ListRef<'_>),
    ) -> Result<(), QueryError>;

    /// Lends the list of every series to `with`.
    fn with_all(&self, with: &mut dyn FnMut(ListRef<'_>)) -> Result<(), QueryError>;

    /// Hands the value of label `name` of series `id` (empty when absent) to `with`.
    fn label_value(
        &self,
        id: u32,
        name: &str,
        with: &mut dyn FnMut(&str),
    ) -> Result<(), QueryError>;

    /// The lowest and highest id of `pair` of `name` if it has every series in between.
    fn span(&self, name: &str, pair: Self::Pair) -> Result<Option<(u32, u32)>, QueryError> {
        let _ = (name, pair);
        Ok(None)
    }

    /// Grows with every series that comes or goes. `None` = results must not be kept.
    fn generation(&self) -> Option<u64>;

    /// The ids of the series that came or went since `generation`; `None` when that is not known
    /// any more.
    fn changed_since(&self, generation: u64) -> Option<&[u32]>;

    /// Whether the index has series `id`.
    fn has(&self, id: u32) -> bool;
}
