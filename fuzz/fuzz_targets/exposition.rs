//! A scraped body of any bytes: entries that move on, then an end or one error. Reading on from the
//! start of an entry gives the same entry.
#![no_main]

use epimetheus::textparse::{Entry, PromParser};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut body = bytes.to_vec();
    body.push(b'\n');
    let mut parser = PromParser::new(&body);
    let mut again = PromParser::new(&body);
    loop {
        let (start, metric_type) = (parser.position(), parser.metric_type());
        let entry = parser.next();
        again.seek(start, metric_type);
        match (&entry, &again.next()) {
            // Values may be NaN.
            (Ok(Some(Entry::Sample(a))), Ok(Some(Entry::Sample(b)))) => {
                assert_eq!((a.series, a.prefix, a.timestamp_ms), (b.series, b.prefix, b.timestamp_ms));
                assert_eq!(a.value.to_bits(), b.value.to_bits());
                let _ = parser.labels().map(|labels| labels.to_string());
            }
            (a, b) => assert_eq!(a, b),
        }
        match entry {
            Ok(Some(_)) => assert!(parser.position() > start),
            Ok(None) | Err(_) => break,
        }
    }
});
