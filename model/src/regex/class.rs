//! Character classes of Go's regular expressions: `[a-z]`, `\d`, `[[:alpha:]]`, `\p{Greek}`.

use regex_syntax::hir::{Class, ClassUnicode, ClassUnicodeRange, HirKind};

use super::RegexError;
use super::escape;
use super::syntax::error;

const RANGE: &str = "invalid character class range";

/// The class of ranges given as pairs of characters.
fn ranges(pairs: &[(char, char)]) -> ClassUnicode {
    ClassUnicode::new(pairs.iter().map(|(a, b)| ClassUnicodeRange::new(*a, *b)))
}

/// `class` with other cases when `fold`, then its complement when `negate`.
fn finish(mut class: ClassUnicode, fold: bool, negate: bool) -> ClassUnicode {
    if fold {
        // Fails only without case tables, which are always built in.
        let _ = class.try_case_fold_simple();
    }
    if negate {
        class.negate();
    }
    class
}

/// One character, in every case when `fold`.
pub fn single(c: char, fold: bool) -> ClassUnicode {
    finish(ranges(&[(c, c)]), fold, false)
}

/// Reads `\d`, `\S` … at the start of `text`.
pub fn perl(text: &str, fold: bool) -> Option<(ClassUnicode, &str)> {
    let letter = text.strip_prefix('\\')?.chars().next()?;
    let class = match letter.to_ascii_lowercase() {
        'd' => ranges(&[('0', '9')]),
        's' => ranges(&[('\t', '\n'), ('\x0c', '\r'), (' ', ' ')]),
        'w' => ranges(&[('0', '9'), ('A', 'Z'), ('_', '_'), ('a', 'z')]),
        _ => return None,
    };
    let rest = text.get(2..).unwrap_or("");
    Some((finish(class, fold, letter.is_ascii_uppercase()), rest))
}

/// Reads `\pN`, `\p{Greek}`, `\P{^Greek}` at the start of `text`, if it starts so.
pub fn unicode(text: &str, fold: bool) -> Result<Option<(ClassUnicode, &str)>, RegexError> {
    let mut negate = match text.get(..2) {
        Some(r"\p") => false,
        Some(r"\P") => true,
        _ => return Ok(None),
    };
    let body = &text[2..];
    let Some(first) = body.chars().next() else { return Err(error(RANGE, text)) };
    let (name, rest) = match body.strip_prefix('{') {
        None => body.split_at(first.len_utf8()),
        Some(inner) => inner.split_once('}').ok_or_else(|| error(RANGE, text))?,
    };
    let whole = &text[..text.len() - rest.len()];
    let name = match name.strip_prefix('^') {
        Some(name) => {
            negate = !negate;
            name
        }
        None => name,
    };
    let class = table(name).ok_or_else(|| error(RANGE, whole))?;
    Ok(Some((finish(class, fold, negate), rest)))
}

/// A general category or a script.
fn table(name: &str) -> Option<ClassUnicode> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | ' ');
    if name.is_empty() || !name.chars().all(plain) {
        return None;
    }
    ["gc", "sc"].into_iter().find_map(|property| {
        let hir = regex_syntax::parse(&format!(r"\p{{{property}={name}}}")).ok()?;
        match hir.into_kind() {
            HirKind::Class(Class::Unicode(class)) => Some(class),
            _ => None,
        }
    })
}

/// Reads `[:alpha:]` at the start of `text`, if it starts so.
fn posix(text: &str, fold: bool) -> Result<Option<(ClassUnicode, &str)>, RegexError> {
    let Some((name, rest)) = text.strip_prefix("[:").and_then(|t| t.split_once(":]")) else {
        return Ok(None);
    };
    let whole = &text[..text.len() - rest.len()];
    let negate = name.starts_with('^');
    let class = match name.strip_prefix('^').unwrap_or(name) {
        "alnum" => ranges(&[('0', '9'), ('A', 'Z'), ('a', 'z')]),
        "alpha" => ranges(&[('A', 'Z'), ('a', 'z')]),
        "ascii" => ranges(&[('\0', '\x7f')]),
        "blank" => ranges(&[('\t', '\t'), (' ', ' ')]),
        "cntrl" => ranges(&[('\0', '\x1f'), ('\x7f', '\x7f')]),
        "digit" => ranges(&[('0', '9')]),
        "graph" => ranges(&[('!', '~')]),
        "lower" => ranges(&[('a', 'z')]),
        "print" => ranges(&[(' ', '~')]),
        "punct" => ranges(&[('!', '/'), (':', '@'), ('[', '`'), ('{', '~')]),
        "space" => ranges(&[('\t', '\r'), (' ', ' ')]),
        "upper" => ranges(&[('A', 'Z')]),
        "word" => ranges(&[('0', '9'), ('A', 'Z'), ('_', '_'), ('a', 'z')]),
        "xdigit" => ranges(&[('0', '9'), ('A', 'F'), ('a', 'f')]),
        _ => return Err(error(RANGE, whole)),
    };
    Ok(Some((finish(class, fold, negate), rest)))
}

/// Reads a bracketed class at the start of `text`.
pub fn bracket(text: &str, fold: bool) -> Result<(ClassUnicode, &str), RegexError> {
    let mut rest = text.get(1..).unwrap_or("");
    let negate = rest.starts_with('^');
    rest = rest.strip_prefix('^').unwrap_or(rest);
    let mut class = ClassUnicode::empty();
    let mut first = true;
    // A bracket directly at the start stands for itself.
    while first || !rest.starts_with(']') {
        first = false;
        let mut part = posix(rest, fold)?;
        if part.is_none() {
            part = unicode(rest, fold)?;
        }
        if let Some((set, after)) = part.or_else(|| perl(rest, fold)) {
            class.union(&set);
            rest = after;
            continue;
        }
        let (low, mut after) = character(rest, text)?;
        let mut high = low;
        if after.len() >= 2 && after.starts_with('-') && !after.starts_with("-]") {
            (high, after) = character(&after[1..], text)?;
            if high < low {
                return Err(error(RANGE, &rest[..rest.len() - after.len()]));
            }
        }
        class.union(&finish(ranges(&[(low, high)]), fold, false));
        rest = after;
    }
    Ok((finish(class, false, negate), &rest[1..]))
}

/// One character of the class `whole`.
fn character<'t>(text: &'t str, whole: &str) -> Result<(char, &'t str), RegexError> {
    match text.chars().next() {
        None => Err(error("missing closing ]", whole)),
        Some('\\') => escape::parse(text),
        Some(c) => Ok((c, &text[c.len_utf8()..])),
    }
}
