//! What sentence-transformers computes from the same directories (`scripts/golden_embeddings.py`).

use std::path::{Path, PathBuf};

use cohort_encoder::{Encoder, cosine};
use serde_json::Value;

const MODELS: [&str; 6] = ["bert", "bert_dense", "roberta", "xlm_roberta", "mpnet", "distilbert"];
const TOLERANCE: f64 = 1e-5;

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

fn golden(name: &str) -> Value {
    serde_json::from_slice(&std::fs::read(folder(name).join("golden.json")).unwrap()).unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
}

fn texts(golden: &Value) -> Vec<&str> {
    golden["texts"].as_array().unwrap().iter().map(|case| case["text"].as_str().unwrap()).collect()
}

#[track_caller]
fn assert_close(what: &str, got: &[f32], expected: &Value) {
    let expected = numbers(expected);
    assert_eq!(got.len(), expected.len(), "{what}");
    for (i, (&got, expected)) in got.iter().zip(expected).enumerate() {
        let off = (f64::from(got) - expected).abs();
        assert!(off <= TOLERANCE * expected.abs().max(1.0), "{what}, element {i}: {got} for {expected}");
    }
}

#[test]
fn ids_rows_embeddings_and_cosines_are_those_of_sentence_transformers() {
    for name in MODELS {
        let (encoder, golden) = (Encoder::open(&folder(name)).unwrap(), golden(name));
        assert_eq!(encoder.longest() as u64, golden["longest"], "{name}");
        let embeddings: Vec<Vec<f32>> = encoder.embed(&texts(&golden)).into_iter().map(|e| e.unwrap().vector).collect();
        for (case, embedding) in golden["texts"].as_array().unwrap().iter().zip(&embeddings) {
            let what = format!("{name}, {}", case["text"]);
            let ids = encoder.ids(case["text"].as_str().unwrap()).unwrap();
            assert_eq!(numbers(&case["ids"]), ids.ids.iter().map(|&id| f64::from(id)).collect::<Vec<_>>(), "{what}");
            let hidden = encoder.hidden(&ids);
            let width = hidden.len() / ids.ids.len();
            for (at, row) in numbers(&case["at"]).iter().zip(case["hidden"].as_array().unwrap()) {
                assert_close(&what, &hidden[*at as usize * width..][..width], row);
            }
            assert_eq!(embedding.len(), encoder.width());
            assert_close(&what, embedding, &case["embedding"]);
        }
        let cosines: Vec<f32> = embeddings.iter().map(|e| cosine(&embeddings[0], e) as f32).collect();
        assert_close(name, &cosines, &golden["cosines"]);
    }
}

#[test]
fn an_embedding_has_the_same_bits_in_any_batch() {
    for name in MODELS {
        let (encoder, golden) = (Encoder::open(&folder(name)).unwrap(), golden(name));
        let texts = texts(&golden);
        let bits = |texts: &[&str]| -> Vec<Vec<u32>> {
            let vectors = encoder.embed(texts).into_iter().map(|e| e.unwrap().vector);
            vectors.map(|v| v.iter().map(|x| x.to_bits()).collect()).collect()
        };
        let alone: Vec<Vec<u32>> = texts.iter().flat_map(|&text| bits(&[text])).collect();
        assert_eq!(bits(&texts), alone, "{name}");
        // More than go through the layers at once, in another order.
        let many: Vec<&str> = texts.iter().rev().cycle().take(40 * texts.len()).copied().collect();
        let expected: Vec<&Vec<u32>> = alone.iter().rev().cycle().take(many.len()).collect();
        assert!(bits(&many).iter().eq(expected), "{name}");
    }
}

/// The first ids of a long text, and the ids put around it; what is cut off changes nothing.
#[test]
fn a_long_text_is_cut_where_the_directory_says() {
    for name in MODELS {
        let encoder = Encoder::open(&folder(name)).unwrap();
        let long = "the cat sat on the mat ".repeat(60);
        let (cut, whole) = (encoder.ids(&long).unwrap(), encoder.ids("the cat").unwrap());
        assert!(cut.is_cut && !whole.is_cut, "{name}");
        assert_eq!(cut.ids.len(), encoder.longest(), "{name}");
        assert_eq!((cut.ids[0], cut.ids.last()), (whole.ids[0], whole.ids.last()), "{name}");
        let other = encoder.embed(&[&long, &format!("{long} and something else")]);
        assert_eq!(other[0], other[1], "{name}");
    }
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config { cases: 200, failure_persistence: None, ..Default::default() })]

    #[test]
    fn any_text_has_an_embedding(text in proptest::prop_oneof![
        proptest::arbitrary::any::<String>(),
        "(\\[SEP\\]|\\[PAD\\]|<pad>|</s>|<mask>|\u{2581}| |\n|the|é|\u{0}|\u{301}|東){0,60}",
    ]) {
        static ENCODERS: std::sync::LazyLock<Vec<Encoder>> =
            std::sync::LazyLock::new(|| MODELS.iter().map(|name| Encoder::open(&folder(name)).unwrap()).collect());
        for encoder in ENCODERS.iter() {
            let embedding = encoder.embed(&[&text]).remove(0).unwrap();
            proptest::prop_assert!(embedding.vector.iter().all(|x| x.is_finite()));
            proptest::prop_assert!(embedding.tokens <= encoder.longest());
        }
    }
}

#[test]
fn huge_texts_have_an_embedding() {
    for name in MODELS {
        let encoder = Encoder::open(&folder(name)).unwrap();
        for text in ["a".repeat(300_000), "a ".repeat(200_000), "[SEP]".repeat(60_000), "\u{301}".repeat(50_000)] {
            let embedding = encoder.embed(&[&text]).remove(0).unwrap();
            assert!(embedding.vector.iter().all(|x| x.is_finite()), "{name}");
        }
    }
}
