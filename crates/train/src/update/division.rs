//! How the work of a training pass is divided among the cores. No choice changes a bit.

use std::num::NonZeroUsize;

use cohort_core::{Activations, Execution};
use serde::{Deserialize, Serialize};

use super::worker::Workers;

/// Which way the cores share a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Parallel {
    /// A micro-batch a worker, each with a gradient of its own and single-threaded kernels.
    Workers,
    /// One micro-batch at a time, whose kernels split their rows over the cores.
    Rows,
}

impl Parallel {
    pub fn name(self) -> &'static str {
        match self {
            Parallel::Workers => "workers",
            Parallel::Rows => "rows",
        }
    }
}

/// The division of a run's training passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Division {
    /// Cores.
    pub workers: Workers,
    pub parallel: Parallel,
    pub activations: Activations,
}

impl Division {
    /// Graphs at work at once.
    pub fn graphs(self) -> Workers {
        match self.parallel {
            Parallel::Workers => self.workers,
            Parallel::Rows => Workers::new(Some(1)),
        }
    }

    /// Threads within a graph.
    pub fn threads(self) -> u64 {
        self.execution().threads.get() as u64
    }

    pub fn execution(self) -> Execution {
        let threads = match self.parallel {
            Parallel::Workers => NonZeroUsize::MIN,
            Parallel::Rows => self.workers.threads(),
        };
        Execution { activations: self.activations, threads }
    }
}
