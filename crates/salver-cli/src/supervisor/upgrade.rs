//! USR2: the new program starts on the same sockets. Both serve then, until the old one gets its TERM; until then the new one can be
//! taken back by a TERM of its own. As gunicorn has it, its PID file is FILE.2 until the old one has ended.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::Pid;
use salver::StartError;
use salver::listen::{Address, Asked, Listeners};
use serde::{Deserialize, Serialize};

use super::channel::{Channel, Received};
use super::program::Program;

/// What the old program tells the new one; it brings the sockets, those of each loop in turn, then those of metrics.
#[derive(Debug, Serialize, Deserialize)]
struct HandOver {
    asked: Vec<Asked>,
    loops: usize,
    /// What the sockets of metrics were asked for as.
    #[serde(default)]
    monitor: Vec<Asked>,
}

/// What the new program tells the old one: it serves.
#[derive(Debug, Serialize, Deserialize)]
struct Serving;

/// The old program's view of the new one.
#[derive(Debug)]
pub(super) struct Successor {
    pub(super) pid: Pid,
    channel: Option<Channel>,
    /// It serves.
    pub(super) serves: bool,
}

/// The new program's view of the old one.
#[derive(Debug)]
pub(crate) struct Predecessor {
    channel: Option<Channel>,
    /// What it serves.
    listeners: Listeners,
    /// Where it serves metrics.
    pub(super) monitor: Option<Listeners>,
}

impl Successor {
    /// Starts the new program on `listeners`, and on those of metrics.
    ///
    /// # Errors
    /// It cannot be started.
    pub(super) fn start(
        program: &Program,
        argv: &[std::ffi::OsString],
        listeners: &Listeners,
        monitor: Option<&Listeners>,
    ) -> io::Result<Self> {
        let (pid, channel) = program.start_upgrade(argv)?;
        let loops = listeners.loops();
        let descriptors: Vec<BorrowedFd<'_>> =
            (0..loops).flat_map(|place| listeners.descriptors(place)).collect();
        let monitored = monitor.into_iter().flat_map(|monitor| monitor.descriptors(0));
        let descriptors: Vec<_> = descriptors.into_iter().chain(monitored).collect();
        let monitor = monitor.map_or_else(Vec::new, Listeners::asked);
        channel.send(&HandOver { asked: listeners.asked(), loops, monitor }, &descriptors)?;
        Ok(Self { pid, channel: Some(channel), serves: false })
    }

    /// Whether it has begun to serve since this was asked last.
    pub(super) fn has_begun(&mut self) -> bool {
        match self.channel.as_ref().map(Channel::receive::<Serving>) {
            Some(Ok(Received::Message(..))) => {
                self.serves = true;
                true
            }
            Some(Ok(Received::Nothing)) | None => false,
            Some(Ok(Received::Closed) | Err(_)) => {
                self.channel = None; // its end comes as a signal
                false
            }
        }
    }

    pub(super) fn channel(&self) -> Option<&Channel> {
        self.channel.as_ref()
    }
}

impl Predecessor {
    /// Takes what it hands over.
    ///
    /// # Errors
    /// It has ended, or speaks another language.
    pub(crate) fn open(channel: Channel) -> Result<Self, StartError> {
        let lost = |why: &dyn std::fmt::Display| {
            StartError::new(format!("cannot take over from the running program: {why}; start it anew"))
        };
        loop {
            let mut fds = [PollFd::new(&channel, PollFlags::IN)];
            let _ = poll(&mut fds, None); // interrupted: look again
            match channel.receive::<HandOver>() {
                Ok(Received::Message(HandOver { asked, loops, monitor }, sockets)) => {
                    let mut sockets = sockets.into_iter();
                    let queues: Vec<Vec<OwnedFd>> =
                        (0..loops).map(|_| sockets.by_ref().take(asked.len()).collect()).collect();
                    let listeners = Listeners::from_descriptors(&asked, queues)?;
                    let monitor = (!monitor.is_empty())
                        .then(|| Listeners::from_descriptors(&monitor, vec![sockets.collect()]))
                        .transpose()?;
                    return Ok(Self { channel: Some(channel), listeners, monitor });
                }
                Ok(Received::Nothing) => {}
                Ok(Received::Closed) => return Err(lost(&"it has ended")),
                Err(error) => return Err(lost(&error)),
            }
        }
    }

    /// Sockets for `addresses`, at least `loops` queues of each: the old program's where it has them.
    ///
    /// # Errors
    /// As [`Listeners::open_again`].
    pub(super) fn listeners(
        &self,
        addresses: &[Address],
        clear: Option<u16>,
        loops: usize,
    ) -> Result<Listeners, StartError> {
        let inherited = self.listeners.asked().into_iter().map(|asked| asked.address);
        let inherited: Vec<_> =
            inherited.filter(|address| matches!(address, Address::Inherited(_))).collect();
        // What systemd passed to the old program is not passed to us: we have it from there.
        let everywhere = matches!(addresses, [Address::Everywhere(_)]);
        let addresses = if everywhere && !inherited.is_empty() { &inherited } else { addresses };
        let mut listeners = self.listeners.open_again(addresses, clear)?;
        while listeners.loops() < loops {
            listeners.add_loop()?;
        }
        Ok(listeners)
    }

    /// Tells it that we serve.
    pub(super) fn tell_serving(&self) {
        if let Some(channel) = &self.channel {
            let _ = channel.send(&Serving, &[]); // it has ended: all the better
        }
    }

    /// Whether it has ended.
    pub(super) fn has_ended(&mut self) -> bool {
        let open =
            matches!(self.channel.as_ref().map(Channel::receive::<Serving>), Some(Ok(Received::Nothing)));
        if !open {
            self.channel = None;
        }
        !open
    }

    pub(super) fn channel(&self) -> Option<BorrowedFd<'_>> {
        self.channel.as_ref().map(AsFd::as_fd)
    }
}
