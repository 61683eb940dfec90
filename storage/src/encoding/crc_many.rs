//! CRC-32C of several pieces side by side, as a run of chunks has them.
//!
//! The processor's instruction takes eight bytes a cycle, but its result is there three cycles later:
//! who computes one sum after the other waits two cycles of three, and for the memory besides. Here
//! four pieces are under way at a time.

/// Position of the first of `pieces` whose checksum is not the one beside it. Three or more
/// of similar length take half the time that one by one takes.
pub fn crc32c_mismatch(pieces: &[(&[u8], u32)]) -> Option<usize> {
    #[cfg(target_arch = "x86_64")]
    if let Some(found) = side_by_side::mismatch(pieces) {
        return found;
    }
    pieces.iter().position(|(bytes, sum)| super::crc32c(bytes) != *sum)
}

#[cfg(target_arch = "x86_64")]
mod side_by_side {
    #![allow(unsafe_code, reason = "an instruction not every x86 has; half the time of one by one")]

    use std::arch::x86_64::{_mm_crc32_u8, _mm_crc32_u16, _mm_crc32_u32, _mm_crc32_u64};

    /// Eight bytes of a piece.
    type Word = [u8; 8];

    /// What [`super::crc32c_mismatch`] answers; `None` where the processor has no such instruction.
    pub(super) fn mismatch(pieces: &[(&[u8], u32)]) -> Option<Option<usize>> {
        std::is_x86_feature_detected!("sse4.2").then(|| {
            // SAFETY: this processor has what the function was compiled for.
            unsafe { mismatch_sse42(pieces) }
        })
    }

    #[target_feature(enable = "sse4.2")]
    fn mismatch_sse42(pieces: &[(&[u8], u32)]) -> Option<usize> {
        let (fours, rest) = pieces.as_chunks::<4>();
        for (at, four) in fours.iter().enumerate() {
            let sums = four_sums(four.map(|(bytes, _)| bytes));
            if sums != four.map(|(_, sum)| sum) {
                let wrong = four.iter().zip(sums).position(|((_, sum), found)| *sum != found);
                return wrong.map(|wrong| 4 * at + wrong);
            }
        }
        let wrong = match rest {
            [a, b, c] => {
                let sums = four_sums([a.0, b.0, c.0, a.0]);
                rest.iter().zip(sums).position(|((_, sum), found)| *sum != found)
            }
            _ => rest.iter().position(|(bytes, sum)| super::super::crc32c(bytes) != *sum),
        };
        wrong.map(|wrong| 4 * fours.len() + wrong)
    }

    #[target_feature(enable = "sse4.2")]
    fn four_sums(pieces: [&[u8]; 4]) -> [u32; 4] {
        let [(a, a_tail), (b, b_tail), (c, c_tail), (d, d_tail)] = pieces.map(<[u8]>::as_chunks);
        let mut states = [u64::from(u32::MAX); 4];
        let both = a.len().min(b.len()).min(c.len()).min(d.len());
        let (a, a_more) = a.split_at(both);
        let (b, b_more) = b.split_at(both);
        let (c, c_more) = c.split_at(both);
        let (d, d_more) = d.split_at(both);
        for (((a, b), c), d) in a.iter().zip(b).zip(c).zip(d) {
            states[0] = step(states[0], a);
            states[1] = step(states[1], b);
            states[2] = step(states[2], c);
            states[3] = step(states[3], d);
        }
        let [a, b, c, d] = states;
        let (a, b) = rest_of_two((a, a_more, a_tail), (b, b_more, b_tail));
        let (c, d) = rest_of_two((c, c_more, c_tail), (d, d_more, d_tail));
        [a, b, c, d]
    }

    #[inline]
    #[target_feature(enable = "sse4.2")]
    fn rest_of_two(a: (u64, &[Word], &[u8]), b: (u64, &[Word], &[u8])) -> (u32, u32) {
        let (mut a_state, mut b_state) = (a.0, b.0);
        let both = a.1.len().min(b.1.len());
        let (a_words, a_more) = a.1.split_at(both);
        let (b_words, b_more) = b.1.split_at(both);
        for (a, b) in a_words.iter().zip(b_words) {
            a_state = step(a_state, a);
            b_state = step(b_state, b);
        }
        (rest_of_one(a_state, a_more, a.2), rest_of_one(b_state, b_more, b.2))
    }

    #[inline]
    #[target_feature(enable = "sse4.2")]
    fn rest_of_one(mut state: u64, words: &[Word], mut tail: &[u8]) -> u32 {
        for word in words {
            state = step(state, word);
        }
        let mut state = state as u32;
        if let Some((bytes, rest)) = tail.split_first_chunk() {
            state = _mm_crc32_u32(state, u32::from_le_bytes(*bytes));
            tail = rest;
        }
        if let Some((bytes, rest)) = tail.split_first_chunk() {
            state = _mm_crc32_u16(state, u16::from_le_bytes(*bytes));
            tail = rest;
        }
        if let Some(byte) = tail.first() {
            state = _mm_crc32_u8(state, *byte);
        }
        !state
    }

    #[inline]
    #[target_feature(enable = "sse4.2")]
    fn step(state: u64, word: &Word) -> u64 {
        _mm_crc32_u64(state, u64::from_le_bytes(*word))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::crc32c;
    use super::*;

    proptest! {
        #[test]
        fn the_first_wrong_sum_is_found(
            bytes in prop::collection::vec(any::<u8>(), 0..3000),
            lengths in prop::collection::vec(prop_oneof![3 => 0usize..500, 1 => 0usize..20], 0..14),
            wrong in prop::collection::vec((0usize..14, 0u32..32), 0..3),
        ) {
            let mut rest = &bytes[..];
            let mut pieces: Vec<(&[u8], u32)> = Vec::new();
            for len in lengths {
                let (piece, behind) = rest.split_at(len.min(rest.len()));
                pieces.push((piece, crc32c(piece)));
                rest = behind;
            }
            prop_assert_eq!(crc32c_mismatch(&pieces), None);
            for (at, bit) in &wrong {
                if let Some(piece) = pieces.get_mut(*at) {
                    piece.1 ^= 1 << bit;
                }
            }
            let want = pieces.iter().position(|(bytes, sum)| crc32c(bytes) != *sum);
            prop_assert_eq!(crc32c_mismatch(&pieces), want);
        }
    }
}
