//! Any text as a test script: it is refused, or it runs to its end.
#![no_main]

use libfuzzer_sys::fuzz_target;
use promql::script::{Script, test_engine};

fuzz_target!(|text: &str| {
    // Repetitions make long series of short texts; those only cost time.
    if text.split('x').skip(1).any(|t| t.bytes().take_while(u8::is_ascii_digit).count() > 3) {
        return;
    }
    if let Ok(script) = Script::parse(text) {
        script.run(&test_engine());
    }
});
