//! Columns aligned with spaces, as Go's `tabwriter` does it for promtool.

/// Width of a column at least, and what is between two at least.
const MIN_WIDTH: usize = 13;
const PADDING: usize = 2;

/// Lines of equally many cells; the last column is not padded.
pub(super) fn align<const N: usize>(rows: &[[String; N]]) -> String {
    let width = |column: usize| {
        let widest = rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        (widest + PADDING).max(MIN_WIDTH)
    };
    let widths: Vec<usize> = (0..N).map(width).collect();
    let mut out = String::new();
    for row in rows {
        for (i, cell) in row.iter().enumerate() {
            out.push_str(cell);
            if i + 1 < N {
                let missing = widths[i] - cell.chars().count();
                out.extend(std::iter::repeat_n(' ', missing));
            }
        }
        out.push('\n');
    }
    out
}
