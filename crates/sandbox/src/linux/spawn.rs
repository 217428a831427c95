//! The parent's side of a start: clone, map the ids, wait until the program runs.
//!
//! The child shares this process's memory until it executes the program (`CLONE_VM`), so that a start costs the same from a
//! process of 10 MB and of 10 GB. Unlike with `vfork` this thread runs on meanwhile: somebody outside must map the ids.

use std::{
    ffi::c_void,
    fs, io,
    os::fd::{AsRawFd, FromRawFd, OwnedFd},
    ptr,
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use super::{
    child::{self, Fault, Plan},
    ids::Ids,
};
use crate::{JailError, Layer, Layers};

/// A child that runs its program, or has come to its end.
pub struct Child {
    pub pid: libc::pid_t,
    pub pidfd: OwnedFd,
}

const STACK: usize = 128 << 10;
/// A start that takes longer hangs, on a dead network mount for instance.
const PATIENCE: Duration = Duration::from_secs(20);

/// # Errors
/// The kernel refused a layer, or the program cannot be executed.
pub fn spawn(plan: &Plan, ids: &Ids) -> Result<Child, JailError> {
    let stack = Stack::new().map_err(|source| JailError::Io { what: "a stack for the child", source })?;
    plan.shared.alive.store(1, Ordering::Release);
    let flags = libc::CLONE_VM | libc::CLONE_PIDFD | libc::CLONE_CHILD_CLEARTID | namespaces(plan.layers);
    let mut pidfd: libc::c_int = -1;
    let signals = Signals::block();
    // SAFETY: `enter` gets the plan that it asks for: this function does not return before `alive` is 0, which the kernel writes when
    // the child no longer uses this memory. The stack is the child's alone, and outlives it likewise. All signals are
    // blocked, so no handler runs on it.
    let pid = unsafe {
        libc::clone(
            child::enter,
            stack.top(),
            flags,
            ptr::from_ref(plan).cast_mut().cast::<c_void>(),
            &raw mut pidfd,
            ptr::null_mut::<c_void>(),
            plan.shared.alive.as_ptr(),
        )
    };
    let refused = io::Error::last_os_error();
    drop(signals);
    if pid < 0 {
        return Err(JailError::Layer { layer: Layer::User, what: "new namespaces", source: refused });
    }
    // SAFETY: clone has made it, and nobody else knows it.
    let child = Child { pid, pidfd: unsafe { OwnedFd::from_raw_fd(pidfd) } };
    let mapped = if plan.layers.has(Layer::User) { ids.map(pid) } else { Ok(()) };
    plan.shared.go.store(if mapped.is_ok() { 1 } else { 2 }, Ordering::Release);
    wake(&plan.shared.go);
    wait_until_gone(plan, &child);
    // SAFETY: the child no longer uses this memory.
    let fault = unsafe { *plan.shared.fault.get() };
    if fault.is_none() && mapped.is_ok() {
        // The first to go when memory is short. Best effort: the limits hold without it.
        let _ = fs::write(format!("/proc/{pid}/oom_score_adj"), "1000");
        return Ok(child);
    }
    child.kill(plan.layers);
    let _ = child.wait();
    Err(match (mapped, fault) {
        (Err(source), _) => JailError::Layer { layer: Layer::User, what: "mapping ids", source },
        (_, Some(Fault::Layer { layer, what, errno })) => {
            JailError::Layer { layer, what, source: io::Error::from_raw_os_error(errno) }
        }
        (_, Some(Fault::Start { errno })) => {
            JailError::Start { path: plan.program(), source: io::Error::from_raw_os_error(errno) }
        }
        (Ok(()), None) => unreachable!("returned above"),
    })
}

fn namespaces(layers: Layers) -> libc::c_int {
    let flags = [
        (Layer::User, libc::CLONE_NEWUSER),
        (Layer::Mount, libc::CLONE_NEWNS),
        (Layer::Pid, libc::CLONE_NEWPID),
        (Layer::Network, libc::CLONE_NEWNET),
        (Layer::Ipc, libc::CLONE_NEWIPC),
        (Layer::Uts, libc::CLONE_NEWUTS),
        (Layer::Cgroup, libc::CLONE_NEWCGROUP),
    ];
    flags.iter().filter(|(layer, _)| layers.has(*layer)).fold(0, |all, (_, flag)| all | flag)
}

/// Until the kernel says that the child does not use this memory any more: it executed its program, or is dead.
fn wait_until_gone(plan: &Plan, child: &Child) {
    let alive = &plan.shared.alive;
    let begun = Instant::now();
    let mut is_killed = false;
    loop {
        let value = alive.load(Ordering::Acquire);
        if value == 0 {
            return;
        }
        if begun.elapsed() > PATIENCE && !is_killed {
            child.kill(plan.layers);
            is_killed = true;
        }
        let second = libc::timespec { tv_sec: 1, tv_nsec: 0 };
        // SAFETY: the word outlives the call; the kernel's wake is not private to this process's futexes.
        unsafe {
            libc::syscall(libc::SYS_futex, alive.as_ptr(), libc::FUTEX_WAIT, value, ptr::from_ref(&second));
        }
    }
}

fn wake(word: &std::sync::atomic::AtomicU32) {
    // SAFETY: the word outlives the call.
    unsafe {
        libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAKE, i32::MAX);
    }
}

impl Child {
    /// Kills the whole tree as far as it can be named: all of it where it has a process namespace, else the first process and
    /// those that stayed in its session's first group.
    pub fn kill(&self, layers: Layers) {
        // SAFETY: a descriptor of a process, no further information, no flags.
        unsafe {
            libc::syscall(
                libc::SYS_pidfd_send_signal,
                self.pidfd.as_raw_fd(),
                libc::SIGKILL,
                ptr::null::<libc::siginfo_t>(),
                0,
            );
        }
        if layers.has(Layer::Session) && !layers.has(Layer::Pid) {
            // SAFETY: it is not waited for yet, so its number is still its own.
            unsafe { libc::kill(-self.pid, libc::SIGKILL) };
        }
    }

    /// Waits for its end: status and use.
    pub fn wait(&self) -> io::Result<(libc::c_int, libc::rusage)> {
        let mut status = 0;
        // SAFETY: plain numbers, for which zero is a value.
        let mut used: libc::rusage = unsafe { std::mem::zeroed() };
        loop {
            // SAFETY: both are ours to write.
            let got = unsafe { libc::wait4(self.pid, &raw mut status, libc::__WALL, &raw mut used) };
            let error = io::Error::last_os_error();
            match got {
                _ if got == self.pid => return Ok((status, used)),
                _ if error.kind() == io::ErrorKind::Interrupted => {}
                _ => return Err(error),
            }
        }
    }
}

/// A mapping that the child has for its stack, with a page below that faults.
struct Stack(*mut c_void);

impl Stack {
    fn new() -> io::Result<Self> {
        let (flags, protection) =
            (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_STACK, libc::PROT_READ | libc::PROT_WRITE);
        // SAFETY: a new mapping wherever there is room.
        let at = unsafe { libc::mmap(ptr::null_mut(), STACK, protection, flags, -1, 0) };
        if at == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let stack = Self(at);
        // SAFETY: the lowest page of the mapping.
        match unsafe { libc::mprotect(at, 4096, libc::PROT_NONE) } {
            0 => Ok(stack),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// Stacks grow down; mappings are aligned to pages.
    fn top(&self) -> *mut c_void {
        // SAFETY: one past the end of the mapping.
        unsafe { self.0.byte_add(STACK) }
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // SAFETY: the mapping is this value's alone.
        unsafe { libc::munmap(self.0, STACK) };
    }
}

/// This thread's signals, blocked until it is dropped.
struct Signals(libc::sigset_t);

impl Signals {
    fn block() -> Self {
        // SAFETY: sets are plain bits, filled and written by these calls.
        unsafe {
            let (mut all, mut before) = (std::mem::zeroed(), std::mem::zeroed());
            libc::sigfillset(&raw mut all);
            libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, &raw mut before);
            Self(before)
        }
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        // SAFETY: the set that was in force.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const self.0, ptr::null_mut()) };
    }
}
