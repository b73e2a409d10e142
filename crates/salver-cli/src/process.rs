//! The process around the server: its PID file, its limit of open files, its umask.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use rustix::fs::Mode;
use rustix::process::{Pid, Resource, Rlimit, getrlimit, setrlimit, test_kill_process, umask};
use salver::StartError;
use salver::listen::Address;

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
pub(crate) struct PidFile(PathBuf);

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
        fs::write(path, format!("{}\n", std::process::id())).map_err(|error| {
            StartError::new(format!("--pid {shown}: {error}; name a file in a folder you may write to"))
        })?;
        Ok(Self(path.to_owned()))
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        // Somebody else's number may stand there by now. After -u we may not be allowed to, as in gunicorn.
        let removed = match fs::read_to_string(&self.0) {
            Ok(text) if number(&text) != Some(rustix::process::getpid()) => return,
            Ok(_) => fs::remove_file(&self.0),
            Err(error) => Err(error),
        };
        if let Err(error) = removed
            && error.kind() != ErrorKind::NotFound
        {
            tracing::warn!("--pid {}: {error}; remove it", self.0.display());
        }
    }
}

/// Raises the soft limit of open files to the hard one: each connection is one.
pub(crate) fn raise_open_files() {
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
    Pid::from_raw(text.trim().parse().ok()?)
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
        for stale in ["", "0", "2147483647", "x"] {
            fs::write(&path, stale).unwrap();
            let file = PidFile::create(&path).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), format!("{}\n", std::process::id()));
            drop(file);
            assert!(!path.exists(), "{stale}");
        }
    }
}
