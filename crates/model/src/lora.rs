//! Low-rank adapters: `y = x W' + scale (x A') B'` with `W` frozen.
//!
//! Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models", 2021, section 4.1; `scale = alpha / rank`, or
//! `alpha / sqrt(rank)` (Kalajdzievski, "A Rank Stabilization Scaling Factor for Fine-Tuning with LoRA", 2023). Names, shapes
//! and start are those of PEFT.

use cohort_core::{ParameterInfo, Stream};
use cohort_kernels::Team;
use serde::{Deserialize, Serialize};

use crate::{
    layer::{Adapter, ModelParameters, ParameterKind},
    product::up,
    selection::SelectionError,
};

/// What PEFT puts before the names of a model's modules.
pub(crate) const PREFIX: &str = "base_model.model.";
/// The directions of an adapter, as the last parts of a name.
pub(crate) const SUFFIXES: [&str; 2] = [".lora_A.weight", ".lora_B.weight"];

/// Adapters beside linear maps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Lora {
    /// Rank of the change, at least 1.
    pub rank: usize,
    /// Numerator of the scale.
    pub alpha: f64,
    /// Share of an adapter's inputs that a training pass leaves out, in [0, 1).
    pub dropout: f64,
    pub targets: Targets,
    /// `alpha / sqrt(rank)` instead of `alpha / rank`.
    pub rslora: bool,
    /// Seeds the start of `A`, whatever the recipe's `seed` is.
    pub seed: u64,
}

impl Default for Lora {
    fn default() -> Self {
        Self { rank: 16, alpha: 32.0, dropout: 0.0, targets: Targets::default(), rslora: false, seed: 0 }
    }
}

impl Lora {
    /// The factor of `(x A') B'`.
    pub fn scale(&self) -> f32 {
        let rank = self.rank as f64;
        (self.alpha / if self.rslora { rank.sqrt() } else { rank }) as f32
    }
}

/// The linear maps that get an adapter.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(try_from = "Written", into = "Written")]
pub enum Targets {
    /// Every one of the layers; the head and the embedding are none.
    #[default]
    AllLinear,
    /// Those whose module's name is one of these, or ends in a dot and one of these: `q_proj`.
    Named(Vec<String>),
}

const ALL_LINEAR: &str = "all-linear";

/// Targets as they are written.
#[derive(Serialize, Deserialize, schemars::JsonSchema)]
#[serde(untagged)]
enum Written {
    Word(String),
    Names(Vec<String>),
}

impl TryFrom<Written> for Targets {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        match written {
            Written::Word(word) if word == ALL_LINEAR => Ok(Targets::AllLinear),
            Written::Word(word) => Err(format!("`{word}`, expected \"{ALL_LINEAR}\" or a list of names")),
            Written::Names(names) => Ok(Targets::Named(names)),
        }
    }
}

impl From<Targets> for Written {
    fn from(targets: Targets) -> Self {
        match targets {
            Targets::AllLinear => Written::Word(ALL_LINEAR.to_owned()),
            Targets::Named(names) => Written::Names(names),
        }
    }
}

/// Whether PEFT takes `target` for the module: its name, or the end of it.
fn names(target: &str, module: &str) -> bool {
    module.strip_suffix(target).is_some_and(|before| before.is_empty() || before.ends_with('.'))
}

/// The last part of a module's name.
fn leaf(module: &str) -> &str {
    module.rsplit('.').next().unwrap_or(module)
}

impl Targets {
    /// The modules of a model that are meant, in the model's order.
    ///
    /// # Errors
    /// A name is none of a linear map.
    pub(crate) fn modules(&self, parameters: &ModelParameters) -> Result<Vec<String>, SelectionError> {
        let all = parameters.linear_modules();
        let Targets::Named(targets) = self else { return Ok(all) };
        for target in targets {
            if all.iter().any(|module| names(target, module)) {
                continue;
            }
            let known = leaves(&all).join(", ");
            let target = target.clone();
            let module_of = |info: &ParameterInfo| info.name.strip_suffix(".weight").map(str::to_owned);
            let reason = match leaf(&target) {
                "embed_tokens" | "lm_head" => {
                    "embeddings and the head are kept whole: train them with policy.train.only"
                }
                _ if parameters.infos.iter().filter_map(module_of).any(|module| names(&target, &module)) => {
                    "norms, routers and experts are kept whole: train them with policy.train.only"
                }
                _ => return Err(SelectionError::NoTarget { target, known }),
            };
            return Err(SelectionError::Unsupported { target, reason, known });
        }
        Ok(all.into_iter().filter(|module| targets.iter().any(|target| names(target, module))).collect())
    }
}

/// The different last parts, sorted.
fn leaves(modules: &[String]) -> Vec<&str> {
    let mut leaves: Vec<&str> = modules.iter().map(|module| leaf(module)).collect();
    leaves.sort_unstable();
    leaves.dedup();
    leaves
}

/// The shortest `target_modules` that mean `adapted` among `all` linear maps: last parts where every such map is
/// meant, else whole names.
pub(crate) fn target_modules(adapted: &[String], all: &[String]) -> Vec<String> {
    let short = leaves(adapted);
    let meant = all.iter().filter(|module| short.contains(&leaf(module))).count();
    let mut names: Vec<String> = match meant == adapted.len() {
        true => short.into_iter().map(str::to_owned).collect(),
        false => adapted.to_vec(),
    };
    names.sort_unstable();
    names
}

impl ModelParameters {
    /// The modules of the layers that are linear maps of their own.
    pub(crate) fn linear_modules(&self) -> Vec<String> {
        let module = |weight: usize| self.infos[weight].name.strip_suffix(".weight").map(str::to_owned);
        self.layers.iter().flat_map(|layer| layer.projections()).filter_map(|p| module(p.weight.parameter)).collect()
    }

    /// Adds the parameters of an adapter of `rank` beside each of `modules`: `A [rank, in]` and `B [out, rank]`.
    pub(crate) fn adapt(&mut self, modules: &[String], rank: usize, scale: f32) {
        let Self { infos, kinds, layers, .. } = self;
        for projection in layers.iter_mut().flat_map(|layer| layer.projections_mut()) {
            let weight = &infos[projection.weight.parameter];
            let Some(module) = weight.name.strip_suffix(".weight") else { continue };
            if !modules.iter().any(|adapted| adapted == module) {
                continue;
            }
            let (outputs, inputs) = (weight.shape[0], weight.shape[1]);
            let a = infos.len();
            let name = |suffix: &str| format!("{PREFIX}{module}{suffix}");
            let pair = [(name(SUFFIXES[0]), [rank, inputs]), (name(SUFFIXES[1]), [outputs, rank])];
            for (name, shape) in pair {
                infos.push(ParameterInfo { name, shape: shape.to_vec() });
                kinds.push(ParameterKind::Adapter);
            }
            projection.adapter = Some(Adapter { a, b: a + 1, scale });
        }
    }

    /// Whether parameter `index` is of an adapter.
    pub(crate) fn is_adapter(&self, index: usize) -> bool {
        self.kinds[index] == ParameterKind::Adapter
    }

    /// The modules that have an adapter.
    pub(crate) fn adapted_modules(&self) -> Vec<String> {
        let module = |info: &ParameterInfo| Some(info.name.strip_prefix(PREFIX)?.strip_suffix(SUFFIXES[0])?.to_owned());
        self.infos.iter().filter_map(module).collect()
    }
}

/// Where an adapter starts: `A` uniform in `+- 1 / sqrt(in)` (PEFT's kaiming uniform with `a = sqrt(5)`), `B` zero, so that the
/// policy is its base. A number is a function of the stream, its module's place and its own index alone.
pub(crate) fn start(info: &ParameterInfo, index: usize, stream: Stream) -> Vec<f32> {
    if info.name.ends_with(SUFFIXES[1]) {
        return vec![0.0; info.element_count()];
    }
    let bound = 1.0 / (info.shape[1] as f64).sqrt();
    let dice = stream.dice(0, index as u32, 0);
    (0..info.element_count()).map(|i| ((2.0 * dice.uniform(i) - 1.0) * bound) as f32).collect()
}

/// `sum += scale * B A` for `sum [out, in]`.
pub(crate) fn add_product(sum: &mut [f32], a: &[f32], b: &[f32], scale: f32, inputs: usize) {
    let rank = a.len() / inputs;
    // Linear maps take their weight as `[out, in]`: here `A'`.
    let transposed: Vec<f32> = (0..inputs).flat_map(|i| (0..rank).map(move |r| a[r * inputs + i])).collect();
    for (sum, b) in sum.chunks_mut(256 * inputs).zip(b.chunks(256 * rank)) {
        let change = up(Team::ALONE, b, &transposed, scale, b.len() / rank, rank);
        sum.iter_mut().zip(change).for_each(|(sum, change)| *sum += change);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_the_word_or_a_list() {
        #[derive(Debug, PartialEq, Serialize, Deserialize)]
        struct Holder {
            targets: Targets,
        }
        let read = |text: &str| serde_json::from_str::<Holder>(text);
        let all = read(r#"{"targets":"all-linear"}"#).expect("the word");
        assert_eq!(all.targets, Targets::AllLinear);
        assert_eq!(serde_json::to_string(&all).expect("JSON"), r#"{"targets":"all-linear"}"#);
        let named = read(r#"{"targets":["q_proj"]}"#).expect("a list");
        assert_eq!(named.targets, Targets::Named(vec!["q_proj".to_owned()]));
        assert!(read(r#"{"targets":"q_proj"}"#).is_err());
    }

    #[test]
    fn a_target_is_a_name_or_the_end_of_one() {
        let module = "model.layers.0.self_attn.q_proj";
        assert!(names("q_proj", module) && names("self_attn.q_proj", module) && names(module, module));
        assert!(!names("proj", module) && !names("q_projx", module) && !names("layers.0", module));
    }

    #[test]
    fn the_scale_is_alpha_over_rank_or_its_root() {
        let lora = Lora { rank: 16, alpha: 32.0, ..Lora::default() };
        assert_eq!(lora.scale(), 2.0);
        assert_eq!(Lora { rslora: true, ..lora }.scale(), 8.0);
    }

    #[test]
    fn target_modules_are_short_where_they_can_be() {
        let all: Vec<String> = (0..2).flat_map(|i| ["q", "k"].map(|leaf| format!("layers.{i}.{leaf}"))).collect();
        assert_eq!(target_modules(&all, &all), ["k", "q"]);
        assert_eq!(target_modules(&[all[0].clone(), all[2].clone()], &all), ["q"]);
        assert_eq!(target_modules(&all[..1], &all), [all[0].clone()]);
    }
}
