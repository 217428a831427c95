//! Which layers this kernel gives to this user: each is tried in a child that runs nothing.

use std::ffi::CString;

use super::{landlock, reason, spawn};
use crate::{Given, Jail, JailError, Layer, Layers};

pub fn given(layer: Layer) -> Given {
    match layer {
        Layer::Landlock => match landlock::version() {
            Ok(version) => tried(layer, Some(format!("version {version}"))),
            Err(e) => Given::Missing(reason(e)),
        },
        Layer::Environment | Layer::Deadline | Layer::Output => Given::Yes(None),
        _ => tried(layer, None),
    }
}

/// A trial of a layer with those that it stands on.
fn tried(layer: Layer, said: Option<String>) -> Given {
    let mut layers = Layers::NONE.with(layer);
    match layer {
        Layer::Mount | Layer::Pid | Layer::Network | Layer::Ipc | Layer::Uts | Layer::Cgroup => {
            layers = layers.with(Layer::User);
        }
        Layer::Landlock | Layer::Seccomp => layers = layers.with(Layer::NoNewPrivileges),
        _ => {}
    }
    let jail = Jail { layers, ..Jail::new() };
    let trial = || -> Result<(), JailError> {
        let (mut plan, ids, _folder) = super::plan(&jail, None, &[])?;
        if layer != Layer::Mount {
            plan.work = CString::from(c"/");
        }
        let child = spawn::spawn(&plan, &ids)?;
        child.wait().map_err(|source| JailError::Io { what: "a trial", source })?;
        Ok(())
    };
    match trial() {
        Ok(()) => Given::Yes(said),
        Err(JailError::Layer { what, source, .. }) => Given::Missing(format!("{what}: {source}")),
        Err(JailError::Missing { reason, .. }) => Given::Missing(reason),
        Err(other) => Given::Missing(other.to_string()),
    }
}
