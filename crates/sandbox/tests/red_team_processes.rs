//! Other processes: their memory, their lives, and those that outlive the verdict.
#![cfg(target_os = "linux")]

mod common;

use std::{
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use cohort_sandbox::{Ending, Jail, Layer, Limits};
use common::{Attack, alive, limits, mark, python, python_in};

/// A process that is somebody else's: it sleeps, and is killed with its guard.
struct Victim(std::process::Child);

impl Victim {
    fn new() -> Self {
        Self(Command::new("sleep").arg("60").stdout(Stdio::null()).spawn().unwrap())
    }

    fn is_alive(&mut self) -> bool {
        self.0.try_wait().unwrap().is_none()
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

const NAMESPACED: &[Layer] = &[Layer::User, Layer::Mount, Layer::Network, Layer::Ipc, Layer::Uts, Layer::Cgroup];

#[test]
fn killing_another_process() {
    let mut victim = Victim::new();
    // Signal 0 asks whether it could.
    let source = format!("import os\nos.kill({}, 0)\nprint('done')", victim.0.id());
    Attack::new(source, &[Layer::Pid, Layer::Landlock]).aside(NAMESPACED).is_stopped();
    assert!(victim.is_alive());
}

#[test]
fn killing_the_supervisor() {
    let source = "import os\nos.kill(os.getppid() or 10**6, 0)\nprint('done')";
    Attack::new(source, &[Layer::Pid, Layer::Landlock]).aside(NAMESPACED).is_stopped();
    // In a jail it may try in earnest.
    let source = "import os, signal\nfor pid in (os.getppid(), -1, 0):\n    try: os.kill(pid, signal.SIGKILL)\n    except OSError: pass\nprint('alive')";
    let report = python_in(Jail::new()).run(&python(source)).unwrap();
    assert_eq!(report.ending, Ending::Exited(0));
    common::the_next_verdict_is_right();
}

#[test]
fn seeing_other_processes() {
    Attack::new("import os\nif os.path.isdir('/proc/1'): print('done')", &[Layer::Mount])
        .aside(&[Layer::Landlock])
        .is_stopped();
}

#[test]
fn reading_another_processes_memory() {
    let victim = Victim::new();
    let source = format!(
        "import ctypes
libc = ctypes.CDLL(None, use_errno=True)
class Vec(ctypes.Structure): _fields_ = [('base', ctypes.c_void_p), ('len', ctypes.c_size_t)]
with open('/proc/{pid}/maps') as maps: start = int(maps.readline().split('-')[0], 16)
buffer = ctypes.create_string_buffer(16)
local, remote = Vec(ctypes.addressof(buffer), 16), Vec(start, 16)
if libc.process_vm_readv({pid}, ctypes.byref(local), 1, ctypes.byref(remote), 1, 0) == 16: print('done')",
        pid = victim.0.id()
    );
    Attack::new(source, &[Layer::Seccomp, Layer::Landlock, Layer::Mount])
        .aside(&[Layer::User, Layer::Pid, Layer::Network, Layer::Ipc, Layer::Uts, Layer::Cgroup])
        .is_stopped();
    let source = format!("open('/proc/{}/mem', 'rb')\nprint('done')", victim.0.id());
    Attack::new(source, &[Layer::Mount, Layer::Landlock]).aside(&[Layer::User, Layer::Pid]).is_stopped();
}

#[test]
fn ptrace() {
    let victim = Victim::new();
    let source = format!(
        "import ctypes, os\nlibc = ctypes.CDLL(None)\nif libc.ptrace(16, {pid}, 0, 0) == 0:\n    os.waitpid({pid}, 0x40000000)\n    libc.ptrace(17, {pid}, 0, 0)\n    print('done')",
        pid = victim.0.id()
    );
    Attack::new(source, &[Layer::Seccomp, Layer::Pid, Layer::Landlock]).aside(NAMESPACED).is_stopped();
    // Its own children too.
    let source = "import ctypes, os, time\nchild = os.fork()\nif child == 0:\n    time.sleep(5)\n    os._exit(0)\nif ctypes.CDLL(None).ptrace(16, child, 0, 0) == 0: print('done')\nos.kill(child, 9)";
    Attack::new(source, &[Layer::Seccomp]).is_stopped();
    let report = python_in(Jail::new()).run(&python("import ctypes\nctypes.CDLL(None).ptrace(0, 0, 0, 0)")).unwrap();
    assert_eq!(report.ending, Ending::Forbidden);
}

#[test]
fn a_fork_bomb() {
    let source = "import os, time
made = 0
for _ in range(200):
    try: child = os.fork()
    except OSError: break
    if child == 0:
        time.sleep(20)
        os._exit(0)
    made += 1
if made == 200: print('done')";
    Attack::new(source, &[Layer::Limits]).within(Limits { processes: 32, ..limits() }).is_stopped();
    // One that multiplies, to its full extent.
    let mark = mark();
    let bomb = format!("import os\n{mark} = 1\nwhile True:\n    try: os.fork()\n    except OSError: pass");
    let short = Limits { wall: Duration::from_secs(1), processes: 32, ..limits() };
    let report = python_in(Jail::new()).limits(short).run(&python(&bomb)).unwrap();
    assert_eq!(report.ending, Ending::TimedOut);
    assert_eq!(alive(&mark), Vec::<i32>::new());
    common::the_next_verdict_is_right();
}

#[test]
fn ten_thousand_threads() {
    let source = "import threading, time
threading.stack_size(65536)
made, end = 0, threading.Event()
try:
    for _ in range(200):
        threading.Thread(target=end.wait, daemon=True).start()
        made += 1
except RuntimeError: pass
print('made', made, flush=True)
if made == 200: print('done', flush=True)
import os
os._exit(0)";
    Attack::new(source, &[Layer::Limits]).within(Limits { processes: 32, ..limits() }).is_stopped();
    let report = python_in(Jail::new()).run(&python(&source.replace("200", "10000"))).unwrap();
    let made: usize = String::from_utf8_lossy(&report.stdout)["made ".len()..].trim().parse().unwrap();
    assert!((1..64).contains(&made), "{made} threads");
}

/// A daemon leaves its session and its parent; only the process namespace knows that it belongs to the run.
#[test]
fn a_daemon_that_outlives_its_parent() {
    let mark = mark();
    let source = format!(
        "import os, time\n{mark} = 1\nif os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0:\n        for fd in range(3): os.close(fd)\n        time.sleep(30)\n    os._exit(0)\nos.wait()\ntime.sleep(0.2)"
    );
    let jail = python_in(Jail::new()).limits(limits());
    if !common::are_given(&[Layer::Pid]) {
        return;
    }
    jail.clone().without(Layer::Pid).run(&python(&source)).unwrap();
    let daemons = alive(&mark);
    assert_eq!(daemons.len(), 1, "without the process namespace it lives on");
    for pid in daemons {
        // SAFETY: a process that this test started.
        unsafe { libc::kill(pid, libc::SIGKILL) };
    }
    let begun = Instant::now();
    while !alive(&mark).is_empty() && begun.elapsed() < Duration::from_secs(10) {
        std::thread::yield_now();
    }
    let report = jail.run(&python(&source)).unwrap();
    assert_eq!(report.ending, Ending::Exited(0));
    assert_eq!(alive(&mark), Vec::<i32>::new(), "the tree dies with its first process");
    common::the_next_verdict_is_right();
}

/// Without the daemon's tricks, killing the group is enough.
#[test]
fn a_child_that_is_left_behind() {
    let mark = mark();
    let source = format!("import os, time\n{mark} = 1\nif os.fork() == 0: time.sleep(30)");
    for jail in [Jail::new(), Jail::new().without(Layer::Pid), Jail::unconfined()] {
        let begun = Instant::now();
        python_in(jail).run(&python(&source)).unwrap();
        assert!(begun.elapsed() < Duration::from_secs(25), "nobody waits for it");
        // Where no process namespace waits for the end of its processes, they may still be dying.
        while !alive(&mark).is_empty() && begun.elapsed() < Duration::from_secs(25) {
            std::thread::yield_now();
        }
        assert_eq!(alive(&mark), Vec::<i32>::new());
    }
}

/// The process that ran a jail is killed: what it ran dies with it.
#[test]
fn the_supervisor_is_killed_from_outside() {
    let mark = mark();
    if std::env::var_os("COHORT_SUPERVISE").is_some() {
        let source = std::env::var("COHORT_SUPERVISE").unwrap();
        let _ = python_in(Jail::new()).run(&python(&source));
        return;
    }
    let source = format!("import os, time\n{mark} = 1\nos.fork()\nos.fork()\ntime.sleep(60)");
    let mut supervisor = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "the_supervisor_is_killed_from_outside"])
        .env("COHORT_SUPERVISE", &source)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let begun = Instant::now();
    let wait_for = |count: usize| {
        while alive(&mark).len() != count && begun.elapsed() < Duration::from_secs(30) {
            std::thread::sleep(Duration::from_millis(5));
        }
        alive(&mark).len()
    };
    let started = wait_for(4);
    supervisor.kill().unwrap();
    supervisor.wait().unwrap();
    assert_eq!(started, 4);
    assert_eq!(wait_for(0), 0);
}

#[test]
fn sleeping_past_the_deadline() {
    let source = "import signal, time\nfor s in range(1, 32):\n    try: signal.signal(s, signal.SIG_IGN)\n    except OSError: pass\ntime.sleep(1.5)\nprint('done')";
    let short = Limits { wall: Duration::from_millis(500), ..limits() };
    Attack::new(source, &[Layer::Deadline]).within(short.clone()).is_stopped();
    let report = python_in(Jail::new()).limits(short).run(&python(source)).unwrap();
    assert_eq!(report.ending, Ending::TimedOut);
}
