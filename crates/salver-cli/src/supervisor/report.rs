//! What a running server knows of itself: for `salver status` and for `--metrics`.

use std::collections::BTreeMap;

use salver::meter::Snapshot;
use serde::{Deserialize, Serialize};

/// A server and its workers at one moment.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Report {
    /// The program's version.
    pub version: String,
    /// The process of the supervisor, or of the server itself where it is alone.
    pub pid: u32,
    /// `starting`, `serving`, `reloading` or `stopping`.
    pub state: String,
    /// Seconds since the start.
    pub uptime: f64,
    /// How often its configuration was loaded.
    pub generation: u64,
    /// Where it listens.
    pub addresses: Vec<String>,
    /// How many workers it is to have.
    pub wanted: usize,
    /// How many workers were started in the place of one that died by itself.
    pub restarts: u64,
    /// How many workers were started in the place of one that had reached a limit.
    pub replacements: u64,
    /// The worker processes.
    pub workers: Vec<Worker>,
    /// What was counted in all, also by workers that have ended.
    pub counts: Snapshot,
    /// What else was counted, by name.
    pub totals: BTreeMap<String, f64>,
}

/// One worker process.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Worker {
    /// Its process.
    pub pid: u32,
    /// Which of the places it fills; `None` for one whose place is gone.
    pub place: Option<usize>,
    /// `starting`, `ready`, `draining` or `stopping`.
    pub state: String,
    /// With which configuration it runs, counted from 1.
    pub generation: u64,
    /// Seconds since it was started.
    pub uptime: f64,
    /// Requests under way.
    pub in_flight: u64,
    /// Open connections.
    pub connections: u64,
    /// Requests answered.
    pub requests: u64,
    /// Resident memory, in bytes.
    pub rss: u64,
    /// Processor time so far, in seconds.
    pub cpu_seconds: f64,
}

impl Report {
    /// Whether requests are answered, and will be in a moment: what a load balancer wants to know.
    pub fn is_ready(&self) -> bool {
        self.state != "stopping" && self.workers.iter().any(|worker| worker.state == "ready")
    }
}
