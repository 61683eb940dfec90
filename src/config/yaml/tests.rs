//! Values written and read again; texts of any kind read without harm.

use proptest::prelude::*;

use super::*;
use crate::config::any::Any;

/// Text that is hard to write: indicators, blanks, line breaks, what reads as something else.
fn hard_text() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "a",
        "b c",
        " ",
        "  ",
        "\n",
        "\n\n",
        "\t",
        ":",
        ": ",
        "#",
        " #",
        "-",
        "- ",
        "?",
        "\"",
        "'",
        "\\",
        "[",
        "]",
        "{",
        "}",
        ",",
        "&x",
        "*x",
        "!",
        "|",
        ">",
        "%",
        "@",
        "`",
        "yes",
        "null",
        "~",
        "1",
        "0x1f",
        "1e3",
        "12:30",
        "2024-01-02",
        "...",
        "---",
        "<<",
        "é",
        "😀",
        "\u{a0}",
        "\u{85}",
        "\u{2028}",
        "\r",
        "\u{7f}",
        "\u{feff}",
        "=",
        "word ",
        "another word ",
        "$1",
    ]);
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

/// A key; `<<` always merges.
fn hard_key() -> impl Strategy<Value = String> {
    hard_text().prop_filter("the merge key", |key| key != "<<")
}

fn any_value() -> impl Strategy<Value = Any> {
    let leaf = prop_oneof![
        Just(Any::Null),
        any::<bool>().prop_map(Any::Bool),
        any::<i64>().prop_map(Any::Int),
        (-1000i32..1000).prop_map(|n| Any::Float(f64::from(n) + 0.25)),
        hard_text().prop_map(Any::Text),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Any::List),
            prop::collection::btree_map(hard_key(), inner, 0..4).prop_map(Any::Map),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn what_is_written_is_read(value in any_value()) {
        let mut map = Map::new();
        map.insert("key".to_owned(), value);
        let value = Any::Map(map);
        let text = to_text(&value.emit());
        let mut read = Any::Null;
        Decoder::decode(&text, &mut read).map_err(|e| TestCaseError::fail(format!("{e}: {text}")))?;
        prop_assert_eq!(read, value, "{}", text);
    }

    #[test]
    fn any_text_is_read_or_refused(pieces in prop::collection::vec(hard_text(), 0..8)) {
        let text = pieces.join("\n");
        let mut read = Any::Null;
        let _ = Decoder::decode(&text, &mut read);
    }
}
