//! System calls that touch nothing but their arguments: no `errno`, no allocator, no lock.
//!
//! The child shares its parent's memory and thread-local storage until it executes the program, so libc's wrappers, which write
//! `errno` there, are not for it.

use std::{arch::asm, ffi::CStr, ptr};

/// An error number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Errno(pub i32);

pub type Result<T> = std::result::Result<T, Errno>;

/// # Safety
/// The arguments are what the system call `number` asks for; pointers stay valid for the call.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub unsafe fn call(number: i64, a: [usize; 6]) -> Result<usize> {
    let result: isize;
    // SAFETY: the kernel's convention on x86-64; it clobbers rcx and r11 alone.
    unsafe {
        asm!(
            "syscall", inlateout("rax") number as isize => result,
            in("rdi") a[0], in("rsi") a[1], in("rdx") a[2], in("r10") a[3], in("r8") a[4], in("r9") a[5],
            lateout("rcx") _, lateout("r11") _, options(nostack)
        );
    }
    told(result)
}

/// # Safety
/// As on x86-64.
#[cfg(target_arch = "aarch64")]
#[inline(always)]
pub unsafe fn call(number: i64, a: [usize; 6]) -> Result<usize> {
    let result: isize;
    // SAFETY: the kernel's convention on AArch64.
    unsafe {
        asm!(
            "svc 0", in("x8") number, inlateout("x0") a[0] => result,
            in("x1") a[1], in("x2") a[2], in("x3") a[3], in("x4") a[4], in("x5") a[5], options(nostack)
        );
    }
    told(result)
}

fn told(result: isize) -> Result<usize> {
    if (-4095..0).contains(&result) { Err(Errno(-result as i32)) } else { Ok(result as usize) }
}

macro_rules! calls {
    ($($(#[$doc:meta])* fn $name:ident($($argument:ident: $type:ty),*) = $number:ident [$($value:expr),*];)*) => {
        $($(#[$doc])*
        #[inline(always)]
        pub fn $name($($argument: $type),*) -> Result<usize> {
            let given: &[usize] = &[$($value),*];
            let mut a = [0; 6];
            a[..given.len()].copy_from_slice(given);
            // SAFETY: what is pointed to are references and C strings, valid for the call.
            unsafe { call(libc::$number, a) }
        })*
    };
}

fn at(text: &CStr) -> usize {
    text.as_ptr() as usize
}

const HERE: usize = libc::AT_FDCWD as usize;

calls! {
    fn prctl(option: i32, a: usize, b: usize) = SYS_prctl [option as usize, a, b, 0, 0];
    fn setsid() = SYS_setsid [];
    fn setgroups_to_none() = SYS_setgroups [0, 0];
    fn setresuid(id: u32) = SYS_setresuid [id as usize, id as usize, id as usize];
    fn setresgid(id: u32) = SYS_setresgid [id as usize, id as usize, id as usize];
    fn sethostname(name: &[u8]) = SYS_sethostname [name.as_ptr() as usize, name.len()];
    fn mkdir(path: &CStr, mode: u32) = SYS_mkdirat [HERE, at(path), mode as usize];
    fn symlink(to: &CStr, path: &CStr) = SYS_symlinkat [at(to), HERE, at(path)];
    fn open(path: &CStr, flags: i32, mode: u32) = SYS_openat [HERE, at(path), flags as usize, mode as usize];
    fn close(fd: usize) = SYS_close [fd];
    fn dup3(from: i32, to: i32) = SYS_dup3 [from as usize, to as usize, 0];
    fn chdir(path: &CStr) = SYS_chdir [at(path)];
    fn write(fd: usize, bytes: &[u8]) = SYS_write [fd, bytes.as_ptr() as usize, bytes.len()];
    fn mount(from: &CStr, to: &CStr, kind: &CStr, flags: u64, data: &CStr) =
        SYS_mount [at(from), at(to), at(kind), flags as usize, at(data)];
    fn pivot_root(new: &CStr, old: &CStr) = SYS_pivot_root [at(new), at(old)];
    fn unmount(path: &CStr, flags: i32) = SYS_umount2 [at(path), flags as usize];
    fn mount_setattr(path: &CStr, flags: i32, attributes: &[u64; 4]) =
        SYS_mount_setattr [HERE, at(path), flags as usize, attributes.as_ptr() as usize, size_of::<[u64; 4]>()];
    fn close_range(first: usize) = SYS_close_range [first, u32::MAX as usize, 0];
    fn landlock_restrict_self(ruleset: usize) = SYS_landlock_restrict_self [ruleset, 0];
}

pub fn set_limit(resource: u32, value: u64) -> Result<usize> {
    let limit = [value; 2];
    // SAFETY: a `struct rlimit64`, current and greatest.
    unsafe { call(libc::SYS_prlimit64, [0, resource as usize, limit.as_ptr() as usize, 0, 0, 0]) }
}

/// Back to what the system does on a signal by itself.
pub fn default_action(signal: i32) -> Result<usize> {
    // Handler, flags, restorer, mask; zero is SIG_DFL.
    let action = [0usize; 4];
    // SAFETY: the kernel's `struct sigaction` is four words at most, its mask eight bytes.
    unsafe { call(libc::SYS_rt_sigaction, [signal as usize, action.as_ptr() as usize, 0, 8, 0, 0]) }
}

pub fn unblock_signals() -> Result<usize> {
    let none = 0u64;
    // SAFETY: a set of 64 signals.
    unsafe { call(libc::SYS_rt_sigprocmask, [libc::SIG_SETMASK as usize, ptr::from_ref(&none) as usize, 0, 8, 0, 0]) }
}

/// Waits while `*word` is `value`, or until a spurious wake.
pub fn futex_wait(word: &std::sync::atomic::AtomicU32, value: u32) -> Result<usize> {
    // SAFETY: the word outlives the call.
    unsafe { call(libc::SYS_futex, [word.as_ptr() as usize, libc::FUTEX_WAIT as usize, value as usize, 0, 0, 0]) }
}

pub fn no_capabilities() -> Result<usize> {
    // Version 3, of this process; effective, permitted, inheritable, twice 32 bits each.
    let (header, data) = ([0x2008_0522u32, 0], [0u32; 6]);
    // SAFETY: the structures of capset(2).
    unsafe { call(libc::SYS_capset, [header.as_ptr() as usize, data.as_ptr() as usize, 0, 0, 0, 0]) }
}

/// # Safety
/// Both are arrays of C strings that end with a null pointer.
pub unsafe fn execve(path: &CStr, argv: *const *const libc::c_char, envp: *const *const libc::c_char) -> Errno {
    // SAFETY: promised by the caller.
    match unsafe { call(libc::SYS_execve, [at(path), argv as usize, envp as usize, 0, 0, 0]) } {
        Ok(_) => Errno(0),
        Err(errno) => errno,
    }
}

pub fn exit(status: i32) -> ! {
    loop {
        // SAFETY: it does not return.
        let _ = unsafe { call(libc::SYS_exit_group, [status as usize, 0, 0, 0, 0, 0]) };
    }
}
