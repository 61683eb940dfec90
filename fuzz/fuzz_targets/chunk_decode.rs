//! Chunk data of any encoding (first byte): decoded or refused; what is decoded can be encoded and
//! decoded again to as many samples.
#![no_main]

use libfuzzer_sys::fuzz_target;
use model::{Columns, TimeRange};
use storage::chunk::{self, CutRule, EncodeOptions, Encoding};

fuzz_target!(|bytes: &[u8]| {
    let Some((&encoding, data)) = bytes.split_first() else { return };
    let mut columns = Columns::default();
    if chunk::decode(encoding, data, TimeRange::ALL, &mut columns).is_err() {
        assert!(columns.is_empty() && columns.floats.is_empty() && columns.histograms.is_empty());
        return;
    }
    assert_eq!(chunk::num_samples(encoding, data), Ok(columns.len()));
    let Ok(encoding) = Encoding::from_u8(encoding) else { return };
    let options = EncodeOptions { rule: CutRule::Keep(encoding), ..EncodeOptions::default() };
    let Ok(chunks) = chunk::encode(&columns, options) else { return };
    let mut again = Columns::default();
    for c in chunks {
        if chunk::decode(c.encoding, &c.data, TimeRange::ALL, &mut again).is_err() {
            return;
        }
    }
    assert_eq!(again.timestamps, columns.timestamps);
});
