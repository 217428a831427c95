//! What happens between `clone` and `execve`, in the order of this file.
//!
//! The child has a stack of its own and shares all other memory with its parent, whose threads run on: it makes system calls, reads
//! what was prepared, and writes to [`Shared`]. It never allocates, locks, unwinds, or calls libc.

use std::{
    cell::UnsafeCell,
    ffi::{CStr, CString, c_char, c_int, c_void},
    sync::atomic::{AtomicU32, Ordering},
};

use seccompiler::BpfProgram;

use super::{landlock, landlock::Access, raw, root::Root};
use crate::{Layer, Layers};

/// Everything that the child needs, made before it exists.
pub struct Plan {
    pub layers: Layers,
    /// The ids to become, inside.
    pub id: Option<u32>,
    pub root: Option<Root>,
    /// The private folder, as the child sees it.
    pub work: CString,
    pub files: Vec<(CString, Vec<u8>)>,
    /// Descriptors of this process, all above 9, and what they become; the rest is closed.
    pub descriptors: Vec<(c_int, c_int)>,
    pub limits: Vec<(u32, u64)>,
    pub rules: Vec<(CString, Access)>,
    pub landlock_version: usize,
    pub filters: Option<&'static [BpfProgram; 3]>,
    pub start: Start,
    pub shared: Shared,
}

/// What comes after the last layer.
pub enum Start {
    Program {
        path: CString,
        argv: CStrings,
        envp: CStrings,
    },
    /// Nothing: it was a trial of the layers.
    Nothing,
}

/// An array of C strings as `execve` takes it.
pub struct CStrings {
    _strings: Vec<CString>,
    pointers: Vec<*const c_char>,
}

impl CStrings {
    pub fn new(strings: Vec<CString>) -> Self {
        let pointers = strings.iter().map(|s| s.as_ptr()).chain([std::ptr::null()]).collect();
        Self { _strings: strings, pointers }
    }
}

/// What parent and child write for each other.
#[derive(Default)]
pub struct Shared {
    /// 0: wait; 1: the ids are mapped, go on; 2: give up.
    pub go: AtomicU32,
    /// Not 0 while the child uses this memory: the kernel clears it, and wakes who waits.
    pub alive: AtomicU32,
    pub fault: UnsafeCell<Option<Fault>>,
}

/// Where the child failed.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    Layer { layer: Layer, what: &'static str, errno: i32 },
    Start { errno: i32 },
}

/// `plan` is a [`Plan`] that nobody moves, changes or frees while `shared.alive` is not 0. (`clone` takes no unsafe function.)
pub extern "C" fn enter(plan: *mut c_void) -> c_int {
    // SAFETY: promised by the one caller, `spawn`.
    let plan = unsafe { &*plan.cast::<Plan>() };
    match prepare(plan).and_then(|()| start(&plan.start)) {
        Ok(()) => raw::exit(0),
        Err(fault) => {
            // SAFETY: the parent reads it after the kernel has cleared `alive`, which is after this process is gone.
            unsafe { *plan.shared.fault.get() = Some(fault) };
            raw::exit(127)
        }
    }
}

fn prepare(plan: &Plan) -> Result<(), Fault> {
    let has = |layer| plan.layers.has(layer);
    let fault = |layer, what| move |raw::Errno(errno)| Fault::Layer { layer, what, errno };
    let dies_with_parent = || {
        raw::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL as usize, 0)
            .map_err(fault(Layer::Deadline, "dying with the parent"))
    };
    dies_with_parent()?;
    while plan.shared.go.load(Ordering::Acquire) == 0 {
        let _ = raw::futex_wait(&plan.shared.go, 0);
    }
    if plan.shared.go.load(Ordering::Acquire) != 1 {
        return Err(Fault::Layer { layer: Layer::User, what: "mapping ids", errno: libc::EPERM });
    }

    // Handlers are the parent's code, in memory that is still shared. Two signals have none to reset.
    for signal in (1..=64).filter(|s| ![libc::SIGKILL, libc::SIGSTOP, 32, 33].contains(s)) {
        let _ = raw::default_action(signal);
    }
    raw::unblock_signals().map_err(fault(Layer::Session, "unblocking signals"))?;
    if has(Layer::Session) {
        raw::setsid().map_err(fault(Layer::Session, "setsid"))?;
    }
    if has(Layer::Uts) {
        raw::sethostname(b"jail").map_err(fault(Layer::Uts, "sethostname"))?;
    }
    if let Some(root) = &plan.root {
        root.enter().map_err(|(what, errno)| fault(Layer::Mount, what)(errno))?;
    }
    if let Some(id) = plan.id {
        // Refused where the parent's groups could not be mapped; they own nothing that is shown.
        let _ = raw::setgroups_to_none();
        raw::setresgid(id).map_err(fault(Layer::User, "setresgid"))?;
        // Of root's program this also forbids core dumps of the memory that is still shared: the parent makes none from now on.
        raw::setresuid(id).map_err(fault(Layer::User, "setresuid"))?;
        // A change of ids forgets it.
        dies_with_parent()?;
    }
    raw::chdir(&plan.work).map_err(fault(Layer::Mount, "entering the private folder"))?;
    for (name, bytes) in &plan.files {
        place(name, bytes).map_err(fault(Layer::Mount, "writing a file of the program"))?;
    }
    for &(from, to) in &plan.descriptors {
        raw::dup3(from, to).map_err(fault(Layer::Descriptors, "giving a descriptor"))?;
    }
    if has(Layer::Descriptors) {
        raw::close_range(plan.descriptors.len()).map_err(fault(Layer::Descriptors, "closing the others"))?;
    }
    for &(resource, value) in &plan.limits {
        raw::set_limit(resource, value).map_err(fault(Layer::Limits, "setting a limit"))?;
    }
    if has(Layer::NoNewPrivileges) {
        raw::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0).map_err(fault(Layer::NoNewPrivileges, "no new privileges"))?;
    }
    if has(Layer::Landlock) {
        let rules = plan.rules.iter().map(|(path, access)| (path.as_c_str(), *access));
        landlock::apply(plan.landlock_version, rules).map_err(fault(Layer::Landlock, "restricting"))?;
    }
    if plan.id.is_some() {
        raw::no_capabilities().map_err(fault(Layer::User, "dropping capabilities"))?;
    }
    if let Some(filters) = plan.filters {
        super::seccomp::apply(filters).map_err(fault(Layer::Seccomp, "filtering"))?;
    }
    Ok(())
}

fn place(name: &CStr, bytes: &[u8]) -> raw::Result<()> {
    let fd = raw::open(name, libc::O_CREAT | libc::O_EXCL | libc::O_WRONLY | libc::O_CLOEXEC, 0o600)?;
    let mut rest = bytes;
    while !rest.is_empty() {
        let written = raw::write(fd, rest)?;
        rest = rest.get(written..).unwrap_or(&[]);
    }
    raw::close(fd).map(|_| ())
}

fn start(start: &Start) -> Result<(), Fault> {
    match start {
        Start::Nothing => Ok(()),
        Start::Program { path, argv, envp } => {
            // SAFETY: `CStrings` ends both arrays with a null pointer.
            let raw::Errno(errno) = unsafe { raw::execve(path, argv.pointers.as_ptr(), envp.pointers.as_ptr()) };
            Err(Fault::Start { errno })
        }
    }
}
