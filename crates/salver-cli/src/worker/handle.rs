//! The worker's side of its channel.
//!
//! A thread of its own listens, so that a worker whose every other thread is stuck in foreign code still obeys, and ends when its
//! supervisor does.

use std::collections::BTreeMap;
use std::mem;
use std::process;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use salver::finish::log::AccessLog;
use salver::meter::Meter;
use salver::turns::Turns;
use salver::{StartError, Stop};
use signal_hook::consts::signal::{SIGQUIT, SIGTERM, SIGUSR1};
use tokio::sync::oneshot;

use super::no_thread;
use crate::applications::reload;
use crate::signals::Caught;
use crate::supervisor::channel::{Channel, Received};
use crate::supervisor::message::{Load, Order, PYTHON_SECONDS, TAKE_OVERS, Tell};
use crate::supervisor::report::Report;

/// This process as its supervisor knows it; cheap to clone.
#[derive(Clone, Debug)]
pub struct Worker(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    channel: Channel,
    takes_over: bool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    stops: Vec<Stop>,
    /// An order that came before there was anything to stop.
    ordered: Option<Ending>,
    replacing: bool,
    meter: Option<Meter>,
    turns: Option<Turns>,
    log: Option<Arc<AccessLog>>,
    asking: Vec<oneshot::Sender<Report>>,
    told: Load,
}

/// How a worker is to end; the later is the more urgent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Ending {
    Drain,
    Stop,
    Quit,
}

impl Worker {
    /// The one of this process, from now on.
    pub(super) fn new(channel: Channel, takes_over: bool) -> Self {
        let worker = Self(Arc::new(Shared { channel, takes_over, state: Mutex::default() }));
        CURRENT.get_or_init(|| worker).clone()
    }

    /// That of this process, if it is a worker.
    pub fn current() -> Option<&'static Self> {
        CURRENT.get()
    }

    /// What it tells its supervisor of, and what it reopens.
    pub(super) fn counts(&self, meter: Meter, turns: Option<Turns>, log: Arc<AccessLog>) {
        let mut state = self.state();
        state.meter = Some(meter);
        state.turns = turns;
        state.log = Some(log);
    }

    /// Tells the supervisor that requests are answered.
    pub fn ready(&self) {
        self.tell(&Tell::Ready);
    }

    /// Asks the supervisor to put another worker in the place of this one, once: `why` stands in its log. The other one starts
    /// at once; this one drains as soon as that is ready, and is killed if it outlives `--graceful-timeout`.
    pub fn please_replace(&self, why: &str) {
        if !mem::replace(&mut self.state().replacing, true) {
            self.tell(&Tell::Replace(why.into()));
        }
    }

    /// Has `stop` called when this worker is to drain or to stop.
    pub fn stops(&self, stop: Stop) {
        let mut state = self.state();
        if let Some(ending) = state.ordered {
            ending.apply(&stop);
        }
        state.stops.push(stop);
    }

    /// Asks the supervisor to reload, as HUP does: the code has changed.
    pub fn please_reload(&self) {
        self.tell(&Tell::Reload);
    }

    /// Whether another worker serves the same sockets until this one is ready.
    pub fn takes_over(&self) -> bool {
        self.0.takes_over
    }

    /// Tells the others, by way of the supervisor, that the code cannot be imported, and why.
    pub fn is_broken(&self, why: &str) {
        self.tell(&Tell::Broken(why.into()));
    }

    /// What the supervisor knows of the whole server; `None` if it does not answer.
    pub(crate) async fn report(&self) -> Option<Report> {
        let (send, receive) = oneshot::channel();
        self.state().asking.push(send);
        self.tell(&Tell::Ask);
        tokio::time::timeout(PATIENCE, receive).await.ok()?.ok()
    }

    /// Listens to supervisor and signals, on threads of their own.
    pub(super) fn listen(&self, signals: Caught) -> Result<(), StartError> {
        let worker = self.clone();
        let listen = move || worker.obey_supervisor();
        thread::Builder::new().name("supervisor".into()).spawn(listen).map_err(|error| no_thread(&error))?;
        let worker = self.clone();
        let obey = move || worker.obey_signals(signals);
        thread::Builder::new().name("signals".into()).spawn(obey).map_err(|error| no_thread(&error))?;
        Ok(())
    }

    /// Tells what was done in all, as the last thing.
    pub(super) fn last_load(&self) {
        self.tell_load();
    }

    fn obey_supervisor(&self) {
        let mut looked = Instant::now();
        loop {
            let mut fds = [PollFd::new(&self.0.channel, PollFlags::IN)];
            let _ = poll(&mut fds, Some(&TICK)); // interrupted: look
            loop {
                match self.0.channel.receive::<Order>() {
                    Ok(Received::Message(order, _)) => self.obey(order),
                    Ok(Received::Nothing) => break,
                    Ok(Received::Closed) => self.end_alone(),
                    Err(error) => {
                        tracing::error!("the supervisor is not understood: {error}");
                        self.end_alone();
                    }
                }
            }
            if looked.elapsed() >= BETWEEN_LOADS {
                looked = Instant::now();
                self.tell_load();
            }
        }
    }

    fn obey(&self, order: Order) {
        match order {
            Order::Drain => self.end(Ending::Drain),
            Order::Stop => self.end(Ending::Stop),
            Order::Quit => self.end(Ending::Quit),
            Order::Reopen => self.reopen(),
            Order::Broken(why) => reload::show(&why),
            Order::Report(report) => {
                for asking in mem::take(&mut self.state().asking) {
                    let _ = asking.send((*report).clone()); // it has stopped waiting
                }
            }
            Order::Hello(_) | Order::Copy => {}
        }
    }

    /// What reaches this process alone: Ctrl-C is for the supervisor, which says what is to be done.
    fn obey_signals(&self, mut signals: Caught) {
        while let Some(signal) = signals.next() {
            match signal {
                SIGTERM => self.end(Ending::Stop),
                SIGQUIT => self.end(Ending::Quit),
                SIGUSR1 => self.reopen(),
                _ => {}
            }
        }
    }

    fn end(&self, ending: Ending) {
        let mut state = self.state();
        state.ordered = state.ordered.max(Some(ending));
        for stop in &state.stops {
            ending.apply(stop);
        }
        if ending == Ending::Quit && state.stops.is_empty() {
            process::exit(0); // nothing is served yet
        }
    }

    /// The supervisor is gone, and nobody else will end us.
    fn end_alone(&self) -> ! {
        tracing::error!("the supervisor has ended; so does this worker");
        self.end(Ending::Quit);
        thread::sleep(LAST_MOMENT);
        process::exit(1);
    }

    fn tell_load(&self) {
        let mut state = self.state();
        let Some(meter) = &state.meter else { return };
        let mut load = Load { counts: meter.snapshot(), totals: BTreeMap::new() };
        if let Some(counted) = state.turns.as_ref().map(Turns::counted) {
            load.totals.insert(TAKE_OVERS.into(), counted.take_overs as f64);
            load.totals.insert(PYTHON_SECONDS.into(), counted.seconds);
        }
        if load == state.told {
            return;
        }
        state.told = load.clone();
        drop(state);
        self.tell(&Tell::Load(load));
    }

    fn reopen(&self) {
        if let Some(log) = &self.state().log {
            log.reopen();
        }
    }

    fn tell(&self, what: &Tell) {
        // A supervisor that does not read has its own troubles; one that is gone is noticed elsewhere.
        let _ = self.0.channel.send(what, &[]);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ending {
    fn apply(self, stop: &Stop) {
        match self {
            Self::Drain => stop.drain(),
            Self::Stop => stop.graceful(),
            Self::Quit => stop.now(),
        }
    }
}

/// The one of this process: whoever hosts applications has to find it.
static CURRENT: OnceLock<Worker> = OnceLock::new();

const TICK: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
/// How fresh what the supervisor knows of this worker is.
const BETWEEN_LOADS: Duration = Duration::from_millis(100);
/// How long the supervisor may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// What a worker has left to end in good order when its supervisor is gone.
const LAST_MOMENT: Duration = Duration::from_millis(1500);
