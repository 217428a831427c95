//! Runs a program in a jail and prints what it did: `run [--reading PATH]... PROGRAM [ARGUMENT]...`

use std::io::{self, Write};

use cohort_sandbox::{Jail, Program};

fn main() {
    let mut arguments = std::env::args_os().skip(1).peekable();
    let mut jail = Jail::of_this_kernel().unwrap_or_else(|e| panic!("{e}"));
    while arguments.next_if(|a| a == "--reading").is_some() {
        jail = jail.reading(arguments.next().expect("--reading PATH"));
    }
    let program = Program::new(arguments.next().expect("a program")).arguments(arguments);
    match jail.run(&program) {
        Err(e) => eprintln!("{e}"),
        Ok(report) => {
            io::stdout().write_all(&report.stdout).expect("stdout");
            io::stderr().write_all(&report.stderr).expect("stderr");
            eprintln!(
                "{:?}, {:?} wall, {:?} CPU, {} KiB",
                report.ending,
                report.wall,
                report.cpu,
                report.peak_memory >> 10
            );
        }
    }
}
