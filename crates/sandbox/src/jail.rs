//! A jail: layers, limits, and what can be read in it.

use std::path::PathBuf;

use crate::{Given, JailError, Layer, Layers, Limits, Program, Report};

/// A place to run programs that nobody has read. One value runs any number of programs, from any thread, at once.
///
/// A program sees `/usr`, `/bin`, `/lib*`, the loader's cache and `/etc/alternatives` of the system, the paths of
/// [`Jail::reading`], five devices (`null`, `zero`, `full`, `random`, `urandom`), and its private folder `/work`, which `/tmp`
/// and `/dev/shm` are links to, unless a readable path lies below them. All but the last is read-only. There is no `/proc`.
#[derive(Clone, Debug)]
pub struct Jail {
    pub(crate) layers: Layers,
    pub(crate) limits: Limits,
    pub(crate) readable: Vec<PathBuf>,
    pub(crate) hidden: Vec<PathBuf>,
    pub(crate) private: Private,
}

/// What the private folder may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Private {
    Programs,
    Data,
}

impl Default for Jail {
    fn default() -> Self {
        Self::new()
    }
}

impl Jail {
    /// Every layer, the default limits. A layer that the kernel does not give is an error when a program is run; see
    /// [`Jail::of_this_kernel`].
    pub fn new() -> Self {
        Self {
            layers: Layers::all(),
            limits: Limits::default(),
            readable: Vec::new(),
            hidden: Vec::new(),
            private: Private::Programs,
        }
    }

    /// Every layer that this kernel gives.
    ///
    /// # Errors
    /// A layer that matters is missing.
    pub fn of_this_kernel() -> Result<Self, JailError> {
        let mut jail = Self::new();
        for layer in Layer::ALL {
            match layer.given() {
                Given::Yes(_) => {}
                Given::Missing(reason) if layer.matters() => return Err(JailError::Missing { layer, reason }),
                Given::Missing(_) => jail = jail.without(layer),
            }
        }
        Ok(jail)
    }

    /// No barrier: the program has the rights of this process. It keeps the limits, the empty environment, a session and a folder of
    /// its own, the deadline and the output cap, which keep accidents small and stop no attack.
    pub fn unconfined() -> Self {
        let kept =
            [Layer::Limits, Layer::Session, Layer::Environment, Layer::Descriptors, Layer::Deadline, Layer::Output];
        Self { layers: kept.into_iter().fold(Layers::NONE, Layers::with), ..Self::new() }
    }

    /// The same without one layer: for tests that show what it stops.
    #[must_use]
    pub fn without(mut self, layer: Layer) -> Self {
        self.layers = self.layers.without(layer);
        self
    }

    #[must_use]
    pub fn with(mut self, layer: Layer) -> Self {
        self.layers = self.layers.with(layer);
        self
    }

    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// A file or folder that can be read, and programs of it run, under the path it has outside.
    #[must_use]
    pub fn reading(mut self, path: impl Into<PathBuf>) -> Self {
        self.readable.push(path.into());
        self
    }

    /// A file that is there and empty, though what it is in can be read. Of the layer [`Layer::Mount`].
    #[must_use]
    pub fn hiding(mut self, path: impl Into<PathBuf>) -> Self {
        self.hidden.push(path.into());
        self
    }

    /// Nothing in the private folder can be executed or loaded as machine code. Of the layer [`Layer::Mount`].
    #[must_use]
    pub fn data_only(mut self) -> Self {
        self.private = Private::Data;
        self
    }

    pub fn layers(&self) -> Layers {
        self.layers
    }

    pub fn limits_of(&self) -> &Limits {
        &self.limits
    }

    /// Runs a program to its end, or to the end of its time. The calling thread waits.
    ///
    /// # Errors
    /// The jail could not be built or the program not be started; never what the program did.
    pub fn run(&self, program: &Program) -> Result<Report, JailError> {
        crate::linux::run(self, program)
    }
}
