//! A server inside of somebody else's program (`salver.serve` of Python): one process, without a supervisor, since only this
//! process has the application's object.

use std::env;
use std::ffi::OsString;
use std::sync::Arc;
use std::thread;

use salver::listen::Listeners;
use salver::{StartError, Stop};
use signal_hook::consts::signal::{SIGINT, SIGQUIT, SIGTERM, SIGUSR1};

use crate::applications::Host;
use crate::prepared::Prepared;
use crate::process::{self, PidFile};
use crate::run::Failure;
use crate::signals::Caught;
use crate::{args, events, output};

/// Serves until it is stopped. Without `hears_signals` they are the program's own.
pub(crate) fn run(
    argv: impl Iterator<Item = OsString>,
    host: &dyn Host,
    hears_signals: bool,
) -> Result<(), Failure> {
    let parsed = args::parse_with(argv, env::vars_os(), &|_| Ok(host.program()))?;
    let options = &parsed.options;
    process::enter(options)?;
    events::start(&options.events)?;
    for warning in &parsed.warnings {
        tracing::warn!("{warning}");
    }
    let mut prepared = Prepared::open(options, Some(host))?;
    let _pid = options.process.pid.as_deref().map(PidFile::create).transpose()?;
    let signals = if hears_signals { Some(Caught::new()?) } else { None };
    let mut listeners = Listeners::open(&options.targets.addresses()?, 1)?;
    if let Some(port) = options.https.redirect_http {
        listeners.open_clear(port)?;
    }
    prepared.drop_privileges()?;
    let origins = prepared.origins(&listeners);
    let log = Arc::clone(&prepared.log);
    let reopen = move || log.reopen();
    let handle = signals.as_ref().map(Caught::handle);
    let mut obeying = None;
    prepared.run(listeners, Some(host), |stop| {
        output::serving(&origins);
        let obey = signals.map(|signals| move || obey(signals, &stop, reopen));
        obeying = obey.map(|obey| thread::Builder::new().name("signals".into()).spawn(obey));
    })?;
    if let Some(handle) = handle {
        handle.close();
    }
    match obeying.transpose() {
        // Its panic has been reported.
        Ok(thread) => drop(thread.map(thread::JoinHandle::join)),
        Err(error) => {
            let message = format!("cannot start a thread for signals: {error}; look at `ulimit -u`");
            return Err(StartError::new(message).into());
        }
    }
    Ok(())
}

fn obey(mut signals: Caught, stop: &Stop, reopen: impl Fn()) {
    let mut stopping = false;
    while let Some(signal) = signals.next() {
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
            SIGUSR1 => reopen(),
            _ => tracing::warn!("this signal is for the command; a program that calls serve() ignores it"),
        }
    }
}
