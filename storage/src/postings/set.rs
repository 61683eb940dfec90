//! Postings: a set of series ids while matchers are evaluated, in whichever form is cheaper.

use roaring::RoaringBitmap;

use super::list::{BigEndian, SortedIds, intersect, subtract};
use super::source::ListRef;

/// A set of series ids. What comes from a block stays a sorted list, what comes from the head's
/// bitmaps stays a bitmap until it is read.
#[derive(Clone, Debug)]
pub enum Postings {
    /// Ascending, distinct.
    List(Vec<u32>),
    Bitmap(RoaringBitmap),
}

impl Postings {
    /// The set without ids.
    pub fn empty() -> Postings {
        Postings::List(Vec::new())
    }

    /// A copy of a source's list.
    pub fn copy_of(list: ListRef<'_>) -> Postings {
        match list {
            ListRef::BigEndian(bytes) => Postings::List(BigEndian::new(bytes).iter().collect()),
            ListRef::Sorted(ids) => Postings::List(ids.to_vec()),
            ListRef::Bitmap(bitmap) => Postings::Bitmap(bitmap.clone()),
        }
    }

    /// Number of ids.
    pub fn len(&self) -> usize {
        match self {
            Postings::List(ids) => ids.len(),
            // At most 2^32 ids, and usize has 64 bits wherever a block can be mapped.
            Postings::Bitmap(bitmap) => bitmap.len() as usize,
        }
    }

    /// Whether there is no id.
    pub fn is_empty(&self) -> bool {
        match self {
            Postings::List(ids) => ids.is_empty(),
            Postings::Bitmap(bitmap) => bitmap.is_empty(),
        }
    }

    /// This set as a source's list.
    pub fn as_list(&self) -> ListRef<'_> {
        match self {
            Postings::List(ids) => ListRef::Sorted(ids),
            Postings::Bitmap(bitmap) => ListRef::Bitmap(bitmap),
        }
    }

    /// Keeps what is also in `list`.
    pub fn intersect(&mut self, list: ListRef<'_>) {
        match (&mut *self, list) {
            (Postings::List(ids), ListRef::BigEndian(bytes)) => {
                intersect(ids, BigEndian::new(bytes));
            }
            (Postings::List(ids), ListRef::Sorted(other)) => intersect(ids, other),
            (Postings::List(ids), ListRef::Bitmap(bitmap)) => ids.retain(|id| bitmap.contains(*id)),
            (Postings::Bitmap(mine), ListRef::Bitmap(other)) => *mine &= other,
            (Postings::Bitmap(mine), ListRef::BigEndian(bytes)) => {
                let other = BigEndian::new(bytes);
                *self = Postings::List(other.iter().filter(|id| mine.contains(*id)).collect());
            }
            (Postings::Bitmap(mine), ListRef::Sorted(other)) => {
                *self =
                    Postings::List(other.iter().copied().filter(|id| mine.contains(*id)).collect());
            }
        }
    }

    /// Removes what is in `list`.
    pub fn subtract(&mut self, list: ListRef<'_>) {
        match (&mut *self, list) {
            (Postings::List(ids), ListRef::BigEndian(bytes)) => {
                subtract(ids, BigEndian::new(bytes))
            }
            (Postings::List(ids), ListRef::Sorted(other)) => subtract(ids, other),
            (Postings::List(ids), ListRef::Bitmap(bitmap)) => {
                ids.retain(|id| !bitmap.contains(*id));
            }
            (Postings::Bitmap(mine), ListRef::Bitmap(other)) => *mine -= other,
            (Postings::Bitmap(mine), ListRef::BigEndian(bytes)) => {
                BigEndian::new(bytes).iter().for_each(|id| {
                    mine.remove(id);
                });
            }
            (Postings::Bitmap(mine), ListRef::Sorted(other)) => other.iter().for_each(|id| {
                mine.remove(*id);
            }),
        }
    }

    /// The ids as a sorted list.
    pub fn into_vec(self) -> Vec<u32> {
        match self {
            Postings::List(ids) => ids,
            Postings::Bitmap(bitmap) => bitmap_to_vec(&bitmap),
        }
    }

    /// Bytes of memory this set holds, roughly.
    pub fn size_bytes(&self) -> usize {
        match self {
            Postings::List(ids) => ids.capacity() * 4,
            Postings::Bitmap(bitmap) => bitmap.serialized_size(),
        }
    }
}

/// The ids of a bitmap; its own iterator is several times slower than blocks of `next_many`.
fn bitmap_to_vec(bitmap: &RoaringBitmap) -> Vec<u32> {
    let mut ids = vec![0; bitmap.len() as usize];
    let filled = bitmap.iter().next_many(&mut ids).len();
    ids.truncate(filled);
    ids
}

impl ListRef<'_> {
    /// Number of ids.
    pub fn len(&self) -> usize {
        match self {
            ListRef::BigEndian(bytes) => BigEndian::new(bytes).len(),
            ListRef::Sorted(ids) => ids.len(),
            ListRef::Bitmap(bitmap) => bitmap.len() as usize,
        }
    }

    /// Whether there is no id.
    pub fn is_empty(&self) -> bool {
        match self {
            ListRef::BigEndian(bytes) => bytes.len() < 4,
            ListRef::Sorted(ids) => ids.is_empty(),
            ListRef::Bitmap(bitmap) => bitmap.is_empty(),
        }
    }

    /// Appends the ids to `out`, ascending.
    pub fn append_to(&self, out: &mut Vec<u32>) {
        match self {
            ListRef::BigEndian(bytes) => out.extend(BigEndian::new(bytes).iter()),
            ListRef::Sorted(ids) => out.extend_from_slice(ids),
            ListRef::Bitmap(bitmap) => {
                let start = out.len();
                out.resize(start + bitmap.len() as usize, 0);
                let filled = bitmap.iter().next_many(&mut out[start..]).len();
                out.truncate(start + filled);
            }
        }
    }

    /// Whether an id of `sorted` is in this list.
    pub fn intersects(&self, sorted: &[u32]) -> bool {
        match self {
            ListRef::BigEndian(bytes) => super::list::intersects(BigEndian::new(bytes), sorted),
            ListRef::Sorted(ids) => super::list::intersects(*ids, sorted),
            ListRef::Bitmap(bitmap) if sorted.len() > 64 && bitmap.len() < sorted.len() as u64 => {
                bitmap.iter().any(|id| sorted.binary_search(&id).is_ok())
            }
            ListRef::Bitmap(bitmap) => sorted.iter().any(|id| bitmap.contains(*id)),
        }
    }
}
