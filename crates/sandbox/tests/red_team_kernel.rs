//! The kernel's own doors.
#![cfg(target_os = "linux")]

mod common;

use std::{fs, os::unix::fs::PermissionsExt};

use cohort_sandbox::{Ending, Jail, Layer};
use common::{Attack, python, python_in};

const NAMESPACED: &[Layer] =
    &[Layer::User, Layer::Mount, Layer::Pid, Layer::Network, Layer::Ipc, Layer::Uts, Layer::Cgroup];

/// A system call by its number on this machine, through Python's foreign functions; `done` where it did not fail.
fn call(number: i64, arguments: &str) -> String {
    format!(
        "import ctypes\nlibc = ctypes.CDLL(None, use_errno=True)\nif libc.syscall({number}, {arguments}) >= 0: print('done')"
    )
}

#[test]
fn io_uring() {
    let source = call(libc::SYS_io_uring_setup, "4, ctypes.create_string_buffer(256)");
    if fs::read_to_string("/proc/sys/kernel/io_uring_disabled").is_ok_and(|text| text.trim() == "2") {
        println!("skipped: io_uring (layer absent: the kernel has it switched off)");
        return;
    }
    // Its rings are locked memory, of which there is none.
    Attack::new(source, &[Layer::Seccomp, Layer::Limits]).is_stopped();
}

#[test]
fn new_namespaces_of_its_own() {
    let unshare = call(libc::SYS_unshare, "0x10000000");
    Attack::new(unshare, &[Layer::Seccomp]).is_stopped();
    let clone = format!(
        "import ctypes, os\nlibc = ctypes.CDLL(None)\npid = libc.syscall({}, 0x10000000 | 17, 0, 0, 0, 0)\nif pid == 0: os._exit(0)\nif pid > 0: print('done')",
        libc::SYS_clone
    );
    Attack::new(clone, &[Layer::Seccomp]).is_stopped();
}

#[test]
fn keys_userfaults_performance_and_watches() {
    for (number, arguments) in [
        (libc::SYS_add_key, "b'user', b'cohort-test', b'x', 1, -1"),
        (libc::SYS_userfaultfd, "1"),
        (libc::SYS_keyctl, "0, -1, 1"),
    ] {
        Attack::new(call(number, arguments), &[Layer::Seccomp]).is_stopped();
    }
}

#[test]
fn calls_that_are_forbidden_end_the_program() {
    for (number, arguments) in [
        (libc::SYS_bpf, "0, 0, 0"),
        (libc::SYS_mount, "0, 0, 0, 0, 0"),
        (libc::SYS_pivot_root, "0, 0"),
        (libc::SYS_setns, "0, 0"),
        (libc::SYS_kexec_load, "0, 0, 0, 0"),
        (libc::SYS_init_module, "0, 0, 0"),
        (libc::SYS_perf_event_open, "0, 0, -1, -1, 0"),
        (libc::SYS_process_vm_writev, "1, 0, 0, 0, 0, 0"),
        (libc::SYS_open_by_handle_at, "0, 0, 0"),
        (libc::SYS_reboot, "0, 0, 0, 0"),
    ] {
        let report = python_in(Jail::new()).run(&python(&call(number, arguments))).unwrap();
        assert_eq!(report.ending, Ending::Forbidden, "{number}");
    }
    common::the_next_verdict_is_right();
}

/// System calls of another convention do not slip past the filter.
#[test]
fn calls_by_other_conventions() {
    // x32: the same numbers with a bit set.
    let source = call(0x4000_0000 + libc::SYS_getpid, "0");
    let report = python_in(Jail::new()).run(&python(&source)).unwrap();
    assert!(!report.stdout.ends_with(b"done\n"));
}

/// A program that belongs to root and runs as root whoever starts it. Only root can make one.
#[test]
fn a_setuid_program() {
    // SAFETY: it cannot fail.
    if unsafe { libc::geteuid() } != 0 {
        println!("skipped: a_setuid_program (only root can make one)");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
    let program = folder.path().join("id");
    fs::copy("/usr/bin/id", &program).unwrap();
    fs::set_permissions(&program, PermissionsExt::from_mode(0o4755)).unwrap();
    let source = format!(
        "import subprocess\nif subprocess.run(['{}', '-u'], capture_output=True).stdout == b'0\\n': print('done')",
        program.display()
    );
    Attack::new(source, &[Layer::NoNewPrivileges, Layer::Mount])
        .aside(&[Layer::Landlock, Layer::Seccomp])
        .reading(folder.path())
        .is_stopped();
}

#[test]
fn becoming_root() {
    let source = "import os\nos.setuid(0)\nprint('done')";
    // SAFETY: it cannot fail.
    if unsafe { libc::geteuid() } != 0 {
        println!("skipped: becoming_root (only root's programs could)");
        let report = python_in(Jail::new()).run(&python(source)).unwrap();
        assert_eq!(report.ending, Ending::Exited(1));
        return;
    }
    Attack::new(source, &[Layer::User, Layer::Seccomp]).aside(NAMESPACED).is_stopped();
    let rights = "import os\nassert os.getuid() == os.geteuid() == 1000 and os.getgroups() in ([], [1000])\nfor f in (os.setuid, os.setgid):\n    try: f(0)\n    except PermissionError: pass\n    else: raise SystemExit(1)";
    assert_eq!(python_in(Jail::new()).run(&python(rights)).unwrap().ending, Ending::Exited(0));
}

#[test]
fn machine_code_of_its_own() {
    // Where a folder holds data alone, a library that the program brings is not loaded.
    let source = "import ctypes, shutil, glob\nlib = (glob.glob('/lib/*/libm.so.6') + glob.glob('/lib64/libm.so.6'))[0]\nshutil.copy(lib, 'mine.so')\nctypes.CDLL('/work/mine.so')\nprint('done')";
    let run = |jail: Jail| python_in(jail).run(&python(source)).unwrap().stdout.ends_with(b"done\n");
    assert!(run(Jail::new()));
    assert!(!run(Jail::new().data_only()));
}

#[test]
fn the_name_of_the_machine_and_its_shared_memory() {
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    let source = format!("import os\nif os.uname().nodename == {:?}: print('done')", host.trim());
    Attack::new(source, &[Layer::Uts]).is_stopped();
    // SAFETY: a new segment of a page, removed below.
    let segment = unsafe { libc::shmget(libc::IPC_PRIVATE, 4096, 0o666) };
    assert!(segment >= 0);
    let source = format!("import ctypes\nif ctypes.CDLL(None).shmat({segment}, 0, 0o10000) != -1: print('done')");
    Attack::new(source, &[Layer::Ipc, Layer::Seccomp]).is_stopped();
    // SAFETY: it is this test's.
    unsafe { libc::shmctl(segment, libc::IPC_RMID, std::ptr::null_mut()) };
}
