//! An index of any bytes: opened, and everything in it asked for. The checksums of the parts that
//! are checked at open are mended first, else hardly any input would get past them.
#![no_main]

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use model::{CancelToken, MatchOp, Matcher};
use storage::encoding::crc32c;
use storage::index::{IndexReader, Toc};
use storage::postings::{PostingsSource, label_values, postings_for_matchers};

const TOC_LEN: usize = 52;

fuzz_target!(|bytes: &[u8]| {
    let mut bytes = bytes.to_vec();
    mend(&mut bytes);
    let Ok(reader) = IndexReader::open(Arc::new(bytes), Path::new("index")) else { return };
    let cancel = CancelToken::default();
    let names: Vec<String> = reader.label_names().map(str::to_owned).collect();
    for name in &names {
        let mut pairs = Vec::new();
        let _ = reader.pairs(name, "", &mut |value, pair| {
            pairs.push((value.to_owned(), pair));
            ControlFlow::Continue(())
        });
        for (value, pair) in pairs {
            let _ = (reader.list_len(pair), reader.pair(name, &value));
            let _ = reader.with_list(pair, &mut |list| list.append_to(&mut Vec::new()));
        }
        for op in [MatchOp::Regex, MatchOp::NotRegex, MatchOp::NotEqual] {
            let Ok(matcher) = Matcher::new(op, name.as_str(), "a.*") else { continue };
            let _ = label_values(&reader, name, std::slice::from_ref(&matcher), &cancel);
            let _ = postings_for_matchers(&reader, &[matcher], None, &cancel);
        }
    }
    let ids = postings_for_matchers(&reader, &[], None, &cancel).unwrap_or_default();
    for id in ids.iter() {
        let _ = reader.labels(*id).map(|labels| labels.to_string());
        let _ = reader.chunks(*id).map(Iterator::count);
    }
    let _ = reader.label_names_of(&ids);
    let _ = reader.symbols().count();
});

/// Sets the checksums of table of contents, symbols and postings table to what their bytes say.
fn mend(bytes: &mut [u8]) {
    let Some(toc_at) = bytes.len().checked_sub(TOC_LEN) else { return };
    let sum_at = bytes.len() - 4;
    let sum = crc32c(&bytes[toc_at..sum_at]);
    bytes[sum_at..].copy_from_slice(&sum.to_be_bytes());
    let Ok(toc) = Toc::read(bytes) else { return };
    for at in [toc.symbols, toc.postings_table] {
        let at = at as usize;
        let Some(len) = bytes.get(at..at + 4) else { continue };
        let len = u32::from_be_bytes([len[0], len[1], len[2], len[3]]) as usize;
        let Some(content) = bytes.get(at + 4..at + 4 + len) else { continue };
        let sum = crc32c(content).to_be_bytes();
        if let Some(place) = bytes.get_mut(at + 4 + len..at + 8 + len) {
            place.copy_from_slice(&sum);
        }
    }
}
