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

impl Worker {
    /// What the kernel tells of the process with this number.
    pub(crate) fn of_process(pid: u32) -> Self {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let (rss, cpu_seconds) = usage(&stat).unwrap_or_default();
        Self { pid, rss, cpu_seconds, ..Self::default() }
    }
}

/// Resident bytes and processor seconds of `/proc/…/stat` (proc_pid_stat(5)).
fn usage(stat: &str) -> Option<(u64, f64)> {
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_ascii_whitespace().collect();
    let number = |place: usize| fields.get(place)?.parse::<u64>().ok();
    let ticks = number(11)? + number(12)?;
    let per_second = rustix::param::clock_ticks_per_second();
    Some((number(21)? * rustix::param::page_size() as u64, ticks as f64 / per_second as f64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usage_is_read_behind_a_name_with_anything_in_it() {
        let stat =
            "7 (a) b (c) S 1 1 1 0 -1 4194560 1 0 0 0 250 50 0 0 20 0 1 0 1 1000 3 18446744073709551615";
        let (rss, seconds) = usage(stat).unwrap();
        assert_eq!(rss, 3 * rustix::param::page_size() as u64);
        assert!((seconds - 300.0 / rustix::param::clock_ticks_per_second() as f64).abs() < 1e-9);
        assert_eq!(usage(""), None);
    }
}
