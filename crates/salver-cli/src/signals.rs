//! Signals, with gunicorn's meanings: caught before anything is bound, and given out one by one to whoever acts on them.

use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use salver::StartError;
use signal_hook::consts::signal::{
    SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTTIN, SIGTTOU, SIGUSR1, SIGUSR2,
};
use signal_hook::iterator::backend::{Handle as Registered, SignalDelivery};
use signal_hook::iterator::exfiltrator::SignalOnly;

/// Signals that are caught from now on.
#[derive(Debug)]
pub(crate) struct Caught {
    delivery: SignalDelivery<UnixStream, SignalOnly>,
    /// Those that have come and were not given out yet.
    ready: Vec<i32>,
}

/// Ends [`Caught`] from another thread.
pub(crate) struct Handle(Registered);

impl Caught {
    /// Catches the signals: from now on none of them ends the process by itself. What whoever started us ignores stays
    /// ignored (`nohup`, `salver &` in a script), as in Python.
    pub(crate) fn new() -> Result<Self, StartError> {
        Self::of(&ALL)
    }

    /// The same, and the end of child processes.
    pub(crate) fn with_children() -> Result<Self, StartError> {
        let mut signals = ALL.to_vec();
        signals.push(SIGCHLD);
        Self::of(&signals)
    }

    fn of(signals: &[i32]) -> Result<Self, StartError> {
        let ignored = fs::read_to_string("/proc/self/status").map_or(0, |status| ignored(&status));
        let caught = signals
            .iter()
            .filter(|signal| !MAY_STAY_IGNORED.contains(signal) || ignored & bit(**signal) == 0);
        let pipe = UnixStream::pair();
        let delivery =
            pipe.and_then(|(read, write)| SignalDelivery::with_pipe(read, write, SignalOnly, caught));
        let delivery = delivery.map_err(|error| cannot("catch signals", &error))?;
        Ok(Self { delivery, ready: Vec::new() })
    }

    /// The next signal, once one has come; `None` when [`Handle::close`] was called.
    pub(crate) fn next(&mut self) -> Option<i32> {
        self.next_meanwhile(|| None)
    }

    /// The same; `meanwhile` is called before each wait, and says how long that may last.
    pub(crate) fn next_meanwhile(&mut self, mut meanwhile: impl FnMut() -> Option<Duration>) -> Option<i32> {
        loop {
            if let Some(signal) = self.come() {
                return Some(signal);
            }
            if self.delivery.handle().is_closed() {
                return None;
            }
            let timeout = meanwhile().and_then(|timeout| Timespec::try_from(timeout).ok());
            // An error is as good as something to read, for whoever reads then.
            let _ = poll(&mut [PollFd::new(self, PollFlags::IN)], timeout.as_ref());
        }
    }

    /// A signal that has come.
    pub(crate) fn come(&mut self) -> Option<i32> {
        if self.ready.is_empty() {
            self.ready = self.delivery.pending().collect();
        }
        self.ready.pop()
    }

    /// A way to end this.
    pub(crate) fn handle(&self) -> Handle {
        Handle(self.delivery.handle())
    }
}

impl AsFd for Caught {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.delivery.get_read().as_fd()
    }
}

impl Handle {
    /// Nothing is given out any more.
    pub(crate) fn close(&self) {
        self.0.close();
    }
}

/// The mask of ignored signals in `/proc/…/status` (proc_pid_status(5)).
fn ignored(status: &str) -> u64 {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}

fn bit(signal: i32) -> u64 {
    1 << (signal - 1)
}

fn cannot(what: &str, error: &io::Error) -> StartError {
    StartError::new(format!("cannot {what}: {error}; look at `ulimit -a`"))
}

const ALL: [i32; 8] = [SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2, SIGTTIN, SIGTTOU];
const MAY_STAY_IGNORED: [i32; 3] = [SIGINT, SIGQUIT, SIGHUP];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ignored_signals_are_read_of_the_mask() {
        for (status, want) in [
            ("Name:\tx\nSigIgn:\t0000000000000006\n", bit(SIGINT) | bit(SIGQUIT)),
            ("SigIgn:\t0000000000000001\n", bit(SIGHUP)),
            ("SigIgn:\tx\n", 0),
            ("", 0),
        ] {
            assert_eq!(ignored(status), want, "{status}");
        }
    }
}
