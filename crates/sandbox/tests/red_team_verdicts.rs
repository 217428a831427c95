//! The verdict's descriptor. What programs and tests in one interpreter can do to each other is tried where they meet, in the term
//! `python_tests`.
#![cfg(target_os = "linux")]

mod common;

use cohort_sandbox::{Ending, Jail, Limits, Program};
use common::{limits, python, python_in};

#[test]
fn what_is_printed_is_no_verdict() {
    let source = "import os, sys\nprint('passed')\nprint('passed', file=sys.stderr)\nfor fd in range(4, 100):\n    try: os.write(fd, b'passed')\n    except OSError: pass";
    let report = python_in(Jail::new()).run(&python(source).with_verdict()).unwrap();
    assert_eq!((report.ending, &*report.verdict), (Ending::Exited(0), &b""[..]));
    // A program that was given no descriptor for it has none.
    let report = python_in(Jail::new()).run(&python("import os\nos.write(3, b'passed')")).unwrap();
    assert_eq!((report.ending, &*report.verdict), (Ending::Exited(1), &b""[..]));
}

#[test]
fn closing_every_descriptor_ends_nothing_else() {
    let source = "import os\nfor fd in range(64):\n    try: os.close(fd)\n    except OSError: pass";
    let report = python_in(Jail::new()).run(&python(source).with_verdict()).unwrap();
    assert_eq!((&*report.stdout, &*report.verdict), (&b""[..], &b""[..]));
    common::the_next_verdict_is_right();
}

#[test]
fn a_flood_of_verdicts_is_capped() {
    let source = "import os\nwhile True: os.write(3, b'passed' * 10000)";
    let report = python_in(Jail::new()).limits(limits()).run(&python(source).with_verdict()).unwrap();
    assert_eq!(report.ending, Ending::OutputCapped);
    assert!(report.verdict.len() <= Limits::default().verdict);
}

#[test]
fn other_ends_of_its_pipes_are_out_of_reach() {
    // Reading its own output back, or another run's.
    let source = "import os\nfor fd in (1, 2, 3):\n    try: os.read(fd, 1)\n    except OSError: pass\n    else: raise SystemExit(1)";
    assert_eq!(python_in(Jail::new()).run(&python(source).with_verdict()).unwrap().ending, Ending::Exited(0));
}

#[test]
fn the_input_cannot_be_changed() {
    let source = "import os\nfor f in (lambda: os.write(0, b'x'), lambda: os.ftruncate(0, 0), lambda: os.ftruncate(0, 1 << 20)):\n    try: f()\n    except OSError: pass\n    else: raise SystemExit(1)\nassert os.read(0, 9) == b'in'";
    assert_eq!(python_in(Jail::new()).run(&python(source).stdin("in")).unwrap().ending, Ending::Exited(0));
}

/// Runs side by side have nothing in common: neither files nor descriptors nor verdicts.
#[test]
fn runs_at_once_do_not_meet() {
    let jail = Jail::new();
    let script = "echo $1 > f; i=0; while [ $i -lt 200 ]; do i=$((i+1)); done; cat f >&3; ls /work; kill -9 -1 2>/dev/null; echo end";
    std::thread::scope(|scope| {
        for thread in 0..6 {
            let jail = &jail;
            scope.spawn(move || {
                for round in 0..5 {
                    let word = format!("{thread}-{round}");
                    let program = Program::new("/bin/sh").arguments(["-c", script, "sh", &word]).with_verdict();
                    let report = jail.run(&program).unwrap();
                    assert_eq!(report.verdict, format!("{word}\n").into_bytes());
                    assert_eq!(report.stdout, b"f\nend\n");
                }
            });
        }
    });
}
