//! Counting what a server does, without two loops ever touching the same line of memory.
//!
//! Each thread counts in a shard of its own; who asks adds the shards up. So a count costs a request a few nanoseconds, and a
//! [`Snapshot`] is taken at any time from any thread. The clock is read only where durations were asked for.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::Instant;

use http::StatusCode;
use serde::{Deserialize, Serialize};

/// The upper ends of the buckets that durations are counted in, in seconds; the last one takes the rest.
pub const BUCKETS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

/// What a site has done so far; cheap to clone, the clones count together.
#[derive(Clone, Debug)]
pub struct Meter(Arc<Counts>);

#[derive(Debug)]
struct Counts {
    /// Each behind a count of its own: a request takes only that of its thread.
    shards: [Arc<Shard>; SHARDS],
    /// Prefixes; the first is that of requests that met no mount.
    mounts: Vec<String>,
    timed: bool,
}

/// The counts of one thread (or, with more threads than shards, of a few).
#[derive(Debug, Default)]
#[repr(align(128))]
struct Shard {
    accepted: AtomicU64,
    closed: AtomicU64,
    begun: AtomicU64,
    ended: AtomicU64,
    bytes_sent: AtomicU64,
    mounts: Box<[Mount]>,
}

#[derive(Debug)]
struct Mount {
    statuses: Box<[AtomicU64]>,
    buckets: [AtomicU64; BUCKETS.len() + 1],
    micros: AtomicU64,
}

/// What a [`Meter`] said at one moment. Snapshots of several processes add up.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// Connections accepted so far.
    pub accepted: u64,
    /// Connections open now.
    pub connections: u64,
    /// Requests answered so far, also those whose answer was cut.
    pub requests: u64,
    /// Requests under way now.
    pub in_flight: u64,
    /// Bytes of content sent so far.
    pub bytes_sent: u64,
    /// The requests, by mount.
    pub mounts: Vec<MountSnapshot>,
}

/// The requests of one mount.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MountSnapshot {
    /// Its prefix; empty for requests that met no mount.
    pub prefix: String,
    /// How many had which status, those that occurred.
    pub statuses: Vec<(u16, u64)>,
    /// How many took how long, by [`BUCKETS`]; all zero where durations are not measured.
    pub buckets: Vec<u64>,
    /// How long they took together, in seconds.
    pub seconds: f64,
}

/// A request under way; counted when it is dropped.
#[derive(Debug)]
pub(crate) struct Flight {
    shard: Arc<Shard>,
    since: Option<Instant>,
    mount: usize,
    status: u16,
    bytes_sent: u64,
}

impl Default for Meter {
    fn default() -> Self {
        Self::new(&[], false)
    }
}

impl Meter {
    /// A meter for these mounts; `timed` has it measure durations.
    pub(crate) fn new(prefixes: &[String], timed: bool) -> Self {
        let mounts: Vec<String> = std::iter::once(String::new()).chain(prefixes.iter().cloned()).collect();
        let shard =
            |_| Arc::new(Shard { mounts: mounts.iter().map(|_| Mount::new()).collect(), ..Shard::default() });
        Self(Arc::new(Counts { shards: std::array::from_fn(shard), mounts, timed }))
    }

    /// A request has come.
    pub(crate) fn begin(&self) -> Flight {
        let shard = Arc::clone(self.shard());
        shard.begun.fetch_add(1, Relaxed);
        let since = self.0.timed.then(Instant::now);
        Flight { shard, since, mount: 0, status: 0, bytes_sent: 0 }
    }

    /// A connection was accepted.
    pub(crate) fn connected(&self) {
        self.shard().accepted.fetch_add(1, Relaxed);
    }

    /// A connection has ended.
    pub(crate) fn disconnected(&self) {
        self.shard().closed.fetch_add(1, Relaxed);
    }

    /// Everything counted so far.
    pub fn snapshot(&self) -> Snapshot {
        let sum = |count: fn(&Shard) -> &AtomicU64| -> u64 {
            self.0.shards.iter().map(|shard| count(shard).load(Relaxed)).sum()
        };
        // Ends before beginnings: a request that begins and ends between the two looks must not make the difference negative.
        let (closed, requests) = (sum(|shard| &shard.closed), sum(|shard| &shard.ended));
        let (accepted, begun) = (sum(|shard| &shard.accepted), sum(|shard| &shard.begun));
        Snapshot {
            accepted,
            connections: accepted.saturating_sub(closed),
            requests,
            in_flight: begun.saturating_sub(requests),
            bytes_sent: sum(|shard| &shard.bytes_sent),
            mounts: self
                .0
                .mounts
                .iter()
                .enumerate()
                .map(|(place, prefix)| self.mount(place, prefix))
                .collect(),
        }
    }

    fn mount(&self, place: usize, prefix: &str) -> MountSnapshot {
        let shards: Vec<&Mount> = self.0.shards.iter().filter_map(|shard| shard.mounts.get(place)).collect();
        let sum = |count: &dyn Fn(&Mount) -> Option<&AtomicU64>| -> u64 {
            shards.iter().filter_map(|mount| Some(count(mount)?.load(Relaxed))).sum()
        };
        let statuses = (0..STATUSES).map(|status| {
            let code = u16::try_from(status + LEAST_STATUS).unwrap_or(u16::MAX);
            (code, sum(&|mount| mount.statuses.get(status)))
        });
        MountSnapshot {
            prefix: prefix.into(),
            statuses: statuses.filter(|(_, count)| *count > 0).collect(),
            buckets: (0..=BUCKETS.len()).map(|bucket| sum(&|mount| mount.buckets.get(bucket))).collect(),
            seconds: sum(&|mount| Some(&mount.micros)) as f64 / 1e6,
        }
    }

    fn shard(&self) -> &Arc<Shard> {
        let place = PLACE.with(|place| match place.get() {
            usize::MAX => {
                place.set(NEXT.fetch_add(1, Relaxed) % SHARDS);
                place.get()
            }
            place => place,
        });
        let [first, ..] = &self.0.shards;
        self.0.shards.get(place).unwrap_or(first)
    }
}

impl Flight {
    /// The request met the mount at this place.
    pub(crate) fn met(&mut self, mount: usize) {
        self.mount = mount + 1;
    }

    /// What its answer is.
    pub(crate) fn answered(&mut self, status: StatusCode) {
        self.status = status.as_u16();
    }

    /// How much of it was sent.
    pub(crate) fn sent(&mut self, bytes: u64) {
        self.bytes_sent = bytes;
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        let shard = &self.shard;
        shard.bytes_sent.fetch_add(self.bytes_sent, Relaxed);
        if let Some(mount) = shard.mounts.get(self.mount) {
            mount.count(self.status, self.since);
        }
        shard.ended.fetch_add(1, Relaxed);
    }
}

impl Mount {
    fn new() -> Self {
        let statuses = (0..STATUSES).map(|_| AtomicU64::new(0)).collect();
        Self { statuses, buckets: Default::default(), micros: AtomicU64::new(0) }
    }

    fn count(&self, status: u16, since: Option<Instant>) {
        let status = usize::from(status).checked_sub(LEAST_STATUS);
        // Without a status: the client left before it had one.
        if let Some(count) = status.and_then(|status| self.statuses.get(status)) {
            count.fetch_add(1, Relaxed);
        }
        let Some(since) = since else { return };
        let took = since.elapsed();
        let bucket = BUCKETS.iter().position(|end| took.as_secs_f64() <= *end).unwrap_or(BUCKETS.len());
        if let Some(bucket) = self.buckets.get(bucket) {
            bucket.fetch_add(1, Relaxed);
        }
        self.micros.fetch_add(u64::try_from(took.as_micros()).unwrap_or(u64::MAX), Relaxed);
    }
}

impl Snapshot {
    /// Adds what another process, or one that has ended, counted.
    pub fn add(&mut self, other: &Self) {
        self.accepted += other.accepted;
        self.connections += other.connections;
        self.requests += other.requests;
        self.in_flight += other.in_flight;
        self.bytes_sent += other.bytes_sent;
        for mount in &other.mounts {
            match self.mounts.iter_mut().find(|ours| ours.prefix == mount.prefix) {
                Some(ours) => ours.add(mount),
                None => self.mounts.push(mount.clone()),
            }
        }
    }

    /// What stays of it when its process has ended: nothing is under way there any more.
    #[must_use]
    pub fn ended(mut self) -> Self {
        self.connections = 0;
        self.in_flight = 0;
        self
    }
}

impl MountSnapshot {
    fn add(&mut self, other: &Self) {
        for (status, count) in &other.statuses {
            match self.statuses.iter_mut().find(|(ours, _)| ours == status) {
                Some((_, ours)) => *ours += count,
                None => self.statuses.push((*status, *count)),
            }
        }
        self.statuses.sort_unstable();
        self.buckets.resize(self.buckets.len().max(other.buckets.len()), 0);
        for (ours, count) in self.buckets.iter_mut().zip(&other.buckets) {
            *ours += count;
        }
        self.seconds += other.seconds;
    }
}

thread_local! {
    static PLACE: Cell<usize> = const { Cell::new(usize::MAX) };
}

static NEXT: AtomicUsize = AtomicUsize::new(0);
const SHARDS: usize = 8;
const LEAST_STATUS: usize = 100;
const STATUSES: usize = 500;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_begins_and_ends_is_counted_whatever_the_thread() {
        let meter = Meter::new(&["/".into(), "/api".into()], true);
        meter.connected();
        let waiting = meter.begin();
        let answer = |status, mount| {
            let mut flight = meter.begin();
            flight.met(mount);
            flight.answered(StatusCode::from_u16(status).unwrap());
            flight.sent(10);
        };
        std::thread::scope(|scope| {
            for _ in 0..20 {
                scope.spawn(|| {
                    answer(200, 0);
                    answer(404, 1);
                });
            }
        });
        let snapshot = meter.snapshot();
        assert_eq!((snapshot.accepted, snapshot.connections), (1, 1));
        assert_eq!((snapshot.requests, snapshot.in_flight, snapshot.bytes_sent), (40, 1, 400));
        let statuses: Vec<_> =
            snapshot.mounts.iter().map(|mount| (mount.prefix.as_str(), mount.statuses.clone())).collect();
        assert_eq!(statuses, [("", vec![]), ("/", vec![(200, 20)]), ("/api", vec![(404, 20)])]);
        assert_eq!(snapshot.mounts[1].buckets.iter().sum::<u64>(), 20);
        drop(waiting);
        meter.disconnected();
        let snapshot = meter.snapshot();
        assert_eq!((snapshot.connections, snapshot.in_flight), (0, 0));
    }

    #[test]
    fn snapshots_add_up_and_travel_as_json() {
        let mount = |prefix: &str, statuses: &[(u16, u64)]| MountSnapshot {
            prefix: prefix.into(),
            statuses: statuses.to_vec(),
            buckets: vec![1, 2],
            seconds: 0.5,
        };
        let first = Snapshot {
            requests: 3,
            in_flight: 1,
            mounts: vec![mount("/", &[(200, 3)])],
            ..Snapshot::default()
        };
        let mut sum = first.clone().ended();
        assert_eq!((sum.requests, sum.in_flight), (3, 0));
        let second = Snapshot { mounts: vec![mount("/", &[(200, 1), (404, 2)]), mount("/b", &[])], ..first };
        sum.add(&serde_json::from_str(&serde_json::to_string(&second).unwrap()).unwrap());
        assert_eq!((sum.requests, sum.in_flight), (6, 1));
        assert_eq!(sum.mounts[0].statuses, [(200, 4), (404, 2)]);
        assert_eq!((&sum.mounts[0].buckets[..], sum.mounts[0].seconds), (&[2, 4][..], 1.0));
        assert_eq!(sum.mounts[1].prefix, "/b");
    }
}
