//! The workers: which places there are, who fills them, and who takes over from whom.
//!
//! A place has accept queues, which outlive whoever serves them. A worker is replaced by starting another one on the same queues
//! and letting the first drain once the second is ready; one place at a time, so that a bad one stops the roll-out before the
//! next. Queues are never closed: a place that goes leaves its own to another place.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::process::Child;
use std::time::{Duration, Instant};

use rustix::process::{Pid, WaitStatus};
use salver::StartError;
use salver::listen::Listeners;
use salver::meter::Snapshot;

use super::backoff::Backoff;
use super::channel::Channel;
use super::limits::Limits;
use super::message::{Order, Tell};
use super::nursery::Nursery;
use super::process::{Process, Start, State, ending};
use super::program::Program;
use super::upgrade::Successor;
use crate::output;

/// The configuration that workers are started with.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) arguments: Vec<OsString>,
    pub(super) generation: u64,
    pub(super) limits: Limits,
    /// Whether workers are copies of a process that has imported the applications.
    pub(super) preload: bool,
}

/// What a place has.
#[derive(Debug)]
struct Place {
    queues: Vec<usize>,
    processes: Vec<Process>,
    backoff: Backoff,
    start_at: Instant,
}

/// All places.
#[derive(Debug)]
pub(super) struct Crew {
    program: Program,
    argv: Vec<OsString>,
    /// Those in force: a worker with them has been ready.
    pub(super) settings: Settings,
    /// Those that are rolled out, until a worker with them is ready.
    pub(super) next: Option<Settings>,
    places: Vec<Place>,
    nursery: Nursery,
    /// Of places that are gone; they drain.
    leaving: Vec<Process>,
    /// Places whose worker is to be replaced, the first one now.
    rollout: VecDeque<usize>,
    /// What workers that have ended did.
    pub(super) ended: Snapshot,
    pub(super) ended_totals: std::collections::BTreeMap<String, f64>,
    pub(super) restarts: u64,
    pub(super) replacements: u64,
    /// Some worker has been ready.
    pub(super) served: bool,
}

/// What the end of a worker means for the server.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Death {
    /// Nothing but that it is started anew, or was to end.
    Usual,
    /// The server cannot start; the worker's exit code.
    NoStart(u8),
    /// Not one of ours.
    Unknown,
}

impl Crew {
    /// `count` places, each with `loops` of `queues`; what is left over is served by the first.
    pub(super) fn new(
        program: Program,
        argv: Vec<OsString>,
        settings: Settings,
        (count, loops): (usize, usize),
        queues: usize,
    ) -> Self {
        let places = (0..count).map(|place| Place::new((place * loops..(place + 1) * loops).collect()));
        let mut places: Vec<_> = places.collect();
        if let Some(first) = places.first_mut() {
            first.queues.extend(count * loops..queues);
        }
        Self {
            program,
            argv: argv.into_iter().skip(1).collect(),
            settings,
            next: None,
            places,
            nursery: Nursery::new(),
            leaving: Vec::new(),
            rollout: VecDeque::new(),
            ended: Snapshot::default(),
            ended_totals: Default::default(),
            restarts: 0,
            replacements: 0,
            served: false,
        }
    }

    /// Starts the program that is to take over.
    pub(super) fn start_successor(
        &self,
        listeners: &Listeners,
        monitor: Option<&Listeners>,
    ) -> io::Result<Successor> {
        Successor::start(&self.program, &self.argv, listeners, monitor)
    }

    /// Calls the hook `name` of `file`.
    pub(super) fn call_hook(&self, name: &str, file: &Path) -> Option<Child> {
        self.program.call_hook(name, file)
    }

    /// Every worker with its place.
    pub(super) fn processes(&self) -> impl Iterator<Item = (Option<usize>, &Process)> {
        let placed = self.places.iter().enumerate();
        let placed =
            placed.flat_map(|(place, it)| it.processes.iter().map(move |process| (Some(place), process)));
        placed.chain(self.leaving.iter().map(|process| (None, process)))
    }

    pub(super) fn processes_mut(&mut self) -> impl Iterator<Item = &mut Process> {
        self.places.iter_mut().flat_map(|place| &mut place.processes).chain(&mut self.leaving)
    }

    /// How many places there are.
    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether a worker answers at every place.
    pub(super) fn is_complete(&self) -> bool {
        self.places.iter().all(|place| place.in_state(State::Ready).next().is_some())
    }

    pub(super) fn is_rolling_out(&self) -> bool {
        !self.rollout.is_empty()
    }

    /// Rolls out `settings`, place by place.
    pub(super) fn roll_out(&mut self, settings: Settings) {
        self.places.iter_mut().for_each(Place::abandon_starting);
        self.next = Some(settings);
        self.rollout = (0..self.places.len()).collect();
        self.tidy();
    }

    /// Replaces the worker at the place of the process with this number.
    pub(super) fn replace(&mut self, pid: Pid, why: &str) {
        let Some(place) = self.place_of(pid) else { return };
        let process = self.processes_mut().find(|process| process.pid == pid);
        let Some(process) = process.filter(|process| process.state == State::Ready && !process.outgoing)
        else {
            return;
        };
        process.outgoing = true;
        tracing::info!("worker {} is replaced: {why}", pid.as_raw_pid());
        self.replacements += 1;
        if !self.rollout.contains(&place) {
            self.rollout.push_back(place);
        }
    }

    /// One place more, with queues of its own.
    pub(super) fn add(&mut self, listeners: &mut Listeners, loops: usize) -> Result<(), StartError> {
        // A place that went has left its queues to another one: they come first.
        let donor = self.places.iter().position(|place| place.queues.len() > loops);
        let queues = match donor.and_then(|donor| Some((donor, self.places.get_mut(donor)?))) {
            Some((donor, place)) => {
                let queues = place.queues.split_off(place.queues.len() - loops);
                place.abandon_starting();
                if !self.rollout.contains(&donor) {
                    self.rollout.push_back(donor);
                }
                queues
            }
            None => {
                let first = listeners.loops();
                for _ in 0..loops {
                    listeners.add_loop()?;
                }
                (first..first + loops).collect()
            }
        };
        self.places.push(Place::new(queues));
        Ok(())
    }

    /// One place fewer; its queues go to the first.
    pub(super) fn remove(&mut self) {
        if self.places.len() < 2 {
            return;
        }
        let Some(gone) = self.places.pop() else { return };
        let last = self.places.len();
        self.rollout.retain(|place| *place != last);
        if let Some(first) = self.places.first_mut() {
            first.queues.extend(gone.queues);
            first.abandon_starting();
        }
        if !self.rollout.contains(&0) {
            self.rollout.push_front(0);
        }
        // It goes on until somebody else serves its queues.
        self.leaving.extend(gone.processes);
    }

    /// Kills whoever has outlived its time.
    pub(super) fn kill_overdue(&mut self) {
        let now = Instant::now();
        for process in self.processes_mut().filter(|process| process.kill_at.is_some_and(|at| at <= now)) {
            process.kill();
        }
    }

    /// Starts whoever is missing.
    pub(super) fn fill(&mut self, listeners: &Listeners, monitor: Option<&Listeners>) {
        let now = Instant::now();
        if let Some(front) = self.rollout.front().copied()
            && self.places.get(front).is_some_and(|place| {
                place.in_state(State::Starting).next().is_none() && place.start_at <= now
            })
        {
            let settings = self.next.clone().unwrap_or_else(|| self.settings.clone());
            self.start(front, &settings, listeners, monitor);
        }
        for place in 0..self.places.len() {
            let empty = self.places.get(place).is_some_and(|it| it.is_empty() && it.start_at <= now);
            if empty {
                let settings = self.settings.clone();
                self.start(place, &settings, listeners, monitor);
            }
        }
    }

    fn start(&mut self, at: usize, settings: &Settings, listeners: &Listeners, monitor: Option<&Listeners>) {
        let Some(place) = self.places.get_mut(at) else { return };
        let born = match self.nursery.bear(&self.program, &self.argv, settings) {
            Ok(Some(born)) => born,
            Ok(None) => return,
            Err(error) => return place.start_failed(&error),
        };
        let start = Start {
            arguments: &settings.arguments,
            generation: settings.generation,
            most_requests: settings.limits.most_requests(),
            listeners,
            takes_over: place.processes.iter().any(|process| process.state == State::Ready),
            queues: &place.queues,
            monitor,
        };
        match Process::start(born, &start) {
            Ok(process) => {
                tracing::debug!("worker {} is started at place {at}", process.pid.as_raw_pid());
                place.processes.push(process);
            }
            Err(error) => place.start_failed(&error),
        }
    }

    /// When something is due that no event will tell of.
    pub(super) fn next_due(&self) -> Option<Instant> {
        let kills = self.processes().filter_map(|(_, process)| process.kill_at);
        let starts = self.places.iter().filter(|place| place.is_empty()).map(|place| place.start_at);
        let starts = starts.filter_map(|at| self.due_for(at, &self.settings));
        let front = self.rollout.front().and_then(|front| self.places.get(*front));
        let front = front.filter(|place| place.in_state(State::Starting).next().is_none());
        let settings = self.next.as_ref().unwrap_or(&self.settings);
        let front = front.and_then(|place| self.due_for(place.start_at, settings));
        kills.chain(starts).chain(front).min()
    }

    /// When a worker that may start at `at` is to be started; `None` when an event will tell.
    fn due_for(&self, at: Instant, settings: &Settings) -> Option<Instant> {
        self.nursery.is_awaited(settings).map_or(Some(at), |until| until.map(|until| until.max(at)))
    }

    /// Hears who has imported the applications.
    pub(super) fn hear_nursery(&mut self) {
        self.nursery.hear();
    }

    pub(super) fn nursery_channels(&self) -> impl Iterator<Item = &Channel> {
        self.nursery.channels()
    }

    /// Ends whoever no worker will be a copy of any more.
    fn tidy(&mut self) {
        let generations = [Some(&self.settings), self.next.as_ref()];
        let generations: Vec<_> =
            generations.into_iter().flatten().map(|settings| settings.generation).collect();
        self.nursery.keep(&generations);
    }

    /// The worker with this number can answer: whoever was there before it drains.
    pub(super) fn ready(&mut self, pid: Pid) {
        let grace = self.settings.limits.grace() + LAST_MOMENT;
        let Some(at) = self.place_of(pid) else { return };
        let Some(place) = self.places.get_mut(at) else { return };
        if place.processes.iter().any(|process| process.pid == pid && process.state > State::Ready) {
            return; // it was abandoned meanwhile
        }
        let mut generation = 0;
        for process in &mut place.processes {
            if process.pid == pid {
                process.state = process.state.max(State::Ready);
                generation = process.generation;
            } else if process.state == State::Ready {
                process.end(&Order::Drain, State::Draining, grace);
            }
        }
        self.served = true;
        if self.rollout.front() == Some(&at) {
            self.rollout.pop_front();
        } else {
            let newest = self.newest();
            self.rollout.retain(|place| *place != at || generation < newest);
        }
        if at == 0 {
            for process in self.leaving.iter_mut().filter(|process| process.state <= State::Ready) {
                process.end(&Order::Drain, State::Draining, grace);
            }
        }
        if self.next.as_ref().is_some_and(|next| next.generation == generation)
            && let Some(next) = self.next.take()
        {
            self.settings = next;
            self.tidy();
        }
    }

    fn newest(&self) -> u64 {
        self.next.as_ref().unwrap_or(&self.settings).generation
    }

    /// The worker with this number has ended.
    pub(super) fn died(&mut self, pid: Pid, status: WaitStatus, stopping: bool) -> Death {
        let mut gone = None;
        for (at, place) in self.places.iter_mut().enumerate() {
            if let Some(found) = place.processes.iter().position(|process| process.pid == pid) {
                gone = Some((Some(at), place.processes.remove(found)));
            }
        }
        if let Some(found) = self.leaving.iter().position(|process| process.pid == pid) {
            gone = Some((None, self.leaving.remove(found)));
        }
        let Some((at, mut process)) = gone else { return self.original_died(pid, status, stopping) };
        while let Some(told) = process.told() {
            if let Tell::Load(load) = told {
                process.load = load;
            }
        }
        self.ended.add(&process.load.counts.clone().ended());
        for (name, value) in &process.load.totals {
            *self.ended_totals.entry(name.clone()).or_default() += value;
        }
        let (number, how) = (pid.as_raw_pid(), ending(status));
        if stopping || process.state > State::Ready {
            tracing::debug!("worker {number} has ended: {how}");
            return Death::Usual;
        }
        let in_flight = process.load.counts.in_flight;
        let starting = process.state == State::Starting;
        if starting && let Some(death) = self.cannot_start(pid, process.generation, status) {
            return death;
        }
        tracing::error!("worker {number} died: {how}; {in_flight} requests were in flight on it");
        self.restarts += 1;
        if let Some(place) = at.and_then(|at| self.places.get_mut(at)) {
            place.start_at = Instant::now() + place.backoff.died(process.since.elapsed());
        }
        Death::Usual
    }

    /// A process with this configuration has ended before it could do its work: what that means, unless it is none of its faults.
    fn cannot_start(&mut self, pid: Pid, generation: u64, status: WaitStatus) -> Option<Death> {
        let (number, how) = (pid.as_raw_pid(), ending(status));
        if !self.served {
            let code = status.exit_status().and_then(|code| u8::try_from(code).ok()).filter(|code| *code > 0);
            match code {
                Some(1 | 2) => tracing::debug!("worker {number} has said why it cannot start"),
                _ => output::error_line(&StartError::new(format!(
                    "worker {number} ended before it could answer: {how}; mend what ends the process, perhaps while \
                    the application is imported"
                ))),
            }
            return Some(Death::NoStart(code.unwrap_or(1)));
        }
        self.next.take_if(|next| next.generation == generation)?;
        tracing::error!(
            "not reloaded, what was served is served on: worker {number} ended before it could answer: {how}"
        );
        self.rollout.clear();
        if self.leaving.iter().any(|process| process.state <= State::Ready) {
            self.rollout.push_back(0); // their queues wait for it, whatever the configuration
        }
        // Whoever was to be replaced for a limit of its own asks again.
        self.processes_mut().for_each(|process| process.outgoing = false);
        self.tidy();
        Some(Death::Usual)
    }

    /// The same for whoever workers are copies of.
    fn original_died(&mut self, pid: Pid, status: WaitStatus, stopping: bool) -> Death {
        let Some(ended) = self.nursery.died(pid) else { return Death::Unknown };
        let (number, how) = (pid.as_raw_pid(), ending(status));
        if stopping {
            return Death::Usual;
        }
        if !ended.was_ready
            && let Some(death) = self.cannot_start(pid, ended.generation, status)
        {
            return death;
        }
        tracing::error!(
            "process {number}, which workers are copies of, died: {how}; another one imports the applications"
        );
        Death::Usual
    }

    /// Tells everybody to end, within `after`.
    pub(super) fn end(&mut self, order: &Order, after: Duration) {
        self.rollout.clear();
        self.nursery.keep(&[]);
        for process in self.processes_mut() {
            let order = if process.state == State::Starting { &Order::Quit } else { order };
            process.end(order, State::Stopping, after);
        }
    }

    fn place_of(&self, pid: Pid) -> Option<usize> {
        self.processes().find(|(_, process)| process.pid == pid)?.0
    }
}

impl Place {
    fn new(queues: Vec<usize>) -> Self {
        Self { queues, processes: Vec::new(), backoff: Backoff::default(), start_at: Instant::now() }
    }

    fn in_state(&self, state: State) -> impl Iterator<Item = &Process> {
        self.processes.iter().filter(move |process| process.state == state)
    }

    /// Ends who is about to answer here with queues or settings that are not the place's any more; another one is started.
    fn abandon_starting(&mut self) {
        for process in self.processes.iter_mut().filter(|process| process.state == State::Starting) {
            process.end(&Order::Quit, State::Draining, QUICK);
        }
    }

    /// Whether nobody answers here or is about to.
    fn is_empty(&self) -> bool {
        self.processes.iter().all(|process| process.state > State::Ready)
    }

    fn start_failed(&mut self, error: &io::Error) {
        self.start_at = Instant::now() + self.backoff.died(Duration::ZERO).max(Duration::from_secs(1));
        tracing::error!("cannot start a worker: {error}; look at `ulimit -u` and `ulimit -n`");
    }
}

/// What a worker has beyond the grace to end by itself.
const LAST_MOMENT: Duration = Duration::from_secs(2);
/// What a worker has that is to end at once.
pub(super) const QUICK: Duration = Duration::from_secs(2);
