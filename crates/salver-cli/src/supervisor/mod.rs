//! The supervisor: one thread that owns the sockets and sees to it that workers serve them. It speaks no HTTP and runs no Python.
//!
//! `crew` knows who serves what, `life` is the loop that hears of signals, workers and time; a worker is started by `program`
//! and spoken with over a `channel`.

use std::env;
use std::ffi::OsString;
use std::str::FromStr;
use std::thread::available_parallelism;

use salver::StartError;
use salver::listen::Listeners;
use salver::number;

use crate::args::{Parsed, Refusal};
use crate::prepared::Prepared;
use crate::process::PidFile;
use crate::run::Failure;
use crate::signals::Caught;

mod backoff;
pub(crate) mod channel;
pub mod control;
mod crew;
pub(crate) mod inherit;
mod life;
mod limits;
pub(crate) mod message;
mod nursery;
mod process;
pub(crate) mod program;
pub mod report;
mod upgrade;

use control::Control;
use crew::{Crew, Settings};
use life::{Monitored, Sockets, Supervisor};
use limits::Limits;
use program::Program;
pub(crate) use upgrade::Predecessor;

/// Worker processes.
#[derive(Clone, Debug, clap::Args)]
#[group(skip)]
pub struct Options {
    /// Serve with N worker processes, or with one a core (`auto`), below a supervisor that keeps them running [default:
    /// $WEB_CONCURRENCY; without it files are served by one process and applications by one worker]
    #[arg(short, long, value_name = "N|auto")]
    pub workers: Option<Workers>,

    /// Replace a worker after so many requests; 0 = never
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub max_requests: u64,

    /// Up to so many more, each worker at random, so that not all are replaced at once
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub max_requests_jitter: u64,

    /// Replace a worker that takes more memory, in bytes
    #[arg(long, value_name = "B", value_parser = number::some_bytes::<u64>)]
    pub max_rss: Option<u64>,

    /// Where `salver status` finds the supervisor: a path, or `off` [default: its number, in /run/salver or $XDG_RUNTIME_DIR/salver]
    #[arg(long, value_name = "PATH|off")]
    pub control_socket: Option<control::Place>,
}

/// How many workers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Workers(usize);

impl FromStr for Workers {
    type Err = StartError;

    fn from_str(text: &str) -> Result<Self, StartError> {
        let count = match text {
            "auto" => Some(cores()),
            text => text.parse().ok().filter(|count| (1..=MOST_WORKERS).contains(count)),
        };
        let wrong =
            || StartError::new(format!("give a number from 1 to {MOST_WORKERS}, or `auto` for one a core"));
        count.map(Self).ok_or_else(wrong)
    }
}

impl Options {
    /// How many workers there are to be; `None` for a server of one process.
    ///
    /// # Errors
    /// `$WEB_CONCURRENCY` is no number.
    pub(crate) fn count(&self, has_application: bool) -> Result<Option<usize>, StartError> {
        if let Some(Workers(count)) = self.workers {
            return Ok(Some(count));
        }
        if let Some(text) = env::var("WEB_CONCURRENCY").ok().filter(|text| !text.is_empty()) {
            let Workers(count) = text.parse().map_err(|error| {
                StartError::new(format!("WEB_CONCURRENCY: invalid value '{text}': {error}"))
            })?;
            return Ok(Some(count));
        }
        // An application is reloaded by replacing its process; and somebody has to reap what process 1 is left with.
        Ok((has_application || std::process::id() == 1).then_some(1))
    }
}

/// Starts the workers and keeps them running until a signal says to stop.
pub(crate) fn run(
    program: Program,
    argv: Vec<OsString>,
    (prepared, parsed): (Prepared, Parsed),
    parse: &Parse<'_>,
    predecessor: Option<Predecessor>,
) -> Result<(), Failure> {
    let Parsed { options, arguments, .. } = parsed;
    let has_application = options.targets.have_application();
    let count = options.workers.count(has_application)?.unwrap_or(1);
    // Applications take turns with one loop; files are served by as many loops in all as there are cores.
    let loops = if has_application { 1 } else { cores().div_ceil(count) };
    let pid_file =
        options.process.pid.as_deref().map(|path| PidFile::create_after(path, predecessor.is_some()));
    let pid_file = pid_file.transpose()?;
    let signals = Caught::with_children()?;
    let (addresses, clear) = (options.targets.addresses()?, options.https.redirect_http);
    let listeners = match &predecessor {
        Some(predecessor) => predecessor.listeners(&addresses, clear, count * loops)?,
        None => {
            let mut listeners = Listeners::open(&addresses, count * loops)?;
            clear.map_or(Ok(()), |port| listeners.open_clear(port))?;
            listeners
        }
    };
    let monitored = predecessor.as_ref().and_then(|predecessor| predecessor.monitor.as_ref());
    let monitor = Monitored::open(monitored, &options.monitor.addresses()?)?;
    let control = Control::open(options.workers.control_socket.as_ref(), predecessor.is_some())?;
    let origins = prepared.origins(&listeners);
    drop(prepared); // it was a check: each worker opens its own
    let limits = Limits::new(&options.workers, &options.server);
    let preload = has_application && options.applications.preloads();
    let settings = Settings { arguments, generation: 1, limits, preload };
    let crew = Crew::new(program, argv, settings, (count, loops), listeners.loops());
    let sockets = Sockets { listeners, origins, loops, monitor, control };
    Supervisor::new(options, crew, sockets, signals).after(predecessor, pid_file).run(parse)
}

/// Reads the options of every source anew.
pub(crate) type Parse<'p> = dyn Fn() -> Result<Parsed, Refusal> + 'p;

fn cores() -> usize {
    available_parallelism().map_or(1, usize::from)
}

/// More is a slip of the finger.
const MOST_WORKERS: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_are_a_number_or_one_a_core() {
        for (text, want) in [("1", Some(1)), ("512", Some(512)), ("auto", Some(cores()))] {
            assert_eq!(text.parse().ok(), want.map(Workers), "{text}");
        }
        for text in ["0", "-1", "513", "", "x", "2.5"] {
            let error = text.parse::<Workers>().unwrap_err().to_string();
            assert!(error.contains("give a number from 1 to 512"), "{text}: {error}");
        }
    }
}
