//! How this program is started once more: for a worker, and as the new version of itself.

use std::ffi::OsString;
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command};

use rustix::process::Pid;

use super::channel::Channel;
use super::inherit;
use crate::applications::gunicorn;

/// The words that start this program, without its arguments.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    /// A worker: of the same version as its supervisor, whatever lies in the file system by now.
    worker: Vec<OsString>,
    /// The program as it was called, for a new version.
    upgrade: Vec<OsString>,
    /// The interpreter around us, if there is one.
    python: Option<OsString>,
}

impl Program {
    /// A program that is a file of its own; `name` is how it was called.
    pub(crate) fn itself(name: Option<&OsString>) -> Self {
        let upgrade = vec![name.cloned().unwrap_or_else(|| "salver".into())];
        Self { worker: vec!["/proc/self/exe".into()], upgrade, python: None }
    }

    /// A program that is started by these words (`/usr/bin/python3 -m salver`).
    pub(crate) fn words(words: Vec<OsString>) -> Self {
        Self { worker: words.clone(), python: words.first().cloned(), upgrade: words }
    }

    /// Calls the hook `name` of `file` in a process of its own; `None` where there is no Python.
    pub(super) fn call_hook(&self, name: &str, file: &Path) -> Option<Child> {
        let called = gunicorn::call_hook(self.python.as_deref()?, name, file);
        called.inspect_err(|error| tracing::error!("--hooks {}: {name}: {error}", file.display())).ok()
    }

    /// Starts a worker with `arguments`; it has the other end of the channel that is returned.
    pub(super) fn start_worker(&self, arguments: &[OsString]) -> std::io::Result<(Pid, Channel)> {
        start(&self.worker, arguments, inherit::WORKER)
    }

    /// Starts the process that workers are to be copies of.
    pub(super) fn start_original(&self, arguments: &[OsString]) -> std::io::Result<(Pid, Channel)> {
        start(&self.worker, arguments, inherit::ORIGINAL)
    }

    /// Starts the program that is to take over.
    pub(super) fn start_upgrade(&self, arguments: &[OsString]) -> std::io::Result<(Pid, Channel)> {
        start(&self.upgrade, arguments, inherit::UPGRADE)
    }
}

fn start(words: &[OsString], arguments: &[OsString], variable: &str) -> std::io::Result<(Pid, Channel)> {
    let (ours, theirs) = Channel::pair()?;
    theirs.bequeath()?;
    let (program, first) = words.split_first().ok_or(std::io::ErrorKind::InvalidInput)?;
    let mut command = Command::new(program);
    if program == "/proc/self/exe" {
        command.arg0("salver"); // as `ps` and `pgrep` shall find it
    }
    command.args(first).args(arguments);
    for ours in inherit::VARIABLES {
        command.env_remove(ours);
    }
    if variable != inherit::UPGRADE {
        for told in SYSTEMD {
            command.env_remove(told);
        }
    }
    command.env(variable, inherit::value(theirs.as_fd().as_raw_fd()));
    // Its end is read off SIGCHLD by whoever reaps all children.
    let child = command.spawn()?;
    let pid =
        i32::try_from(child.id()).ok().and_then(Pid::from_raw).ok_or(std::io::ErrorKind::InvalidData)?;
    Ok((pid, ours))
}

/// What systemd says to the supervisor alone.
const SYSTEMD: [&str; 6] =
    ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC"];
