//! A server in one process, which reloads in itself: HUP starts a second server on the same sockets and lets the first one drain.
//!
//! Refused at a reload: what only a new process can change (`--user`, `--workers`, …), which is told and left as it was; and
//! configuration that is wrong, with which the old server goes on.

use std::sync::Arc;
use std::thread::{self, JoinHandle};

use salver::finish::log::AccessLog;
use salver::listen::Listeners;
use salver::{Running, Stop};
use signal_hook::consts::signal::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1};
use signal_hook::low_level::signal_name;

use crate::args::{Parsed, Refusal};
use crate::monitor::{self, Source, Tally};
use crate::notify::Notify;
use crate::options::Options;
use crate::prepared::Prepared;
use crate::process::PidFile;
use crate::run::Failure;
use crate::signals::{Caught, Handle};
use crate::{announce, events, output};

/// Reads the options of every source anew.
type Parse<'p> = dyn Fn() -> Result<Parsed, Refusal> + 'p;

/// Serves until a signal says to stop.
pub(crate) fn run(mut prepared: Prepared, options: Options, parse: &Parse<'_>) -> Result<(), Failure> {
    let _pid = options.process.pid.as_deref().map(PidFile::create).transpose()?;
    let signals = Caught::new()?;
    let loops = thread::available_parallelism().map_or(1, usize::from);
    let mut listeners = Listeners::open(&options.targets.addresses()?, loops)?;
    if let Some(port) = options.https.redirect_http {
        listeners.open_clear(port)?;
    }
    let monitored = options.monitor.addresses()?;
    let monitored = (!monitored.is_empty()).then(|| Listeners::open(&monitored, 1)).transpose()?;
    prepared.drop_privileges()?;
    let tally = Arc::new(Tally::new());
    let source = Source::Alone(Arc::clone(&tally));
    let monitored = monitored.map(|listeners| monitor::start(listeners, source)).transpose()?;
    let (log, meter) = (Arc::clone(&prepared.log), prepared.meter.clone());
    let running = prepared.start(listeners.try_clone()?)?;
    let generation = tally.began(meter, addresses(&running));
    output::serving(running.origins());
    if options.announce.open
        && let Err(message) = announce::browse(running.origins())
    {
        output::warning(&message);
    }
    let server = Alone {
        options,
        listeners: Some(listeners),
        log,
        running: Some((generation, running)),
        tally,
        notify: Notify::new(),
        drained: Vec::new(),
    };
    server.notify.ready();
    server.obey(signals, parse);
    monitor::end(monitored);
    Ok(())
}

/// The server that runs, and those that drain.
struct Alone {
    options: Options,
    /// Keeps the queues open over reloads; `None` once it stops.
    listeners: Option<Listeners>,
    log: Arc<AccessLog>,
    running: Option<(u64, Running)>,
    tally: Arc<Tally>,
    notify: Notify,
    drained: Vec<(Stop, JoinHandle<()>)>,
}

impl Alone {
    /// Acts on signals until everything has ended.
    fn obey(mut self, mut signals: Caught, parse: &Parse<'_>) {
        while let Some(signal) = signals.next_meanwhile(|| self.notify.watchdog()) {
            let stopping = self.running.is_none();
            match signal {
                SIGTERM if !stopping => self.end(&signals, Stop::graceful),
                SIGINT | SIGQUIT | SIGTERM => {
                    if signal == SIGINT {
                        output::interrupted();
                    }
                    self.end(&signals, Stop::now);
                }
                SIGUSR1 => self.log.reopen(),
                SIGHUP if !stopping => {
                    self.notify.reloading();
                    match self.reload(parse) {
                        Ok(()) => tracing::info!("reloaded"),
                        Err(failure) => {
                            tracing::error!("not reloaded, what was served is served on: {failure}")
                        }
                    }
                    self.notify.ready();
                }
                SIGHUP => {}
                other => {
                    let name = signal_name(other).unwrap_or("this signal");
                    tracing::warn!("{name} is for a server with worker processes; start it with --workers");
                }
            }
        }
        for (_, thread) in self.drained {
            // Its panic has been reported.
            let _ = thread.join();
        }
    }

    /// Starts a server of the configuration as it is now, and lets the one before it drain.
    fn reload(&mut self, parse: &Parse<'_>) -> Result<(), Failure> {
        let Some(listeners) = &self.listeners else { return Ok(()) };
        let Parsed { options, warnings, places, .. } = parse()?;
        let prepared = Prepared::open(&options, None).map_err(|failure| failure.at(&places))?;
        let next = listeners.open_again(&options.targets.addresses()?, options.https.redirect_http)?;
        let (log, meter) = (Arc::clone(&prepared.log), prepared.meter.clone());
        let running = prepared.start(next.try_clone()?)?;
        let generation = self.tally.began(meter, addresses(&running));
        for warning in warnings {
            tracing::warn!("{warning}");
        }
        self.options.process.warn_of_changes(&options.process);
        events::set_level(&options.events);
        self.listeners = Some(next);
        self.log = log;
        self.options = options;
        if let Some((ended, old)) = self.running.replace((generation, running)) {
            self.drained.retain(|(_, thread)| !thread.is_finished());
            let stop = old.stop();
            stop.drain();
            self.wait_for(ended, old, stop, None);
        }
        Ok(())
    }

    /// Ends what runs; the signals end with it.
    fn end(&mut self, signals: &Caught, how: fn(&Stop)) {
        self.listeners = None;
        self.tally.stopping();
        self.notify.stopping();
        for (stop, _) in &self.drained {
            how(stop);
        }
        if let Some((generation, running)) = self.running.take() {
            let stop = running.stop();
            how(&stop);
            self.wait_for(generation, running, stop, Some(signals.handle()));
        }
    }

    fn wait_for(&mut self, generation: u64, running: Running, stop: Stop, then: Option<Handle>) {
        let tally = Arc::clone(&self.tally);
        let wait = move || {
            running.wait();
            tally.ended(generation);
            if let Some(signals) = then {
                signals.close();
            }
        };
        match thread::Builder::new().name("drain".into()).spawn(wait) {
            Ok(thread) => self.drained.push((stop, thread)),
            // What was to be waited for was dropped, and so stopped at once.
            Err(error) => tracing::error!("cannot wait for running requests: {error}; look at `ulimit -u`"),
        }
    }
}

fn addresses(running: &Running) -> Vec<String> {
    running.origins().iter().map(ToString::to_string).collect()
}
