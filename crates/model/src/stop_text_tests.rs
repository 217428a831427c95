use std::path::Path;

use proptest::prelude::*;
use serde_json::json;

use super::*;

/// Pieces beyond single bytes: whole words, characters cut in two, both at once.
const PIECES: [&[u8]; 10] = [
    b"ab",
    b"stop",
    b" st",
    b"op\xc3",
    b"\xa9x",
    b"b\xf0",
    b"\x9f\x98",
    b"\x98\x80 ab\xf0\x9f",
    "é".as_bytes(),
    "\u{fffd}".as_bytes(),
];
const SPECIAL: u32 = 256 + PIECES.len() as u32;

/// Bytes as byte-level tokenizers write them in their vocabulary.
fn spelled(bytes: &[u8]) -> String {
    let is_printable = |b: u8| matches!(b, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff);
    let spell = |&b: &u8| match is_printable(b) {
        true => char::from(b),
        false => char::from_u32(256 + (0..b).filter(|&b| !is_printable(b)).count() as u32).unwrap(),
    };
    bytes.iter().map(spell).collect()
}

fn byte_level() -> TextTokenizer {
    let mut vocabulary: serde_json::Map<String, serde_json::Value> =
        (0..=255u8).map(|b| (spelled(&[b]), json!(b))).collect();
    for (i, piece) in PIECES.iter().enumerate() {
        // A piece of one byte's spelling would take its place.
        assert!(vocabulary.insert(spelled(piece), json!(256 + i)).is_none());
    }
    let special = json!({ "id": SPECIAL, "content": "<|end|>", "special": true, "single_word": false, "lstrip": false,
        "rstrip": false, "normalized": false });
    let tokenizer = json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": [special], "normalizer": null,
        "pre_tokenizer": null, "post_processor": null,
        "decoder": { "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true },
        "model": { "type": "WordLevel", "vocab": vocabulary, "unk_token": "a" },
    });
    TextTokenizer::from_bytes(Path::new("tokenizer.json"), tokenizer.to_string().as_bytes()).unwrap()
}

/// Sentencepiece's way: a leading space is dropped, and bytes stand for what has no piece.
fn byte_fallback() -> TextTokenizer {
    let mut vocabulary: serde_json::Map<String, serde_json::Value> =
        (0..=255u8).map(|b| (format!("<0x{b:02X}>"), json!(b))).collect();
    for (i, piece) in
        ["ab", "stop", "\u{2581}st", "op", "\u{2581}", "x", "b", "\u{2581}ab", "é", "😀"].iter().enumerate()
    {
        vocabulary.insert((*piece).to_owned(), json!(256 + i));
    }
    let special = json!({ "id": SPECIAL, "content": "<|end|>", "special": true, "single_word": false, "lstrip": false,
        "rstrip": false, "normalized": false });
    let tokenizer = json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": [special], "normalizer": null,
        "pre_tokenizer": null, "post_processor": null,
        "decoder": { "type": "Sequence", "decoders": [
            { "type": "Replace", "pattern": { "String": "\u{2581}" }, "content": " " },
            { "type": "ByteFallback" }, { "type": "Fuse" },
            { "type": "Strip", "content": " ", "start": 1, "stop": 0 },
        ] },
        "model": { "type": "WordLevel", "vocab": vocabulary, "unk_token": "ab" },
    });
    TextTokenizer::from_bytes(Path::new("tokenizer.json"), tokenizer.to_string().as_bytes()).unwrap()
}

fn stops(list: &[&str]) -> Vec<String> {
    list.iter().map(|&s| s.to_owned()).collect()
}

/// After how many tokens the sample ends, and by which string.
fn ended(tokenizer: &TextTokenizer, stops: &[String], ids: &[u32]) -> Option<(usize, u32)> {
    let mut text = StopText::default();
    (1..=ids.len()).find_map(|n| Some((n, text.push(tokenizer, stops, &ids[..n])?)))
}

/// The same from the whole text each time.
fn oracle(tokenizer: &TextTokenizer, stops: &[String], ids: &[u32]) -> Option<(usize, u32)> {
    (1..=ids.len()).find_map(|n| {
        let text = tokenizer.decode_with(&ids[..n], SpecialTokens::Keep);
        let first = stops.iter().enumerate().filter_map(|(i, stop)| Some((text.find(stop.as_str())?, i as u32))).min();
        first.map(|(_, i)| (n, i))
    })
}

#[test]
fn a_character_in_four_tokens() {
    let tokenizer = byte_level();
    let ids: Vec<u32> = "a😀b".bytes().map(u32::from).collect();
    assert_eq!(ended(&tokenizer, &stops(&["😀"]), &ids), Some((5, 0)));
    assert_eq!(ended(&tokenizer, &stops(&["b", "😀b"]), &ids), Some((6, 1)));
    assert_eq!(ended(&tokenizer, &stops(&["a"]), &ids), Some((1, 0)));
    assert_eq!(ended(&tokenizer, &stops(&["ab"]), &ids), None);
}

#[test]
fn a_string_is_found_with_half_a_character_behind_it() {
    let tokenizer = byte_level();
    // " st", "op" and the first byte of a character.
    assert_eq!(ended(&tokenizer, &stops(&["stop"]), &[258, 259]), Some((2, 0)));
    assert_eq!(ended(&tokenizer, &stops(&["opé"]), &[258, 259, 260]), Some((3, 0)));
}

#[test]
fn special_tokens_are_as_they_are_written() {
    let tokenizer = byte_level();
    assert_eq!(ended(&tokenizer, &stops(&["<|end|>"]), &[97, SPECIAL]), Some((2, 0)));
    assert_eq!(ended(&tokenizer, &stops(&["aa"]), &[97, SPECIAL, 97]), None);
}

#[test]
fn bytes_that_are_no_character_hide_nothing() {
    let tokenizer = byte_level();
    let soup: Vec<u32> = (0..50).map(|i| 0x80 + i % 0x40).chain("b😀".bytes().map(u32::from)).collect();
    assert_eq!(ended(&tokenizer, &stops(&["b😀"]), &soup), Some((55, 0)));
    // What lies between is in the text.
    let mut apart = vec![97];
    apart.extend([0x80; 9]);
    apart.push(98);
    assert_eq!(ended(&tokenizer, &stops(&["ab"]), &apart), None);
}

/// A run of bytes is text or none, whole: what follows a broken one in it hides with it.
#[test]
fn a_run_of_bytes_is_read_whole() {
    let tokenizer = byte_fallback();
    let ids = [264, 260, 128, 97, 97, 97, 97, 240, 159, 159, 159];
    let stops = stops(&["é a"]);
    assert_eq!(oracle(&tokenizer, &stops, &ids), None);
    assert_eq!(ended(&tokenizer, &stops, &ids), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn as_the_whole_text_says(
        ids in prop::collection::vec(
            prop_oneof![8 => 256u32..=SPECIAL, 3 => Just(97u32), 2 => Just(98), 2 => 0x80u32..0xf8, 1 => Just(0xf0), 1 => Just(0x9f), 1 => Just(0x98), 1 => Just(0x80)],
            1..40,
        ),
        bytes in any::<bool>(),
    ) {
        let tokenizer = if bytes { byte_level() } else { byte_fallback() };
        let stops = stops(&["stopé", "b😀", "<|end|>ab", "é a", "xé", "😀 ab😀", "ababab"]);
        prop_assert_eq!(ended(&tokenizer, &stops, &ids), oracle(&tokenizer, &stops, &ids));
    }
}
