//! Retention: which blocks have to go. Pure functions from what is known of them.

use ulid::Ulid;

/// What retention looks at of one block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retained {
    pub ulid: Ulid,
    /// First millisecond that no sample of it has any more.
    pub max_time: i64,
    pub size_bytes: u64,
    /// A merge left nothing of it.
    pub deletable: bool,
}

/// The limits; 0 = none.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Limits {
    /// A block goes when it ended this long before the newest one did.
    pub time_ms: i64,
    /// The oldest blocks go while everything together is larger.
    pub size_bytes: u64,
}

/// What has to go, and which limit it was.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expired {
    pub ulids: Vec<Ulid>,
    pub by_time: bool,
    pub by_size: bool,
}

/// The size limit in force: a percentage of the file system replaces bytes when its size is known.
pub fn size_limit(fixed_bytes: u64, percentage: f64, file_system_bytes: Option<u64>) -> u64 {
    match file_system_bytes {
        Some(total) if percentage > 0.0 && total > 0 => (total as f64 * percentage / 100.0) as u64,
        _ => fixed_bytes,
    }
}

/// The blocks that have to go. `head_bytes` is what log and head chunks take; it counts too.
pub fn expired(blocks: &[Retained], head_bytes: u64, limits: Limits) -> Expired {
    let mut newest_first = blocks.to_vec();
    newest_first.sort_by_key(|b| std::cmp::Reverse(b.max_time));
    let by_time = beyond_time(&newest_first, limits.time_ms);
    let by_size = beyond_size(&newest_first, head_bytes, limits.size_bytes);
    let keep = by_time.min(by_size);
    let ulids = newest_first
        .iter()
        .enumerate()
        .filter(|(i, block)| *i >= keep || block.deletable)
        .map(|(_, block)| block.ulid)
        .collect();
    let all = newest_first.len();
    Expired { ulids, by_time: by_time < all, by_size: by_size < all }
}

/// How many of the blocks (newest first) stay.
fn beyond_time(blocks: &[Retained], limit_ms: i64) -> usize {
    let Some(newest) = blocks.first().filter(|_| limit_ms != 0) else { return blocks.len() };
    let old = |b: &Retained| newest.max_time.wrapping_sub(b.max_time) >= limit_ms;
    let first = blocks.iter().skip(1).position(old);
    first.map_or(blocks.len(), |at| at + 1)
}

/// How many of the blocks (newest first) stay.
fn beyond_size(blocks: &[Retained], head_bytes: u64, limit_bytes: u64) -> usize {
    if limit_bytes == 0 {
        return blocks.len();
    }
    let mut total = head_bytes;
    let over = |b: &Retained| {
        total = total.saturating_add(b.size_bytes);
        total > limit_bytes
    };
    blocks.iter().position(over).unwrap_or(blocks.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Blocks of 100 bytes that end at the given times, named by their place.
    fn check(ends: &[i64], head_bytes: u64, limits: Limits, gone: &[u64], by: (bool, bool)) {
        let blocks: Vec<Retained> = ends
            .iter()
            .enumerate()
            .map(|(i, end)| Retained {
                ulid: Ulid::from_parts(i as u64, 0),
                max_time: *end,
                size_bytes: 100,
                deletable: false,
            })
            .collect();
        let got = expired(&blocks, head_bytes, limits);
        let mut places: Vec<u64> = got.ulids.iter().map(|u| u.timestamp_ms()).collect();
        places.sort_unstable();
        assert_eq!((places.as_slice(), (got.by_time, got.by_size)), (gone, by));
    }

    #[test]
    fn by_time() {
        let limit = |time_ms| Limits { time_ms, size_bytes: 0 };
        check(&[10, 20, 30], 0, limit(0), &[], (false, false));
        check(&[10, 20, 30], 0, limit(20), &[0], (true, false));
        check(&[10, 20, 30], 0, limit(21), &[], (false, false));
        check(&[30, 10, 20], 0, limit(10), &[1, 2], (true, false));
        check(&[30], 0, limit(1), &[], (false, false));
        check(&[], 0, limit(1), &[], (false, false));
    }

    #[test]
    fn by_size() {
        let limit = |size_bytes| Limits { time_ms: 0, size_bytes };
        check(&[10, 20, 30], 0, limit(300), &[], (false, false));
        check(&[10, 20, 30], 1, limit(300), &[0], (false, true));
        check(&[10, 20, 30], 0, limit(99), &[0, 1, 2], (false, true));
        check(&[10, 20, 30], 0, Limits { time_ms: 10, size_bytes: 200 }, &[0, 1], (true, true));
    }

    #[test]
    fn what_a_merge_emptied_goes_at_once() {
        let ulid = Ulid::from_parts(7, 0);
        let block = Retained { ulid, max_time: 1, size_bytes: 1, deletable: true };
        assert_eq!(expired(&[block], 0, Limits::default()).ulids, [ulid]);
    }

    #[test]
    fn percentage_replaces_bytes() {
        assert_eq!(size_limit(500, 0.0, Some(1000)), 500);
        assert_eq!(size_limit(500, 12.5, Some(1000)), 125);
        assert_eq!(size_limit(500, 12.5, None), 500);
    }
}
