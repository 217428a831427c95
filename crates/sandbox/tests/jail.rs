//! What honest programs have in a jail.
#![cfg(target_os = "linux")]

use std::time::Duration;

use cohort_sandbox::{Ending, Jail, JailError, Layer, Limits, Program};

fn shell(script: &str) -> Program {
    Program::new("/bin/sh").argument("-c").argument(script)
}

fn said(jail: &Jail, program: &Program) -> String {
    let report = jail.run(program).unwrap();
    assert_eq!(report.ending, Ending::Exited(0), "{}", String::from_utf8_lossy(&report.stderr));
    String::from_utf8(report.stdout).unwrap()
}

#[test]
fn a_program_reads_computes_writes_and_ends() {
    let jail = Jail::new();
    let program = shell("cat; cat given; echo wrote > new; cat new; ls; exit 0").stdin("in\n").file("given", "file\n");
    assert_eq!(said(&jail, &program), "in\nfile\nwrote\ngiven\nnew\n");
    let report = jail.run(&shell("echo out; echo err >&2; printf verdict >&3; exit 3").with_verdict()).unwrap();
    assert_eq!(report.ending, Ending::Exited(3));
    assert_eq!((&*report.stdout, &*report.stderr, &*report.verdict), (&b"out\n"[..], &b"err\n"[..], &b"verdict"[..]));
    assert!(report.cpu > Duration::ZERO && report.wall >= report.cpu / 8 && report.peak_memory > 1 << 18);
}

#[test]
fn nothing_is_left_for_the_next_one() {
    let jail = Jail::new();
    assert_eq!(said(&jail, &shell("echo secret > kept; ls")), "kept\n");
    assert_eq!(said(&jail, &shell("ls /work /tmp/ /dev/shm/")), "/dev/shm/:\n\n/tmp/:\n\n/work:\n");
}

#[test]
fn children_and_pipes_work() {
    assert_eq!(said(&Jail::new(), &shell("(echo a; echo b) | sort -r; sh -c 'kill -9 $$'; echo $?")), "b\na\n137\n");
    let report = Jail::new().run(&shell("sh -c 'kill -SEGV $$' || kill -SEGV $$; exit 1")).unwrap();
    assert_eq!(report.ending, Ending::Exited(1));
}

#[test]
fn several_threads_run_at_once() {
    let jail = Jail::new();
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let jail = &jail;
            scope.spawn(move || {
                for round in 0..10 {
                    let text = format!("{thread} {round}\n");
                    assert_eq!(said(jail, &shell("cat").stdin(text.as_str())), text);
                }
            });
        }
    });
}

#[test]
fn large_input_and_output_pass() {
    let text = "line\n".repeat(150_000);
    let jail = Jail::new();
    assert_eq!(said(&jail, &Program::new("/bin/cat").stdin(text.as_str())), text);
}

#[test]
fn a_readable_path_is_shown_where_it_is_and_cannot_be_changed() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    std::fs::write(folder.path().join("data"), "7").unwrap();
    let path = folder.path().display();
    let script =
        format!("cat {path}/data; (echo 8 > {path}/data) 2>/dev/null; (touch {path}/new) 2>/dev/null; cat {path}/data");
    assert_eq!(said(&Jail::new().reading(folder.path()), &shell(&script)), "77");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn what_cannot_be_is_an_error_and_no_report() {
    let jail = Jail::new();
    assert!(matches!(jail.run(&Program::new("/no/such/program")), Err(JailError::Start { .. })));
    assert!(matches!(jail.run(&Program::new("/bin/true").file("a/b", "")), Err(JailError::Usage { .. })));
    assert!(matches!(jail.run(&Program::new("/bin/true").argument("a\0b")), Err(JailError::Usage { .. })));
    assert!(matches!(jail.clone().reading("rel").run(&Program::new("/bin/true")), Err(JailError::Usage { .. })));
    assert!(matches!(jail.reading("/no/such").run(&Program::new("/bin/true")), Err(JailError::Readable { .. })));
    let without = Jail::new().without(Layer::NoNewPrivileges);
    assert!(matches!(without.run(&Program::new("/bin/true")), Err(JailError::Missing { layer: Layer::Landlock, .. })));
}

#[test]
fn ends_are_told_apart() {
    let short = Limits { wall: Duration::from_millis(300), ..Limits::default() };
    let ending = |limits: Limits, script: &str| Jail::new().limits(limits).run(&shell(script)).unwrap().ending;
    assert_eq!(ending(short, "sleep 60"), Ending::TimedOut);
    let cpu = Limits { cpu: Duration::from_secs(1), ..Limits::default() };
    assert_eq!(ending(cpu, "while :; do :; done"), Ending::TimedOut);
    let output = Limits { output: 1000, ..Limits::default() };
    assert_eq!(ending(output.clone(), "while :; do echo yes; done"), Ending::OutputCapped);
    assert_eq!(ending(output, "printf '%1000s' x"), Ending::Exited(0));
}

/// The trusting mode has no barrier and the same manners.
#[test]
fn unconfined_programs_have_limits_and_manners_alone() {
    let jail = Jail::unconfined();
    assert_eq!(
        said(
            &jail,
            &shell("cat; cat f; test -e /etc/passwd && echo there; env | grep -c HOME; true").stdin("i").file("f", "o")
        )
        .replace("0\n", ""),
        "iothere\n"
    );
    let left = std::fs::read_dir(std::env::temp_dir()).unwrap().flatten();
    let ours = format!("cohort-{}-", std::process::id());
    drop(jail);
    let kept = left.filter(|e| e.file_name().to_string_lossy().starts_with(&ours)).count();
    assert!(kept <= 1, "folders of runs that are over: {kept}");
}
