//! Who a program is: an id without a name inside, and outside one that owns nothing, or the caller's own where that is all the
//! kernel lets the caller map.

use std::{fs, io, io::ErrorKind};

/// Inside: an ordinary user's number.
pub const INSIDE: u32 = 1000;
/// Outside, where root starts the program: nobody.
const NOBODY: u32 = 65534;

/// The caller's ids.
pub struct Ids {
    user: u32,
    group: u32,
}

impl Ids {
    pub fn of_caller() -> Self {
        // SAFETY: they cannot fail.
        unsafe { Self { user: libc::geteuid(), group: libc::getegid() } }
    }

    pub fn is_root(&self) -> bool {
        self.user == 0
    }

    /// Writes the maps of a child in a new user namespace. Root is root in it until the jail stands, so that folders of its own can
    /// be mounted, and then nobody; others can only map themselves.
    pub fn map(&self, pid: libc::pid_t) -> io::Result<()> {
        let of = |own: u32| match self.is_root() {
            true => format!("0 {own} 1\n{INSIDE} {NOBODY} 1\n"),
            false => format!("{INSIDE} {own} 1\n"),
        };
        if !self.is_root() {
            match fs::write(format!("/proc/{pid}/setgroups"), "deny") {
                Err(e) if e.kind() != ErrorKind::NotFound => return Err(e),
                _ => {}
            }
        }
        fs::write(format!("/proc/{pid}/uid_map"), of(self.user))?;
        fs::write(format!("/proc/{pid}/gid_map"), of(self.group))
    }
}

/// The id that owns a private folder outside of mount namespaces.
pub fn owner_outside() -> u32 {
    NOBODY
}
