//! One worker process, seen from its supervisor.

use std::ffi::OsString;
use std::io;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitStatus, kill_process};
use salver::listen::Listeners;

use super::channel::{Channel, Received};
use super::message::{Hello, Load, Order, Tell};
use super::report;

/// A worker process.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) pid: Pid,
    /// `None` once it has closed its end.
    pub(super) channel: Option<Channel>,
    pub(super) state: State,
    pub(super) generation: u64,
    pub(super) since: Instant,
    pub(super) load: Load,
    /// When it is killed.
    pub(super) kill_at: Option<Instant>,
    /// After how many requests it is replaced.
    pub(super) most_requests: Option<u64>,
    /// Another one is to take its place, or does so already.
    pub(super) outgoing: bool,
}

/// How far a worker has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum State {
    Starting,
    Ready,
    /// Another one has taken its place.
    Draining,
    /// The whole server ends.
    Stopping,
}

impl State {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Draining => "draining",
            Self::Stopping => "stopping",
        }
    }
}

/// What a worker is started with.
pub(super) struct Start<'s> {
    /// The options in force.
    pub(super) arguments: &'s [OsString],
    pub(super) generation: u64,
    pub(super) most_requests: Option<u64>,
    pub(super) listeners: &'s Listeners,
    /// Whether another one serves its queues until it is ready.
    pub(super) takes_over: bool,
    /// The queues of `listeners` that it serves.
    pub(super) queues: &'s [usize],
    pub(super) monitor: Option<&'s Listeners>,
}

impl Process {
    /// Starts one.
    ///
    /// # Errors
    /// The system has no room for a process or its descriptors.
    pub(super) fn start((pid, channel): (Pid, Channel), start: &Start<'_>) -> io::Result<Self> {
        let monitor = start.monitor.map_or_else(Vec::new, Listeners::asked);
        let hello = Order::Hello(Box::new(Hello {
            version: env!("CARGO_PKG_VERSION").into(),
            arguments: start.arguments.to_vec(),
            addresses: start.listeners.asked(),
            loops: start.queues.len(),
            takes_over: start.takes_over,
            monitor,
        }));
        let queues = start.queues.iter().flat_map(|queue| start.listeners.descriptors(*queue));
        let monitored = start.monitor.into_iter().flat_map(|monitor| monitor.descriptors(0));
        let descriptors: Vec<BorrowedFd<'_>> = queues.chain(monitored).collect();
        if let Err(error) = channel.send(&hello, &descriptors) {
            let _ = kill_process(pid, Signal::KILL); // it is ours and has not been waited for
            return Err(error);
        }
        Ok(Self {
            pid,
            channel: Some(channel),
            state: State::Starting,
            generation: start.generation,
            since: Instant::now(),
            load: Load::default(),
            kill_at: None,
            most_requests: start.most_requests,
            outgoing: false,
        })
    }

    /// What it has told, one by one.
    pub(super) fn told(&mut self) -> Option<Tell> {
        let told = match self.channel.as_ref()?.receive::<Tell>() {
            Ok(Received::Message(tell, _)) => return Some(tell),
            Ok(Received::Nothing) => return None,
            Ok(Received::Closed) => None,
            Err(error) => {
                tracing::error!("worker {} is not understood: {error}", self.pid.as_raw_pid());
                None
            }
        };
        // Its end comes as a signal; whoever lives on has lost its descriptors to foreign code, and can do nothing any more.
        self.channel = None;
        self.kill_within(AFTER_CLOSING);
        told
    }

    /// Tells it to end in this state; it is killed `after` so long.
    pub(super) fn end(&mut self, order: &Order, state: State, after: Duration) {
        self.tell(order);
        self.state = self.state.max(state);
        self.kill_within(after);
    }

    /// It is killed after so long, or sooner if that was said before.
    fn kill_within(&mut self, time: Duration) {
        let kill_at = Instant::now() + time;
        self.kill_at = Some(self.kill_at.map_or(kill_at, |at| at.min(kill_at)));
    }

    pub(super) fn tell(&self, order: &Order) {
        if let Some(channel) = &self.channel
            && let Err(error) = channel.send(order, &[])
        {
            tracing::debug!("worker {} does not hear: {error}", self.pid.as_raw_pid());
        }
    }

    pub(super) fn kill(&mut self) {
        tracing::warn!("worker {} has outlived its time and is killed", self.pid.as_raw_pid());
        self.kill_at = None;
        let _ = kill_process(self.pid, Signal::KILL); // ended meanwhile: then SIGCHLD is on its way
    }

    /// Memory and processor time, as the kernel tells.
    pub(super) fn report(&self, place: Option<usize>) -> report::Worker {
        let pid = self.pid.as_raw_pid();
        report::Worker {
            pid: pid.unsigned_abs(),
            place,
            state: self.state.name().into(),
            generation: self.generation,
            uptime: self.since.elapsed().as_secs_f64(),
            in_flight: self.load.counts.in_flight,
            connections: self.load.counts.connections,
            requests: self.load.counts.requests,
            ..report::Worker::of_process(pid.unsigned_abs())
        }
    }
}

/// What a worker has to end when its channel is closed: its last moments are spent on logs.
const AFTER_CLOSING: Duration = Duration::from_secs(1);

/// How a process ended, in words.
pub(super) fn ending(status: WaitStatus) -> String {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => {
            let name = signal_hook::low_level::signal_name(signal).unwrap_or("a signal");
            format!("signal {signal}, {name}")
        }
        _ => "no word".into(),
    }
}
