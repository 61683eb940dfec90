//! Any text as a pattern, matched against any text: the reductions agree with the automaton.
#![no_main]

use libfuzzer_sys::fuzz_target;
use model::regex::FastRegex;

fuzz_target!(|input: (&str, &str)| {
    let (pattern, text) = input;
    let Ok(regex) = FastRegex::new(pattern) else { return };
    assert_eq!(regex.is_match(text), regex.captures(text).is_some());
    assert!(!regex.is_match(text) || text.starts_with(regex.prefix()));
});
