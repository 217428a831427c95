//! What exact divergences are measured from.

use std::{any::Any, fmt, sync::Arc};

/// The distributions that a policy gave to the actions of some samples, as it keeps them: a policy of the same kind can read
/// them, nobody else.
#[derive(Clone)]
pub struct Distributions(Arc<dyn Any + Send + Sync>);

impl Distributions {
    pub fn new(kept: impl Any + Send + Sync) -> Self {
        Self(Arc::new(kept))
    }

    /// What is kept, where it is a `T`.
    pub fn get<T: Any + Send + Sync>(&self) -> Option<Arc<T>> {
        Arc::clone(&self.0).downcast().ok()
    }
}

impl fmt::Debug for Distributions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Distributions")
    }
}

/// What the columns `kl_old` and `kl_ref` of some samples are measured from, where they are wanted. Constants.
#[derive(Clone, Debug, Default)]
pub struct Against {
    /// Those of the policy that the ratio is against.
    pub old: Option<Distributions>,
    /// Those of the reference.
    pub reference: Option<Distributions>,
}

impl Against {
    pub fn is_nothing(&self) -> bool {
        self.old.is_none() && self.reference.is_none()
    }
}
