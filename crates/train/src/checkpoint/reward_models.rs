//! The models of texts of a run: one vector a model, or one for each value of its column, under `NAME` or `NAME/VALUE`.

use std::{io, path::Path};

use cohort_env::text_model::TextModels;

use super::{
    CheckpointError,
    tensors::{read_tensors, write_values},
};

const REWARD_MODELS: &str = "reward_models.safetensors";

fn tensor(name: &str, value: &str) -> String {
    if value.is_empty() { name.to_owned() } else { format!("{name}/{value}") }
}

/// Writes the models, where there are any.
pub(super) fn write(staging: &Path, models: &TextModels) -> io::Result<()> {
    if models.is_empty() {
        return Ok(());
    }
    let vectors = models.iter().flat_map(|(name, model)| {
        model.weights.iter().map(|(value, weights)| (tensor(name, value), vec![weights.len()], weights.as_slice()))
    });
    write_values(&staging.join(REWARD_MODELS), &vectors.collect::<Vec<_>>())
}

/// Whether a checkpoint holds models.
pub fn has(directory: &Path) -> bool {
    directory.join(REWARD_MODELS).is_file()
}

/// Reads the numbers of `models`, whose families and values are those of the recipe, from a checkpoint that was verified.
///
/// # Errors
/// A vector that is missing or of another length: the checkpoint is of another recipe or task.
pub fn read(directory: &Path, models: &mut TextModels) -> Result<(), CheckpointError> {
    let wanted: Vec<_> = models
        .iter()
        .flat_map(|(name, model)| {
            let of = move |(value, weights): (&String, &Vec<f32>)| {
                (tensor(name, value), vec![weights.len()], (name.clone(), value.clone()))
            };
            model.weights.iter().map(of)
        })
        .collect();
    read_tensors(&directory.join(REWARD_MODELS), wanted.into_iter(), |(name, value), values| {
        if let Some(weights) = models.get_mut(&name).and_then(|model| model.weights.get_mut(&value)) {
            weights.copy_from_slice(values);
        }
    })
}
