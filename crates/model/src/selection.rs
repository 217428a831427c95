//! Which parameters are trained.

use serde::{Deserialize, Serialize};

use crate::{layer::ModelParameters, lora::Lora};

/// What of a policy is trained; the rest is frozen.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Selection {
    /// Every parameter.
    #[default]
    All,
    /// The parameters whose names a pattern fits.
    Only(Vec<String>),
    /// All but the parameters whose names a pattern fits.
    Freeze(Vec<String>),
    /// Low-rank matrices beside frozen ones.
    Lora(Lora),
    /// The entries that an earlier run changed.
    Mask(Masked),
}

/// Training of a subnetwork: `m_i = 1[|theta1_i - theta0_i| > tolerance]` with `theta0` the start of the rl stage, which alone
/// is masked, and `theta1` that of `changed`. Gradients are masked before the optimizer and changes after it ("Reinforcement Learning Finetunes Small
/// Subnetworks in Large Language Models", arXiv 2505.11711, sections 3 and 4).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Masked {
    /// A model directory that a first run from the same start ended with.
    pub changed: String,
    /// From which difference on an entry counts as changed; at least 0.
    #[serde(default = "default_tolerance")]
    pub tolerance: f64,
    /// What values are rounded to before they are compared: in f32 nearly every entry moves.
    #[serde(default)]
    pub compared: Compared,
}

fn default_tolerance() -> f64 {
    1e-5
}

/// The type that values are compared in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Compared {
    /// 32 bits: as they are.
    F32,
    /// 16 bits, of which 8 are the exponent.
    #[default]
    Bf16,
}

/// Why a model has no such selection.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum SelectionError {
    #[error("the pattern `{pattern}` fits no parameter of the model, whose names are like `{example}`")]
    NoMatch { pattern: String, example: String },
    #[error("nothing is left to train: every parameter is frozen")]
    Nothing,
    #[error("`{target}` names no linear map of the model; those that an adapter can stand beside are {known}")]
    NoTarget { target: String, known: String },
    #[error("`{target}` is no linear map that an adapter can stand beside ({reason}); those are {known}")]
    Unsupported { target: String, reason: &'static str, known: String },
    #[error("an adapter needs a base that it can name: the directory of a model")]
    NoBase,
}

impl Selection {
    /// Whether each parameter of a model is trained. Adapters, which are added later, are.
    pub(crate) fn of(&self, parameters: &ModelParameters) -> Result<Vec<bool>, SelectionError> {
        let names = || parameters.infos.iter().map(|info| info.name.as_str());
        let fits = |patterns: &[String]| {
            if let Some(pattern) = patterns.iter().find(|pattern| !names().any(|name| fits(pattern, name))) {
                let example = names().nth(1).unwrap_or_default().to_owned();
                return Err(SelectionError::NoMatch { pattern: pattern.clone(), example });
            }
            Ok(names().map(|name| patterns.iter().any(|pattern| fits(pattern, name))).collect::<Vec<bool>>())
        };
        let trained = match self {
            Selection::All | Selection::Mask(_) => vec![true; parameters.infos.len()],
            Selection::Only(patterns) => fits(patterns)?,
            Selection::Freeze(patterns) => fits(patterns)?.into_iter().map(|fits| !fits).collect(),
            Selection::Lora(_) => return Ok(vec![false; parameters.infos.len()]),
        };
        if trained.iter().any(|&trained| trained) { Ok(trained) } else { Err(SelectionError::Nothing) }
    }
}

/// Whether a pattern fits the whole of `name`: `*` stands for any characters, `?` for one.
pub fn fits(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.as_bytes(), name.as_bytes());
    let (mut p, mut n) = (0, 0);
    // Where the last `*` stood, and how far it reached.
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(&byte) if byte == b'?' || byte == name[n] => (p, n) = (p + 1, n + 1),
            _ => match star {
                Some((at, reached)) => {
                    star = Some((at, reached + 1));
                    (p, n) = (at + 1, reached + 1);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|&byte| byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_fit_whole_names() {
        let name = "model.layers.11.mlp.up_proj.weight";
        for pattern in ["*", name, "model.layers.*", "*.mlp.*", "*up_proj.weight", "model.layers.1?.*", "**.weight"] {
            assert!(fits(pattern, name), "{pattern}");
        }
        for pattern in ["", "model", "model.layers.1.*", "*.mlp", "?", "*.weightx", "mlp.*"] {
            assert!(!fits(pattern, name), "{pattern}");
        }
        assert!(fits("*ab*ab", "xabyabab") && !fits("*ab*abc", "xabyabab"));
    }
}
