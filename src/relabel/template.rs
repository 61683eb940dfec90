//! Templates: `$1`, `${1}`, `$name` and `${name}` replaced by what a pattern captured, as Go's
//! `regexp.Expand` does it.
//!
//! A name is as long as it can be, so `$1x` asks for a group named `1x`; a group that is not there
//! is empty; `$$` is a dollar sign, and so is a `$` nothing usable follows.

use regex::Captures;

/// What a pattern captured.
pub enum Groups<'t> {
    /// The pattern `(.*)`: groups 0 and 1 are the whole text.
    Whole(&'t str),
    /// The groups of another pattern.
    Found(Captures<'t>),
}

impl Groups<'_> {
    fn by_number(&self, number: usize) -> &str {
        match self {
            Groups::Whole(text) if number < 2 => text,
            Groups::Whole(_) => "",
            Groups::Found(captures) => captures.get(number).map_or("", |m| m.as_str()),
        }
    }

    fn by_name(&self, name: &str) -> &str {
        match self {
            Groups::Whole(_) => "",
            Groups::Found(captures) => captures.name(name).map_or("", |m| m.as_str()),
        }
    }
}

/// The template with its variables replaced.
pub fn expand(template: &str, groups: &Groups<'_>) -> String {
    let mut out = String::with_capacity(template.len() + 32);
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        if let Some(tail) = after.strip_prefix('$') {
            out.push('$');
            rest = tail;
        } else if let Some((name, tail)) = variable(after) {
            out.push_str(match number_of(name) {
                Some(number) => groups.by_number(number),
                None => groups.by_name(name),
            });
            rest = tail;
        } else {
            out.push('$');
            rest = after;
        }
    }
    out.push_str(rest);
    out
}

/// The name after a `$` and what follows it.
fn variable(text: &str) -> Option<(&str, &str)> {
    let (braced, text) = match text.strip_prefix('{') {
        Some(inner) => (true, inner),
        None => (false, text),
    };
    let end = text.find(|c: char| !is_word(c)).unwrap_or(text.len());
    if end == 0 {
        return None;
    }
    let (name, tail) = text.split_at(end);
    if braced { tail.strip_prefix('}').map(|tail| (name, tail)) } else { Some((name, tail)) }
}

fn is_word(c: char) -> bool {
    c == '_' || c.is_alphabetic() || c.is_numeric()
}

/// A group number: digits without a leading zero, below a hundred million.
fn number_of(name: &str) -> Option<usize> {
    let digits = name.bytes().all(|b| b.is_ascii_digit());
    if !digits || name.len() > 9 || name.len() > 1 && name.starts_with('0') {
        return None;
    }
    name.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pattern: &str, text: &str, template: &str, want: &str) {
        let regex = regex::Regex::new(pattern).unwrap();
        let groups = Groups::Found(regex.captures(text).unwrap());
        assert_eq!(expand(template, &groups), want, "{template}");
    }

    #[test]
    fn variables() {
        let (pattern, text) = ("^(?P<first>a+)(b+)(c)?$", "aabb");
        for (template, want) in [
            ("$1-$2", "aa-bb"),
            ("${1}x$1x", "aax"),
            ("$first$0", "aaaabb"),
            ("$3|$9|$nope", "||"),
            ("$$1 $ $- ${ ${1 ${}", "$1 $ $- ${ ${1 ${}"),
            ("$01", ""),
            ("cost$", "cost$"),
        ] {
            check(pattern, text, template, want);
        }
        assert_eq!(expand("$1/$0/$2", &Groups::Whole("v")), "v/v/");
    }
}
