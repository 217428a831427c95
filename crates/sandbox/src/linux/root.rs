//! The root that a program sees: a small tmpfs with read-only mounts in it.

use std::{
    ffi::{CStr, CString},
    fs, io,
    os::unix::ffi::OsStrExt,
    path::{Component, Path, PathBuf},
};

use super::{landlock::Access, raw};
use crate::{Jail, JailError, Limits, jail::Private};

/// Read-only folders and files of the system; those that are links stay links, those that are absent stay absent.
const SYSTEM: &[&str] = &["/usr", "/bin", "/sbin", "/lib", "/lib64", "/lib32", "/etc/ld.so.cache", "/etc/alternatives"];
const DEVICES: &[&str] = &["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"];
/// The private folder.
pub const WORK: &str = "/work";
/// Links to the private folder, from where programs expect one.
const LINKED: &[&str] = &["/tmp", "/dev/shm"];
/// Where the new root is put together: a folder that every system has and no readable path is below.
const STAGE: &CStr = c"/proc";

const READ_ONLY: u64 = 1;
const NO_SETUID: u64 = 2;
const NO_DEVICES: u64 = 4;
const NO_EXECUTION: u64 = 8;
const RECURSIVE: i32 = 0x8000;

/// One step of putting the root together; paths inside are relative to it.
enum Step {
    Folder(CString),
    File(CString),
    Link { to: CString, path: CString },
    Bind { from: CString, to: CString, attributes: u64 },
}

/// The root, prepared: entering it allocates nothing.
pub struct Root {
    steps: Vec<Step>,
    /// Options and flags of the private folder's file system.
    private: CString,
    private_flags: u64,
}

/// What can be read in a jail, and what it is.
pub struct Shown {
    paths: Vec<(PathBuf, Kind)>,
}

enum Kind {
    Folder,
    File,
    Link(PathBuf),
}

impl Shown {
    /// The system's paths and the jail's own.
    ///
    /// # Errors
    /// A path of the jail that is not there or not absolute.
    pub fn of(jail: &Jail) -> Result<Self, JailError> {
        let mut paths: Vec<(PathBuf, Kind)> = Vec::new();
        for path in SYSTEM {
            if let Ok(kind) = kind(Path::new(path)) {
                paths.push((path.into(), kind));
            }
        }
        for path in &jail.readable {
            if !path.is_absolute() || path.components().any(|c| c == Component::ParentDir) {
                let (what, expected) = ("a readable path", "absolute, without `..`");
                return Err(JailError::Usage { what, got: path.display().to_string(), expected });
            }
            let kind = fs::metadata(path).map(|seen| if seen.is_dir() { Kind::Folder } else { Kind::File });
            let kind = kind.map_err(|source| JailError::Readable { path: path.clone(), source })?;
            // A path below another one that is shown is there already, unless it leads elsewhere.
            let is_below = |(shown, kind): &(PathBuf, Kind)| matches!(kind, Kind::Folder) && path.starts_with(shown);
            if !paths.iter().any(is_below) {
                paths.push((path.clone(), kind));
            }
        }
        Ok(Self { paths })
    }

    /// Rules of Landlock for what is shown, the devices and the private folder.
    pub fn rules(&self, private: &CStr) -> Vec<(CString, Access)> {
        let mut rules = vec![(private.to_owned(), Access::Private)];
        for (path, kind) in &self.paths {
            match kind {
                Kind::Folder => rules.push((text(path), Access::ReadFolder)),
                Kind::File => rules.push((text(path), Access::ReadFile)),
                Kind::Link(_) => {}
            }
        }
        rules.extend(DEVICES.iter().filter(|d| Path::new(d).exists()).map(|d| (text(Path::new(d)), Access::Device)));
        rules
    }
}

fn kind(path: &Path) -> io::Result<Kind> {
    let seen = fs::symlink_metadata(path)?;
    Ok(if seen.is_symlink() {
        Kind::Link(fs::read_link(path)?)
    } else if seen.is_dir() {
        Kind::Folder
    } else {
        Kind::File
    })
}

impl Root {
    /// `owner` is the id, inside, that the private folder belongs to.
    pub fn new(shown: &Shown, jail: &Jail, owner: u32) -> Self {
        let mut steps = Vec::new();
        let mut made: Vec<PathBuf> = Vec::new();
        let mut parents = |path: &Path, steps: &mut Vec<Step>| {
            let folders: Vec<&Path> = path.ancestors().skip(1).filter(|p| p.parent().is_some()).collect();
            for folder in folders.into_iter().rev() {
                if !made.iter().any(|m| m == folder) {
                    made.push(folder.to_owned());
                    steps.push(Step::Folder(inside(folder)));
                }
            }
        };
        // Shorter paths first: what is mounted at a folder does not cover what is mounted below it.
        let mut paths: Vec<_> = shown.paths.iter().collect();
        paths.sort_by_key(|(path, _)| path.components().count());
        for (path, kind) in paths {
            parents(path, &mut steps);
            let attributes = READ_ONLY | NO_SETUID | NO_DEVICES;
            match kind {
                Kind::Link(to) => steps.push(Step::Link { to: text(to), path: inside(path) }),
                Kind::Folder => {
                    steps.push(Step::Folder(inside(path)));
                    steps.push(Step::Bind { from: text(path), to: inside(path), attributes });
                }
                Kind::File => {
                    steps.push(Step::File(inside(path)));
                    steps.push(Step::Bind { from: text(path), to: inside(path), attributes });
                }
            }
        }
        for device in DEVICES.iter().map(Path::new).filter(|device| device.exists()) {
            parents(device, &mut steps);
            steps.push(Step::File(inside(device)));
            let attributes = NO_SETUID | NO_EXECUTION;
            steps.push(Step::Bind { from: text(device), to: inside(device), attributes });
        }
        let is_shown = |link: &&Path| shown.paths.iter().any(|(path, _)| path.starts_with(link));
        for link in LINKED.iter().map(Path::new).filter(|link| !is_shown(link)) {
            parents(link, &mut steps);
            steps.push(Step::Link { to: text(Path::new(WORK)), path: inside(link) });
        }
        for hidden in jail.hidden.iter().filter(|hidden| hidden.exists()) {
            let attributes = READ_ONLY | NO_SETUID | NO_DEVICES | NO_EXECUTION;
            steps.push(Step::Bind { from: c"/dev/null".to_owned(), to: inside(hidden), attributes });
        }
        let Limits { writable, files, .. } = jail.limits_of();
        let private_flags = match jail.private {
            Private::Programs => libc::MS_NOSUID | libc::MS_NODEV,
            Private::Data => libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC,
        };
        let options = format!("size={writable},nr_inodes={files},mode=0700,uid={owner},gid={owner}");
        Self { steps, private: CString::new(options).unwrap_or_default(), private_flags }
    }

    /// Makes it the root of the calling process, in its own mount namespace.
    pub fn enter(&self) -> Result<(), (&'static str, raw::Errno)> {
        let none = c"";
        let private = libc::MS_REC | libc::MS_PRIVATE;
        let bare = libc::MS_NOSUID | libc::MS_NODEV;
        let bind = libc::MS_BIND | libc::MS_REC;
        raw::mount(c"none", c"/", none, private, none).map_err(|e| ("making mounts private", e))?;
        let options = c"size=1m,nr_inodes=1024,mode=0755";
        raw::mount(c"tmpfs", STAGE, c"tmpfs", bare, options).map_err(|e| ("mounting the new root", e))?;
        raw::chdir(STAGE).map_err(|e| ("entering the new root", e))?;
        for step in &self.steps {
            match step {
                Step::Folder(path) => match raw::mkdir(path, 0o755) {
                    Ok(_) | Err(raw::Errno(libc::EEXIST)) => {}
                    Err(e) => return Err(("making a folder", e)),
                },
                Step::File(path) => {
                    let fd = raw::open(path, libc::O_CREAT | libc::O_WRONLY | libc::O_CLOEXEC, 0o644);
                    fd.and_then(raw::close).map_err(|e| ("making a file to mount on", e))?;
                }
                Step::Link { to, path } => {
                    raw::symlink(to, path).map_err(|e| ("making a link", e))?;
                }
                Step::Bind { from, to, attributes } => {
                    raw::mount(from, to, none, bind, none).map_err(|e| ("mounting a readable path", e))?;
                    raw::mount_setattr(to, RECURSIVE, &[*attributes, 0, 0, 0])
                        .map_err(|e| ("making a mount read-only", e))?;
                }
            }
        }
        raw::mkdir(c"work", 0o755).map_err(|e| ("making the private folder", e))?;
        raw::mount(c"tmpfs", c"work", c"tmpfs", self.private_flags, &self.private)
            .map_err(|e| ("mounting the private folder", e))?;
        raw::pivot_root(c".", c".").map_err(|e| ("changing the root", e))?;
        raw::unmount(c".", libc::MNT_DETACH).map_err(|e| ("leaving the old root", e))?;
        raw::chdir(c"/").map_err(|e| ("entering the root", e))?;
        raw::mount_setattr(c"/", 0, &[READ_ONLY | NO_SETUID | NO_DEVICES, 0, 0, 0])
            .map_err(|e| ("making the root read-only", e))?;
        Ok(())
    }
}

/// A path as C wants it; one with a zero byte names nothing.
pub fn text(path: &Path) -> CString {
    CString::new(path.as_os_str().as_bytes()).unwrap_or_default()
}

/// An absolute path, relative to the new root.
fn inside(path: &Path) -> CString {
    text(path.strip_prefix("/").unwrap_or(path))
}
