//! The filter of system calls.
//!
//! Three programs, and the strictest answer wins: what no honest program asks for kills the process; what honest programs try and can do
//! without is refused (`EPERM`); what is on no list is absent (`ENOSYS`), as on a kernel that does not know it.

use std::sync::LazyLock;

use libc::*;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
};

use super::raw;

/// The programs, or why there are none.
static PROGRAMS: LazyLock<Result<[BpfProgram; 3], String>> = LazyLock::new(|| {
    let filter = |rules: Vec<(c_long, Vec<SeccompRule>)>, mismatch, matched| -> Result<BpfProgram, String> {
        let arch = std::env::consts::ARCH.try_into().map_err(|e| format!("{e}"))?;
        let filter =
            SeccompFilter::new(rules.into_iter().collect(), mismatch, matched, arch).map_err(|e| e.to_string())?;
        filter.try_into().map_err(|e: seccompiler::BackendError| e.to_string())
    };
    let plain = |list: &[c_long]| list.iter().map(|&n| (n, Vec::new())).collect::<Vec<_>>();
    let mut refused = plain(REFUSED);
    refused.push((SYS_clone, NEW_NAMESPACES.iter().map(|&bit| when(0, SeccompCmpOp::MaskedEq(bit), bit)).collect()));
    refused.push((SYS_ioctl, TERMINAL.iter().map(|&request| when(1, SeccompCmpOp::Eq, request)).collect()));
    Ok([
        filter([plain(ALLOWED), plain(REFUSED), plain(FORBIDDEN), plain(OF_THIS_MACHINE)].concat(), absent(), allow())?,
        filter(refused, allow(), SeccompAction::Errno(EPERM as u32))?,
        filter(plain(FORBIDDEN), allow(), SeccompAction::KillProcess)?,
    ])
});

pub fn programs() -> Result<&'static [BpfProgram; 3], String> {
    PROGRAMS.as_ref().map_err(Clone::clone)
}

fn allow() -> SeccompAction {
    SeccompAction::Allow
}

fn absent() -> SeccompAction {
    SeccompAction::Errno(ENOSYS as u32)
}

/// Where an argument's lower half compares so.
fn when(argument: u8, compare: SeccompCmpOp, value: u64) -> SeccompRule {
    let condition = SeccompCondition::new(argument, SeccompCmpArgLen::Dword, compare, value);
    let rule = condition.and_then(|condition| SeccompRule::new(vec![condition]));
    rule.unwrap_or_else(|e| unreachable!("arguments are 0 to 5, and there is a condition: {e}"))
}

/// Holds the calling process to the programs. It allocates nothing.
pub fn apply(programs: &[BpfProgram; 3]) -> raw::Result<usize> {
    for program in programs {
        let program = sock_fprog { len: program.len() as u16, filter: program.as_ptr() as *mut sock_filter };
        raw::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER as usize, std::ptr::from_ref(&program) as usize)?;
    }
    Ok(0)
}

const NEW_NAMESPACES: &[u64] = &[
    CLONE_NEWNS as u64,
    CLONE_NEWCGROUP as u64,
    CLONE_NEWUTS as u64,
    CLONE_NEWIPC as u64,
    CLONE_NEWUSER as u64,
    CLONE_NEWPID as u64,
    CLONE_NEWNET as u64,
];

/// Requests that type into a terminal.
const TERMINAL: &[u64] = &[TIOCSTI, 0x541C];

/// Other processes' memory, the kernel's own switches, mounts and namespaces, keys, io_uring.
const FORBIDDEN: &[c_long] = &[
    SYS_ptrace,
    SYS_process_vm_readv,
    SYS_process_vm_writev,
    SYS_pidfd_getfd,
    SYS_kcmp,
    SYS_kexec_load,
    SYS_kexec_file_load,
    SYS_init_module,
    SYS_finit_module,
    SYS_delete_module,
    SYS_bpf,
    SYS_perf_event_open,
    SYS_userfaultfd,
    SYS_io_uring_setup,
    SYS_io_uring_enter,
    SYS_io_uring_register,
    SYS_keyctl,
    SYS_add_key,
    SYS_request_key,
    SYS_mount,
    SYS_umount2,
    SYS_pivot_root,
    SYS_open_tree,
    SYS_move_mount,
    SYS_fsopen,
    SYS_fsconfig,
    SYS_fsmount,
    SYS_fspick,
    SYS_mount_setattr,
    SYS_setns,
    SYS_unshare,
    SYS_open_by_handle_at,
    SYS_name_to_handle_at,
    SYS_fanotify_init,
    SYS_swapon,
    SYS_swapoff,
    SYS_reboot,
    SYS_acct,
    SYS_quotactl,
    SYS_settimeofday,
    SYS_clock_settime,
    SYS_adjtimex,
    SYS_clock_adjtime,
    SYS_setdomainname,
    SYS_sethostname,
    SYS_syslog,
    SYS_vhangup,
];

/// Sockets with an address, other users' ids, another root: honest programs try these and go on without.
const REFUSED: &[c_long] = &[
    SYS_socket,
    SYS_connect,
    SYS_bind,
    SYS_listen,
    SYS_accept,
    SYS_accept4,
    SYS_setuid,
    SYS_setgid,
    SYS_setreuid,
    SYS_setregid,
    SYS_setresuid,
    SYS_setresgid,
    SYS_setgroups,
    SYS_setfsuid,
    SYS_setfsgid,
    SYS_capset,
    SYS_chroot,
    SYS_mknodat,
    SYS_personality,
];

/// What interpreters, compilers, simulators and shells use on a folder, on pipes and on themselves. Memory that limits of address
/// space do not count (`memfd_create`, System V shared memory) is not among it.
#[rustfmt::skip]
const ALLOWED: &[c_long] = &[
    SYS_read, SYS_write, SYS_close, SYS_fstat, SYS_lseek, SYS_mmap, SYS_mprotect, SYS_munmap, SYS_brk,
    SYS_rt_sigaction, SYS_rt_sigprocmask, SYS_rt_sigreturn, SYS_rt_sigpending, SYS_rt_sigtimedwait,
    SYS_rt_sigqueueinfo, SYS_rt_sigsuspend, SYS_rt_tgsigqueueinfo, SYS_sigaltstack, SYS_ioctl, SYS_pread64, SYS_pwrite64,
    SYS_readv, SYS_writev, SYS_preadv, SYS_pwritev, SYS_preadv2, SYS_pwritev2, SYS_sched_yield, SYS_mremap, SYS_msync,
    SYS_mincore, SYS_madvise, SYS_dup, SYS_dup3, SYS_nanosleep, SYS_getitimer, SYS_setitimer, SYS_getpid, SYS_sendfile,
    SYS_socketpair, SYS_sendto, SYS_recvfrom, SYS_sendmsg, SYS_recvmsg, SYS_sendmmsg, SYS_recvmmsg, SYS_shutdown,
    SYS_getsockname, SYS_getpeername, SYS_setsockopt, SYS_getsockopt, SYS_clone, SYS_execve, SYS_execveat, SYS_exit,
    SYS_exit_group, SYS_wait4, SYS_waitid, SYS_kill, SYS_tkill, SYS_tgkill, SYS_uname, SYS_fcntl, SYS_flock, SYS_fsync,
    SYS_fdatasync, SYS_truncate, SYS_ftruncate, SYS_getcwd, SYS_chdir, SYS_fchdir, SYS_fchmod, SYS_fchown, SYS_umask,
    SYS_gettimeofday, SYS_getrlimit, SYS_setrlimit, SYS_prlimit64, SYS_getrusage, SYS_sysinfo, SYS_times, SYS_getuid, SYS_getgid,
    SYS_geteuid, SYS_getegid, SYS_getresuid, SYS_getresgid, SYS_setpgid, SYS_getpgid, SYS_getppid, SYS_setsid,
    SYS_getsid, SYS_getgroups, SYS_capget, SYS_statfs, SYS_fstatfs, SYS_getpriority, SYS_setpriority,
    SYS_sched_setparam, SYS_sched_getparam, SYS_sched_setscheduler, SYS_sched_getscheduler, SYS_sched_get_priority_max,
    SYS_sched_get_priority_min, SYS_sched_rr_get_interval, SYS_sched_setaffinity, SYS_sched_getaffinity,
    SYS_sched_setattr, SYS_sched_getattr, SYS_mlock, SYS_munlock, SYS_mlockall, SYS_munlockall, SYS_mlock2, SYS_prctl,
    SYS_sync, SYS_syncfs, SYS_sync_file_range, SYS_gettid, SYS_readahead, SYS_setxattr, SYS_lsetxattr, SYS_fsetxattr,
    SYS_getxattr, SYS_lgetxattr, SYS_fgetxattr, SYS_listxattr, SYS_llistxattr, SYS_flistxattr, SYS_removexattr,
    SYS_lremovexattr, SYS_fremovexattr, SYS_futex, SYS_set_tid_address, SYS_restart_syscall, SYS_fadvise64,
    SYS_timer_create, SYS_timer_settime, SYS_timer_gettime, SYS_timer_getoverrun, SYS_timer_delete, SYS_clock_gettime,
    SYS_clock_getres, SYS_clock_nanosleep, SYS_epoll_ctl, SYS_epoll_pwait, SYS_epoll_create1, SYS_mbind,
    SYS_get_mempolicy, SYS_set_mempolicy, SYS_inotify_init1, SYS_inotify_add_watch, SYS_inotify_rm_watch, SYS_openat,
    SYS_mkdirat, SYS_fchownat, SYS_newfstatat, SYS_unlinkat, SYS_renameat2, SYS_linkat, SYS_symlinkat, SYS_readlinkat,
    SYS_fchmodat, SYS_faccessat, SYS_faccessat2, SYS_pselect6, SYS_ppoll, SYS_set_robust_list, SYS_get_robust_list,
    SYS_splice, SYS_tee, SYS_vmsplice, SYS_utimensat, SYS_signalfd4, SYS_timerfd_create, SYS_timerfd_settime,
    SYS_timerfd_gettime, SYS_eventfd2, SYS_fallocate, SYS_pipe2, SYS_getcpu, SYS_seccomp, SYS_getrandom, SYS_membarrier,
    SYS_copy_file_range, SYS_statx, SYS_rseq, SYS_pidfd_send_signal, SYS_pidfd_open, SYS_close_range, SYS_epoll_pwait2,
    SYS_getdents64, SYS_landlock_create_ruleset, SYS_landlock_add_rule, SYS_landlock_restrict_self, SYS_futex_waitv,
];

/// Names that newer machines never had.
#[cfg(target_arch = "x86_64")]
const OF_THIS_MACHINE: &[c_long] = &[
    SYS_open,
    SYS_stat,
    SYS_lstat,
    SYS_poll,
    SYS_access,
    SYS_pipe,
    SYS_select,
    SYS_dup2,
    SYS_pause,
    SYS_alarm,
    SYS_fork,
    SYS_vfork,
    SYS_getdents,
    SYS_rename,
    SYS_mkdir,
    SYS_rmdir,
    SYS_creat,
    SYS_link,
    SYS_unlink,
    SYS_symlink,
    SYS_readlink,
    SYS_chmod,
    SYS_chown,
    SYS_lchown,
    SYS_getpgrp,
    SYS_utime,
    SYS_utimes,
    SYS_futimesat,
    SYS_time,
    SYS_epoll_create,
    SYS_epoll_wait,
    SYS_inotify_init,
    SYS_signalfd,
    SYS_eventfd,
    SYS_arch_prctl,
    SYS_renameat,
];
#[cfg(not(target_arch = "x86_64"))]
const OF_THIS_MACHINE: &[c_long] = &[SYS_renameat];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_programs_are_made_and_no_call_is_on_two_lists() {
        let programs = programs().unwrap();
        assert!(programs.iter().all(|program| (10..4096).contains(&program.len())));
        let mut all = [ALLOWED, REFUSED, FORBIDDEN, OF_THIS_MACHINE].concat();
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count);
    }
}
