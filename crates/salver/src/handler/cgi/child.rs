//! The life of a child process: it is started cheaply, leads a process group of its own, and is never left behind.
//!
//! Its end is noticed by a descriptor of its own (`pidfd`), so no signal handler is needed and no other child of this process
//! is touched. Whoever drops a [`Process`] ends it: TERM to its group, KILL after 5 s, and always reaped.

use std::ffi::OsString;
use std::future::poll_fn;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{
    Pid, PidfdFlags, Resource, Rlimit, Signal, getpid, getrlimit, kill_process_group, pidfd_open, setrlimit,
    test_kill_process_group,
};
use tokio::net::unix::pipe;
use tokio::runtime::Handle;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use crate::start_error::StartError;

/// What is started.
#[derive(Debug)]
pub(super) struct Launch {
    pub(super) program: PathBuf,
    pub(super) arguments: Vec<OsString>,
    /// The whole environment.
    pub(super) variables: Vec<(OsString, OsString)>,
    pub(super) input: Stdio,
    /// Its place among the scripts that run, given back when it is reaped.
    pub(super) place: OwnedSemaphorePermit,
}

/// A child and our ends of its pipes.
#[derive(Debug)]
pub(super) struct Started {
    pub(super) process: Process,
    /// `None` where its input is no pipe.
    pub(super) input: Option<pipe::Sender>,
    pub(super) output: pipe::Receiver,
    pub(super) errors: pipe::Receiver,
}

/// A child that is ended when this is dropped.
#[derive(Debug)]
pub(super) struct Process {
    /// `None` only while it is dropped.
    group: Option<Group>,
    runtime: Handle,
}

/// A child and its process group. Dropped early, as by a server that stops: killed at once.
#[derive(Debug)]
struct Group {
    child: Child,
    /// The number of the child and of its group.
    pid: Pid,
    /// The pidfd: readable once the child has ended.
    exit: pipe::Receiver,
    /// Once it is reaped.
    status: Option<ExitStatus>,
    _place: OwnedSemaphorePermit,
}

/// Makes this process one that can start scripts.
///
/// # Errors
/// A kernel that is too old.
pub(super) fn prepare() -> Result<(), StartError> {
    pidfd_open(getpid(), PidfdFlags::empty()).map_err(|error| {
        StartError::new(format!("CGI: this kernel has no pidfd ({error}); use Linux 5.3 or newer"))
    })?;
    // A limit can be set for a child before it starts only by way of its parent, short of a fork that copies our memory. So
    // this process leaves no core either; its own faults are panics, which leave none.
    let limit = Rlimit { current: Some(0), ..getrlimit(Resource::Core) };
    setrlimit(Resource::Core, limit)
        .map_err(|error| StartError::new(format!("CGI: core files cannot be turned off: {error}")))
}

impl Launch {
    /// Starts the child. Blocks until it runs, so it is called on a thread of the runtime that may; what it costs is a
    /// `posix_spawn`, which shares our memory with the child instead of copying it.
    ///
    /// # Errors
    /// What starting a program gives.
    pub(super) fn start(self) -> io::Result<Started> {
        // A thread's flag that its children inherit: only the threads that start scripts bear it.
        rustix::thread::set_no_new_privs(true)?;
        let mut command = Command::new(&self.program);
        command.args(self.arguments).env_clear().envs(self.variables).process_group(0);
        if let Some(folder) = self.program.parent() {
            command.current_dir(folder);
        }
        command.stdin(self.input).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn()?;
        let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let process = Process::new(child, self.place)?;
        let (input, Some(output), Some(errors)) = pipes else {
            return Err(io::Error::other("a child without its pipes"));
        };
        Ok(Started {
            process,
            input: input.map(|pipe| pipe::Sender::from_owned_fd(pipe.into())).transpose()?,
            output: pipe::Receiver::from_owned_fd(output.into())?,
            errors: pipe::Receiver::from_owned_fd(errors.into())?,
        })
    }
}

impl Process {
    fn new(mut child: Child, place: OwnedSemaphorePermit) -> io::Result<Self> {
        let pid = Pid::from_child(&child);
        // Only asked whether it is readable, as a pipe would be: tokio's way for any descriptor needs `unsafe`.
        let exit = pidfd_open(pid, PidfdFlags::empty())
            .map_err(io::Error::from)
            .and_then(pipe::Receiver::from_owned_fd_unchecked);
        match exit {
            Ok(exit) => {
                let group = Group { child, pid, exit, status: None, _place: place };
                Ok(Self { group: Some(group), runtime: Handle::current() })
            }
            Err(error) => {
                let _ = kill_process_group(pid, Signal::KILL);
                child.wait()?;
                Err(error)
            }
        }
    }

    /// Ready when the child has ended and is reaped; what is left of its group has been told to end.
    pub(super) fn poll_exit(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<ExitStatus>> {
        match &mut self.group {
            Some(group) => group.poll_exit(cx),
            None => Poll::Pending,
        }
    }

    /// Whether the child is known to have ended.
    pub(super) fn has_ended(&self) -> bool {
        self.group.as_ref().is_none_or(|group| group.status.is_some())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(group) = self.group.take().filter(Group::is_alive) {
            self.runtime.spawn(group.end());
        }
    }
}

impl Group {
    fn poll_exit(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<ExitStatus>> {
        if let Some(status) = self.status {
            return Poll::Ready(Ok(status));
        }
        ready!(self.exit.poll_read_ready(cx))?;
        // Not reaped yet, so the group's number is still its own.
        let _ = kill_process_group(self.pid, Signal::TERM);
        let status = self.child.wait()?;
        self.status = Some(status);
        Poll::Ready(Ok(status))
    }

    /// Whether something of it is left.
    fn is_alive(&self) -> bool {
        self.status.is_none() || test_kill_process_group(self.pid) != Err(Errno::SRCH)
    }

    async fn end(mut self) {
        let limit = Instant::now() + GRACE;
        if self.status.is_none() {
            let _ = kill_process_group(self.pid, Signal::TERM);
            let _ = tokio::time::timeout_at(limit, poll_fn(|cx| self.poll_exit(cx))).await;
        }
        // A number is not given to a new process while a group bears it, so between two looks this stays the group it was.
        while self.is_alive() && Instant::now() < limit {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if self.is_alive() {
            let _ = kill_process_group(self.pid, Signal::KILL);
        }
        if self.status.is_none() {
            let _ = self.child.wait(); // at once: nothing survives KILL
        }
    }
}

/// How long a group has to end by itself.
const GRACE: Duration = Duration::from_secs(5);
/// How often it is looked whether a group without its leader has ended.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
