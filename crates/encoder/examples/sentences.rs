//! Sentences a second of one core's time: random weights in the shape of MiniLM (6 layers of 384, 12 heads, 30,522 words), or a directory's own.
//!
//!     cargo run --release -p cohort-encoder --example sentences [DIR]

use std::{error::Error, fs, path::Path, time::Instant};

use cohort_encoder::Encoder;
use safetensors::{Dtype, tensor::TensorView};
use serde_json::json;

const WIDTH: usize = 384;
const INNER: usize = 1536;
const WORDS: usize = 30_522;

fn main() -> Result<(), Box<dyn Error>> {
    let temporary = std::env::temp_dir().join(format!("cohort-minilm-{}", std::process::id()));
    let given = std::env::args().nth(1);
    let encoder = match &given {
        Some(directory) => Encoder::open(Path::new(directory))?,
        None => {
            write(&temporary)?;
            let encoder = Encoder::open(&temporary)?;
            fs::remove_dir_all(&temporary)?;
            encoder
        }
    };
    for (words, together) in [(16, 1), (16, 8), (16, 64), (126, 1), (126, 8)] {
        let texts: Vec<String> = (0..together)
            .map(|t| (0..words).map(|w| format!("w{}", (t * 31 + w * 7919) % 30_000)).collect::<Vec<_>>().join(" "))
            .collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let tokens = encoder.embed(&texts).into_iter().next().ok_or("a text")??.tokens;
        let (clock, mut count) = (Clock::start(), 0);
        while clock.seconds() < 2.0 {
            count += encoder.embed(&texts).len();
        }
        println!("{:7.1} a second, {tokens} tokens each, {together} together", count as f64 / clock.seconds());
    }
    Ok(())
}

/// Seconds of this thread on a core where the system tells them, so that what else runs does not count; else of the clock.
struct Clock(Instant, Option<f64>);

impl Clock {
    fn start() -> Self {
        Self(Instant::now(), Self::on_core())
    }

    fn on_core() -> Option<f64> {
        let nanoseconds = fs::read_to_string("/proc/thread-self/schedstat").ok()?;
        nanoseconds.split_whitespace().next()?.parse::<f64>().ok().map(|ns| ns * 1e-9)
    }

    fn seconds(&self) -> f64 {
        match (self.1, Self::on_core()) {
            (Some(begun), Some(now)) => now - begun,
            _ => self.0.elapsed().as_secs_f64(),
        }
    }
}

fn write(folder: &Path) -> Result<(), Box<dyn Error>> {
    fs::create_dir_all(folder)?;
    let config = json!({"model_type": "bert", "hidden_size": WIDTH, "num_hidden_layers": 6, "num_attention_heads": 12,
        "intermediate_size": INNER, "vocab_size": WORDS, "max_position_embeddings": 512, "type_vocab_size": 2});
    fs::write(folder.join("config.json"), config.to_string())?;
    let named = ["[UNK]", "[CLS]", "[SEP]"].map(str::to_owned).into_iter().chain((0..30_000).map(|w| format!("w{w}")));
    let vocabulary: serde_json::Map<String, serde_json::Value> = named.zip(0..).map(|(w, id)| (w, json!(id))).collect();
    let special = |word: &str, id: u32| json!({"id": word, "ids": [id], "tokens": [word]});
    let tokenizer = json!({"version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null,
        "pre_tokenizer": {"type": "WhitespaceSplit"}, "decoder": null,
        "post_processor": {"type": "TemplateProcessing",
            "single": [{"SpecialToken": {"id": "[CLS]", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}},
                {"SpecialToken": {"id": "[SEP]", "type_id": 0}}],
            "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": {"[CLS]": special("[CLS]", 1), "[SEP]": special("[SEP]", 2)}},
        "model": {"type": "WordLevel", "vocab": vocabulary, "unk_token": "[UNK]"}});
    fs::write(folder.join("tokenizer.json"), tokenizer.to_string())?;

    let mut shapes = vec![
        ("embeddings.word_embeddings.weight".to_owned(), vec![WORDS, WIDTH]),
        ("embeddings.position_embeddings.weight".to_owned(), vec![512, WIDTH]),
        ("embeddings.token_type_embeddings.weight".to_owned(), vec![2, WIDTH]),
    ];
    let norm = |name: &str| ["weight", "bias"].map(|part| (format!("{name}.{part}"), vec![WIDTH]));
    let affine = |name: String, [outputs, inputs]: [usize; 2]| {
        [(format!("{name}.weight"), vec![outputs, inputs]), (format!("{name}.bias"), vec![outputs])]
    };
    shapes.extend(norm("embeddings.LayerNorm"));
    for layer in 0..6 {
        let name = |part: &str| format!("encoder.layer.{layer}.{part}");
        for part in ["self.query", "self.key", "self.value", "output.dense"] {
            shapes.extend(affine(name(&format!("attention.{part}")), [WIDTH, WIDTH]));
        }
        shapes.extend(affine(name("intermediate.dense"), [INNER, WIDTH]));
        shapes.extend(affine(name("output.dense"), [WIDTH, INNER]));
        shapes.extend(norm(&name("attention.output.LayerNorm")).into_iter().chain(norm(&name("output.LayerNorm"))));
    }
    let mut state = 1u64;
    let mut number = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 40) as f32 / (1u64 << 23) as f32 - 1.0) * 0.05
    };
    let bytes: Vec<Vec<u8>> = shapes
        .iter()
        .map(|(_, shape)| (0..shape.iter().product()).flat_map(|_| number().to_le_bytes()).collect())
        .collect();
    let views = shapes.iter().zip(&bytes).map(|((name, shape), bytes)| {
        TensorView::new(Dtype::F32, shape.clone(), bytes).map(|view| (name.clone(), view))
    });
    let views = views.collect::<Result<Vec<_>, _>>()?;
    safetensors::serialize_to_file(views, None, &folder.join("model.safetensors"))?;
    Ok(())
}
