//! Variables in external labels: `$NAME` and `${NAME}`, as Go's `os.Expand` reads them.

/// Replaces the variables of a text by what `value` gives for their names; `$$` is a dollar sign.
pub fn expand(text: &str, mut value: impl FnMut(&str) -> String) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        if after.is_empty() {
            out.push('$');
            return out;
        }
        let (name, len) = name_at(after);
        match name {
            "$" => out.push('$'),
            // `${` that names nothing is eaten; a `$` before anything else stays.
            "" if len > 0 => {}
            "" => out.push('$'),
            name => out.push_str(&value(name)),
        }
        rest = &after[len..];
    }
    out.push_str(rest);
    out
}

/// The name a text begins with, and how many bytes it takes with its braces.
fn name_at(text: &str) -> (&str, usize) {
    let special = |c: char| "*#$@!?-".contains(c) || c.is_ascii_digit();
    if let Some(inner) = text.strip_prefix('{') {
        return match inner.find('}') {
            Some(0) => ("", 2),
            Some(end) => (&inner[..end], end + 2),
            None => ("", 1),
        };
    }
    match text.chars().next() {
        Some(c) if special(c) => (&text[..1], 1),
        _ => {
            let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
            let end = text.find(|c| !word(c)).unwrap_or(text.len());
            (&text[..end], end)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables() {
        for (text, want) in [
            ("plain", "plain"),
            ("$A-${B}", "<A>-<B>"),
            ("foo${TEST}bar$", "foo<TEST>bar$"),
            ("$$A $ ${} ${A", "$A $  A"),
            ("$1x", "<1>x"),
            ("${$}", "$"),
            ("$ü", "$ü"),
        ] {
            assert_eq!(expand(text, |name| format!("<{name}>")), want, "{text}");
        }
    }
}
