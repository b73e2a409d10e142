//! Signals, with gunicorn's meanings.
//!
//! The handlers are in place before anything is bound; a thread acts on what arrives once the server runs.

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
    /// Catches the signals: from now on none of them ends the process by itself.
    pub(crate) fn new() -> Result<Self, StartError> {
        Signals::new(ALL).map(Self).map_err(|error| cannot("catch signals", &error))
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

fn cannot(what: &str, error: &io::Error) -> StartError {
    StartError::new(format!("cannot {what}: {error}; look at `ulimit -a`"))
}

const ALL: [i32; 8] = [SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2, SIGTTIN, SIGTTOU];
