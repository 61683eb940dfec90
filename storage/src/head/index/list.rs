//! SlotList: the slots of one pair.

use roaring::RoaringBitmap;

use crate::head::series::Slot;
use crate::postings::ListRef;

/// Lists up to this length are plain arrays.
pub(super) const FEW: usize = 32;
/// The slots of one pair, ascending. Most pairs of a high-cardinality label have one.
#[derive(Clone, Debug, Default)]
pub(super) enum SlotList {
    #[default]
    None,
    One(Slot),
    Few(Vec<Slot>),
    Many(Box<RoaringBitmap>),
}

impl SlotList {
    pub fn insert(&mut self, slot: Slot) {
        match self {
            SlotList::None => *self = SlotList::One(slot),
            SlotList::One(first) if *first == slot => {}
            SlotList::One(first) => {
                *self = SlotList::Few(vec![slot.min(*first), slot.max(*first)]);
            }
            SlotList::Few(list) if list.len() < FEW => {
                if let Err(at) = list.binary_search(&slot) {
                    list.insert(at, slot);
                }
            }
            SlotList::Few(list) => {
                let mut map = Box::new(list.iter().copied().collect::<RoaringBitmap>());
                map.insert(slot);
                *self = SlotList::Many(map);
            }
            SlotList::Many(map) => {
                map.insert(slot);
            }
        }
    }

    pub fn remove(&mut self, slot: Slot) {
        match self {
            SlotList::None => {}
            SlotList::One(only) => {
                if *only == slot {
                    *self = SlotList::None;
                }
            }
            SlotList::Few(list) => {
                list.retain(|s| *s != slot);
                if list.is_empty() {
                    *self = SlotList::None;
                }
            }
            SlotList::Many(map) => {
                map.remove(slot);
                if map.is_empty() {
                    *self = SlotList::None;
                }
            }
        }
    }

    pub fn as_list(&self) -> ListRef<'_> {
        match self {
            SlotList::None => ListRef::Sorted(&[]),
            SlotList::One(slot) => ListRef::Sorted(std::slice::from_ref(slot)),
            SlotList::Few(list) => ListRef::Sorted(list),
            SlotList::Many(map) => ListRef::Bitmap(map),
        }
    }

    /// Bytes outside the structure; of a bitmap, what it would take when written.
    pub fn heap_bytes(&self) -> usize {
        match self {
            SlotList::None | SlotList::One(_) => 0,
            SlotList::Few(list) => list.capacity() * size_of::<Slot>(),
            SlotList::Many(map) => size_of::<RoaringBitmap>() + map.serialized_size(),
        }
    }

    pub fn len(&self) -> usize {
        match self {
            SlotList::None => 0,
            SlotList::One(_) => 1,
            SlotList::Few(list) => list.len(),
            SlotList::Many(map) => map.len() as usize,
        }
    }
}
