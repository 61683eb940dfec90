//! A remote-write request of any bytes, not compressed: every part is parsed or refused.
#![no_main]

use epimetheus::remote::message;
use epimetheus::remote::proto::{ProtoError, Reader};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = message::each_series(bytes, |series| {
        let _ = message::parse_labels(&series.labels)?;
        let mut fields = Reader::new(&series.rest);
        while let Some((number, value)) = fields.field()? {
            match number {
                2 => drop(message::parse_sample(value.bytes("Samples")?)?),
                3 => drop(message::parse_exemplar(value.bytes("Exemplars")?)?),
                4 => drop(message::parse_histogram(value.bytes("Histograms")?)?),
                _ => {}
            }
        }
        Ok::<(), ProtoError>(())
    });
    for message in [bytes, bytes.get(1..).unwrap_or_default()] {
        let _ = (message::parse_sample(message), message::parse_exemplar(message));
        let _ = (message::parse_histogram(message), message::parse_labels(message));
    }
});
