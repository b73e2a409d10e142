//! The process around the server: its PID file, its limit of open files, its umask.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use rustix::fs::Mode;
use rustix::process::{Pid, Resource, Rlimit, getppid, getrlimit, setrlimit, test_kill_process, umask};
use salver::StartError;
use salver::listen::Address;

use crate::{memory, privileges};

/// The process.
#[derive(Clone, Debug, clap::Args)]
#[group(skip)]
pub struct Options {
    /// Write the process's number to this file; it goes at the end
    #[arg(long, value_name = "FILE")]
    pub pid: Option<PathBuf>,

    /// Serve as this user, by name or number, once the addresses are bound; to rotate --access-log they need a folder they may
    /// write to
    #[arg(short, long, value_name = "U")]
    pub user: Option<String>,

    /// Serve as this group, by name or number
    #[arg(short, long, value_name = "G")]
    pub group: Option<String>,

    /// Which permissions new files do not get, in octal
    #[arg(long, value_name = "M")]
    pub umask: Option<Umask>,
}

/// Permission bits that new files do not get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Umask(Mode);

/// A PID file of ours; it is removed when this is dropped.
#[derive(Debug)]
pub(crate) struct PidFile {
    path: PathBuf,
    /// What it is to be called when the process that has this name now has ended.
    later: Option<PathBuf>,
}

impl Umask {
    /// Makes it the process's.
    pub(crate) fn apply(self) {
        umask(self.0);
    }
}

impl FromStr for Umask {
    type Err = StartError;

    fn from_str(text: &str) -> Result<Self, StartError> {
        let digits = text.strip_prefix("0o").unwrap_or(text);
        match u32::from_str_radix(digits, 8) {
            Ok(bits) if bits <= 0o777 && !digits.starts_with('+') => Ok(Self(Mode::from_bits_truncate(bits))),
            _ => Err(StartError::new("give octal digits from 0 to 777, as 022")),
        }
    }
}

/// Makes the process what `options` want it to be before anything is opened.
///
/// # Errors
/// `--chdir` names no folder.
pub(crate) fn enter(options: &crate::options::Options) -> Result<(), StartError> {
    if let Some(folder) = &options.applications.chdir {
        std::env::set_current_dir(folder).map_err(|error| {
            StartError::new(format!("--chdir {}: {error}; name a folder that is there", folder.display()))
        })?;
    }
    settle(options);
    Ok(())
}

/// The same for a process that was started in its folder.
pub(crate) fn settle(options: &crate::options::Options) {
    if let Some(umask) = options.process.umask {
        umask.apply();
    }
    memory::start();
    raise_open_files();
    privileges::keep_descriptors();
}

impl Options {
    /// Tells what of `next` only a new process can have.
    pub(crate) fn warn_of_changes(&self, next: &Self) {
        let changed = [
            ("pid", self.pid != next.pid),
            ("user", self.user != next.user),
            ("group", self.group != next.group),
            ("umask", self.umask != next.umask),
        ];
        for (name, _) in changed.iter().filter(|(_, changed)| *changed) {
            tracing::warn!("--{name} has changed; it takes effect when the server is started anew");
        }
    }
}

impl PidFile {
    /// Writes our number to `path`.
    ///
    /// # Errors
    /// The file holds the number of a process that lives, or cannot be written.
    pub(crate) fn create(path: &Path) -> Result<Self, StartError> {
        let shown = path.display();
        if let Some(pid) = read(path).filter(|pid| *pid != rustix::process::getpid() && lives(*pid)) {
            let pid = pid.as_raw_pid();
            return Err(StartError::new(format!(
                "--pid {shown}: process {pid} runs already; stop it or name another file"
            )));
        }
        if let Err(error) = fs::write(path, format!("{}\n", std::process::id())) {
            if error.kind() == ErrorKind::StorageFull {
                let _ = fs::remove_file(path); // it is there and empty: no number is left that says nothing
            }
            let mend = match error.kind() {
                ErrorKind::StorageFull => "make room there, or name another file",
                _ => "name a file in a folder you may write to",
            };
            return Err(StartError::new(format!("--pid {shown}: {error}; {mend}")));
        }
        Ok(Self { path: path.to_owned(), later: None })
    }

    /// The same; where `path` is that of the process we take over from, ours is `path.2` until it has ended.
    ///
    /// # Errors
    /// As [`PidFile::create`].
    pub(crate) fn create_after(path: &Path, takes_over: bool) -> Result<Self, StartError> {
        if !takes_over || read(path) != getppid() {
            return Self::create(path);
        }
        let mut beside = path.as_os_str().to_owned();
        beside.push(".2");
        let mut file = Self::create(Path::new(&beside))?;
        file.later = Some(path.to_owned());
        Ok(file)
    }

    /// Takes the name of the process that has ended.
    pub(crate) fn promote(&mut self) {
        let Some(later) = self.later.take() else { return };
        match fs::rename(&self.path, &later) {
            Ok(()) => self.path = later,
            Err(error) => tracing::warn!("--pid {}: {error}", later.display()),
        }
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        // Somebody else's number may stand there by now. After -u we may not be allowed to, as in gunicorn.
        let removed = match fs::read_to_string(&self.path) {
            Ok(text) if number(&text) != Some(rustix::process::getpid()) => return,
            Ok(_) => fs::remove_file(&self.path),
            Err(error) => Err(error),
        };
        if let Err(error) = removed
            && error.kind() != ErrorKind::NotFound
        {
            tracing::warn!("--pid {}: {error}; remove it", self.path.display());
        }
    }
}

/// Raises the soft limit of open files to the hard one: each connection is one.
fn raise_open_files() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum {
        // Refused only by a sandbox; the server then lives with what it has.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    }
}

/// The listening sockets that systemd passed to the process with this number: from descriptor 3 on, `LISTEN_FDS` many
/// (sd_listen_fds(3)). `LISTEN_PID` says whether they are meant for us or for the process that started us.
pub(crate) fn passed_sockets(variable: impl Fn(&str) -> Option<String>, process: u32) -> Vec<Address> {
    let number = |name| variable(name)?.parse::<u32>().ok();
    match (number("LISTEN_PID"), number("LISTEN_FDS")) {
        (Some(meant), Some(count)) if meant == process => {
            (3..).take(count.min(MOST_SOCKETS) as usize).map(Address::Inherited).collect()
        }
        _ => Vec::new(),
    }
}

/// More sockets than this are a slip in a unit file.
const MOST_SOCKETS: u32 = 1024;

fn read(path: &Path) -> Option<Pid> {
    number(&fs::read_to_string(path).ok()?)
}

fn number(text: &str) -> Option<Pid> {
    // Of a negative number the system would think that a group of processes is meant.
    Pid::from_raw(text.trim().parse().ok().filter(|number| *number > 0)?)
}

fn lives(pid: Pid) -> bool {
    // EPERM: it lives and is somebody else's.
    test_kill_process(pid) != Err(rustix::io::Errno::SRCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passed_sockets_are_ours_if_they_name_us() {
        for (pid, count, want) in [
            (Some("7"), Some("2"), vec![Address::Inherited(3), Address::Inherited(4)]),
            (Some("7"), Some("0"), vec![]),
            (Some("8"), Some("2"), vec![]),
            (None, Some("2"), vec![]),
            (Some("7"), None, vec![]),
            (Some("7"), Some("-1"), vec![]),
        ] {
            let variable = |name: &str| if name == "LISTEN_PID" { pid } else { count }.map(str::to_owned);
            assert_eq!(passed_sockets(variable, 7), want, "{pid:?} {count:?}");
        }
    }

    #[test]
    fn a_umask_is_octal() {
        for (text, want) in [
            ("022", Some(0o22)),
            ("0o77", Some(0o77)),
            ("0", Some(0)),
            ("8", None),
            ("1000", None),
            ("+7", None),
        ] {
            let read = text.parse::<Umask>().ok().map(|umask| umask.0.bits());
            assert_eq!(read, want, "{text}");
        }
    }

    #[test]
    fn a_pid_file_goes_with_its_process() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pid");
        fs::write(&path, "1\n").unwrap();
        let error = PidFile::create(&path).unwrap_err().to_string();
        assert!(error.contains("process 1 runs already"), "{error}");
        for stale in ["", "0", "-1", "2147483647", "x"] {
            fs::write(&path, stale).unwrap();
            let file = PidFile::create(&path).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), format!("{}\n", std::process::id()));
            drop(file);
            assert!(!path.exists(), "{stale}");
        }
    }
}
