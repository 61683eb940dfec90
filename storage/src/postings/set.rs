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

    /// A copy of what a source's list has from `first` to `last`.
    pub fn copy_of_span(list: ListRef<'_>, first: u32, last: u32) -> Postings {
        let ListRef::BigEndian(bytes) = list else {
            let mut ids = Postings::copy_of(list);
            ids.intersect_span(first, last);
            return ids;
        };
        let all = BigEndian::new(bytes);
        let (from, to) = (all.position(first), all.position_after(last));
        Postings::List(all.slice(from, to).iter().collect())
    }

    /// What two lists share, without a copy of either where that can be.
    pub fn of_both(a: ListRef<'_>, b: ListRef<'_>) -> Postings {
        if let (ListRef::Bitmap(a), ListRef::Bitmap(b)) = (a, b) {
            return Postings::Bitmap(a & b);
        }
        let (short, long) = if a.len() <= b.len() { (a, b) } else { (b, a) };
        let mut ids = Postings::copy_of(short);
        ids.intersect(long);
        ids
    }

    /// Keeps the ids from `first` to `last`.
    pub fn intersect_span(&mut self, first: u32, last: u32) {
        match self {
            Postings::List(ids) => {
                ids.truncate(ids.partition_point(|id| *id <= last));
                ids.drain(..ids.partition_point(|id| *id < first));
            }
            Postings::Bitmap(bitmap) => {
                bitmap.remove_range(..first);
                if let Some(after) = last.checked_add(1) {
                    bitmap.remove_range(after..);
                }
            }
        }
    }

    /// Takes an id in or out.
    pub fn set(&mut self, id: u32, member: bool) {
        match self {
            Postings::List(ids) => match (ids.binary_search(&id), member) {
                (Err(at), true) => ids.insert(at, id),
                (Ok(at), false) => {
                    ids.remove(at);
                }
                _ => {}
            },
            Postings::Bitmap(bitmap) if member => {
                bitmap.insert(id);
            }
            Postings::Bitmap(bitmap) => {
                bitmap.remove(id);
            }
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
                remove_all(mine, BigEndian::new(bytes).iter());
            }
            (Postings::Bitmap(mine), ListRef::Sorted(other)) => {
                remove_all(mine, other.iter().copied());
            }
        }
    }

    /// The ids as a sorted list.
    pub fn into_vec(self) -> Vec<u32> {
        match self {
            Postings::List(ids) => ids,
            Postings::Bitmap(bitmap) => {
                let mut ids = Vec::new();
                append_bitmap(&bitmap, &mut ids);
                ids
            }
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

/// Lists shorter than this are small enough as they are.
const LARGE_LIST: usize = 4096;

/// Removes ascending ids; many of them by way of a bitmap of their own.
fn remove_all(mine: &mut RoaringBitmap, ids: impl ExactSizeIterator<Item = u32> + Clone) {
    if ids.len() >= LARGE_LIST
        && let Ok(other) = RoaringBitmap::from_sorted_iter(ids.clone())
    {
        *mine -= other;
        return;
    }
    for id in ids {
        mine.remove(id);
    }
}

/// Runs looked at to tell how long the runs of a bitmap are.
const SAMPLED_RUNS: usize = 64;
/// Ids from which on a roaring container is bits and no array.
const DENSE: u64 = 4096;

/// Appends the ids of a bitmap. Series made together have ids next to each other, so many bitmaps are
/// runs, which are written a run at a time when that is cheaper than blocks of ids: from short ones
/// on where containers are bits, long ones only where they are arrays.
fn append_bitmap(bitmap: &RoaringBitmap, out: &mut Vec<u32>) {
    let (Some(lowest), Some(highest)) = (bitmap.min(), bitmap.max()) else { return };
    let containers = u64::from((highest >> 16) - (lowest >> 16)) + 1;
    let long_run = if bitmap.len() > containers * DENSE { 4 } else { 64 };
    let start = out.len();
    let end = start + bitmap.len() as usize;
    out.reserve(end - start);
    let mut rest = bitmap.iter();
    let mut runs = 0;
    while let Some(run) = rest.next_range() {
        out.extend(run);
        runs += 1;
        if runs == SAMPLED_RUNS && out.len() - start < SAMPLED_RUNS * long_run {
            let at = out.len();
            out.resize(end, 0);
            let filled = rest.next_many(&mut out[at..]).len();
            out.truncate(at + filled);
            return;
        }
    }
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

    /// Whether `id` is in the list.
    pub fn contains(&self, id: u32) -> bool {
        match self {
            ListRef::BigEndian(bytes) => {
                let all = BigEndian::new(bytes);
                all.position(id) < all.position_after(id)
            }
            ListRef::Sorted(ids) => ids.binary_search(&id).is_ok(),
            ListRef::Bitmap(bitmap) => bitmap.contains(id),
        }
    }

    /// Appends the ids to `out`, ascending.
    pub fn append_to(&self, out: &mut Vec<u32>) {
        match self {
            ListRef::BigEndian(bytes) => out.extend(BigEndian::new(bytes).iter()),
            ListRef::Sorted(ids) => out.extend_from_slice(ids),
            ListRef::Bitmap(bitmap) => append_bitmap(bitmap, out),
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
