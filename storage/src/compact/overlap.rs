//! Overlap: which blocks share time, for a line in the log. Prometheus's grouping and text.

use std::fmt;

use crate::block::BlockMeta;

/// Blocks that all have the same stretch of time.
#[derive(Clone, Debug, PartialEq)]
pub struct Overlap<'m> {
    pub min_time: i64,
    pub max_time: i64,
    pub blocks: Vec<&'m BlockMeta>,
}

/// The groups of overlapping blocks; `metas` ascend by `min_time`.
pub fn overlaps<'m>(metas: impl IntoIterator<Item = &'m BlockMeta>) -> Vec<Overlap<'m>> {
    let mut groups: Vec<Vec<&BlockMeta>> = Vec::new();
    let mut open: Vec<&BlockMeta> = Vec::new();
    // Whether all blocks of the last group are still open.
    let mut same = false;
    for meta in metas {
        let before = open.len();
        open.retain(|o| o.max_time > meta.min_time);
        same &= open.len() == before;
        open.push(meta);
        if open.len() < 2 {
            continue;
        }
        match groups.last_mut().filter(|_| same) {
            Some(last) => last.push(meta),
            None => groups.push(open.clone()),
        }
        same = true;
    }
    let stretch = |blocks: Vec<&'m BlockMeta>| Overlap {
        min_time: blocks.iter().map(|b| b.min_time).max().unwrap_or(0),
        max_time: blocks.iter().map(|b| b.max_time).min().unwrap_or(0),
        blocks,
    };
    groups.into_iter().map(stretch).collect()
}

/// Whole seconds as Go prints a duration.
fn seconds(ms: i64) -> String {
    let s = ms / 1000;
    match (s / 3600, s / 60 % 60, s % 60) {
        (0, 0, s) => format!("{s}s"),
        (0, m, s) => format!("{m}m{s}s"),
        (h, m, s) => format!("{h}h{m}m{s}s"),
    }
}

impl fmt::Display for Overlap<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (min, max) = (self.min_time, self.max_time);
        let count = self.blocks.len();
        write!(f, "[mint: {min}, maxt: {max}, range: {}, blocks: {count}]: ", seconds(max - min))?;
        for (i, block) in self.blocks.iter().enumerate() {
            let (min, max) = (block.min_time, block.max_time);
            let comma = if i > 0 { ", " } else { "" };
            let range = seconds(max.saturating_sub(min));
            write!(f, "{comma}<ulid: {}, mint: {min}, maxt: {max}, range: {range}>", block.ulid)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Spans in, groups of positions with their common stretch out.
    fn check(spans: &[(i64, i64)], expected: &str) {
        let meta = |(at, &(min, max)): (usize, &(i64, i64))| {
            BlockMeta::new(ulid::Ulid::from(at as u128), min, max, None)
        };
        let metas: Vec<BlockMeta> = spans.iter().enumerate().map(meta).collect();
        let group = |o: &Overlap<'_>| {
            let at: Vec<String> = o.blocks.iter().map(|b| u128::from(b.ulid).to_string()).collect();
            format!("{}-{}: {}", o.min_time, o.max_time, at.join(" "))
        };
        let got: Vec<String> = overlaps(&metas).iter().map(group).collect();
        assert_eq!(got.join("; "), expected, "{spans:?}");
    }

    #[test]
    fn groups_have_time_in_common() {
        check(&[], "");
        check(&[(0, 10), (10, 20), (20, 30)], "");
        check(&[(0, 10), (5, 15)], "5-10: 0 1");
        check(&[(0, 10), (0, 10), (0, 10)], "0-10: 0 1 2");
        check(&[(0, 10), (5, 15), (12, 20), (20, 30)], "5-10: 0 1; 12-15: 1 2");
        check(&[(0, 40), (5, 10), (20, 30)], "5-10: 0 1; 20-30: 0 2");
        let metas = [(0, 7_200_000), (3_600_000, 7_200_500)]
            .map(|(min, max)| BlockMeta::new(ulid::Ulid::nil(), min, max, None));
        let block = "<ulid: 00000000000000000000000000, mint";
        assert_eq!(
            overlaps(&metas)[0].to_string(),
            format!(
                "[mint: 3600000, maxt: 7200000, range: 1h0m0s, blocks: 2]: {block}: 0, maxt: \
                 7200000, range: 2h0m0s>, {block}: 3600000, maxt: 7200500, range: 1h0m0s>"
            )
        );
    }
}
