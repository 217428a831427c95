//! Jails on Linux.

mod child;
mod ids;
mod landlock;
mod probe;
mod raw;
mod root;
mod seccomp;
mod spawn;
mod supervise;

use std::{
    ffi::CString,
    fs, io,
    os::{
        fd::{AsRawFd, FromRawFd, OwnedFd},
        unix::ffi::OsStrExt,
    },
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
    time::Instant,
};

pub use probe::given;

use self::{
    child::{CStrings, Plan, Shared, Start},
    ids::Ids,
    root::{Root, Shown},
    supervise::Ends,
};
use crate::{Jail, JailError, Layer, Limits, Program, Report, program::Verdict};

pub fn run(jail: &Jail, program: &Program) -> Result<Report, JailError> {
    let Opened { given, ends } = Opened::for_program(program)?;
    let (plan, ids, _folder) = plan(jail, Some(program), &given)?;
    let begun = Instant::now();
    let child = spawn::spawn(&plan, &ids)?;
    // The program's ends of the pipes are its alone now.
    drop(given);
    supervise::supervise(jail, &child, ends, begun)
}

/// Everything that a start needs. Without a program it is a trial. The folder, where there is one, is removed with the last value.
fn plan(jail: &Jail, program: Option<&Program>, given: &[OwnedFd]) -> Result<(Plan, Ids, Option<Folder>), JailError> {
    let (layers, ids) = (jail.layers, Ids::of_caller());
    let missing = |layer, reason| JailError::Missing { layer, reason };
    for layer in [Layer::Landlock, Layer::Seccomp] {
        if layers.has(layer) && !layers.has(Layer::NoNewPrivileges) {
            return Err(missing(layer, format!("it needs the layer `{}`", Layer::NoNewPrivileges)));
        }
    }
    let id = layers.has(Layer::User).then_some(ids::INSIDE);
    let folder = if layers.has(Layer::Mount) { None } else { Some(Folder::new(id.is_some() && ids.is_root())?) };
    let work = root::text(folder.as_ref().map_or(Path::new(root::WORK), |folder| &folder.0));
    let shown = Shown::of(jail)?;
    let root = layers.has(Layer::Mount).then(|| Root::new(&shown, jail, id.unwrap_or(0)));
    let rules = if layers.has(Layer::Landlock) { shown.rules(&work) } else { Vec::new() };
    let landlock_version = match layers.has(Layer::Landlock) {
        true => landlock::version().map_err(|e| missing(Layer::Landlock, reason(e)))?,
        false => 0,
    };
    let filters = match layers.has(Layer::Seccomp) {
        true => Some(seccomp::programs().map_err(|reason| missing(Layer::Seccomp, reason))?),
        false => None,
    };
    let limits = if layers.has(Layer::Limits) { resources(&jail.limits) } else { Vec::new() };
    let descriptors = given.iter().map(AsRawFd::as_raw_fd).zip(0..).collect();
    let (mut files, mut start) = (Vec::new(), Start::Nothing);
    if let Some(program) = program {
        for (name, bytes) in &program.files {
            if name.is_empty() || name.contains('/') || name == "." || name == ".." {
                let (what, expected) = ("the name of a file", "a name without `/`");
                return Err(JailError::Usage { what, got: name.clone(), expected });
            }
            files.push((c_string("the name of a file", name.as_bytes())?, bytes.clone()));
        }
        start = started(program, layers.has(Layer::Environment))?;
    }
    let shared = Shared::default();
    let plan =
        Plan { layers, id, root, work, files, descriptors, limits, rules, landlock_version, filters, start, shared };
    Ok((plan, ids, folder))
}

fn started(program: &Program, environment_is_empty: bool) -> Result<Start, JailError> {
    let path = c_string("the program's path", program.path.as_os_str().as_bytes())?;
    let mut argv = vec![path.clone()];
    for argument in &program.arguments {
        argv.push(c_string("an argument", argument.as_bytes())?);
    }
    let mut envp = Vec::new();
    if !environment_is_empty {
        for (name, value) in std::env::vars_os() {
            envp.push(c_string("a variable", &[name.as_bytes(), b"=", value.as_bytes()].concat())?);
        }
    }
    for (name, value) in &program.environment {
        envp.push(c_string("a variable", format!("{name}={value}").as_bytes())?);
    }
    Ok(Start::Program { path, argv: CStrings::new(argv), envp: CStrings::new(envp) })
}

impl Plan {
    /// The program, for messages.
    fn program(&self) -> PathBuf {
        match &self.start {
            Start::Program { path, .. } => PathBuf::from(std::ffi::OsStr::from_bytes(path.as_bytes())),
            Start::Nothing => PathBuf::new(),
        }
    }
}

/// `setrlimit`'s resources and their values; what is not counted here is none at all.
fn resources(limits: &Limits) -> Vec<(u32, u64)> {
    let seconds = limits.cpu.as_secs() + u64::from(limits.cpu.subsec_nanos() > 0);
    vec![
        (libc::RLIMIT_CPU, seconds.max(1)),
        (libc::RLIMIT_AS, limits.memory),
        (libc::RLIMIT_STACK, 8 << 20),
        (libc::RLIMIT_NPROC, limits.processes),
        (libc::RLIMIT_FSIZE, limits.file_size),
        (libc::RLIMIT_NOFILE, limits.descriptors),
        (libc::RLIMIT_CORE, 0),
        (libc::RLIMIT_MEMLOCK, 0),
        (libc::RLIMIT_MSGQUEUE, 0),
        (libc::RLIMIT_NICE, 0),
        (libc::RLIMIT_RTPRIO, 0),
    ]
}

fn c_string(what: &'static str, bytes: &[u8]) -> Result<CString, JailError> {
    CString::new(bytes).map_err(|_| JailError::Usage {
        what,
        got: String::from_utf8_lossy(bytes).into_owned(),
        expected: "text without a zero byte",
    })
}

fn reason(raw::Errno(errno): raw::Errno) -> String {
    io::Error::from_raw_os_error(errno).to_string()
}

/// The descriptors of a program, in their order from 0, and this process's ends of them.
struct Opened {
    given: Vec<OwnedFd>,
    ends: Ends,
}

impl Opened {
    fn for_program(program: &Program) -> Result<Self, JailError> {
        let io = |what| move |source| JailError::Io { what, source };
        let input = input(&program.stdin).map_err(io("the input of a program"))?;
        let pipe = || pipe().map_err(io("a pipe"));
        let ((stdout, stdout_given), (stderr, stderr_given)) = (pipe()?, pipe()?);
        let mut given = vec![input, stdout_given, stderr_given];
        let verdict = match program.verdict {
            Verdict::None => None,
            Verdict::Descriptor => {
                let (verdict, verdict_given) = pipe()?;
                given.push(verdict_given);
                Some(verdict)
            }
        };
        Ok(Self { given, ends: Ends { stdout, stderr, verdict } })
    }
}

/// The end to read, which never blocks, and the end to give.
fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let mut ends = [0; 2];
    // SAFETY: two descriptors are written there, which nobody else knows.
    let (read, write) = unsafe {
        if libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) != 0 {
            return Err(io::Error::last_os_error());
        }
        (OwnedFd::from_raw_fd(ends[0]), OwnedFd::from_raw_fd(ends[1]))
    };
    // SAFETY: an open descriptor, and a flag of its own.
    match unsafe { libc::fcntl(read.as_raw_fd(), libc::F_SETFL, libc::O_NONBLOCK) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok((read, high(write)?)),
    }
}

/// A file in memory, at its beginning, that nobody can change any more.
fn input(bytes: &[u8]) -> io::Result<OwnedFd> {
    // SAFETY: a name, and flags; the descriptor is new.
    let fd = unsafe { libc::memfd_create(c"stdin".as_ptr(), libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: nobody else knows it.
    let mut file = unsafe { fs::File::from_raw_fd(fd) };
    io::Write::write_all(&mut file, bytes)?;
    io::Seek::rewind(&mut file)?;
    let seals = libc::F_SEAL_SEAL | libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_WRITE;
    // SAFETY: a descriptor of memory that can be sealed.
    if unsafe { libc::fcntl(fd, libc::F_ADD_SEALS, seals) } != 0 {
        return Err(io::Error::last_os_error());
    }
    high(file.into())
}

/// The same description under a number that no descriptor of the program has: giving one must not close another.
fn high(fd: OwnedFd) -> io::Result<OwnedFd> {
    // SAFETY: an open descriptor; the new one is ours.
    match unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_DUPFD_CLOEXEC, 10) } {
        -1 => Err(io::Error::last_os_error()),
        new => {
            drop(fd);
            // SAFETY: nobody else knows it.
            Ok(unsafe { OwnedFd::from_raw_fd(new) })
        }
    }
}

/// A private folder of the host's, for runs without a mount namespace. Removed when it is dropped.
struct Folder(PathBuf);

impl Folder {
    fn new(is_given_away: bool) -> Result<Self, JailError> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let io = |source| JailError::Io { what: "a private folder", source };
        let name = format!("cohort-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let folder = Self(std::env::temp_dir().join(name));
        fs::create_dir(&folder.0).map_err(io)?;
        if is_given_away {
            std::os::unix::fs::chown(&folder.0, Some(ids::owner_outside()), Some(ids::owner_outside())).map_err(io)?;
        }
        fs::set_permissions(&folder.0, std::os::unix::fs::PermissionsExt::from_mode(0o700)).map_err(io)?;
        Ok(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
