//! Jails for programs that a model wrote.
//!
//! A [`Jail`] runs a [`Program`] behind every [`Layer`] that the kernel gives: new namespaces with a root that holds nothing but
//! the system's read-only folders, Landlock, seccomp, no new privileges, limits, an empty environment, a private folder of
//! bounded size, no network, and a deadline after which the whole tree of processes dies. What it said comes back as a [`Report`];
//! a verdict travels on a descriptor of its own. Linux alone; elsewhere every run is refused.
//!
//! `docs/sandbox.md` has the threat model, and what is not stopped.
//!
//! ```no_run
//! # fn main() -> Result<(), cohort_sandbox::JailError> {
//! use cohort_sandbox::{Ending, Jail, Program};
//! let report = Jail::new().run(&Program::new("/bin/cat").stdin(b"7"))?;
//! assert_eq!((report.ending, report.stdout.as_slice()), (Ending::Exited(0), b"7".as_slice()));
//! # Ok(()) }
//! ```

mod error;
mod jail;
mod layer;
mod limits;
mod program;
mod report;

#[cfg(target_os = "linux")]
mod linux;
#[cfg(not(target_os = "linux"))]
#[path = "elsewhere.rs"]
mod linux;

pub use error::JailError;
pub use jail::Jail;
pub use layer::{Given, Layer, Layers};
pub use limits::Limits;
pub use program::Program;
pub use report::{Ending, Report};
