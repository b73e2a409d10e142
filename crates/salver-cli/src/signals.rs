//! Signals, with gunicorn's meanings.
//!
//! The handlers are in place before anything is bound; a thread acts on what arrives once the server runs.

use std::fs;
use std::io;
use std::sync::Arc;
use std::thread;

use salver::finish::log::AccessLog;
use salver::{StartError, Stop};
use signal_hook::consts::signal::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTTIN, SIGTTOU, SIGUSR1, SIGUSR2};
use signal_hook::iterator::Signals;
use signal_hook::low_level::signal_name;

use crate::output;

/// Signals that are caught from now on.
#[derive(Debug)]
pub(crate) struct Caught(Signals);

impl Caught {
    /// Catches the signals: from now on none of them ends the process by itself. What whoever started us ignores stays
    /// ignored (`nohup`, `salver &` in a script), as in Python.
    pub(crate) fn new() -> Result<Self, StartError> {
        let ignored = fs::read_to_string("/proc/self/status").map_or(0, |status| ignored(&status));
        let caught = ALL
            .into_iter()
            .filter(|signal| !MAY_STAY_IGNORED.contains(signal) || ignored & bit(*signal) == 0);
        Signals::new(caught).map(Self).map_err(|error| cannot("catch signals", &error))
    }

    /// Obeys them, on a thread of their own.
    pub(crate) fn obey(self, stop: Stop, log: Arc<AccessLog>) -> Result<(), StartError> {
        let Self(mut signals) = self;
        let obey = move || {
            let mut stopping = false;
            for signal in signals.forever() {
                match signal {
                    SIGTERM if !stopping => {
                        stopping = true;
                        stop.graceful();
                    }
                    SIGINT => {
                        output::interrupted();
                        stop.now();
                    }
                    SIGTERM | SIGQUIT => stop.now(),
                    SIGUSR1 => log.reopen(),
                    other => {
                        let name = signal_name(other).unwrap_or("this signal");
                        tracing::warn!("{name} does nothing yet; it comes with worker processes");
                    }
                }
            }
        };
        thread::Builder::new()
            .name("signals".into())
            .spawn(obey)
            .map(drop)
            .map_err(|error| cannot("start a thread for signals", &error))
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
