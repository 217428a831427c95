//! Files that are not the program's.
#![cfg(target_os = "linux")]

mod common;

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use cohort_sandbox::{Ending, Jail, Layer, Limits};
use common::{Attack, limits, python, python_in};

/// A folder of the user's that everybody may use, so that only a jail stands before it.
fn open_folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o777)).unwrap();
    folder
}

#[test]
fn reading_etc_passwd() {
    Attack::new(
        "text = open('/etc/passwd').read()\nif 'root' in text: print('done')",
        &[Layer::Mount, Layer::Landlock],
    )
    .is_stopped();
}

#[test]
fn reading_a_file_of_the_users_home() {
    let home = open_folder();
    fs::write(home.path().join("secret"), "key").unwrap();
    fs::set_permissions(home.path().join("secret"), PermissionsExt::from_mode(0o644)).unwrap();
    let source = format!("if open('{}/secret').read() == 'key': print('done')", home.path().display());
    Attack::new(source, &[Layer::Mount, Layer::Landlock]).is_stopped();
}

#[test]
fn seeing_that_files_exist() {
    // Landlock does not hide names; that a mount does.
    Attack::new(
        "import os\nif os.path.exists('/etc/passwd') or os.path.exists('/home'): print('done')",
        &[Layer::Mount],
    )
    .aside(&[Layer::Landlock])
    .is_stopped();
}

#[test]
fn reading_the_environment() {
    let source = "import os\nif os.environ.get('CARGO_MANIFEST_DIR') or os.environ.get('PATH'): print('done')";
    Attack::new(source, &[Layer::Environment]).is_stopped();
}

#[test]
fn reading_the_environment_of_the_parent() {
    let source = "import os\nopen(f'/proc/{os.getppid()}/environ').read()\nprint('done')";
    // The parent's is behind its user too, where that is root.
    Attack::new(source, &[Layer::Mount, Layer::Landlock])
        .aside(&[Layer::User, Layer::Pid, Layer::Seccomp])
        .is_stopped();
}

#[test]
fn writing_outside() {
    let folder = open_folder();
    let source = format!("open('{}/new', 'w').write('x')\nprint('done')", folder.path().display());
    Attack::new(source, &[Layer::Mount, Layer::Landlock]).is_stopped();
    fs::remove_file(folder.path().join("new")).expect("the trial without layers wrote it, and nothing else did");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn changing_what_can_be_read() {
    let folder = open_folder();
    let shown = folder.path().join("shown");
    fs::write(&shown, "before").unwrap();
    fs::set_permissions(&shown, PermissionsExt::from_mode(0o666)).unwrap();
    let source = format!("open('{}', 'a').write('!')\nprint('done')", shown.display());
    Attack::new(source, &[Layer::Mount, Layer::Landlock]).reading(folder.path()).is_stopped();
    assert_eq!(fs::read_to_string(&shown).unwrap(), "before!", "written by the trial without layers alone");
}

#[test]
fn a_race_of_symbolic_links() {
    let folder = open_folder();
    let target = folder.path().join("target");
    let source = format!(
        "import os, threading, time
target, end = '{}', time.time() + 1
os.mkdir('d')
def swap():
    while time.time() < end:
        for to in ('d', os.path.dirname(target)):
            try:
                os.symlink(to, 'next'); os.rename('next', 'link')
            except OSError: pass
threading.Thread(target=swap).start()
while time.time() < end:
    try: open('link/target', 'w').write('x')
    except OSError: pass
    if os.path.exists(target): print('done', flush=True); break
os._exit(0)",
        target.display()
    );
    Attack::new(source, &[Layer::Mount]).aside(&[Layer::Landlock]).is_stopped();
    fs::remove_file(&target).expect("the trial without layers alone wrote it");
    // With Landlock alone the name may be seen, and nothing is written.
    let source = format!(
        "import os\nos.symlink('{0}', 'link')\nopen('link/target', 'w').write('x')\nprint('done')",
        folder.path().display()
    );
    Attack::new(source, &[Layer::Mount, Layer::Landlock]).is_stopped();
}

#[test]
fn leaving_by_parent_folders_and_inherited_descriptors() {
    let source = "import os\nfor fd in range(3, 200):\n    try:\n        os.stat('../../../../../../etc/passwd', dir_fd=fd); print('done'); break\n    except OSError: pass";
    let folder = fs::File::open("/").unwrap();
    // A descriptor that is not closed on execution, as a careless host has them.
    let kept = unsafe { libc::dup(std::os::fd::AsRawFd::as_raw_fd(&folder)) };
    Attack::new(source, &[Layer::Descriptors]).aside(&[Layer::Landlock]).is_stopped();
    unsafe { libc::close(kept) };
}

#[test]
fn filling_the_disk() {
    let source = "block = b'x' * (1 << 20)\nfor k in range(8):\n    with open(f'f{k}', 'wb') as f:\n        for _ in range(8): f.write(block)\nprint('done')";
    let small = Limits { writable: 16 << 20, ..limits() };
    Attack::new(source, &[Layer::Mount]).within(small.clone()).is_stopped();
    let small = Limits { file_size: 1 << 20, ..small };
    let one = "open('f', 'wb').write(b'x' * (4 << 20))\nprint('done')";
    Attack::new(one, &[Layer::Limits]).within(small).is_stopped();
}

#[test]
fn a_million_files() {
    let source = "for k in range(3000): open(f'f{k}', 'w').close()\nprint('done')";
    Attack::new(source, &[Layer::Mount]).within(Limits { files: 500, ..limits() }).is_stopped();
}

#[test]
fn a_flood_on_stdout_and_stderr() {
    for stream in ["1", "2"] {
        let source = format!("import os\nfor _ in range(256): os.write({stream}, b'x' * 65536)\nos.write(3, b'done')");
        let jail = python_in(Jail::new()).limits(limits());
        let open = jail.clone().without(Layer::Output).run(&python(&source).with_verdict()).unwrap();
        assert_eq!((open.verdict.as_slice(), open.stdout.len().max(open.stderr.len())), (&b"done"[..], 16 << 20));
        let capped = jail.run(&python(&source).with_verdict()).unwrap();
        assert_eq!(capped.ending, Ending::OutputCapped);
        assert!(capped.stdout.len() <= 1 << 20 && capped.stderr.len() <= 1 << 20 && capped.verdict.is_empty());
        common::the_next_verdict_is_right();
    }
}

#[test]
fn devices_of_the_machine() {
    let source = "import os\nfor name in ('/dev/mem', '/dev/kmsg', '/dev/vda', '/dev/sda', '/dev/tty', '/dev/ptmx', '/sys/kernel', '/proc/self'):\n    if os.path.exists(name): print('done'); break";
    Attack::new(source, &[Layer::Mount]).aside(&[Layer::Landlock]).is_stopped();
    assert!(Path::new("/dev").is_dir());
}
