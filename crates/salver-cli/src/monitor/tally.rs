//! The numbers of a server in one process, whose every reload counts anew.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use salver::meter::{Meter, Snapshot};

use crate::supervisor::report::{Report, Worker};

/// What all generations of a server counted together.
#[derive(Debug)]
pub(crate) struct Tally {
    since: Instant,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// What those that have ended counted.
    ended: Snapshot,
    meters: Vec<(u64, Meter)>,
    addresses: Vec<String>,
    generation: u64,
    stopping: bool,
}

impl Tally {
    pub(crate) fn new() -> Self {
        Self { since: Instant::now(), state: Mutex::default() }
    }

    /// A generation has begun, at these addresses; its number.
    pub(crate) fn began(&self, meter: Meter, addresses: Vec<String>) -> u64 {
        let mut state = self.lock();
        state.generation += 1;
        let generation = state.generation;
        state.meters.push((generation, meter));
        state.addresses = addresses;
        generation
    }

    /// A generation has ended.
    pub(crate) fn ended(&self, generation: u64) {
        let mut state = self.lock();
        if let Some(place) = state.meters.iter().position(|(number, _)| *number == generation) {
            let (_, meter) = state.meters.remove(place);
            state.ended.add(&meter.snapshot().ended());
        }
    }

    /// The server ends.
    pub(crate) fn stopping(&self) {
        self.lock().stopping = true;
    }

    pub(crate) fn report(&self) -> Report {
        let state = self.lock();
        let mut counts = state.ended.clone();
        for (_, meter) in &state.meters {
            counts.add(&meter.snapshot());
        }
        let worker = Worker {
            pid: std::process::id(),
            place: Some(0),
            state: if state.stopping { "stopping" } else { "ready" }.into(),
            generation: state.generation,
            uptime: self.since.elapsed().as_secs_f64(),
            in_flight: counts.in_flight,
            connections: counts.connections,
            requests: counts.requests,
            ..Worker::of_process(std::process::id())
        };
        Report {
            version: env!("CARGO_PKG_VERSION").into(),
            pid: std::process::id(),
            state: if state.stopping { "stopping" } else { "serving" }.into(),
            uptime: self.since.elapsed().as_secs_f64(),
            generation: state.generation,
            addresses: state.addresses.clone(),
            wanted: 1,
            workers: vec![worker],
            counts,
            ..Report::default()
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use salver::Site;

    use super::*;

    #[test]
    fn generations_add_up() {
        let tally = Tally::new();
        let meter = || Site::new().meter();
        assert_eq!(tally.began(meter(), vec![]), 1);
        assert_eq!(tally.began(meter(), vec!["http://[::1]:80/".into()]), 2);
        tally.ended(1);
        tally.ended(1);
        let report = tally.report();
        assert!(report.is_ready());
        assert_eq!((report.generation, report.addresses.len()), (2, 1));
        tally.stopping();
        assert!(!tally.report().is_ready());
    }
}
