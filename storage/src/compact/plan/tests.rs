//! Tests of planning: cases as data, and properties of every choice.

use ulid::Ulid;

use super::*;

/// A line of `testdata/storage/plan.txt`: `ranges … blocks … overlap … => …`. A block is `min,max,
/// series,tombstones,failed,hint`; behind the arrow stand the places of what Prometheus 3.14 merges.
fn check(line: &str) {
    let (input, expected) = line.split_once("=>").unwrap();
    let (ranges, rest) = input.strip_prefix("ranges").unwrap().split_once("blocks").unwrap();
    let (blocks, overlapping) = rest.split_once("overlap").unwrap();
    let ranges: Vec<i64> = ranges.split_whitespace().map(|r| r.parse().unwrap()).collect();
    let metas: Vec<BlockMeta> =
        blocks.split_whitespace().enumerate().map(|(i, b)| block(i, b)).collect();
    let expected: Vec<usize> = expected.split_whitespace().map(|i| i.parse().unwrap()).collect();
    assert_eq!(plan(&metas, &ranges, overlapping.trim() == "true"), expected, "{line}");
}

fn block(place: usize, text: &str) -> BlockMeta {
    let fields: Vec<&str> = text.split(',').collect();
    let ulid = Ulid::from_parts(place as u64, 0);
    let mut meta =
        BlockMeta::new(ulid, fields[0].parse().unwrap(), fields[1].parse().unwrap(), None);
    meta.stats.num_series = fields[2].parse().unwrap();
    meta.stats.num_tombstones = fields[3].parse().unwrap();
    meta.compaction.failed = fields[4] == "true";
    match fields[5] {
        "o" => meta.compaction.set_hint(HINT_OUT_OF_ORDER),
        "s" => meta.compaction.set_hint(HINT_STALE_SERIES),
        "c" => meta.compaction.set_hint(HINT_SELECTED_SERIES),
        _ => {}
    }
    meta
}

#[test]
fn chooses_what_prometheus_chooses() {
    let cases = std::fs::read_to_string(testdata::own("storage/plan.txt")).unwrap();
    cases.lines().for_each(check);
}

#[test]
fn extreme_times_do_not_overflow() {
    let metas =
        [block(0, &format!("{},{},1,0,false,-", i64::MIN, i64::MAX)), block(1, "0,0,0,0,false,-")];
    assert_eq!(plan(&metas, &[20, 60], false), Vec::<usize>::new());
    assert_eq!(plan(&metas, &[20, 60], true), [0, 1]);
    assert_eq!(plan(&metas, &[0, 0], false), Vec::<usize>::new());
    assert_eq!(plan(&metas, &[], false), Vec::<usize>::new());
}

#[test]
fn ranges_grow_by_their_factor() {
    assert_eq!(block_ranges(7_200_000, 3, 3), [7_200_000, 21_600_000, 64_800_000]);
    assert_eq!(block_ranges(i64::MAX / 2, 3, 3), [i64::MAX / 2]);
}

#[test]
fn in_order_data_ends_where_its_blocks_do() {
    let metas = [block(0, "0,20,0,0,false,-"), block(1, "20,90,0,0,false,o")];
    assert_eq!(in_order_max_time(&metas), Some(20));
    assert_eq!(in_order_max_time(&metas[1..]), None);
}
