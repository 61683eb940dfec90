//! The text of a document in the style of go-yaml v2: two spaces of indent, lists not indented in
//! their mapping, lines broken at a space after 80 columns, text plain where it reads back as text.

use model::number::format_g;

use super::resolve::is_base60;
use super::value::Value;
use super::{Resolved, resolve_plain};

/// Columns after which a line is broken at the next space.
const BEST_WIDTH: usize = 80;
/// Longest key written as `key:`; longer ones as `? key`.
const MAX_SIMPLE_KEY: usize = 128;

/// The text of a document.
pub fn to_text(value: &Value) -> String {
    let mut writer = Writer { whitespace: true, indention: true, ..Writer::default() };
    writer.node(value, Place::Root);
    writer.indent = None;
    writer.write_indent();
    writer.out
}

/// Where a node stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Root,
    Item,
    Key,
    Value,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Style {
    Plain,
    Single,
    Double,
    Literal,
}

/// What styles a text allows.
struct Shape {
    multiline: bool,
    flow_plain: bool,
    block_plain: bool,
    single: bool,
    block: bool,
}

#[derive(Default)]
struct Writer {
    out: String,
    column: usize,
    /// The indent of the current collection; none outside of all.
    indent: Option<usize>,
    flow_level: usize,
    /// The last character written was a space or a line break.
    whitespace: bool,
    /// Only indent and indicators such as `- ` stand on this line so far.
    indention: bool,
}

impl Writer {
    fn node(&mut self, value: &Value, place: Place) {
        match value {
            Value::Null => self.plain_scalar("null"),
            Value::Bool(b) => self.plain_scalar(if *b { "true" } else { "false" }),
            Value::Int(n) => self.plain_scalar(&n.to_string()),
            Value::Uint(n) => self.plain_scalar(&n.to_string()),
            Value::Float(f) => self.plain_scalar(&float_text(*f)),
            Value::Text(text) => self.text(text, place),
            Value::List { items, flow } if *flow || self.flow_level > 0 || items.is_empty() => {
                self.flow_list(items);
            }
            Value::List { items, .. } => self.block_list(items, place),
            Value::Map(entries) if entries.is_empty() || self.flow_level > 0 => {
                self.flow_map(entries);
            }
            Value::Map(entries) => self.block_map(entries),
        }
    }

    fn flow_list(&mut self, items: &[Value]) {
        self.indicator("[", true, true, false);
        let outer = self.deeper(true, false);
        self.flow_level += 1;
        for (i, item) in items.iter().enumerate() {
            if i > 0 {
                self.indicator(",", false, false, false);
            }
            if self.column > BEST_WIDTH {
                self.write_indent();
            }
            self.node(item, Place::Item);
        }
        self.flow_level -= 1;
        self.indent = outer;
        self.indicator("]", false, false, false);
    }

    fn flow_map(&mut self, entries: &[(String, Value)]) {
        self.indicator("{", true, true, false);
        let outer = self.deeper(true, false);
        self.flow_level += 1;
        for (i, (key, value)) in entries.iter().enumerate() {
            if i > 0 {
                self.indicator(",", false, false, false);
            }
            if self.column > BEST_WIDTH {
                self.write_indent();
            }
            self.text(key, Place::Key);
            self.indicator(":", false, false, false);
            self.node(value, Place::Value);
        }
        self.flow_level -= 1;
        self.indent = outer;
        self.indicator("}", false, false, false);
    }

    fn block_list(&mut self, items: &[Value], place: Place) {
        let outer = self.deeper(false, place == Place::Value && !self.indention);
        for item in items {
            self.write_indent();
            self.indicator("-", true, false, true);
            self.node(item, Place::Item);
        }
        self.indent = outer;
    }

    fn block_map(&mut self, entries: &[(String, Value)]) {
        let outer = self.deeper(false, false);
        for (key, value) in entries {
            self.write_indent();
            if !shape_of(key).multiline && key.len() <= MAX_SIMPLE_KEY {
                self.text(key, Place::Key);
                self.indicator(":", false, false, false);
            } else {
                self.indicator("?", true, false, true);
                self.text(key, Place::Value);
                self.write_indent();
                self.indicator(":", true, false, true);
            }
            self.node(value, Place::Value);
        }
        self.indent = outer;
    }

    /// Goes one level deeper and gives the indent to come back to.
    fn deeper(&mut self, flow: bool, indentless: bool) -> Option<usize> {
        let outer = self.indent;
        self.indent = match outer {
            None => Some(if flow { 2 } else { 0 }),
            Some(indent) if indentless => Some(indent),
            Some(indent) => Some(indent + 2),
        };
        outer
    }

    fn plain_scalar(&mut self, text: &str) {
        self.plain(text, true);
    }

    fn text(&mut self, text: &str, place: Place) {
        let style = self.style_of(text, place == Place::Key);
        let outer = self.deeper(true, false);
        let breaks = place != Place::Key;
        match style {
            Style::Plain => self.plain(text, breaks),
            Style::Single => self.single_quoted(text, breaks),
            Style::Double => self.double_quoted(text, breaks),
            Style::Literal => self.literal(text),
        }
        self.indent = outer;
    }

    fn style_of(&self, text: &str, key: bool) -> Style {
        let shape = shape_of(text);
        let reads_as_text = matches!(resolve_plain(text), Resolved::Text) && !is_base60(text);
        let mut style = if text.contains('\n') {
            Style::Literal
        } else if reads_as_text {
            Style::Plain
        } else {
            Style::Double
        };
        if key && shape.multiline {
            style = Style::Double;
        }
        let flow = self.flow_level > 0;
        let plain_allowed = if flow { shape.flow_plain } else { shape.block_plain };
        if style == Style::Plain && (!plain_allowed || text.is_empty() && (flow || key)) {
            style = Style::Single;
        }
        if style == Style::Single && !shape.single {
            style = Style::Double;
        }
        if style == Style::Literal && (!shape.block || flow || key) {
            style = Style::Double;
        }
        style
    }

    fn plain(&mut self, text: &str, allow_breaks: bool) {
        if !self.whitespace {
            self.put(' ');
        }
        self.running_text(text, allow_breaks, false);
        self.whitespace = false;
        self.indention = false;
    }

    fn single_quoted(&mut self, text: &str, allow_breaks: bool) {
        self.indicator("'", true, false, false);
        self.running_text(text, allow_breaks, true);
        self.indicator("'", false, false, false);
        self.whitespace = false;
        self.indention = false;
    }

    /// Plain or single-quoted text, broken at single spaces past the width.
    fn running_text(&mut self, text: &str, allow_breaks: bool, quoted: bool) {
        let chars: Vec<char> = text.chars().collect();
        let (mut spaces, mut breaks) = (false, false);
        for (i, c) in chars.iter().enumerate() {
            if *c == ' ' {
                let inside = !quoted || i > 0 && i + 1 < chars.len();
                let single = chars.get(i + 1).is_none_or(|next| *next != ' ');
                if allow_breaks && !spaces && self.column > BEST_WIDTH && inside && single {
                    self.write_indent();
                } else {
                    self.put(' ');
                }
                spaces = true;
            } else if is_break(*c) {
                if !breaks && *c == '\n' {
                    self.put_break();
                }
                self.write_break(*c);
                self.indention = true;
                breaks = true;
            } else {
                if breaks {
                    self.write_indent();
                }
                if quoted && *c == '\'' {
                    self.put('\'');
                }
                self.put(*c);
                self.indention = false;
                (spaces, breaks) = (false, false);
            }
        }
    }

    fn double_quoted(&mut self, text: &str, allow_breaks: bool) {
        self.indicator("\"", true, false, false);
        let chars: Vec<char> = text.chars().collect();
        let bom = chars.first() == Some(&'\u{feff}');
        let mut spaces = false;
        for (i, c) in chars.iter().enumerate() {
            if !is_printable(*c) || bom || is_break(*c) || matches!(c, '"' | '\\') {
                self.escaped(*c);
                spaces = false;
            } else if *c == ' ' {
                let inside = i > 0 && i + 1 < chars.len();
                if allow_breaks && !spaces && self.column > BEST_WIDTH && inside {
                    self.write_indent();
                    if chars.get(i + 1) == Some(&' ') {
                        self.put('\\');
                    }
                } else {
                    self.put(' ');
                }
                spaces = true;
            } else {
                self.put(*c);
                spaces = false;
            }
        }
        self.indicator("\"", false, false, false);
        self.whitespace = false;
        self.indention = false;
    }

    fn escaped(&mut self, c: char) {
        let code = c as u32;
        let text = match c {
            '\0' => "\\0".to_owned(),
            '\u{7}' => "\\a".to_owned(),
            '\u{8}' => "\\b".to_owned(),
            '\t' => "\\t".to_owned(),
            '\n' => "\\n".to_owned(),
            '\u{b}' => "\\v".to_owned(),
            '\u{c}' => "\\f".to_owned(),
            '\r' => "\\r".to_owned(),
            '\u{1b}' => "\\e".to_owned(),
            '"' => "\\\"".to_owned(),
            '\\' => "\\\\".to_owned(),
            '\u{85}' => "\\N".to_owned(),
            '\u{a0}' => "\\_".to_owned(),
            '\u{2028}' => "\\L".to_owned(),
            '\u{2029}' => "\\P".to_owned(),
            _ if code <= 0xff => format!("\\x{code:02X}"),
            _ if code <= 0xffff => format!("\\u{code:04X}"),
            _ => format!("\\U{code:08X}"),
        };
        text.chars().for_each(|c| self.put(c));
    }

    fn literal(&mut self, text: &str) {
        self.indicator("|", true, false, false);
        let first = text.chars().next();
        if first.is_some_and(|c| c == ' ' || is_break(c)) {
            self.indicator("2", false, false, false);
        }
        let mut tail = text.chars().rev();
        let ends_broken = tail.next().is_some_and(is_break);
        if !ends_broken {
            self.indicator("-", false, false, false);
        } else if tail.next().is_none_or(is_break) {
            self.indicator("+", false, false, false);
        }
        self.put_break();
        self.indention = true;
        self.whitespace = true;
        let mut breaks = true;
        for c in text.chars() {
            if is_break(c) {
                self.write_break(c);
                self.indention = true;
                breaks = true;
            } else {
                if breaks {
                    self.write_indent();
                }
                self.put(c);
                self.indention = false;
                breaks = false;
            }
        }
    }

    fn indicator(
        &mut self,
        text: &str,
        need_whitespace: bool,
        is_whitespace: bool,
        is_indention: bool,
    ) {
        if need_whitespace && !self.whitespace {
            self.put(' ');
        }
        text.chars().for_each(|c| self.put(c));
        self.whitespace = is_whitespace;
        self.indention = self.indention && is_indention;
    }

    fn write_indent(&mut self) {
        let indent = self.indent.unwrap_or(0);
        if !self.indention || self.column > indent || self.column == indent && !self.whitespace {
            self.put_break();
        }
        while self.column < indent {
            self.put(' ');
        }
        self.whitespace = true;
        self.indention = true;
    }

    fn write_break(&mut self, c: char) {
        if c == '\n' {
            self.put_break();
        } else {
            self.out.push(c);
            self.column = 0;
        }
    }

    fn put_break(&mut self) {
        self.out.push('\n');
        self.column = 0;
    }

    fn put(&mut self, c: char) {
        self.out.push(c);
        self.column += 1;
    }
}

fn float_text(f: f64) -> String {
    if f.is_nan() {
        ".nan".to_owned()
    } else if f.is_infinite() {
        if f > 0.0 { ".inf".to_owned() } else { "-.inf".to_owned() }
    } else {
        format_g(f)
    }
}

fn is_break(c: char) -> bool {
    matches!(c, '\r' | '\n' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// What libyaml prints as it is; characters beyond the basic plane are not among it.
fn is_printable(c: char) -> bool {
    match c {
        '\n' | ' '..='~' => true,
        '\u{a0}'..='\u{d7ff}' => true,
        '\u{feff}' => false,
        '\u{e000}'..='\u{fffd}' => true,
        _ => false,
    }
}

fn shape_of(text: &str) -> Shape {
    if text.is_empty() {
        return Shape {
            multiline: false,
            flow_plain: false,
            block_plain: true,
            single: true,
            block: false,
        };
    }
    let marks = text.starts_with("---") || text.starts_with("...");
    let (mut block_indicators, mut flow_indicators) = (marks, marks);
    let (mut special, mut line_breaks) = (false, false);
    let (mut break_space, mut space_break) = (false, false);
    let (mut previous_space, mut previous_break) = (false, false);
    let mut after_blank = true;
    let mut chars = text.chars().enumerate().peekable();
    while let Some((i, c)) = chars.next() {
        let before_blank = chars.peek().is_none_or(|(_, next)| matches!(next, ' ' | '\t'));
        let (flow, block) = indicates(c, i == 0, after_blank, before_blank);
        flow_indicators |= flow;
        block_indicators |= block;
        special |= !is_printable(c);
        line_breaks |= is_break(c);
        break_space |= c == ' ' && previous_break;
        space_break |= is_break(c) && previous_space;
        previous_space = c == ' ';
        previous_break = is_break(c);
        after_blank = matches!(c, ' ' | '\t' | '\0') || is_break(c);
    }
    let edge = |c: Option<char>| c.is_some_and(|c| c == ' ' || is_break(c));
    let edges = edge(text.chars().next()) || edge(text.chars().next_back());
    let plain = !edges && !break_space && !space_break && !special && !line_breaks;
    Shape {
        multiline: line_breaks,
        flow_plain: plain && !flow_indicators,
        block_plain: plain && !block_indicators,
        single: !break_space && !space_break && !special,
        block: !text.ends_with(' ') && !space_break && !special,
    }
}

/// Whether a character reads as YAML syntax, inside flow collections and outside.
fn indicates(c: char, first: bool, after_blank: bool, before_blank: bool) -> (bool, bool) {
    match c {
        '#' | ',' | '[' | ']' | '{' | '}' | '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%'
        | '@' | '`'
            if first =>
        {
            (true, true)
        }
        '?' if first => (true, before_blank),
        '-' if first => (before_blank, before_blank),
        ':' => (true, before_blank),
        ',' | '?' | '[' | ']' | '{' | '}' => (true, false),
        '#' => (after_blank, after_blank),
        _ => (false, false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(s: &str) -> Value {
        Value::Text(s.to_owned())
    }

    fn list(items: &[&str], flow: bool) -> Value {
        Value::List { items: items.iter().map(|s| text(s)).collect(), flow }
    }

    fn check(value: Value, want: &str) {
        let map = Value::Map(vec![("a".to_owned(), value)]);
        assert_eq!(to_text(&map), want);
    }

    #[test]
    fn scalars() {
        for (value, want) in [
            ("plain", "a: plain\n"),
            ("yes", "a: \"yes\"\n"),
            ("10", "a: \"10\"\n"),
            ("2020-01-01", "a: \"2020-01-01\"\n"),
            ("1:20", "a: \"1:20\"\n"),
            ("", "a: \"\"\n"),
            ("${1}", "a: ${1}\n"),
            ("*x", "a: '*x'\n"),
            ("it's: x", "a: 'it''s: x'\n"),
            ("tab\there", "a: \"tab\\there\"\n"),
            ("two\nlines", "a: |-\n  two\n  lines\n"),
            ("end\n", "a: |\n  end\n"),
            ("end\n\n", "a: |+\n  end\n\n"),
            (" lead\n", "a: |2\n   lead\n"),
            ("smile 😀", "a: \"smile \\U0001F600\"\n"),
            ("ünï", "a: ünï\n"),
        ] {
            check(text(value), want);
        }
        check(Value::Float(1e21), "a: 1e+21\n");
        check(Value::Null, "a: null\n");
    }

    #[test]
    fn collections() {
        check(list(&[], false), "a: []\n");
        check(list(&["x", "1"], false), "a:\n- x\n- \"1\"\n");
        check(list(&["x", "a,b", ""], true), "a: [x, 'a,b', \"\"]\n");
        check(Value::Map(Vec::new()), "a: {}\n");
        let inner = Value::Map(vec![("k".to_owned(), list(&["v"], false))]);
        let items = Value::List { items: vec![inner.clone(), inner], flow: false };
        check(items, "a:\n- k:\n  - v\n- k:\n  - v\n");
    }

    #[test]
    fn long_lines_break() {
        let words = ["word"; 30].join(" ");
        let out = to_text(&Value::Map(vec![("a".to_owned(), text(&words))]));
        let lines: Vec<&str> = out.lines().collect();
        assert_eq!(lines.len(), 2);
        assert!(lines[0].len() > BEST_WIDTH && lines[1].starts_with("  word"));
    }
}
