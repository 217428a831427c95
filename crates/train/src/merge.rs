//! An adapter and its base as one model.

use std::{fs, path::Path};

use cohort_core::NumberType;
use cohort_env::Sandbox;
use cohort_model::{Opening, StoredDtype};

use crate::{
    build::{Places, open_adapter},
    checkpoint::{self, Provenance, SHARD_BYTES, base_name},
    error::Error,
};

/// What is merged, and where it goes.
pub struct Merge<'a> {
    pub adapter: &'a str,
    /// The base's directory, instead of the one that the adapter names.
    pub base: Option<&'a str>,
    /// What matrices are stored in; the base's own type unless told.
    pub numbers: Option<NumberType>,
    /// Absent or empty.
    pub out: &'a Path,
}

/// What was merged.
pub struct Merged {
    /// How the adapter names its base.
    pub base: String,
    pub modules: usize,
    pub numbers: NumberType,
}

/// Writes `W + scale * B A` for every adapted map, and everything else as it is.
///
/// # Errors
/// `out` is not empty; `adapter` is no adapter; adapter or base cannot be loaded or written.
pub fn merge(plan: &Merge<'_>, places: &Places) -> Result<Merged, Error> {
    if fs::read_dir(plan.out).is_ok_and(|mut entries| entries.next().is_some()) || plan.out.is_file() {
        return Err(Error::NotEmpty { path: plan.out.to_owned() });
    }
    let opening = Opening { selection: None, numbers: None, ..Opening::default() };
    let policy = open_adapter("--model", plan.adapter, plan.base, opening, places)?;
    let numbers = plan.numbers.unwrap_or(match policy.architecture().dtype {
        StoredDtype::Bf16 => NumberType::Bf16,
        StoredDtype::F32 | StoredDtype::F16 => NumberType::F32,
    });
    let base = policy.adapter().map_or(String::new(), |adapter| adapter.base.clone());
    let modules = policy.adapted_modules().len();
    let provenance = Provenance {
        recipe: String::new(),
        recipe_hash: String::new(),
        base: Some(base_name(&base)),
        stage: "merged".to_owned(),
        step: 0,
        sandbox: Sandbox::Jail,
    };
    checkpoint::write_model(plan.out, &policy.merged(numbers), &provenance, SHARD_BYTES)?;
    Ok(Merged { base, modules, numbers })
}
