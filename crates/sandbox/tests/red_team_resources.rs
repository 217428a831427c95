//! Memory, stack and CPU time.
#![cfg(target_os = "linux")]

mod common;

use std::time::Duration;

use cohort_sandbox::{Ending, Jail, Layer, Limits};
use common::{Attack, limits, python, python_in};

#[test]
fn a_large_allocation() {
    // 1 GB shows it, untouched but for a page in a thousand; 10 GB is tried in the jail.
    let source =
        "import mmap\nm = mmap.mmap(-1, 1 << 30)\nfor at in range(0, 1 << 30, 1 << 22): m[at] = 1\nprint('done')";
    Attack::new(source, &[Layer::Limits]).within(Limits { memory: 256 << 20, ..limits() }).is_stopped();
    let report = python_in(Jail::new()).run(&python("x = bytearray(10 << 30)\nprint('done')")).unwrap();
    assert_eq!(report.ending, Ending::Exited(1));
    assert!(String::from_utf8_lossy(&report.stderr).contains("MemoryError"));
    assert!(report.peak_memory < 1 << 30);
}

#[test]
fn memory_that_is_not_address_space() {
    let source = "import os\nfd = os.memfd_create('x')\nos.ftruncate(fd, 1 << 20)\nprint('done')";
    Attack::new(source, &[Layer::Seccomp]).is_stopped();
    let source = "import ctypes\nif ctypes.CDLL(None).shmget(0, 1 << 20, 0o1600) >= 0: print('done')";
    Attack::new(source, &[Layer::Seccomp]).is_stopped();
}

#[test]
fn deep_recursion() {
    for source in [
        "import sys\nsys.setrecursionlimit(10**9)\ndef f(n): return f(n + 1) + 1\nf(0)",
        "x = []\nfor _ in range(10**6): x = [x]\nrepr(x)",
        "eval('(' * 10**5 + ')' * 10**5)",
    ] {
        let limits = Limits { memory: 128 << 20, ..limits() };
        let report = python_in(Jail::new()).limits(limits).run(&python(source)).unwrap();
        assert!(!report.is_success(), "{source}: {:?}", report.ending);
        common::the_next_verdict_is_right();
    }
}

#[test]
fn spinning() {
    let limits = Limits { cpu: Duration::from_secs(1), wall: Duration::from_secs(20), ..limits() };
    let report = python_in(Jail::new()).limits(limits).run(&python("while True: pass")).unwrap();
    assert_eq!(report.ending, Ending::TimedOut);
    assert!(report.wall < Duration::from_secs(20), "its CPU time ended it");
}

#[test]
fn opening_many_descriptors() {
    let source = "import os\nfor _ in range(500): os.dup(0)\nprint('done')";
    Attack::new(source, &[Layer::Limits]).within(Limits { descriptors: 64, ..limits() }).is_stopped();
}

#[test]
fn raising_its_own_limits() {
    let source = "import resource as r\nr.setrlimit(r.RLIMIT_AS, (r.RLIM_INFINITY, r.RLIM_INFINITY))\nr.setrlimit(r.RLIMIT_NPROC, (5000, 5000))\nprint('done')";
    Attack::new(source, &[Layer::Limits]).is_stopped();
}

/// A hundred runs, half of them killed, leave this process as it was.
#[test]
fn nothing_leaks() {
    let open = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    let mounts = || std::fs::read_to_string("/proc/self/mountinfo").unwrap().lines().count();
    let jail = Jail::new().limits(Limits { output: 100, ..Limits::default() });
    let run = |script: &str| {
        let program = cohort_sandbox::Program::new("/bin/sh").argument("-c").argument(script).with_verdict();
        jail.run(&program).unwrap().ending
    };
    run("true");
    let before = (open(), mounts());
    for _ in 0..50 {
        assert_eq!(run("echo x > f"), Ending::Exited(0));
        assert_eq!(run("while :; do echo x; done"), Ending::OutputCapped);
    }
    // Other tests of this file open and close meanwhile.
    assert!(open() <= before.0 + 16, "{} {}", open(), before.0);
    assert_eq!(mounts(), before.1);
}
