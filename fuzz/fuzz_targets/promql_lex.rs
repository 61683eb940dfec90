//! Any text is cut into tokens that follow each other to its end, or up to an error inside of it; what
//! lies between them is blank or a comment.
#![no_main]

use libfuzzer_sys::fuzz_target;
use promql::parser::lexer::Lexer;
use promql::parser::token::Kind;

fuzz_target!(|text: &str| {
    let mut lexer = Lexer::new(text);
    let mut end = 0;
    // An empty token stands at the end only.
    for _ in 0..=text.len() {
        let token = match lexer.next_token() {
            Ok(token) => token,
            Err(e) => {
                let _ = e.to_string();
                return;
            }
        };
        let (from, to) = (token.span.start as usize, token.span.end as usize);
        assert!(text.get(from..to).is_some(), "{from}..{to}");
        if token.kind == Kind::Eof {
            return;
        }
        assert!(end <= from && from < to, "{end} {from}..{to}");
        let comment = |line: &str| line.trim_start().is_empty() || line.trim_start().starts_with('#');
        assert!(text[end..from].split(['\n', '\r']).all(comment), "{:?}", &text[end..from]);
        end = to;
    }
    panic!("more tokens than characters");
});
