//! What verifiers may use that no recipe names: folders and the environment's variables, given by the caller.

use std::{fmt, path::PathBuf, sync::Arc};

use cohort_sandbox::{Jail, JailError};
use serde::{Deserialize, Serialize};

use super::VerifierError;
use crate::{locate, text_model::TrainedModels};

/// Looks a variable of the environment up.
pub type Variables = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// Finds the directory of a model named `hf:org/name[@revision]`, for the parameter that is named first.
pub type Hub = Arc<dyn Fn(&'static str, &str) -> Result<PathBuf, VerifierError> + Send + Sync>;

/// What stands between programs that a model wrote and this machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Sandbox {
    /// A jail; without a layer that matters, nothing is run.
    #[default]
    Jail,
    /// Nothing: they run with the rights of the user, within limits alone. For programs that can be trusted.
    None,
}

impl Sandbox {
    pub fn is_jail(&self) -> bool {
        *self == Sandbox::Jail
    }

    /// The place to run generated programs in.
    ///
    /// # Errors
    /// The kernel does not give a layer that matters.
    pub fn jail(self) -> Result<Jail, VerifierError> {
        match self {
            Sandbox::None => Ok(Jail::unconfined()),
            Sandbox::Jail => Jail::of_this_kernel().map_err(|e| match e {
                JailError::Missing { layer, reason } => VerifierError::Missing {
                    what: format!("generated programs are not run without the sandbox's layer `{layer}`: {reason}"),
                    hint: "`cohort doctor` lists the layers; reward.sandbox = \"none\" (`--sandbox none`) runs programs without them, with your rights"
                        .to_owned(),
                },
                other => VerifierError::Missing {
                    what: other.to_string(),
                    hint: "reward.sandbox = \"none\" runs generated programs without a sandbox, with your rights".to_owned(),
                },
            }),
        }
    }
}

/// The surroundings of a verifier. This crate reads no environment variable itself.
#[derive(Clone)]
pub struct Means {
    /// What `data:NAME` is below.
    pub data: Option<PathBuf>,
    /// Where verdicts and built databases may be kept between runs; nothing is kept without one.
    pub cache: Option<PathBuf>,
    /// The directory of the run, where there is one.
    pub run_dir: Option<PathBuf>,
    /// What generated programs run in.
    pub sandbox: Sandbox,
    /// Keys of services are read through it, by the names that a recipe gives.
    pub variables: Variables,
    /// Where models of the Hub are.
    pub hub: Hub,
    /// The models that the run trains itself.
    pub trained: TrainedModels,
}

impl Means {
    /// The directory of the model that a parameter names: a path, `data:NAME`, or `hf:org/name[@revision]`.
    ///
    /// # Errors
    /// A name that leads nowhere; whether a plain path is a model is for who reads it.
    pub fn model(&self, parameter: &'static str, name: &str) -> Result<PathBuf, VerifierError> {
        match name.starts_with("hf:") {
            true => (self.hub)(parameter, name),
            false => Ok(locate(parameter, name, self.data.as_deref())?),
        }
    }
}

impl Default for Means {
    /// No folders, no variables, no Hub; a jail.
    fn default() -> Self {
        let no_hub = |parameter, name: &str| {
            let reason = "no Hub is known here; give the model's directory".to_owned();
            Err(VerifierError::Unreachable { parameter, name: name.to_owned(), reason })
        };
        Self {
            data: None,
            cache: None,
            run_dir: None,
            sandbox: Sandbox::Jail,
            variables: Arc::new(|_| None),
            hub: Arc::new(no_hub),
            trained: TrainedModels::default(),
        }
    }
}

impl fmt::Debug for Means {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { data, cache, run_dir, sandbox, variables: _, hub: _, trained: _ } = self;
        f.debug_struct("Means")
            .field("data", data)
            .field("cache", cache)
            .field("run_dir", run_dir)
            .field("sandbox", sandbox)
            .finish_non_exhaustive()
    }
}
