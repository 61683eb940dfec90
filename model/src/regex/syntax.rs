//! Go's regular expression syntax (`regexp/syntax`, Perl flags and `s`) to the syntax tree of crate
//! `regex-syntax`, whose own syntax differs in many small ways. Errors are Go's.

use regex_syntax::hir::{Capture, Class, ClassUnicode, Dot, Hir, HirKind, Look, Repetition};

use super::RegexError;
use super::{class, escape};

/// Deepest nesting of groups.
pub const MAX_NESTING: u32 = 250;
/// Most copies of something that counted repetitions, multiplied, may ask for.
const MAX_REPEAT: u32 = 1000;

/// The error `reason` about the part `expr` of a pattern.
pub fn error(reason: &str, expr: &str) -> RegexError {
    RegexError { reason: format!("{reason}: `{expr}`") }
}

/// A parsed pattern.
pub struct Parsed {
    pub hir: Hir,
    /// Names of the groups, by number; 0 is the whole.
    pub names: Vec<Option<String>>,
}

#[derive(Clone, Copy)]
struct Flags {
    fold: bool,
    multi_line: bool,
    dot_matches_newline: bool,
    ungreedy: bool,
}

/// An open group.
struct Group {
    /// Number of a capturing group.
    number: Option<u32>,
    /// What to go back to when the group closes.
    flags: Flags,
    alternatives: Vec<Hir>,
    concat: Vec<Hir>,
}

impl Group {
    fn new(number: Option<u32>, flags: Flags) -> Group {
        Group { number, flags, alternatives: Vec::new(), concat: Vec::new() }
    }

    fn next_alternative(&mut self) {
        let done = Hir::concat(std::mem::take(&mut self.concat));
        self.alternatives.push(done);
    }

    fn close(mut self) -> Hir {
        self.next_alternative();
        Hir::alternation(self.alternatives)
    }
}

struct Parser<'p> {
    pattern: &'p str,
    flags: Flags,
    /// The groups open around the innermost one.
    outer: Vec<Group>,
    group: Group,
    names: Vec<Option<String>>,
}

/// Parses `pattern`.
pub fn parse(pattern: &str) -> Result<Parsed, RegexError> {
    let flags =
        Flags { fold: false, multi_line: false, dot_matches_newline: true, ungreedy: false };
    let group = Group::new(None, flags);
    let mut parser = Parser { pattern, flags, outer: Vec::new(), group, names: vec![None] };
    let mut rest = pattern;
    // The repetition just read, and all after it: another one may not follow.
    let mut last_repeat = "";
    while let Some(c) = rest.chars().next() {
        let before = rest;
        let mut repeat = "";
        rest = match c {
            '*' | '+' | '?' => {
                repeat = before;
                let (min, max) = match c {
                    '*' => (0, None),
                    '+' => (1, None),
                    _ => (0, Some(1)),
                };
                parser.repeat(min, max, before, &before[1..], last_repeat)?
            }
            '{' => match counts(before) {
                Some((min, max, after)) => {
                    repeat = before;
                    let fits = min <= MAX_REPEAT && max.is_none_or(|m| m <= MAX_REPEAT && min <= m);
                    if !fits {
                        let expr = &before[..before.len() - after.len()];
                        return Err(error("invalid repeat count", expr));
                    }
                    parser.repeat(min, max, before, after, last_repeat)?
                }
                None => parser.literal(c, &before[1..]),
            },
            _ => parser.atom(c, before)?,
        };
        last_repeat = repeat;
    }
    if !parser.outer.is_empty() {
        return Err(error("missing closing )", pattern));
    }
    Ok(Parsed { hir: parser.group.close(), names: parser.names })
}

impl<'p> Parser<'p> {
    fn push(&mut self, hir: Hir) {
        self.group.concat.push(hir);
    }

    fn push_class(&mut self, class: ClassUnicode) {
        self.push(Hir::class(Class::Unicode(class)));
    }

    fn literal(&mut self, c: char, rest: &'p str) -> &'p str {
        self.push_class(class::single(c, self.flags.fold));
        rest
    }

    /// Reads anything but a repetition at the start of `text`; gives the rest.
    fn atom(&mut self, c: char, text: &'p str) -> Result<&'p str, RegexError> {
        let rest = &text[c.len_utf8()..];
        let multi_line = self.flags.multi_line;
        match c {
            '(' => return self.open(text),
            ')' => {
                let Some(outer) = self.outer.pop() else {
                    return Err(error("unexpected )", self.pattern));
                };
                let group = std::mem::replace(&mut self.group, outer);
                self.flags = group.flags;
                let number = group.number;
                let sub = group.close();
                self.push(match number {
                    Some(index) => self.capture(index, sub),
                    None => sub,
                });
            }
            '|' => self.group.next_alternative(),
            '^' => self.push(Hir::look(if multi_line { Look::StartLF } else { Look::Start })),
            '$' => self.push(Hir::look(if multi_line { Look::EndLF } else { Look::End })),
            '.' => self.push(Hir::dot(match self.flags.dot_matches_newline {
                true => Dot::AnyChar,
                false => Dot::AnyCharExceptLF,
            })),
            '[' => {
                let (class, rest) = class::bracket(text, self.flags.fold)?;
                self.push_class(class);
                return Ok(rest);
            }
            '\\' => return self.escape(text),
            c => return Ok(self.literal(c, rest)),
        }
        Ok(rest)
    }

    fn capture(&self, index: u32, sub: Hir) -> Hir {
        // Crate regex wants names that start with a letter and are unique; the others are known
        // to `names` alone.
        let name = self.names.get(index as usize).cloned().flatten().filter(|name| {
            let letter = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
            letter && self.names.iter().flatten().filter(|n| *n == name).count() == 1
        });
        Hir::capture(Capture { index, name: name.map(Into::into), sub: Box::new(sub) })
    }

    fn escape(&mut self, text: &'p str) -> Result<&'p str, RegexError> {
        let rest = text.get(2..).unwrap_or("");
        match text.as_bytes().get(1) {
            Some(b'A') => self.push(Hir::look(Look::Start)),
            Some(b'z') => self.push(Hir::look(Look::End)),
            Some(b'b') => self.push(Hir::look(Look::WordAscii)),
            Some(b'B') => self.push(Hir::look(Look::WordAsciiNegate)),
            Some(b'Q') => {
                let (quoted, rest) = rest.split_once(r"\E").unwrap_or((rest, ""));
                for c in quoted.chars() {
                    self.literal(c, "");
                }
                return Ok(rest);
            }
            _ => {
                let fold = self.flags.fold;
                let class = match class::unicode(text, fold)? {
                    Some(class) => Some(class),
                    None => class::perl(text, fold),
                };
                if let Some((class, rest)) = class {
                    self.push_class(class);
                    return Ok(rest);
                }
                let (c, rest) = escape::parse(text)?;
                return Ok(self.literal(c, rest));
            }
        }
        Ok(rest)
    }

    /// Reads `(`, `(?:`, `(?i)`, `(?P<name>` …
    fn open(&mut self, text: &'p str) -> Result<&'p str, RegexError> {
        if self.outer.len() >= MAX_NESTING as usize {
            return Err(error("expression nests too deeply", self.pattern));
        }
        if !text.starts_with("(?") {
            self.open_capture(None);
            return Ok(&text[1..]);
        }
        let named = (text.len() > 4).then(|| text.strip_prefix("(?P<")).flatten();
        if let Some(body) = named.or_else(|| text.strip_prefix("(?<").filter(|b| !b.is_empty())) {
            let Some((name, rest)) = body.split_once('>') else {
                return Err(error("invalid named capture", text));
            };
            let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
            if name.is_empty() || !name.chars().all(plain) {
                let expr = &text[..text.len() - rest.len()];
                return Err(error("invalid named capture", expr));
            }
            self.open_capture(Some(name.to_owned()));
            return Ok(rest);
        }
        self.flag_group(text)
    }

    fn open_capture(&mut self, name: Option<String>) {
        let number = self.names.len() as u32;
        self.names.push(name);
        self.open_group(Some(number));
    }

    fn open_group(&mut self, number: Option<u32>) {
        let group = Group::new(number, self.flags);
        self.outer.push(std::mem::replace(&mut self.group, group));
    }

    /// Reads `(?i)` or `(?i-s:`.
    fn flag_group(&mut self, text: &'p str) -> Result<&'p str, RegexError> {
        let mut flags = self.flags;
        let (mut on, mut any) = (true, false);
        let mut chars = text[2..].chars();
        for c in chars.by_ref() {
            match c {
                'i' => flags.fold = on,
                'm' => flags.multi_line = on,
                's' => flags.dot_matches_newline = on,
                'U' => flags.ungreedy = on,
                '-' if on => {
                    on = false;
                    any = false;
                    continue;
                }
                ':' | ')' if on || any => {
                    if c == ':' {
                        self.open_group(None);
                    }
                    self.flags = flags;
                    return Ok(chars.as_str());
                }
                _ => break,
            }
            any = true;
        }
        let expr = &text[..text.len() - chars.as_str().len()];
        Err(error("invalid or unsupported Perl syntax", expr))
    }

    /// Repeats the last element; `before` starts at the operator, `after` behind it.
    fn repeat(
        &mut self,
        min: u32,
        max: Option<u32>,
        before: &'p str,
        after: &'p str,
        last_repeat: &'p str,
    ) -> Result<&'p str, RegexError> {
        let rest = after.strip_prefix('?').unwrap_or(after);
        let greedy = (rest.len() == after.len()) != self.flags.ungreedy;
        if !last_repeat.is_empty() {
            let expr = &last_repeat[..last_repeat.len() - rest.len()];
            return Err(error("invalid nested repetition operator", expr));
        }
        let expr = &before[..before.len() - rest.len()];
        let Some(sub) = self.group.concat.pop() else {
            return Err(error("missing argument to repetition operator", expr));
        };
        let counted = before.starts_with('{') && (min >= 2 || max.is_some_and(|m| m >= 2));
        let hir = Hir::repetition(Repetition { min, max, greedy, sub: Box::new(sub) });
        if counted && !repeats_at_most(&hir, MAX_REPEAT) {
            return Err(error("invalid repeat count", expr));
        }
        self.push(hir);
        Ok(rest)
    }
}

/// Reads `{2}`, `{2,}` or `{2,5}`; anything else is not a repetition. Numbers that are too large
/// come back as `u32::MAX`.
fn counts(text: &str) -> Option<(u32, Option<u32>, &str)> {
    let (min, rest) = count(text.strip_prefix('{')?)?;
    if let Some(rest) = rest.strip_prefix('}') {
        return Some((min, Some(min), rest));
    }
    let rest = rest.strip_prefix(',')?;
    if let Some(rest) = rest.strip_prefix('}') {
        return Some((min, None, rest));
    }
    let (max, rest) = count(rest)?;
    Some((min, Some(max), rest.strip_prefix('}')?))
}

fn count(text: &str) -> Option<(u32, &str)> {
    let len = text.bytes().take_while(u8::is_ascii_digit).count();
    let (digits, rest) = text.split_at(len);
    let leading_zero = len > 1 && digits.starts_with('0');
    if len == 0 || leading_zero {
        return None;
    }
    Some((digits.parse().unwrap_or(u32::MAX), rest))
}

/// Whether nested repetitions ask for at most `n` copies of the innermost element.
fn repeats_at_most(hir: &Hir, mut n: u32) -> bool {
    match hir.kind() {
        HirKind::Repetition(r) => {
            let times = r.max.unwrap_or(r.min);
            if r.max == Some(0) {
                return true;
            }
            if times > n {
                return false;
            }
            n = n.checked_div(times).unwrap_or(n);
            repeats_at_most(&r.sub, n)
        }
        HirKind::Capture(c) => repeats_at_most(&c.sub, n),
        HirKind::Concat(parts) | HirKind::Alternation(parts) => {
            parts.iter().all(|p| repeats_at_most(p, n))
        }
        _ => true,
    }
}
