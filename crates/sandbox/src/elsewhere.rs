//! Systems that are not Linux: everything is refused.

use crate::{Given, Jail, JailError, Layer, Program, Report};

pub fn run(_: &Jail, _: &Program) -> Result<Report, JailError> {
    Err(JailError::System)
}

pub fn given(_: Layer) -> Given {
    Given::Missing("jails need Linux".to_owned())
}
