//! Bucket layouts side by side: spans as the list of bucket indexes they cover, which buckets one
//! layout has and the other has not, and counts moved from one layout to a wider one.

use std::cmp::Ordering;

use model::Span;

use super::ChunkError;

const BAD_SPANS: ChunkError = ChunkError::InvalidHistogram("spans overlap or run out of range");

/// The indexes of the buckets that spans cover, ascending. The caller has bounded their number.
pub(super) fn indexes(spans: &[Span]) -> Vec<i64> {
    let mut out = Vec::new();
    let mut next = 0i64;
    for span in spans {
        next += i64::from(span.offset);
        out.extend(next..next + i64::from(span.length));
        next += i64::from(span.length);
    }
    out
}

/// The spans of ascending indexes: as few as possible, none empty.
pub(super) fn spans_of(indexes: &[i64]) -> Result<Vec<Span>, ChunkError> {
    let mut spans: Vec<Span> = Vec::new();
    let mut next = 0i64;
    for &index in indexes {
        match spans.last_mut() {
            Some(last) if index == next => last.length += 1,
            _ => {
                let offset = i32::try_from(index - next).map_err(|_| BAD_SPANS)?;
                if offset < 0 && !spans.is_empty() {
                    return Err(BAD_SPANS);
                }
                spans.push(Span { offset, length: 1 });
            }
        }
        next = index + 1;
    }
    Ok(spans)
}

/// How the buckets of a new histogram lie to those of the chunk.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Difference {
    /// The histogram has buckets the chunk lacks: the chunk must be recoded.
    pub(super) forward: bool,
    /// The chunk has buckets the histogram lacks: the histogram must be widened.
    pub(super) backward: bool,
    /// All indexes, when either holds.
    pub(super) union: Vec<i64>,
}

/// Compares the layout of a chunk with that of a histogram. `both(i, j)` judges a bucket that is
/// the chunk's i-th and the histogram's j-th, `only(i)` one only the chunk has; `None` = one of
/// them said no.
pub(super) fn compare(
    chunk: &[Span],
    histogram: &[Span],
    buckets: usize,
    mut both: impl FnMut(usize, usize) -> bool,
    mut only: impl FnMut(usize) -> bool,
) -> Option<Difference> {
    if chunk == histogram {
        return (0..buckets).all(|i| both(i, i)).then(Difference::default);
    }
    let (a, b) = (indexes(chunk), indexes(histogram));
    let mut difference = Difference::default();
    let (mut i, mut j) = (0, 0);
    loop {
        let order = match (a.get(i), b.get(j)) {
            (Some(x), Some(y)) => x.cmp(y),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => break,
        };
        difference.union.push(if order == Ordering::Greater { b[j] } else { a[i] });
        match order {
            Ordering::Equal if !both(i, j) => return None,
            Ordering::Less if !only(i) => return None,
            Ordering::Less => difference.backward = true,
            Ordering::Greater => difference.forward = true,
            Ordering::Equal => {}
        }
        i += usize::from(order != Ordering::Greater);
        j += usize::from(order != Ordering::Less);
    }
    Some(difference)
}

/// Moves absolute counts from the buckets of `from` to those of `to`, which has them all; the new
/// ones are `T::default()`.
pub(super) fn widen<T: Copy + Default>(
    counts: &[T],
    from: &[Span],
    to: &[Span],
) -> Result<Vec<T>, ChunkError> {
    let mut old = indexes(from).into_iter().zip(counts).peekable();
    let wide = indexes(to)
        .into_iter()
        .map(|index| old.next_if(|(i, _)| *i == index).map_or(T::default(), |(_, c)| *c))
        .collect();
    if old.peek().is_some() { Err(BAD_SPANS) } else { Ok(wide) }
}

/// Deltas to running sums.
pub(super) fn to_absolute(deltas: &[i64]) -> Vec<i64> {
    let mut sum = 0i64;
    deltas
        .iter()
        .map(|d| {
            sum = sum.wrapping_add(*d);
            sum
        })
        .collect()
}

/// Running sums to deltas.
pub(super) fn to_deltas(counts: &mut [i64]) {
    let mut last = 0i64;
    for count in counts {
        (*count, last) = (count.wrapping_sub(last), *count);
    }
}

/// Merges absolute counts into the buckets of a schema `steps` coarser.
pub(super) fn coarsen<T: Copy>(
    counts: &[T],
    spans: &[Span],
    steps: u32,
    add: impl Fn(T, T) -> T,
) -> Result<(Vec<Span>, Vec<T>), ChunkError> {
    let mut targets: Vec<i64> = Vec::new();
    let mut sums: Vec<T> = Vec::new();
    for (index, &count) in indexes(spans).into_iter().zip(counts) {
        let target = ((index - 1) >> steps) + 1;
        match sums.last_mut() {
            Some(sum) if targets.last() == Some(&target) => *sum = add(*sum, count),
            _ => {
                targets.push(target);
                sums.push(count);
            }
        }
    }
    Ok((spans_of(&targets)?, sums))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spans(of: &[(i32, u32)]) -> Vec<Span> {
        of.iter().map(|&(offset, length)| Span { offset, length }).collect()
    }

    #[test]
    fn indexes_and_spans_are_inverse() {
        for (from, indexes_of, back) in [
            (vec![], vec![], vec![]),
            (vec![(-2, 2), (1, 1)], vec![-2, -1, 1], vec![(-2, 2), (1, 1)]),
            (vec![(3, 0), (1, 1), (0, 2)], vec![4, 5, 6], vec![(4, 3)]),
        ] {
            let list = indexes(&spans(&from));
            assert_eq!(list, indexes_of);
            assert_eq!(spans_of(&list), Ok(spans(&back)));
        }
        assert!(spans_of(&[3, 1]).is_err());
        assert!(spans_of(&[1 << 40]).is_err());
    }

    #[test]
    fn differences_are_seen_from_both_sides() {
        let (a, b) = (spans(&[(0, 2), (2, 1)]), spans(&[(1, 1), (1, 2)]));
        let d = compare(&a, &b, 3, |_, _| true, |_| true);
        let expected = Difference { forward: true, backward: true, union: vec![0, 1, 3, 4] };
        assert_eq!(d, Some(expected));
        assert_eq!(compare(&a, &b, 3, |_, _| true, |_| false), None);
        assert_eq!(compare(&a, &b, 3, |i, j| (i, j) != (1, 0), |_| true), None);
        assert_eq!(compare(&a, &a, 3, |_, _| true, |_| true), Some(Difference::default()));
    }

    #[test]
    fn counts_move_and_merge() {
        let wide = spans(&[(0, 5)]);
        assert_eq!(widen(&[1, 2, 3], &spans(&[(0, 2), (2, 1)]), &wide), Ok(vec![1, 2, 0, 0, 3]));
        assert!(widen(&[1], &spans(&[(9, 1)]), &wide).is_err());
        let mut deltas = to_absolute(&[1, -1, 5]);
        assert_eq!(deltas, [1, 0, 5]);
        to_deltas(&mut deltas);
        assert_eq!(deltas, [1, -1, 5]);
        let merged = coarsen(&[1, 2, 3, 4], &spans(&[(-1, 2), (0, 1), (6, 1)]), 1, |a, b| a + b);
        assert_eq!(merged, Ok((spans(&[(0, 2), (2, 1)]), vec![3, 3, 4])));
    }
}
