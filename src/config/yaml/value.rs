//! Value: what is written as YAML.

use std::cmp::Ordering;

/// A value to write.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `null`
    Null,
    /// `true`, `false`
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A whole number without a sign.
    Uint(u64),
    /// A number as Go's `%g` prints it.
    Float(f64),
    /// Text, quoted when it would read as something else.
    Text(String),
    /// A list, one item a line or `[a, b]`.
    List { items: Vec<Value>, flow: bool },
    /// A mapping in this order.
    Map(Vec<(String, Value)>),
}

impl Value {
    /// A mapping with its keys in the order go-yaml writes those of a Go map.
    pub fn sorted(mut self) -> Value {
        if let Value::Map(entries) = &mut self {
            entries.sort_by(|a, b| compare_keys(&a.0, &b.0));
        }
        self
    }
}

/// The order of keys: letters after other characters, numbers inside by their value, so that `a2`
/// comes before `a10`.
fn compare_keys(a: &str, b: &str) -> Ordering {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let Some(at) = a.iter().zip(&b).position(|(x, y)| x != y) else {
        return a.len().cmp(&b.len());
    };
    let (x, y) = (a[at], b[at]);
    match (x.is_alphabetic(), y.is_alphabetic()) {
        (true, true) => return x.cmp(&y),
        (true, false) => return Ordering::Greater,
        (false, true) => return Ordering::Less,
        (false, false) => {}
    }
    // Zeros count as digits of a number that began before the difference.
    let began = (x == '0' || y == '0')
        && a[..at].iter().rev().take_while(|c| c.is_numeric()).any(|c| *c != '0');
    let (x_number, x_len) = leading_number(&a[at..], began);
    let (y_number, y_len) = leading_number(&b[at..], began);
    x_number.cmp(&y_number).then(x_len.cmp(&y_len)).then(x.cmp(&y))
}

/// The number the digits at the start make, and how many they are.
fn leading_number(text: &[char], began: bool) -> (i64, usize) {
    let len = text.iter().take_while(|c| c.is_numeric()).count();
    let number = text[..len].iter().fold(i64::from(began), |n, c| {
        n.wrapping_mul(10).wrapping_add(i64::from(*c as u32) - i64::from(b'0'))
    });
    (number, len)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_in_natural_order() {
        let want = ["", "_a", "1", "2", "10", "A", "a", "a_b", "a1", "a2", "a10", "a20", "ab", "b"];
        let mut keys = want.to_vec();
        keys.reverse();
        keys.sort_by(|a, b| compare_keys(a, b));
        assert_eq!(keys, want);
    }
}
