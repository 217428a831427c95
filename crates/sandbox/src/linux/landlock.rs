//! Landlock: what may be touched, by rule, whatever the mounts show. <https://docs.kernel.org/userspace-api/landlock.html>

use std::ffi::CStr;

use super::raw;

/// Rights on files by their bits, and the version that has them.
mod right {
    pub const EXECUTE: u64 = 1 << 0;
    pub const WRITE_FILE: u64 = 1 << 1;
    pub const READ_FILE: u64 = 1 << 2;
    pub const READ_DIR: u64 = 1 << 3;
    pub const REMOVE_DIR: u64 = 1 << 4;
    pub const REMOVE_FILE: u64 = 1 << 5;
    pub const MAKE_DIR: u64 = 1 << 7;
    pub const MAKE_REG: u64 = 1 << 8;
    pub const MAKE_FIFO: u64 = 1 << 10;
    pub const MAKE_SYM: u64 = 1 << 12;
    pub const REFER: u64 = 1 << 13;
    pub const TRUNCATE: u64 = 1 << 14;
    /// All of the first version, REFER since 2, TRUNCATE since 3, IOCTL_DEV since 5.
    pub const HANDLED: [u64; 5] = [(1 << 13) - 1, (1 << 14) - 1, (1 << 15) - 1, (1 << 15) - 1, (1 << 16) - 1];
}

/// What a path is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    ReadFolder,
    ReadFile,
    Device,
    Private,
}

impl Access {
    fn rights(self) -> u64 {
        use right::*;
        match self {
            Access::ReadFolder => EXECUTE | READ_FILE | READ_DIR,
            Access::ReadFile => EXECUTE | READ_FILE,
            Access::Device => READ_FILE | WRITE_FILE | TRUNCATE,
            Access::Private => {
                let make = MAKE_DIR | MAKE_REG | MAKE_FIFO | MAKE_SYM;
                EXECUTE | READ_FILE | READ_DIR | WRITE_FILE | REMOVE_DIR | REMOVE_FILE | make | REFER | TRUNCATE
            }
        }
    }
}

/// The version of this kernel's Landlock.
pub fn version() -> raw::Result<usize> {
    // SAFETY: no attributes, and the flag that asks for the version.
    unsafe { raw::call(libc::SYS_landlock_create_ruleset, [0, 0, 1, 0, 0, 0]) }
}

/// Holds the calling process to the rules: all else is denied, TCP and abstract sockets and signals to the outside too where the
/// version knows them. It allocates nothing.
pub fn apply<'a>(version: usize, rules: impl Iterator<Item = (&'a CStr, Access)>) -> raw::Result<usize> {
    let files = right::HANDLED[version.clamp(1, 5) - 1];
    let network = if version >= 4 { 0b11 } else { 0 };
    let scoped = if version >= 6 { 0b11 } else { 0 };
    let attributes = [files, network, scoped];
    let size = match version {
        0..=3 => 8,
        4 | 5 => 16,
        _ => 24,
    };
    // SAFETY: the structure as far as this version knows it.
    let ruleset =
        unsafe { raw::call(libc::SYS_landlock_create_ruleset, [attributes.as_ptr() as usize, size, 0, 0, 0, 0])? };
    for (path, access) in rules {
        let fd = raw::open(path, libc::O_PATH | libc::O_CLOEXEC, 0)?;
        let rule = Beneath { rights: access.rights() & files, parent: fd as i32 };
        // SAFETY: a rule of the kind "beneath a path".
        unsafe {
            raw::call(libc::SYS_landlock_add_rule, [ruleset, 1, std::ptr::from_ref(&rule) as usize, 0, 0, 0])?;
        }
        raw::close(fd)?;
    }
    raw::landlock_restrict_self(ruleset)?;
    raw::close(ruleset)
}

#[repr(C, packed)]
struct Beneath {
    rights: u64,
    parent: i32,
}
