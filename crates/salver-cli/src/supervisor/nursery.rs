//! `--preload`: a process that has imported the applications and serves nobody. Workers are copies of it and share its memory.
//!
//! One for each configuration that workers are started with: a reload has another one import the code anew, and as long as that
//! fails the one before is what workers are copies of. A copy becomes a child of the supervisor (which is its subreaper), as any
//! other worker is.

use std::ffi::OsString;
use std::io;
use std::os::fd::AsFd as _;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, getpid, kill_process, set_child_subreaper};

use super::backoff::Backoff;
use super::channel::{Channel, Received};
use super::crew::Settings;
use super::message::{Hello, Order, Tell};
use super::program::Program;

/// Those that there are.
#[derive(Debug)]
pub(super) struct Nursery {
    originals: Vec<Original>,
    backoff: Backoff,
    start_at: Instant,
}

/// A process that workers are copies of.
#[derive(Debug)]
struct Original {
    pid: Pid,
    /// `None` once it has closed its end.
    channel: Option<Channel>,
    generation: u64,
    since: Instant,
    /// It has imported the applications.
    ready: bool,
}

/// One that has ended.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) generation: u64,
    pub(super) was_ready: bool,
}

impl Nursery {
    pub(super) fn new() -> Self {
        Self { originals: Vec::new(), backoff: Backoff::default(), start_at: Instant::now() }
    }

    /// A new worker with `settings`: a copy where they say so. `None` as long as nobody has imported the applications; whoever is
    /// to do that is started.
    ///
    /// # Errors
    /// The system refuses a process.
    pub(super) fn bear(
        &mut self,
        program: &Program,
        argv: &[OsString],
        settings: &Settings,
    ) -> io::Result<Option<(Pid, Channel)>> {
        if !settings.preload {
            return program.start_worker(argv).map(Some);
        }
        let generation = settings.generation;
        match self.originals.iter_mut().find(|original| original.generation == generation) {
            Some(original) if original.ready => original.copy().map(Some),
            Some(_) => Ok(None),
            None => {
                if self.start_at <= Instant::now() {
                    self.originals.push(Original::start(program, argv, settings)?);
                }
                Ok(None)
            }
        }
    }

    /// Whether a worker with `settings` has to wait for somebody, and until when at most, where no event will tell.
    pub(super) fn is_awaited(&self, settings: &Settings) -> Option<Option<Instant>> {
        if !settings.preload {
            return None;
        }
        match self.originals.iter().find(|original| original.generation == settings.generation) {
            Some(original) => (!original.ready).then_some(None),
            None => Some(Some(self.start_at)),
        }
    }

    /// Hears who has imported the applications.
    pub(super) fn hear(&mut self) {
        for original in &mut self.originals {
            while let Some(told) = original.told() {
                original.ready |= matches!(told, Tell::Ready);
            }
        }
    }

    pub(super) fn channels(&self) -> impl Iterator<Item = &Channel> {
        self.originals.iter().filter_map(|original| original.channel.as_ref())
    }

    /// Ends those of other generations.
    pub(super) fn keep(&mut self, generations: &[u64]) {
        self.originals.retain(|original| generations.contains(&original.generation));
    }

    /// The process with this number has ended; `None` if it is none of these.
    pub(super) fn died(&mut self, pid: Pid) -> Option<Ended> {
        let at = self.originals.iter().position(|original| original.pid == pid)?;
        let mut original = self.originals.remove(at);
        original.channel = None;
        self.start_at = Instant::now() + self.backoff.died(original.since.elapsed());
        Some(Ended { generation: original.generation, was_ready: original.ready })
    }
}

impl Original {
    fn start(program: &Program, argv: &[OsString], settings: &Settings) -> io::Result<Self> {
        set_child_subreaper(Some(getpid()))?;
        let (pid, channel) = program.start_original(argv)?;
        let original = Self {
            pid,
            channel: Some(channel),
            generation: settings.generation,
            since: Instant::now(),
            ready: false,
        };
        original.tell(&Order::Hello(Box::new(Hello {
            version: env!("CARGO_PKG_VERSION").into(),
            arguments: settings.arguments.clone(),
            addresses: Vec::new(),
            loops: 0,
            takes_over: false,
            monitor: Vec::new(),
        })))?;
        tracing::debug!("process {} is to import the applications", pid.as_raw_pid());
        Ok(original)
    }

    /// A copy of it. This waits, for the moment that a fork takes.
    fn copy(&mut self) -> io::Result<(Pid, Channel)> {
        let (ours, theirs) = Channel::pair()?;
        let channel = self.channel.as_ref().ok_or(io::ErrorKind::NotConnected)?;
        channel.send(&Order::Copy, &[theirs.as_fd()])?;
        drop(theirs);
        let until = Instant::now() + PATIENCE;
        loop {
            match self.told() {
                Some(Tell::Copied(Ok(pid))) => {
                    return Pid::from_raw(pid)
                        .map(|pid| (pid, ours))
                        .ok_or(io::ErrorKind::InvalidData.into());
                }
                Some(Tell::Copied(Err(why))) => return Err(io::Error::other(why)),
                Some(_) => {}
                None => {
                    let left = until.saturating_duration_since(Instant::now());
                    let channel = self.channel.as_ref().ok_or(io::ErrorKind::NotConnected)?;
                    if left.is_zero() {
                        let _ = kill_process(self.pid, Signal::KILL); // whatever it is at: another one is started
                        return Err(io::ErrorKind::TimedOut.into());
                    }
                    // Interrupted: look again.
                    let _ = poll(
                        &mut [PollFd::new(channel, PollFlags::IN)],
                        Timespec::try_from(left).ok().as_ref(),
                    );
                }
            }
        }
    }

    fn tell(&self, order: &Order) -> io::Result<()> {
        self.channel.as_ref().map_or(Ok(()), |channel| channel.send(order, &[]))
    }

    fn told(&mut self) -> Option<Tell> {
        match self.channel.as_ref()?.receive::<Tell>() {
            Ok(Received::Message(tell, _)) => Some(tell),
            Ok(Received::Nothing) => None,
            Ok(Received::Closed) | Err(_) => {
                self.channel = None; // its end comes as a signal
                None
            }
        }
    }
}

impl Drop for Original {
    /// It holds nothing that somebody would miss.
    fn drop(&mut self) {
        // One that has ended and was waited for is not here any more: the number is not somebody else's.
        if self.channel.is_some() {
            let _ = kill_process(self.pid, Signal::KILL);
        }
    }
}

/// How long a copy may take to be made.
const PATIENCE: Duration = Duration::from_secs(5);
