//! Coarse deadlines: one table a loop, swept four times a second.
//!
//! A connection needs a deadline nearly always and meets it nearly never. A timer in a heap or wheel costs every request a
//! lock and two list operations; here arming is one store, and the sweep looks at every connection in turn (10,000 of them:
//! about 0.1 ms a second). Deadlines hold to a tick; they are never early. Time is monotonic: setting the machine's clock
//! fires nothing.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::nobody;

/// The resolution of every deadline.
const TICK: Duration = Duration::from_millis(250);
const NEVER: u32 = u32::MAX;
/// From how many connections on it is worth giving memory back when they have gone.
const MANY: usize = 512;

/// The clock of one loop and the deadlines of its connections.
#[derive(Debug)]
pub(crate) struct Clock {
    start: Instant,
    /// Ticks since `start`, as the last sweep saw them.
    now: AtomicU32,
    table: Mutex<Table>,
    occupied: Notify,
    /// Called when most of many connections have ended.
    relieved: fn(),
}

#[derive(Debug, Default)]
struct Table {
    deadlines: Vec<Arc<Deadline>>,
    /// The most connections since the last relief.
    peak: usize,
}

/// The one deadline of one connection.
#[derive(Debug)]
pub(crate) struct Deadline {
    clock: Arc<Clock>,
    /// The tick at which it is over, or `NEVER`.
    tick: AtomicU32,
    /// The connection's task, which is the same for its whole life.
    waker: OnceLock<Waker>,
    /// Whether the table has it.
    listed: AtomicBool,
}

impl Clock {
    pub(crate) fn new(relieved: fn()) -> Arc<Self> {
        Arc::new(Self {
            start: Instant::now(),
            now: AtomicU32::new(0),
            table: Mutex::default(),
            occupied: Notify::new(),
            relieved,
        })
    }

    /// A deadline for a new connection, not armed yet. It leaves the table when the connection drops it.
    pub(crate) fn deadline(self: &Arc<Self>) -> Arc<Deadline> {
        let deadline = self.unlisted_deadline();
        deadline.list();
        deadline
    }

    /// The same for what is usually over at once and then costs the table nothing: it is listed when it is armed, and a stop does not
    /// wake it before.
    pub(crate) fn unlisted_deadline(self: &Arc<Self>) -> Arc<Deadline> {
        Arc::new(Deadline {
            clock: Arc::clone(self),
            tick: AtomicU32::new(NEVER),
            waker: OnceLock::new(),
            listed: AtomicBool::new(false),
        })
    }

    /// Sweeps for ever; sleeps while there are no connections.
    pub(crate) async fn run(self: Arc<Self>) {
        loop {
            self.occupied.notified().await;
            loop {
                tokio::time::sleep(TICK).await;
                if self.sweep() == 0 {
                    break;
                }
            }
        }
    }

    /// Wakes every connection, so that it sees what changed (a stop).
    pub(crate) fn wake_all(&self) {
        for deadline in &self.table().deadlines {
            deadline.wake();
        }
    }

    /// Forgets every connection, when the loop ends: table and deadlines know each other, and a deadline knows its task.
    pub(super) fn forget_all(&self) {
        self.table().deadlines = Vec::new();
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes whoever is over, forgets whoever has gone, and says how many are left.
    fn sweep(&self) -> usize {
        let now = self.look();
        let mut table = self.table();
        table.deadlines.retain(|deadline| {
            if deadline.tick.load(Ordering::Relaxed) <= now {
                deadline.wake();
            }
            Arc::strong_count(deadline) > 1
        });
        let left = table.deadlines.len();
        if table.peak >= MANY && left < table.peak / 2 {
            table.deadlines.shrink_to_fit();
            table.peak = left;
            drop(table);
            (self.relieved)();
        }
        left
    }

    fn look(&self) -> u32 {
        let ticks = self.start.elapsed().as_millis() / TICK.as_millis();
        let now = u32::try_from(ticks).unwrap_or(NEVER - 1);
        self.now.store(now, Ordering::Relaxed);
        now
    }
}

impl Deadline {
    /// Sets it to `after` from now; a zero duration means never.
    pub(crate) fn arm(self: &Arc<Self>, after: Duration) {
        if !self.listed.load(Ordering::Relaxed) {
            self.list();
        }
        let ticks = match after.as_millis().div_ceil(TICK.as_millis()) {
            0 => NEVER,
            // One tick more: `now` may be nearly a tick old.
            ticks => u32::try_from(ticks + 1)
                .ok()
                .and_then(|ticks| ticks.checked_add(self.clock.now.load(Ordering::Relaxed)))
                .unwrap_or(NEVER),
        };
        self.tick.store(ticks, Ordering::Relaxed);
    }

    /// Takes the deadline away.
    pub(crate) fn disarm(&self) {
        self.tick.store(NEVER, Ordering::Relaxed);
    }

    /// Whether a deadline is set.
    pub(crate) fn is_armed(&self) -> bool {
        self.tick.load(Ordering::Relaxed) != NEVER
    }

    /// Whether it is over.
    pub(crate) fn is_over(&self) -> bool {
        self.tick.load(Ordering::Relaxed) <= self.clock.now.load(Ordering::Relaxed)
    }

    /// Says which task to wake; a connection calls it once, in its own task. In nobody's task it has none yet.
    pub(crate) fn belongs_to(&self, cx: &Context<'_>) {
        if self.waker.get().is_none() && !nobody::is_here(cx) {
            self.waker.get_or_init(|| cx.waker().clone());
        }
    }

    /// The connection's task, if it has been polled.
    pub(crate) fn waker(&self) -> Option<&Waker> {
        self.waker.get()
    }

    /// Puts it into its clock's table, which it leaves when nobody else has it.
    fn list(self: &Arc<Self>) {
        self.listed.store(true, Ordering::Relaxed);
        let mut table = self.clock.table();
        if table.deadlines.is_empty() {
            self.clock.look(); // nobody swept while there was nobody to sweep for
            self.clock.occupied.notify_one();
        }
        table.deadlines.push(Arc::clone(self));
        table.peak = table.peak.max(table.deadlines.len());
    }

    fn wake(&self) {
        if let Some(waker) = self.waker.get() {
            waker.wake_by_ref();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_is_over_at_its_tick_and_never_before() {
        let clock = Clock::new(|| {});
        let deadline = clock.deadline();
        assert!(!deadline.is_over() && !deadline.is_armed());
        deadline.arm(TICK * 2);
        for (now, over) in [(0, false), (2, false), (3, true), (4, true)] {
            clock.now.store(now, Ordering::Relaxed);
            assert_eq!(deadline.is_over(), over, "tick {now}");
        }
        deadline.disarm();
        assert!(!deadline.is_over());
        deadline.arm(Duration::ZERO);
        assert!(!deadline.is_armed(), "zero means never");
        deadline.arm(Duration::MAX);
        assert!(!deadline.is_over(), "for ever does not wrap around");
    }

    #[test]
    fn one_that_is_listed_late_is_so_when_it_is_armed() {
        let clock = Clock::new(|| {});
        let deadline = clock.unlisted_deadline();
        assert_eq!(clock.sweep(), 0);
        deadline.belongs_to(&nobody::context());
        assert!(deadline.waker().is_none(), "that is nobody's task");
        deadline.arm(TICK);
        deadline.arm(TICK);
        assert_eq!(clock.sweep(), 1);
    }

    #[test]
    fn a_dropped_connection_leaves_the_table() {
        let clock = Clock::new(|| {});
        let (stays, goes) = (clock.deadline(), clock.deadline());
        drop(goes);
        assert_eq!(clock.sweep(), 1);
        drop(stays);
        assert_eq!(clock.sweep(), 0);
    }

    #[test]
    fn relief_comes_once_when_most_of_many_have_gone() {
        static RELIEVED: AtomicU32 = AtomicU32::new(0);
        let clock = Clock::new(|| {
            RELIEVED.fetch_add(1, Ordering::Relaxed);
        });
        let mut connections: Vec<_> = (0..2 * MANY).map(|_| clock.deadline()).collect();
        for (left, relieved) in [(2 * MANY, 0), (MANY, 0), (MANY - 1, 1), (MANY / 2, 1), (0, 1)] {
            connections.truncate(left);
            assert_eq!(clock.sweep(), left);
            assert_eq!(RELIEVED.load(Ordering::Relaxed), relieved, "{left} left");
        }
    }
}
