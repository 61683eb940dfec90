//! Tests of patterns: what they match, what they reduce to, what is wrong with them.

use super::*;

fn regex(pattern: &str) -> FastRegex {
    FastRegex::new(pattern).unwrap()
}

#[test]
fn sets_and_prefixes() {
    let r = regex("a|b[12]|foo(bar|baz)|a");
    assert_eq!(r.set_matches().unwrap(), ["a", "b1", "b2", "foobar", "foobaz"]);
    assert_eq!(regex("x(y)?").set_matches().unwrap(), ["xy", "x"]);
    assert_eq!(regex("^foo$").set_matches().unwrap(), ["foo"]);
    let r = regex("foo(bar).*");
    assert_eq!((r.set_matches(), r.prefix()), (None, "foobar"));
    assert!(r.is_match("foobar\n") && !r.is_match("foo"));
    for (pattern, prefix) in [
        ("foo.*|fob[0-9]+", "fo"),
        ("(foo.*)", "foo"),
        ("((ab|ac)x)+", ""),
        ("(?i)foo.*", ""),
        ("^a.b", "a"),
        (".*", ""),
        ("a*b", ""),
        ("", ""),
    ] {
        assert_eq!(regex(pattern).prefix(), prefix, "{pattern}");
    }
}

#[test]
fn matches_like_go() {
    for (pattern, yes, no) in [
        ("", &[""][..], &["a"][..]),
        (".*", &["", "a\nb"], &[]),
        (".+", &["x", "\n"], &[""]),
        ("a.*b", &["ab", "axb"], &["a", "b", "aba"]),
        ("a.+b", &["axb"], &["ab"]),
        (".*foo.*", &["foo", "xfoox"], &["fo"]),
        (".*foo.+foo", &["fooxfoo"], &["foofoo", "foo"]),
        ("(?-s).*", &["ab"], &["a\nb"]),
        (r"\Qa.b\E.", &["a.bx"], &["axbx"]),
        (r"\d+\s\w\D", &["12 a-"], &["१ aa", "1 é-"]),
        ("(?i)straSSe", &["STRASSE", "straſſe"], &["straße"]),
        ("(?i)k", &["K", "\u{212a}"], &["q"]),
        ("[[:alpha:]]", &["a"], &["1", ":"]),
        ("[]a]", &["]", "a"], &["b"]),
        ("[a&&b]", &["&"], &["c"]),
        ("a{,2}", &["a{,2}"], &["aa"]),
        ("a{2}", &["aa"], &["a"]),
        (r"\pL\p{Greek}\p{^Greek}", &["aαa"], &["aaa"]),
        (r"\x41\x{263a}\101", &["A☺A"], &[]),
        ("a(?i)b|c", &["aB", "C"], &["AB"]),
        ("a(?i)*", &["", "aa"], &["A"]),
        (r"foo\z", &["foo"], &["foo\n"]),
        (r"a\b.*", &["a", "a-b"], &["ab", "a_"]),
        (r"\<a\>", &["<a>"], &["a"]),
    ] {
        let r = regex(pattern);
        for text in yes {
            assert!(r.is_match(text), "{pattern} should match {text:?}");
        }
        for text in no {
            assert!(!r.is_match(text), "{pattern} should not match {text:?}");
        }
    }
}

#[test]
fn errors_in_gos_words() {
    for (pattern, reason) in [
        ("a(", "missing closing ): `a(`"),
        ("a)", "unexpected ): `a)`"),
        ("[a", "missing closing ]: `[a`"),
        ("[z-a]", "invalid character class range: `z-a`"),
        ("[[:foo:]]", "invalid character class range: `[:foo:]`"),
        (r"\p{Foo}", r"invalid character class range: `\p{Foo}`"),
        ("*a", "missing argument to repetition operator: `*`"),
        ("a|+?", "missing argument to repetition operator: `+?`"),
        ("a**", "invalid nested repetition operator: `**`"),
        ("a{2}{3}", "invalid nested repetition operator: `{2}{3}`"),
        ("a{1001}", "invalid repeat count: `{1001}`"),
        ("a{3,2}", "invalid repeat count: `{3,2}`"),
        ("((a{100}){100}){2}", "invalid repeat count: `{100}`"),
        (r"\1", r"invalid escape sequence: `\1`"),
        (r"\C", r"invalid escape sequence: `\C`"),
        (r"\Z", r"invalid escape sequence: `\Z`"),
        (r"\xg", r"invalid escape sequence: `\xg`"),
        ("a\\", "trailing backslash at end of expression: ``"),
        ("(?=a)", "invalid or unsupported Perl syntax: `(?=`"),
        ("(?P<n", "invalid named capture: `(?P<n`"),
        ("(?P<n!>a)", "invalid named capture: `(?P<n!>`"),
    ] {
        let error = FastRegex::new(pattern).unwrap_err();
        assert_eq!(error.reason, reason, "{pattern}");
    }
    let error = FastRegex::new_wrapped("a(").unwrap_err();
    assert_eq!(error.to_string(), "error parsing regexp: missing closing ): `^(?s:a()$`");
    let deep = "(".repeat(5000) + &")".repeat(5000);
    assert!(FastRegex::new(&deep).unwrap_err().reason.starts_with("expression nests too deeply"));
    let large = r"\pL{1000}".repeat(100);
    assert!(FastRegex::new(&large).unwrap_err().reason.starts_with("expression too large"));
}

#[test]
fn expands_templates() {
    for (pattern, text, template, want) in [
        ("(.*)-(.*)", "a-b", "$2-$1", "b-a"),
        ("(.*)-(.*)", "a-b", "${2}x$1_", "bx"),
        ("(?P<x>.)(.)", "ab", "$x${x}$$x$y$", "aa$x$"),
        ("(a)|(b)", "b", "[$1][$2][$3]", "[][b][]"),
        ("a", "a", "$0 $00 ${ $- ${0", "a  ${ $- ${0"),
        ("(?P<1x>.)", "q", "${1x}", "q"),
    ] {
        let mut out = String::new();
        assert!(regex(pattern).expand(&Template::parse(template), text, &mut out));
        assert_eq!(out, want, "{pattern} {template}");
    }
    let mut out = String::new();
    assert!(!regex("a").expand(&Template::parse("x"), "b", &mut out));
    assert_eq!(Template::parse("a$$b").as_literal(), Some("a$b"));
}
