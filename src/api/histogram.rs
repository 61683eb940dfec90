//! Histograms as JSON: count, sum, and the buckets that hold something, each with how its bounds
//! count.

use model::FloatHistogram;

use super::json::push_value;

/// Writes a histogram object.
pub fn push_histogram(out: &mut Vec<u8>, h: &FloatHistogram) {
    out.extend_from_slice(b"{\"count\":");
    push_value(out, h.count);
    out.extend_from_slice(b",\"sum\":");
    push_value(out, h.sum);
    let mut any = false;
    for bucket in h.all_buckets().into_iter().filter(|b| b.count != 0.0) {
        out.extend_from_slice(if any { b",[".as_slice() } else { b",\"buckets\":[[" });
        any = true;
        // 0: (lower, upper], 1: [lower, upper), 2: open, 3: closed.
        out.push(match (bucket.lower_inclusive, bucket.upper_inclusive) {
            (false, true) => b'0',
            (true, false) => b'1',
            (false, false) => b'2',
            (true, true) => b'3',
        });
        for v in [bucket.lower, bucket.upper, bucket.count] {
            out.push(b',');
            push_value(out, v);
        }
        out.push(b']');
    }
    if any {
        out.push(b']');
    }
    out.push(b'}');
}
