//! From rows to one embedding: pooling, and what a directory's `modules.json` has after it.

use std::path::{Component, Path, PathBuf};

use serde_json::{Value, json};

use crate::{
    EncoderError,
    config::words,
    fields::{Fields, read_if_any},
    tensors::{Tensors, map},
    transformer::Affine,
};

/// How the rows of a text become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pooling {
    /// The first row.
    Cls,
    /// The largest of each column.
    Max,
    /// The mean of each column.
    Mean,
    /// The sum of each column over the square root of the rows.
    MeanSqrt,
}

enum Step {
    Dense(Affine, Activation),
    /// To length 1.
    Normalise,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Activation {
    Identity,
    Tanh,
    Relu,
}

/// What stands behind the transformer.
pub(crate) struct Head {
    width: usize,
    /// Several stand side by side.
    poolings: Vec<Pooling>,
    steps: Vec<Step>,
}

/// A directory's modules: where the transformer is, and what follows.
pub(crate) struct Modules {
    pub transformer: PathBuf,
    after: Vec<(Kind, PathBuf)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Transformer,
    Pooling,
    Dense,
    Normalise,
    /// Nothing outside of training.
    Dropout,
}

const ORDER: &str = "Transformer, then Pooling, then Dense and Normalize";

impl Modules {
    /// A directory without `modules.json` is a transformer alone; sentence-transformers then takes the mean, and so is done here.
    pub(crate) fn read(directory: &Path) -> Result<Self, EncoderError> {
        let path = directory.join("modules.json");
        let Some(list) = read_if_any(&path)? else {
            return Ok(Self { transformer: directory.to_owned(), after: Vec::new() });
        };
        let field = |field: String, found: &Value, expected: &str| EncoderError::Field {
            path: path.clone(),
            field,
            found: found.to_string(),
            expected: expected.to_owned(),
        };
        let entries = list.as_array().map(Vec::as_slice).unwrap_or_default();
        let mut modules = Vec::new();
        for (at, entry) in entries.iter().enumerate() {
            let word = entry["type"].as_str().and_then(|word| word.rsplit('.').next());
            let kind = match word {
                Some("Transformer") => Kind::Transformer,
                Some("Pooling") => Kind::Pooling,
                Some("Dense") => Kind::Dense,
                Some("Normalize") => Kind::Normalise,
                Some("Dropout") => Kind::Dropout,
                _ => {
                    return Err(EncoderError::Unsupported {
                        path,
                        field: format!("[{at}].type"),
                        found: entry["type"].to_string(),
                        supported: "the modules Transformer, Pooling, Dense, Normalize, Dropout".to_owned(),
                    });
                }
            };
            let folder = entry["path"].as_str().map(Path::new);
            let inside = |folder: &&Path| folder.components().all(|part| matches!(part, Component::Normal(_)));
            let folder = folder
                .filter(inside)
                .ok_or_else(|| field(format!("[{at}].path"), &entry["path"], "a folder of the directory"))?;
            modules.push((kind, directory.join(folder)));
        }
        let kinds: Vec<Kind> = modules.iter().map(|m| m.0).filter(|kind| *kind != Kind::Dropout).collect();
        let is_in_order = kinds.starts_with(&[Kind::Transformer, Kind::Pooling])
            && kinds[2..].iter().all(|kind| matches!(kind, Kind::Dense | Kind::Normalise));
        if !is_in_order {
            let found: Vec<&str> = entries.iter().filter_map(|entry| entry["type"].as_str()).collect();
            return Err(field("(the whole file)".to_owned(), &json!(found), ORDER));
        }
        modules.retain(|m| m.0 != Kind::Dropout);
        let (_, transformer) = modules.remove(0);
        Ok(Self { transformer, after: modules })
    }

    /// The modules behind a transformer of this width.
    pub(crate) fn head(&self, width: usize) -> Result<Head, EncoderError> {
        let mut head = Head { width, poolings: vec![Pooling::Mean], steps: Vec::new() };
        for (kind, folder) in &self.after {
            match kind {
                Kind::Pooling => head.poolings = poolings(folder, width)?,
                Kind::Dense => head.steps.push(dense(folder, head.embedding())?),
                Kind::Normalise => {
                    if let Some(fields) = Fields::read_if_any(folder.join("config.json"))? {
                        of_the_sentence(&fields)?;
                    }
                    head.steps.push(Step::Normalise);
                }
                Kind::Transformer | Kind::Dropout => {}
            }
        }
        Ok(head)
    }
}

fn poolings(folder: &Path, width: usize) -> Result<Vec<Pooling>, EncoderError> {
    const SUPPORTED: &str = "cls, max, mean, mean_sqrt_len_tokens";
    let fields = Fields::read(folder.join("config.json"), "the pooling's configuration")?;
    fields.only("include_prompt", json!(true))?;
    for name in ["embedding_dimension", "word_embedding_dimension"] {
        fields.only(name, json!(width))?;
    }
    // One field of names since sentence-transformers 5, a field a name before, joined in this order.
    let mut poolings = Vec::new();
    if let Some(value) = fields.get("pooling_mode") {
        for word in words(value).ok_or_else(|| fields.wrong("pooling_mode", "a text, or a list of texts"))? {
            poolings.push(match word {
                "cls" => Pooling::Cls,
                "max" => Pooling::Max,
                "mean" => Pooling::Mean,
                "mean_sqrt_len_tokens" => Pooling::MeanSqrt,
                _ => return Err(fields.unsupported("pooling_mode", SUPPORTED)),
            });
        }
    } else {
        for (name, pooling) in [
            ("pooling_mode_cls_token", Pooling::Cls),
            ("pooling_mode_max_tokens", Pooling::Max),
            ("pooling_mode_mean_tokens", Pooling::Mean),
            ("pooling_mode_mean_sqrt_len_tokens", Pooling::MeanSqrt),
        ] {
            if fields.flag(name, false)? {
                poolings.push(pooling);
            }
        }
        for name in ["pooling_mode_weightedmean_tokens", "pooling_mode_lasttoken"] {
            if fields.flag(name, false)? {
                return Err(fields.unsupported(name, SUPPORTED));
            }
        }
    }
    Ok(if poolings.is_empty() { vec![Pooling::Mean] } else { poolings })
}

fn dense(folder: &Path, width: usize) -> Result<Step, EncoderError> {
    let fields = Fields::read(folder.join("config.json"), "the dense module's configuration")?;
    of_the_sentence(&fields)?;
    fields.only("use_residual", json!(false))?;
    fields.only("in_features", json!(width))?;
    let outputs = fields.count("out_features")?;
    let activation = match fields.text("activation_function")?.and_then(|word| word.rsplit('.').next()) {
        Some("Identity") => Activation::Identity,
        None | Some("Tanh") => Activation::Tanh,
        Some("ReLU") => Activation::Relu,
        Some(_) => return Err(fields.unsupported("activation_function", "Identity, Tanh and ReLU of torch.nn")),
    };
    let file = folder.join("model.safetensors");
    let map = map(&file)?;
    let mut tensors = Tensors::of(&file, &map, "", "linear.weight")?;
    let affine = Affine::take(&mut tensors, "linear", [outputs, width], fields.flag("bias", true)?)?;
    tensors.end(&["linear."])?;
    Ok(Step::Dense(affine, activation))
}

/// A module that works on something else than the embedding would be another one.
fn of_the_sentence(fields: &Fields) -> Result<(), EncoderError> {
    fields.only("module_input_name", json!("sentence_embedding"))?;
    fields.only("module_output_name", json!("sentence_embedding"))
}

impl Head {
    /// The width of an embedding.
    pub(crate) fn embedding(&self) -> usize {
        let outputs = self.steps.iter().rev().find_map(|step| match step {
            Step::Dense(affine, _) => Some(affine.outputs()),
            Step::Normalise => None,
        });
        outputs.unwrap_or(self.width * self.poolings.len())
    }

    /// The embedding of a text whose last hidden rows are given.
    pub(crate) fn of(&self, rows: &[f32]) -> Vec<f32> {
        let mut x: Vec<f32> = self.poolings.iter().flat_map(|pooling| pooling.of(rows, self.width)).collect();
        for step in &self.steps {
            match step {
                Step::Dense(affine, activation) => {
                    x = affine.of(&x);
                    match activation {
                        Activation::Identity => {}
                        Activation::Tanh => x.iter_mut().for_each(|x| *x = x.tanh()),
                        Activation::Relu => x.iter_mut().for_each(|x| *x = x.max(0.0)),
                    }
                }
                Step::Normalise => {
                    let length = x.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>().sqrt().max(1e-12);
                    x.iter_mut().for_each(|x| *x = (f64::from(*x) / length) as f32);
                }
            }
        }
        x
    }
}

impl Pooling {
    /// Of no rows, zeros.
    fn of(self, rows: &[f32], width: usize) -> Vec<f32> {
        let count = rows.len() / width;
        if count == 0 {
            return vec![0.0; width];
        }
        let sum = || {
            rows.chunks_exact(width).fold(vec![0.0f32; width], |mut sum, row| {
                sum.iter_mut().zip(row).for_each(|(sum, x)| *sum += *x);
                sum
            })
        };
        let over = |by: f32| sum().into_iter().map(|x| x / by).collect();
        match self {
            Pooling::Cls => rows[..width].to_vec(),
            Pooling::Mean => over(count as f32),
            Pooling::MeanSqrt => over((count as f32).sqrt()),
            Pooling::Max => rows[width..].chunks_exact(width).fold(rows[..width].to_vec(), |mut largest, row| {
                largest.iter_mut().zip(row).for_each(|(largest, x)| *largest = largest.max(*x));
                largest
            }),
        }
    }
}
