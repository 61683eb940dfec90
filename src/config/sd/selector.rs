//! Kubernetes selectors: whether the text of a field or label selector is one.

use model::number::go_quote;

/// Checks a field selector: terms `path=value`, `path==value`, `path!=value` with commas between.
pub fn check_fields(selector: &str) -> Result<(), String> {
    for term in split_terms(selector) {
        let ops = ["!=", "==", "="];
        if !term.is_empty() && !ops.iter().any(|op| term.contains(op)) {
            return Err(format!("invalid selector: '{selector}'; can't understand '{term}'"));
        }
    }
    Ok(())
}

/// The terms between commas that no backslash precedes.
fn split_terms(selector: &str) -> Vec<&str> {
    let mut terms = Vec::new();
    let (mut start, mut escaped) = (0, false);
    for (i, c) in selector.char_indices() {
        if c == ',' && !escaped {
            terms.push(&selector[start..i]);
            start = i + 1;
        }
        escaped = c == '\\' && !escaped;
    }
    terms.push(&selector[start..]);
    terms
}

/// Checks a label selector: requirements `key`, `!key`, `key=value`, `key!=value`, `key in (a,b)`,
/// `key notin (a,b)`, `key>1`, `key<1` with commas between.
pub fn check_labels(selector: &str) -> Result<(), String> {
    let tokens = tokens(selector);
    let mut rest = tokens.as_slice();
    while let Some(first) = rest.first() {
        if *first != "!" && is_symbol(first) {
            return Err(format!("found '{first}', expected: !, identifier, or 'end of string'"));
        }
        requirement(&mut rest).map_err(|e| format!("unable to parse requirement: {e}"))?;
        match rest {
            [] => return Ok(()),
            [","] => return Err("found '', expected: identifier after ','".to_owned()),
            [",", next, ..] if *next != "!" && is_symbol(next) => {
                return Err(format!("found '{next}', expected: identifier after ','"));
            }
            [",", tail @ ..] => rest = tail,
            [found, ..] => {
                return Err(format!("found '{found}', expected: ',' or 'end of string'"));
            }
        }
    }
    Ok(())
}

fn requirement(rest: &mut &[&str]) -> Result<(), String> {
    let negated = rest.first() == Some(&"!");
    if negated {
        *rest = &rest[1..];
    }
    let key = next(rest).unwrap_or("");
    if is_symbol(key) || key.is_empty() {
        return Err(format!("found '{key}', expected: identifier"));
    }
    check_key(key)?;
    if negated || matches!(rest.first(), None | Some(&",")) {
        return Ok(());
    }
    let op = next(rest).unwrap_or("");
    match op {
        "in" | "notin" => check_set(key, rest),
        "=" | "==" | "!=" | ">" | "<" => match rest.first() {
            None | Some(&",") => Ok(()),
            Some(value) if is_symbol(value) => {
                Err(format!("found '{value}', expected: identifier"))
            }
            Some(value) => {
                check_value(key, value)?;
                *rest = &rest[1..];
                Ok(())
            }
        },
        other => Err(format!("found '{other}', expected: in, notin, =, ==, !=, gt, lt")),
    }
}

fn check_set(key: &str, rest: &mut &[&str]) -> Result<(), String> {
    let open = next(rest).unwrap_or("");
    if open != "(" {
        return Err(format!("found '{open}' expected: '('"));
    }
    loop {
        match next(rest) {
            Some(")") => return Ok(()),
            Some(",") => {}
            Some(value) if !is_symbol(value) => check_value(key, value)?,
            other => {
                let found = other.unwrap_or("");
                return Err(format!("found '{found}', expected: ',', ')' or identifier"));
            }
        }
    }
}

fn next<'a>(rest: &mut &[&'a str]) -> Option<&'a str> {
    let (first, tail) = rest.split_first()?;
    *rest = tail;
    Some(first)
}

fn is_symbol(token: &str) -> bool {
    matches!(token, "," | "(" | ")" | "=" | "==" | "!=" | "!" | ">" | "<")
}

fn tokens(text: &str) -> Vec<&str> {
    let special = |c: char| c.is_whitespace() || "=!(),><".contains(c);
    let mut out = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let len = match first {
            '=' | '!' if rest[1..].starts_with('=') => 2,
            c if special(c) => c.len_utf8(),
            _ => rest.find(special).unwrap_or(rest.len()),
        };
        out.push(&rest[..len]);
        rest = rest[len..].trim_start();
    }
    out
}

/// A name of at most 63 letters, digits and `-_.` between letters or digits; before a slash a
/// domain.
fn check_key(key: &str) -> Result<(), String> {
    let (domain, name) = match key.split_once('/') {
        Some((domain, name)) => (Some(domain), name),
        None => (None, key),
    };
    let domain_ok = domain.is_none_or(|d| {
        !d.is_empty()
            && d.len() <= 253
            && d.split('.').all(|part| {
                let word = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
                !part.is_empty()
                    && part.bytes().all(word)
                    && !part.starts_with('-')
                    && !part.ends_with('-')
            })
    });
    if domain_ok && !name.is_empty() && is_name(name) {
        return Ok(());
    }
    Err(format!("key: Invalid value: {}", go_quote(key)))
}

fn check_value(key: &str, value: &str) -> Result<(), String> {
    if is_name(value) {
        return Ok(());
    }
    Err(format!(
        "values[0][{key}]: Invalid value: {}: a valid label must be an empty string or consist of \
         alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric \
         character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is \
         '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')",
        go_quote(value)
    ))
}

fn is_name(text: &str) -> bool {
    let edge = |c: Option<char>| c.is_none_or(|c| c.is_ascii_alphanumeric());
    text.len() <= 63
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
        && edge(text.chars().next())
        && edge(text.chars().next_back())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields() {
        for good in ["", "metadata.name=x", "a==b,c!=d", "a=b\\,c"] {
            assert_eq!(check_fields(good), Ok(()), "{good}");
        }
        assert_eq!(
            check_fields("a-b").unwrap_err(),
            "invalid selector: 'a-b'; can't understand 'a-b'"
        );
    }

    #[test]
    fn labels() {
        for good in [
            "",
            "a",
            "!a",
            "a=b,c!=d",
            "env in (prod, dev),tier notin (x)",
            "example.com/a==b",
            "n>1",
            "a=",
        ] {
            assert_eq!(check_labels(good), Ok(()), "{good}");
        }
        for bad in ["a b", "a in b", "a in (b", "-a", "a=-b", "a=b,", "=", "A/", "a=(b"] {
            assert!(check_labels(bad).is_err(), "{bad}");
        }
    }
}
