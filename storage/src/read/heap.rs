//! MinHeap: a binary heap whose ties fall as those of Go's `container/heap` do. Which of several
//! equal samples or series comes first is decided by them, and answers are to be the same.

/// A heap of a few cursors; `less` is handed in, as it may look at what they point to.
#[derive(Debug)]
pub(crate) struct MinHeap<T> {
    items: Vec<T>,
}

impl<T> MinHeap<T> {
    pub(crate) fn new() -> MinHeap<T> {
        MinHeap { items: Vec::new() }
    }

    /// The least item.
    pub(crate) fn peek(&self) -> Option<&T> {
        self.items.first()
    }

    /// Adds an item: appended, then moved up while less than its parent.
    pub(crate) fn push(&mut self, item: T, less: impl Fn(&T, &T) -> bool) {
        self.items.push(item);
        let mut at = self.items.len() - 1;
        while at > 0 {
            let parent = (at - 1) / 2;
            if !less(&self.items[at], &self.items[parent]) {
                break;
            }
            self.items.swap(at, parent);
            at = parent;
        }
    }

    /// Takes the least item: changed with the last, which then moves down.
    pub(crate) fn pop(&mut self, less: impl Fn(&T, &T) -> bool) -> Option<T> {
        let end = self.items.len().checked_sub(1)?;
        self.items.swap(0, end);
        let mut at = 0;
        loop {
            let left = 2 * at + 1;
            if left >= end {
                break;
            }
            let right = left + 1;
            let least = if right < end && less(&self.items[right], &self.items[left]) {
                right
            } else {
                left
            };
            if !less(&self.items[least], &self.items[at]) {
                break;
            }
            self.items.swap(at, least);
            at = least;
        }
        self.items.pop()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The order in which Go 1.26's container/heap gives (key, name) pairs ordered by key alone.
    #[test]
    fn ties_fall_as_in_go() {
        let mut heap = MinHeap::new();
        let less = |a: &(i32, char), b: &(i32, char)| a.0 < b.0;
        for item in [(1, 'a'), (1, 'b'), (0, 'c'), (1, 'd'), (0, 'e'), (1, 'f')] {
            heap.push(item, less);
        }
        let order: String = std::iter::from_fn(|| heap.pop(less)).map(|(_, name)| name).collect();
        assert_eq!(order, "cebdaf");
    }
}
