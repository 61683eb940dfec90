//! Float chunks against decoders that read one bit after the other, as `docs/format/chunk-encodings.md`
//! says: every byte string is decoded to the same samples, or refused by both.

use model::value::STALE_NAN_BITS;
use model::{Columns, TimeRange};
use proptest::prelude::*;
use storage::chunk::{self, CutRule, EncodeOptions, Encoding};

/// Bits of a byte slice, one at a time; `None` behind its end.
struct Bits<'a>(&'a [u8], usize);

impl Bits<'_> {
    fn read(&mut self, n: u32) -> Option<u64> {
        let mut value = 0;
        for _ in 0..n {
            let byte = *self.0.get(self.1 / 8)?;
            value = value << 1 | u64::from(byte >> (7 - self.1 % 8) & 1);
            self.1 += 1;
        }
        Some(value)
    }

    /// Ones up to the first zero, `max` at most.
    fn ones(&mut self, max: u32) -> Option<u32> {
        for n in 0..max {
            if self.read(1)? == 0 {
                return Some(n);
            }
        }
        Some(max)
    }

    fn signed(&mut self, n: u32) -> Option<i64> {
        Some((self.read(n)? << (64 - n)) as i64 >> (64 - n))
    }

    fn uvarint(&mut self) -> Option<u64> {
        let mut value = 0u64;
        for i in 0..10 {
            let byte = self.read(8)?;
            if i == 9 && byte > 1 {
                return None;
            }
            value |= (byte & 0x7f) << (7 * i);
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    fn varint(&mut self) -> Option<i64> {
        self.uvarint().map(|u| (u >> 1) as i64 ^ -((u & 1) as i64))
    }
}

/// Leading zeros and width of the bits that changed last.
struct Window(u32, u32);

impl Window {
    fn open(&mut self, bits: &mut Bits<'_>) -> Option<()> {
        let (leading, width) = (bits.read(5)? as u32, bits.read(6)? as u32);
        *self = Window(leading, if width == 0 { 64 } else { width });
        (self.0 + self.1 <= 64).then_some(())
    }

    fn changed(&self, bits: &mut Bits<'_>) -> Option<u64> {
        Some(bits.read(self.1)? << (64 - self.0 - self.1))
    }
}

type Samples = Vec<(i64, u64)>;

fn xor(data: &[u8]) -> Option<Samples> {
    let mut bits = Bits(data, 0);
    let mut window = Window(0, 64);
    let (mut t, mut delta, mut value) = (0i64, 0i64, 0);
    let mut samples = Samples::new();
    for i in 0..bits.read(16)? {
        match i {
            0 => t = bits.varint()?,
            1 => delta = bits.uvarint()? as i64,
            _ => {
                // From -(2^(n-1)-1) to 2^(n-1): the lowest number stands for the highest.
                let number = |bits: &mut Bits<'_>, n: u32| {
                    let low = bits.signed(n)?;
                    Some(if low == -1 << (n - 1) { -low } else { low })
                };
                let dod = match bits.ones(4)? {
                    0 => 0,
                    1 => number(&mut bits, 14)?,
                    2 => number(&mut bits, 17)?,
                    3 => number(&mut bits, 20)?,
                    _ => bits.read(64)? as i64,
                };
                delta = delta.wrapping_add(dod);
            }
        }
        t = t.wrapping_add(delta);
        if i == 0 {
            value = bits.read(64)?;
        } else if bits.read(1)? == 1 {
            if bits.read(1)? == 1 {
                window.open(&mut bits)?;
            }
            value ^= window.changed(&mut bits)?;
        }
        samples.push((t, value));
    }
    Some(samples)
}

/// Without start times: the third byte is 0, as it is up to sample 127.
fn xor2(data: &[u8]) -> Option<Samples> {
    let mut bits = Bits(data, 0);
    let mut window = Window(0, 64);
    let (mut t, mut delta, mut value) = (0i64, 0i64, 0);
    let mut samples = Samples::new();
    let count = bits.read(16)?;
    bits.read(8)?;
    for i in 0..count {
        // What the value is: 0 = as before, 1 = in the old window, 2 = in a new one, 3 = stale.
        let mut form = 0;
        match i {
            0 => t = bits.varint()?,
            1 => {
                delta = bits.uvarint()? as i64;
                form = bits.ones(3)?;
            }
            _ => {
                let dod = match bits.ones(5)? {
                    0 => None,
                    1 => {
                        form = 1 + bits.read(1)? as u32;
                        None
                    }
                    2 => Some(bits.signed(13)?),
                    3 => Some(bits.signed(20)?),
                    4 => Some(bits.read(64)? as i64),
                    _ => {
                        form = 3;
                        None
                    }
                };
                if let Some(dod) = dod {
                    delta = delta.wrapping_add(dod);
                    form = bits.ones(3)?;
                }
            }
        }
        t = t.wrapping_add(delta);
        if i == 0 {
            let first = bits.read(64)?;
            value = if first == STALE_NAN_BITS { 0 } else { first };
            samples.push((t, first));
            continue;
        }
        if form == 2 {
            window.open(&mut bits)?;
        }
        if form == 1 || form == 2 {
            value ^= window.changed(&mut bits)?;
        }
        samples.push((t, if form == 3 { STALE_NAN_BITS } else { value }));
    }
    Some(samples)
}

/// Both decoders say the same.
fn check(encoding: Encoding, data: &[u8]) {
    let expected = if encoding == Encoding::Xor { xor(data) } else { xor2(data) };
    // Not into an empty one: what was there before stays.
    let mut out = Columns::default();
    out.push_float(7, 8.0);
    let decoded = chunk::decode(encoding as u8, data, TimeRange::ALL, &mut out).is_ok();
    let samples: Samples =
        out.timestamps.iter().zip(&out.floats).map(|(t, v)| (*t, v.to_bits())).skip(1).collect();
    assert_eq!(decoded.then_some(samples), expected, "{encoding:?} {data:?}");
    assert_eq!((out.timestamps[0], out.floats[0]), (7, 8.0));
}

/// Numbers that look random (xorshift).
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }
}

/// Samples of one kind, chosen by `kind`: values that rest, count, jump or are anything; times that
/// are regular, jittered, or neither.
fn samples(dice: &mut Dice, kind: u64, n: u64) -> Columns {
    let mut columns = Columns::default();
    let (mut t, mut v) = (dice.below(1 << 41) as i64, dice.below(100_000) as f64);
    for _ in 0..n {
        t += 15_000;
        let at = match kind / 6 {
            0 => t,
            1 => t + dice.below(11) as i64 - 5,
            2 if dice.below(20) == 0 => t + dice.below(5) as i64,
            2 => t,
            _ => {
                let wide = dice.below(40);
                t += dice.below(1 << wide) as i64;
                t
            }
        };
        v = match kind % 6 {
            0 => v,
            1 => v + dice.below(40) as f64,
            2 => v + (dice.below(10) == 0) as u8 as f64,
            3 => v + dice.below(1 << 40) as f64 / 1e9,
            4 if dice.below(4) == 0 => f64::from_bits(STALE_NAN_BITS),
            4 => dice.below(3) as f64 - 1.0,
            _ => f64::from_bits(dice.next() >> dice.below(64)),
        };
        columns.push_float(at, v);
    }
    columns
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn chunks_and_damaged_chunks_read_the_same(seed in any::<u64>(), kind in 0u64..24, n in 1u64..126) {
        let mut dice = Dice(seed | 1);
        let columns = samples(&mut dice, kind, n);
        for encoding in [Encoding::Xor, Encoding::Xor2] {
            let options = EncodeOptions { rule: CutRule::Keep(encoding), ..EncodeOptions::default() };
            for mut c in chunk::encode(&columns, options).expect("encode") {
                check(encoding, &c.data);
                check(encoding, &c.data[..dice.below(c.data.len() as u64) as usize]);
                for _ in 0..4 {
                    let at = dice.below(c.data.len() as u64) as usize;
                    if encoding == Encoding::Xor || at != 2 {
                        c.data[at] ^= 1 << dice.below(8);
                    }
                    check(encoding, &c.data);
                }
                c.data.extend((0..dice.below(30)).map(|_| dice.0 as u8));
                check(encoding, &c.data);
            }
        }
    }

    #[test]
    fn any_bytes_read_the_same(seed in any::<u64>(), len in 0u64..120, count in 0u8..200, rare in 1u64..9) {
        let mut dice = Dice(seed | 1);
        for encoding in [Encoding::Xor, Encoding::Xor2] {
            // Mostly ends of varints, then bits of which one in `rare` is set or is not.
            let mut data = vec![0, count, 0];
            data.truncate(if encoding == Encoding::Xor { 2 } else { 3 });
            let ones = dice.below(2) == 0;
            data.extend((0..len).map(|i| {
                let set = (0..8).filter(|_| (dice.below(rare) == 0) == ones);
                let byte = set.fold(0, |byte, bit| byte | 1 << bit);
                if i == 0 || i == 9 { byte & 0x7f } else { byte }
            }));
            check(encoding, &data);
        }
    }
}
