//! The layers that a jail is made of.

use std::fmt;

/// One barrier. Each stands for itself: most attacks are stopped by more than one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Layer {
    /// A user namespace: no rights outside, and an id that owns nothing.
    User,
    /// A mount namespace whose root holds the readable paths and a private folder, all else absent.
    Mount,
    /// A process namespace: no other process can be named, and the tree dies with its first process.
    Pid,
    /// A network namespace without a single interface that is up.
    Network,
    /// No shared memory, semaphores or queues of others.
    Ipc,
    /// A host name of its own.
    Uts,
    /// The control groups of others cannot be seen.
    Cgroup,
    /// Landlock: files, TCP ports, abstract sockets and signals, by rule.
    Landlock,
    /// A filter of system calls.
    Seccomp,
    /// No new privileges: setuid programs stay what their caller is.
    NoNewPrivileges,
    /// Memory, processes, file size, CPU time, descriptors.
    Limits,
    /// A session of its own: no terminal, no process group of others.
    Session,
    /// An empty environment.
    Environment,
    /// Every descriptor closed but the given ones.
    Descriptors,
    /// The whole tree is killed at the end of the wall time.
    Deadline,
    /// The tree is killed when it writes too much.
    Output,
}

impl Layer {
    pub const ALL: [Layer; 16] = [
        Layer::User,
        Layer::Mount,
        Layer::Pid,
        Layer::Network,
        Layer::Ipc,
        Layer::Uts,
        Layer::Cgroup,
        Layer::Landlock,
        Layer::Seccomp,
        Layer::NoNewPrivileges,
        Layer::Limits,
        Layer::Session,
        Layer::Environment,
        Layer::Descriptors,
        Layer::Deadline,
        Layer::Output,
    ];

    /// The word for it in messages.
    pub fn name(self) -> &'static str {
        match self {
            Layer::User => "user namespace",
            Layer::Mount => "mount namespace",
            Layer::Pid => "process namespace",
            Layer::Network => "network namespace",
            Layer::Ipc => "ipc namespace",
            Layer::Uts => "uts namespace",
            Layer::Cgroup => "cgroup namespace",
            Layer::Landlock => "landlock",
            Layer::Seccomp => "seccomp",
            Layer::NoNewPrivileges => "no new privileges",
            Layer::Limits => "limits",
            Layer::Session => "session",
            Layer::Environment => "environment",
            Layer::Descriptors => "descriptors",
            Layer::Deadline => "deadline",
            Layer::Output => "output cap",
        }
    }

    /// Whether generated programs are refused without it. Landlock is a second lock on doors that the namespaces close, and the
    /// last two namespaces hide names alone.
    pub fn matters(self) -> bool {
        !matches!(self, Layer::Landlock | Layer::Uts | Layer::Cgroup)
    }

    /// Whether this kernel gives it to this user: tried, not read from a version. The layers that are no kernel's are always given.
    pub fn given(self) -> Given {
        crate::linux::given(self)
    }

    fn bit(self) -> u32 {
        1 << self as u32
    }
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Whether there is a layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Given {
    /// With what is worth saying of it, such as a version.
    Yes(Option<String>),
    /// With the kernel's reason.
    Missing(String),
}

/// A set of layers.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Layers(u32);

impl Layers {
    pub const NONE: Layers = Layers(0);

    pub fn all() -> Self {
        Layer::ALL.into_iter().fold(Self::NONE, Self::with)
    }

    pub fn has(self, layer: Layer) -> bool {
        self.0 & layer.bit() != 0
    }

    #[must_use]
    pub fn with(self, layer: Layer) -> Self {
        Self(self.0 | layer.bit())
    }

    #[must_use]
    pub fn without(self, layer: Layer) -> Self {
        Self(self.0 & !layer.bit())
    }

    pub fn iter(self) -> impl Iterator<Item = Layer> {
        Layer::ALL.into_iter().filter(move |layer| self.has(*layer))
    }
}

impl fmt::Debug for Layers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_holds_what_was_put_in() {
        let most = Layers::all().without(Layer::Seccomp);
        assert!(Layer::ALL.iter().all(|l| Layers::all().has(*l)) && !most.has(Layer::Seccomp) && most.has(Layer::Pid));
        assert_eq!(most.iter().count(), Layer::ALL.len() - 1);
        assert_eq!(most.with(Layer::Seccomp), Layers::all());
        assert_eq!(Layers::NONE.iter().count(), 0);
    }
}
