//! Chunks of every encoding against the plain list of samples they were made of; and hostile bytes,
//! which may be refused but never panic. Format: `docs/format/chunk-encodings.md`.

use std::collections::BTreeMap;

use model::columns::HistogramValue;
use model::value::{NORMAL_NAN, STALE_NAN};
use model::{Columns, CounterResetHint, FloatHistogram, Histogram, Span, TimeRange};
use proptest::prelude::*;
use storage::chunk::xor::XorEncoder;
use storage::chunk::xor2::Xor2Encoder;
use storage::chunk::{self, CutRule, EncodeOptions, Encoding};

/// Small deterministic numbers (xorshift), so that a case is one seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

/// Time steps: regular, jittered, with gaps of every width the format knows.
fn step(dice: &mut Dice) -> i64 {
    15_000
        + match dice.below(12) {
            0..5 => 0,
            5..8 => dice.below(11) as i64 - 5,
            8 => dice.below(20_000) as i64 - 10_000,
            9 => dice.below(1 << 19) as i64,
            10 => dice.below(1 << 40) as i64,
            _ => (dice.0 >> 8) as i64 >> dice.below(40),
        }
}

fn float(dice: &mut Dice, last: f64) -> f64 {
    match dice.below(10) {
        0..4 => last,
        4 | 5 => last + dice.below(100) as f64,
        6 => [STALE_NAN, NORMAL_NAN, f64::NEG_INFINITY, -0.0, 0.0][dice.below(5) as usize],
        7 => f64::from_bits(dice.0),
        _ => dice.below(1000) as f64 / 7.0,
    }
}

fn floats(seed: u64, n: usize, starts: bool) -> Columns {
    let mut dice = Dice(seed | 1);
    let mut columns = Columns::default();
    let (mut t, mut v, mut start) = (dice.0 as i64 >> 20, 0.0, 0);
    let regular = dice.one_in(3);
    for _ in 0..n {
        v = float(&mut dice, v);
        columns.push_float(t, v);
        if starts && dice.one_in(20) {
            start = t - dice.below(100_000) as i64;
        }
        columns.set_last_start(start);
        t = t.saturating_add(if regular { 15_000 } else { step(&mut dice) });
    }
    columns
}

/// Buckets by index, as spans and counts.
fn layout(buckets: &BTreeMap<i32, u64>) -> (Vec<Span>, Vec<u64>) {
    let mut spans: Vec<Span> = Vec::new();
    let mut next = 0;
    for &index in buckets.keys() {
        match spans.last_mut() {
            Some(span) if index == next => span.length += 1,
            _ => spans.push(Span { offset: index - next, length: 1 }),
        }
        next = index + 1;
    }
    (spans, buckets.values().copied().collect())
}

fn evolve(dice: &mut Dice, buckets: &mut BTreeMap<i32, u64>, gauge: bool) {
    let reset = dice.one_in(25);
    buckets.retain(|_, count| {
        match (gauge, reset) {
            (true, _) => *count = dice.below(50),
            (false, true) => *count = 0,
            (false, false) => *count += dice.below(3) * dice.below(1000),
        }
        *count > 0 || !dice.one_in(3)
    });
    if dice.one_in(3) {
        buckets.entry(dice.below(20) as i32 - 10).or_insert(dice.below(4));
    }
}

fn histograms(seed: u64, n: usize, float: bool, starts: bool) -> Columns {
    let mut dice = Dice(seed | 1);
    let mut columns = Columns::default();
    let (mut positive, mut negative) = (BTreeMap::new(), BTreeMap::new());
    let mut gauge = dice.one_in(3);
    let custom = dice.one_in(4);
    let (mut t, mut schema, mut start) = (1_700_000_000_000, 3, 0);
    for _ in 0..n {
        evolve(&mut dice, &mut positive, gauge);
        if !custom {
            evolve(&mut dice, &mut negative, gauge);
        }
        gauge ^= dice.one_in(60);
        schema = if dice.one_in(50) { dice.below(8) as i32 } else { schema };
        let (positive_spans, p) = layout(&positive);
        let (negative_spans, n) = layout(&negative);
        let deltas = |counts: &[u64]| {
            let mut last = 0;
            counts.iter().map(|&c| (c as i64 - last, last = c as i64).0).collect::<Vec<_>>()
        };
        let hint = match dice.below(30) {
            _ if gauge => CounterResetHint::Gauge,
            0 => CounterResetHint::Reset,
            _ => CounterResetHint::Unknown,
        };
        let integer = Histogram {
            counter_reset_hint: hint,
            schema: if custom { -53 } else { schema },
            zero_threshold: 0.001,
            zero_count: dice.below(10),
            count: p.iter().chain(&n).sum(),
            sum: self::float(&mut dice, 1.5),
            positive_buckets: deltas(&p),
            negative_buckets: deltas(&n),
            positive_spans,
            negative_spans,
            custom_values: if custom { vec![0.25, 1.0, 1e12] } else { vec![] },
        };
        columns.push_histogram(
            t,
            if float {
                HistogramValue::Float(Box::new(integer.to_float()))
            } else {
                HistogramValue::Integer(Box::new(integer))
            },
        );
        if starts && dice.one_in(20) {
            start = t - dice.below(100_000) as i64;
        }
        columns.set_last_start(start);
        t += step(&mut dice).rem_euclid(1 << 30) + 1;
    }
    columns
}

/// What must survive a chunk whatever layout it came to: the bits of its numbers, and the counts of
/// buckets that have any. Of a stale sample only the sum.
fn essence(h: &FloatHistogram) -> (i32, Vec<u64>, Vec<(i64, u64)>) {
    let sum = h.sum.to_bits();
    if model::value::is_stale_nan(h.sum) {
        return (0, vec![sum], vec![]);
    }
    let side = |spans: &[Span], counts: &[f64], sign: i64| {
        let mut index = 0i64;
        let mut at = Vec::new();
        for span in spans {
            index += i64::from(span.offset);
            at.extend(index..index + i64::from(span.length));
            index += i64::from(span.length);
        }
        assert_eq!(at.len(), counts.len());
        let used = at.into_iter().zip(counts).filter(|(_, c)| **c != 0.0);
        used.map(|(i, c)| (sign * (i + 1000), c.to_bits())).collect::<Vec<_>>()
    };
    let mut buckets = side(&h.positive_spans, &h.positive_buckets, 1);
    buckets.extend(side(&h.negative_spans, &h.negative_buckets, -1));
    let mut numbers = vec![sum, h.count.to_bits(), h.zero_count.to_bits()];
    numbers.extend(h.custom_values.iter().map(|v| v.to_bits()));
    (h.schema, numbers, buckets)
}

/// Start and step, by looking at every timestamp.
fn regular(columns: &Columns) -> Option<(i64, i64)> {
    let times = &columns.timestamps;
    let step = times.get(1)?.checked_sub(times[0]).filter(|step| *step > 0)?;
    let even = times.windows(2).all(|w| w[0].checked_add(step) == Some(w[1]));
    even.then_some((times[0], step))
}

/// What columns say about their steps is true, whatever they were decoded from.
fn check_steps(columns: &Columns) {
    if let Some(said) = columns.regular() {
        assert_eq!(Some((said.start, said.step)), regular(columns));
    }
}

/// Encodes, decodes and compares; `keeps_starts` when the encoding has room for them.
fn check(columns: &Columns, options: EncodeOptions, keeps_starts: bool) {
    let chunks = chunk::encode(columns, options).expect("encode");
    let mut back = Columns::default();
    for c in &chunks {
        let n = back.len();
        chunk::decode(c.encoding, &c.data, TimeRange::ALL, &mut back).expect("decode");
        assert_eq!(chunk::num_samples(c.encoding, &c.data), Ok(back.len() - n));
        assert_eq!(c.range.min, back.timestamps[n]);
        assert_eq!(Some(&c.range.max), back.timestamps.last());
        if options.rule == CutRule::Merge {
            assert!(back.len() - n <= 120);
        }
    }
    assert_eq!(back.timestamps, columns.timestamps);
    if keeps_starts {
        assert_eq!(back.start_timestamps, columns.start_timestamps);
    }
    if columns.histograms.is_empty() {
        let bits = |c: &Columns| c.floats.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&back), bits(columns));
        assert_eq!(back.regular().map(|r| (r.start, r.step)), regular(columns));
    }
    for (a, b) in back.histograms.iter().zip(&columns.histograms) {
        assert_eq!(a.index, b.index);
        assert_eq!(essence(&a.value.to_float()), essence(&b.value.to_float()));
    }
    assert_eq!(back.histograms.len(), columns.histograms.len());
}

/// Cuts, flips and lies about the length: any answer but a panic.
fn torture(encoding: u8, data: &[u8], seed: u64) {
    let mut dice = Dice(seed | 1);
    let mut out = Columns::default();
    for len in 0..data.len() {
        let _ = chunk::decode(encoding, &data[..len], TimeRange::ALL, &mut out);
        out.clear();
    }
    for _ in 0..20 {
        let mut bad = data.to_vec();
        for _ in 0..=dice.below(4) {
            let at = dice.below(bad.len() as u64) as usize;
            bad[at] ^= 1 << dice.below(8);
        }
        let range = TimeRange { min: dice.0 as i64 >> 20, max: i64::MAX };
        let _ = chunk::decode(encoding, &bad, range, &mut out);
        check_steps(&out);
        out.clear();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn floats_come_back(seed in any::<u64>(), n in 1usize..400, xor2: bool) {
        let columns = floats(seed, n, xor2);
        for rule in [CutRule::Merge, CutRule::Overlap, CutRule::OutOfOrder] {
            let options = EncodeOptions { rule, xor2, histogram_st: false };
            check(&columns, options, true);
        }
    }

    #[test]
    fn histograms_come_back(seed in any::<u64>(), n in 1usize..200, float: bool, starts: bool) {
        let columns = histograms(seed, n, float, starts);
        for rule in [CutRule::Merge, CutRule::Overlap, CutRule::OutOfOrder] {
            let options = EncodeOptions { rule, xor2: false, histogram_st: starts };
            check(&columns, options, true);
        }
    }

    #[test]
    fn a_range_clips_as_a_filter_would(seed in any::<u64>(), n in 1usize..150, a in 0usize..150, b in 0usize..150, float: bool) {
        let columns = if float { floats(seed, n, true) } else { histograms(seed, n, false, true) };
        let time = |i: usize| columns.timestamps[i.min(n - 1)];
        let range = TimeRange { min: time(a) + 1, max: time(b) };
        let mut back = Columns::default();
        back.push_float(i64::MIN, 1.0);
        let options = EncodeOptions { xor2: true, ..EncodeOptions::default() };
        for c in chunk::encode(&columns, options).expect("encode") {
            chunk::decode(c.encoding, &c.data, range, &mut back).expect("decode");
        }
        let keep: Vec<usize> = (0..n).filter(|&i| range.contains(columns.timestamps[i])).collect();
        prop_assert_eq!(back.len(), keep.len() + 1);
        check_steps(&back);
        for (to, &from) in keep.iter().enumerate() {
            prop_assert_eq!(back.timestamps[to + 1], columns.timestamps[from]);
            prop_assert_eq!(back.histogram(to + 1).is_some(), columns.histogram(from).is_some());
            let start = |c: &Columns, i: usize| c.start_timestamps.get(i).copied().unwrap_or(0);
            prop_assert_eq!(start(&back, to + 1), start(&columns, from));
        }
    }

    #[test]
    fn writing_goes_on_where_it_stopped(seed in any::<u64>(), n in 0usize..150, more in 0usize..150) {
        let columns = floats(seed, n + more, true);
        let (mut xor, mut xor2) = (XorEncoder::new(), Xor2Encoder::new());
        for i in 0..n + more {
            if i == n {
                // The window may be chosen anew, the samples are the same.
                xor = XorEncoder::resume(xor.finish()).expect("resume");
                xor2 = Xor2Encoder::resume(xor2.finish()).expect("resume");
            }
            let (t, v) = (columns.timestamps[i], columns.floats[i]);
            xor.append(t, v).expect("append");
            xor2.append(columns.start_timestamps.get(i).copied().unwrap_or(0), t, v).expect("append");
        }
        for (encoding, data) in [(Encoding::Xor, xor.finish()), (Encoding::Xor2, xor2.finish())] {
            let mut back = Columns::default();
            chunk::decode(encoding as u8, &data, TimeRange::ALL, &mut back).expect("decode");
            prop_assert_eq!(&back.timestamps, &columns.timestamps);
            let same = back.floats.iter().zip(&columns.floats).all(|(a, b)| a.to_bits() == b.to_bits());
            prop_assert!(same);
        }
    }

    #[test]
    fn damaged_chunks_never_panic(seed in any::<u64>(), n in 1usize..60, float: bool) {
        for columns in [floats(seed, n, float), histograms(seed, n, float, true)] {
            let options = EncodeOptions { xor2: float, ..EncodeOptions::default() };
            for c in chunk::encode(&columns, options).expect("encode").iter().take(2) {
                torture(c.encoding, &c.data, seed);
            }
        }
    }

    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), low_count: bool) {
        let mut bytes = bytes;
        if low_count && bytes.len() > 2 {
            bytes[0] = 0;
        }
        for encoding in 0..=8 {
            let mut out = Columns::default();
            out.push_float(1, 2.0);
            let result = chunk::decode(encoding, &bytes, TimeRange::ALL, &mut out);
            if result.is_err() {
                prop_assert_eq!(out.len(), 1);
                prop_assert_eq!(out.floats.len(), 1);
                prop_assert!(out.histograms.is_empty());
            }
            check_steps(&out);
            let _ = chunk::num_samples(encoding, &bytes);
        }
    }
}

/// Few bytes must not become many: every sample would repeat all spans of the chunk.
#[test]
fn repeated_layouts_are_bounded() {
    let mut columns = Columns::default();
    let wide = Histogram {
        positive_spans: vec![Span { offset: 0, length: 0 }; 60_000],
        ..Histogram::default()
    };
    for t in 0..100 {
        columns.push_histogram(t, HistogramValue::Integer(Box::new(wide.clone())));
    }
    let options = EncodeOptions { rule: CutRule::OutOfOrder, ..EncodeOptions::default() };
    let chunks = chunk::encode(&columns, options).expect("encode");
    let mut out = Columns::default();
    let result = chunk::decode(chunks[0].encoding, &chunks[0].data, TimeRange::ALL, &mut out);
    assert!(result.is_err() && out.is_empty());
}
