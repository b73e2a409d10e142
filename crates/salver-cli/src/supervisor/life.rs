//! The supervisor's loop: it hears of signals, of workers and of time, and acts on them.

use std::process::Child;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, WaitOptions, kill_process, wait};
use salver::listen::{Address, Listeners};
use salver::{Origin, StartError};
use signal_hook::consts::signal::{
    SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTTIN, SIGTTOU, SIGUSR1, SIGUSR2,
};

use super::Parse;
use super::control::Control;
use super::crew::{Crew, Death, QUICK, Settings};
use super::limits::Limits;
use super::message::{Order, Tell};
use super::process::{State, ending};
use super::report::Report;
use super::upgrade::{Predecessor, Successor};
use crate::announce;
use crate::args::Parsed;
use crate::notify::Notify;
use crate::options::Options;
use crate::prepared::Prepared;
use crate::process::PidFile;
use crate::run::Failure;
use crate::signals::Caught;
use crate::{events, output};

/// The whole of it.
pub(super) struct Supervisor {
    options: Options,
    crew: Crew,
    /// `None` once it stops.
    listeners: Option<Listeners>,
    origins: Vec<Origin>,
    signals: Caught,
    /// How many queues a place has.
    loops: usize,
    monitor: Monitored,
    control: Option<Control>,
    phase: Phase,
    since: Instant,
    generation: u64,
    looked_at_memory: Instant,
    predecessor: Option<Predecessor>,
    successor: Option<Successor>,
    pid_file: Option<PidFile>,
    notify: Notify,
    /// The process that runs `when_ready`, while it does.
    hook: Option<Pid>,
    /// Systemd was told that the configuration is loaded anew.
    reloading: bool,
}

/// What is bound.
pub(super) struct Sockets {
    pub(super) listeners: Listeners,
    pub(super) origins: Vec<Origin>,
    /// How many queues a worker has of each address.
    pub(super) loops: usize,
    pub(super) monitor: Monitored,
    pub(super) control: Option<Control>,
}

/// Where metrics are served, if they are.
pub(super) struct Monitored(Option<Listeners>);

impl Monitored {
    /// Those of before where they are for `addresses`, else new ones.
    pub(super) fn open(before: Option<&Listeners>, addresses: &[Address]) -> Result<Self, StartError> {
        if addresses.is_empty() {
            return Ok(Self(None));
        }
        let opened = match before {
            Some(before) => before.open_again(addresses, None),
            None => Listeners::open(addresses, 1),
        };
        opened.map(Some).map(Self)
    }
}

/// What the server is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Nobody was told yet that it serves.
    Starting,
    Serving,
    /// It ends; with which exit code.
    Stopping(u8),
}

impl Supervisor {
    pub(super) fn new(options: Options, crew: Crew, sockets: Sockets, signals: Caught) -> Self {
        let Sockets { listeners, origins, loops, monitor, control } = sockets;
        let now = Instant::now();
        Self {
            options,
            crew,
            origins,
            listeners: Some(listeners),
            signals,
            loops,
            monitor,
            control,
            phase: Phase::Starting,
            since: now,
            generation: 1,
            looked_at_memory: now,
            predecessor: None,
            successor: None,
            pid_file: None,
            notify: Notify::new(),
            hook: None,
            reloading: false,
        }
    }

    /// The same, which takes over from `predecessor` and keeps `pid_file`.
    pub(super) fn after(mut self, predecessor: Option<Predecessor>, pid_file: Option<PidFile>) -> Self {
        self.predecessor = predecessor;
        self.pid_file = pid_file;
        self
    }

    /// Runs until every worker has ended.
    pub(super) fn run(mut self, parse: &Parse<'_>) -> Result<(), Failure> {
        loop {
            self.crew.kill_overdue();
            if let Some(listeners) = &self.listeners {
                self.crew.fill(listeners, self.monitor.0.as_ref());
            }
            if self.phase == Phase::Starting && self.crew.is_complete() {
                self.serving();
            }
            if let Phase::Stopping(code) = self.phase
                && self.crew.processes().next().is_none()
            {
                self.call_last_hook();
                return if code == 0 { Ok(()) } else { Err(Failure::Told(code)) };
            }
            if self.reloading && !self.crew.is_rolling_out() {
                self.reloading = false;
                self.notify.ready();
            }
            self.wait();
            self.hear_workers(parse);
            while let Some(signal) = self.signals.come() {
                self.obey(signal, parse);
            }
            self.look_at_memory();
            self.look_at_relatives();
            if let Some(control) = &self.control {
                control.answer(|| self.report());
            }
        }
    }

    /// Waits until something happens or is due.
    fn wait(&mut self) {
        let due = self.crew.next_due().map(|at| at.saturating_duration_since(Instant::now()));
        let patience = if self.crew.settings.limits.counts_memory() { LOOK } else { LONG };
        let patience = self.notify.watchdog().unwrap_or(patience).min(patience);
        let timeout = Timespec::try_from(due.unwrap_or(patience).min(patience) + ROUNDING).ok();
        let channels: Vec<_> =
            self.crew.processes().filter_map(|(_, process)| process.channel.as_ref()).collect();
        let mut fds = vec![PollFd::new(&self.signals, PollFlags::IN)];
        fds.extend(channels.iter().map(|channel| PollFd::new(*channel, PollFlags::IN)));
        fds.extend(self.crew.nursery_channels().map(|channel| PollFd::new(channel, PollFlags::IN)));
        fds.extend(self.control.iter().map(|control| PollFd::new(control, PollFlags::IN)));
        let before = self.predecessor.as_ref().and_then(Predecessor::channel);
        fds.extend(before.iter().map(|channel| PollFd::new(channel, PollFlags::IN)));
        let after = self.successor.as_ref().and_then(Successor::channel);
        fds.extend(after.into_iter().map(|channel| PollFd::new(channel, PollFlags::IN)));
        let _ = poll(&mut fds, timeout.as_ref()); // interrupted: look at everything
    }

    /// The server can answer: whoever started it hears so.
    fn serving(&mut self) {
        self.phase = Phase::Serving;
        self.notify.ready();
        if let Some(predecessor) = &self.predecessor {
            predecessor.tell_serving();
        }
        if let Some(listeners) = &mut self.listeners {
            listeners.own_files();
        }
        output::serving(&self.origins);
        self.hook = self.call_hook("when_ready").and_then(|called| {
            Pid::from_raw(i32::try_from(called.id()).ok()?) // reaped with the others
        });
        if self.options.announce.open
            && let Err(message) = announce::browse(&self.origins)
        {
            output::warning(&message);
        }
    }

    /// Calls a hook of the file that was named, if one was.
    fn call_hook(&self, name: &str) -> Option<Child> {
        self.crew.call_hook(name, self.options.applications.hooks.as_deref()?)
    }

    /// Calls `on_exit`, where the server was ever ready; `when_ready`, if it still runs, does not outlive it.
    fn call_last_hook(&mut self) {
        if let Some(pid) = self.hook.take() {
            let _ = kill_process(pid, Signal::TERM); // it has not been waited for: the number is its own
        }
        if self.crew.served {
            // It ends by itself: at the latest, its clock ends it.
            let _ = self.call_hook("on_exit").map(|mut called| called.wait());
        }
    }

    fn hear_workers(&mut self, parse: &Parse<'_>) {
        self.crew.hear_nursery();
        let mut told: Vec<(Pid, Tell)> = Vec::new();
        for process in self.crew.processes_mut() {
            while let Some(tell) = process.told() {
                told.push((process.pid, tell));
            }
        }
        for (pid, tell) in told {
            match tell {
                Tell::Ready => {
                    self.crew.ready(pid);
                    if !self.crew.is_rolling_out() && self.generation > 1 {
                        tracing::debug!("every worker has the configuration as it is now");
                    }
                }
                Tell::Load(load) => {
                    let process = self.crew.processes_mut().find(|process| process.pid == pid);
                    let Some(process) = process else { continue };
                    let done = load.counts.requests;
                    let enough = process.most_requests.is_some_and(|most| done >= most);
                    process.load = load;
                    if enough {
                        self.crew.replace(pid, &format!("it has answered {done} requests"));
                    }
                }
                Tell::Replace(why) => self.crew.replace(pid, &why),
                Tell::Copied(_) => {} // heard where it was asked for
                Tell::Reload => self.reload(parse),
                Tell::Broken(why) => {
                    let others = self.crew.processes().filter(|(_, process)| process.pid != pid);
                    let order = Order::Broken(why);
                    others.for_each(|(_, process)| process.tell(&order));
                }
                Tell::Ask => {
                    let report = Order::Report(Box::new(self.report()));
                    if let Some((_, process)) = self.crew.processes().find(|(_, process)| process.pid == pid)
                    {
                        process.tell(&report);
                    }
                }
            }
        }
    }

    fn obey(&mut self, signal: i32, parse: &Parse<'_>) {
        let stopping = matches!(self.phase, Phase::Stopping(_));
        match signal {
            SIGCHLD => self.reap(),
            SIGTERM if !stopping => {
                let grace = self.crew.settings.limits.grace() + QUICK;
                // Clients of kept connections do not notice when somebody else has the sockets.
                let succeeded = self.successor.as_ref().is_some_and(|successor| successor.serves);
                self.end(if succeeded { &Order::Drain } else { &Order::Stop }, grace, 0);
            }
            SIGINT | SIGQUIT | SIGTERM => {
                if signal == SIGINT {
                    output::interrupted();
                }
                self.end(&Order::Quit, QUICK, 0);
            }
            SIGUSR1 => self.crew.processes().for_each(|(_, process)| process.tell(&Order::Reopen)),
            _ if stopping => {}
            SIGHUP => self.reload(parse),
            SIGTTIN => self.add(),
            SIGTTOU if self.crew.len() == 1 => tracing::warn!("one worker is left; TERM stops the server"),
            SIGTTOU => self.crew.remove(),
            SIGUSR2 => self.upgrade(),
            _ => {}
        }
    }

    /// Reads the configuration anew and rolls it out; what is wrong leaves everything as it is.
    fn reload(&mut self, parse: &Parse<'_>) {
        if matches!(self.phase, Phase::Stopping(_)) {
            return;
        }
        self.notify.reloading();
        self.reloading = true;
        match self.try_reload(parse) {
            Ok(()) => tracing::info!("reloading: workers are replaced one after the other"),
            Err(failure) => tracing::error!("not reloaded, what was served is served on: {failure}"),
        }
    }

    fn try_reload(&mut self, parse: &Parse<'_>) -> Result<(), Failure> {
        let Some(listeners) = &self.listeners else { return Ok(()) };
        let Parsed { options, arguments, warnings, places, .. } = parse()?;
        // A check: workers open their own.
        let prepared = Prepared::open(&options, None).map_err(|failure| failure.at(&places))?;
        let has_application = options.targets.have_application();
        let count = options.workers.count(has_application)?.unwrap_or(1);
        let monitor = Monitored::open(self.monitor.0.as_ref(), &options.monitor.addresses()?)?;
        let next = listeners.open_again(&options.targets.addresses()?, options.https.redirect_http)?;
        for warning in warnings {
            tracing::warn!("{warning}");
        }
        self.options.process.warn_of_changes(&options.process);
        events::set_level(&options.events);
        self.generation += 1;
        let limits = Limits::new(&options.workers, &options.server);
        self.origins = prepared.origins(&next);
        self.listeners = Some(next);
        self.monitor = monitor;
        let preload = has_application && options.applications.preloads();
        self.crew.roll_out(Settings { arguments, generation: self.generation, limits, preload });
        // TTIN and TTOU hold until the configuration says something new.
        let before = self.options.workers.count(self.options.targets.have_application())?.unwrap_or(1);
        self.options = options;
        if before != count {
            while self.crew.len() < count {
                self.add();
            }
            while self.crew.len() > count {
                self.crew.remove();
            }
        }
        Ok(())
    }

    /// Starts the new program on the same sockets.
    fn upgrade(&mut self) {
        let Some(listeners) = &self.listeners else { return };
        if let Some(successor) = &self.successor {
            let pid = successor.pid.as_raw_pid();
            return tracing::warn!("process {pid} is to take over already; TERM it first, or this one");
        }
        match self.crew.start_successor(listeners, self.monitor.0.as_ref()) {
            Ok(successor) => {
                let pid = successor.pid.as_raw_pid();
                tracing::info!(
                    "process {pid} is started on the same sockets; TERM this one when it serves well"
                );
                self.successor = Some(successor);
            }
            Err(error) => tracing::error!("cannot start the new program: {error}"),
        }
    }

    /// Whoever takes over from us, and whom we take over from.
    fn look_at_relatives(&mut self) {
        if self.successor.as_mut().is_some_and(Successor::has_begun) {
            tracing::info!("the new program serves");
            if let Some(listeners) = &self.listeners {
                listeners.disown_files();
            }
        }
        if self.predecessor.as_mut().is_some_and(Predecessor::has_ended) {
            self.predecessor = None;
            if let Some(pid_file) = &mut self.pid_file {
                pid_file.promote();
            }
        }
    }

    fn add(&mut self) {
        let Some(listeners) = &mut self.listeners else { return };
        if let Err(error) = self.crew.add(listeners, self.loops) {
            tracing::error!("{error}");
        }
    }

    fn end(&mut self, order: &Order, after: Duration, code: u8) {
        self.phase = match self.phase {
            Phase::Stopping(code) => Phase::Stopping(code),
            _ => Phase::Stopping(code),
        };
        match self.successor.as_ref().filter(|successor| successor.serves) {
            // It has said so itself; systemd believes it of the main process alone, which we were until now.
            Some(successor) => self.notify.succeeded(successor.pid.as_raw_pid().unsigned_abs()),
            None => self.notify.stopping(),
        }
        // Now the workers alone have the sockets: they close them when nothing is queued any more.
        self.listeners = None;
        self.crew.end(order, after);
    }

    /// Waits for every process that has ended: as process 1 also for those that others left.
    fn reap(&mut self) {
        while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
            let stopping = matches!(self.phase, Phase::Stopping(_));
            match self.crew.died(pid, status, stopping) {
                Death::Usual => {}
                Death::NoStart(code) => self.end(&Order::Quit, QUICK, code),
                Death::Unknown if self.successor.as_ref().is_some_and(|successor| successor.pid == pid) => {
                    self.successor = None;
                    tracing::warn!("the new program has ended: {}; this one serves on", ending(status));
                    if let Some(listeners) = &mut self.listeners {
                        listeners.own_files();
                    }
                    self.control.iter_mut().for_each(Control::restore);
                }
                Death::Unknown => {
                    self.hook.take_if(|hook| *hook == pid);
                    tracing::debug!("process {} was reaped", pid.as_raw_pid());
                }
            }
        }
    }

    fn look_at_memory(&mut self) {
        if !self.crew.settings.limits.counts_memory() || self.looked_at_memory.elapsed() < LOOK {
            return;
        }
        self.looked_at_memory = Instant::now();
        let ready = self.crew.processes().filter(|(_, process)| process.state == State::Ready);
        let large: Vec<_> = ready
            .filter_map(|(place, process)| {
                Some((process.pid, self.crew.settings.limits.too_large(process.report(place).rss)?))
            })
            .collect();
        for (pid, why) in large {
            self.crew.replace(pid, &why);
        }
    }

    fn report(&self) -> Report {
        let state = match self.phase {
            Phase::Starting => "starting",
            Phase::Serving if self.crew.next.is_some() || self.crew.is_rolling_out() => "reloading",
            Phase::Serving => "serving",
            Phase::Stopping(_) => "stopping",
        };
        let mut counts = self.crew.ended.clone();
        let mut totals = self.crew.ended_totals.clone();
        for (_, process) in self.crew.processes() {
            counts.add(&process.load.counts);
            for (name, value) in &process.load.totals {
                *totals.entry(name.clone()).or_default() += value;
            }
        }
        Report {
            version: env!("CARGO_PKG_VERSION").into(),
            pid: std::process::id(),
            state: state.into(),
            uptime: self.since.elapsed().as_secs_f64(),
            generation: self.crew.settings.generation,
            addresses: self.origins.iter().map(ToString::to_string).collect(),
            wanted: self.crew.len(),
            restarts: self.crew.restarts,
            replacements: self.crew.replacements,
            workers: self.crew.processes().map(|(place, process)| process.report(place)).collect(),
            counts,
            totals,
        }
    }
}

/// How long it sleeps when nothing is due.
const LONG: Duration = Duration::from_secs(60);
/// How often it looks at the memory of workers.
const LOOK: Duration = Duration::from_secs(1);
/// So that what is due is past when it wakes.
const ROUNDING: Duration = Duration::from_millis(1);
