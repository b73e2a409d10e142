//! `--timeout` for asyncio: applications that do not begin to answer, and a loop that does not come back from one of them.
//!
//! An answer that has begun may be silent for as long as it likes: streams of events are. A request whose content is still being
//! waited for is its client's matter, not its application's.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use slab::Slab;

use super::hub::Hub;
use crate::interrupt;

/// Looks from time to time after what is pending. Time is counted in looks, so that a request costs no clock.
pub(crate) struct Silence {
    timeout: Duration,
    look: AtomicU32,
    pending: Mutex<Slab<Arc<dyn Pending>>>,
    /// At which look asyncio began what it does now; [`DRIVES`] while it drives the server.
    away: AtomicU32,
    /// The interpreter's number of asyncio's thread.
    thread: AtomicU64,
}

/// Something that an application has to answer.
pub(crate) trait Pending: Send + Sync {
    /// Since which look it has been silent; `None` if it is not its turn to speak.
    fn silent_since(&self) -> Option<u32>;

    /// It was silent for too long.
    fn overdue(self: Arc<Self>, silent: Duration);
}

/// Keeps something among what is pending until it is dropped.
pub(crate) struct Entered<'a>(&'a Silence, usize);

impl Silence {
    /// Nothing is pending; `timeout` is how long an application may be silent, zero is for ever.
    pub(crate) fn new(timeout: Duration) -> Self {
        Self {
            timeout,
            look: AtomicU32::new(DRIVES + 1),
            pending: Mutex::default(),
            away: AtomicU32::new(DRIVES),
            thread: AtomicU64::new(0),
        }
    }

    /// The look at hand.
    pub(crate) fn now(&self) -> u32 {
        self.look.load(Ordering::Relaxed)
    }

    /// Takes something in.
    pub(crate) fn enter(&self, pending: Arc<dyn Pending>) -> Option<Entered<'_>> {
        (!self.timeout.is_zero()).then(|| Entered(self, self.pending().insert(pending)))
    }

    /// asyncio does things of its own from now on.
    pub(crate) fn leave(&self) {
        self.away.store(self.now(), Ordering::Relaxed);
    }

    /// asyncio drives the server from now on.
    pub(crate) fn come_back(&self) {
        self.away.store(DRIVES, Ordering::Relaxed);
    }

    /// The thread of the loop is this one.
    pub(crate) fn set_thread(&self) {
        self.thread.store(interrupt::ident(), Ordering::Relaxed);
    }

    /// Looks for as long as the server is driven.
    pub(crate) async fn keep_looking(hub: Arc<Hub>) {
        let silence = &hub.silence;
        if silence.timeout.is_zero() {
            return;
        }
        loop {
            tokio::time::sleep(silence.timeout / LOOKS).await;
            silence.look_once(&hub);
        }
    }

    fn look_once(&self, hub: &Arc<Hub>) {
        let now = self.look.fetch_add(1, Ordering::Relaxed) + 1;
        let is_over = |since: u32| now.wrapping_sub(since) > LOOKS;
        let overdue: Vec<_> = {
            let pending = self.pending();
            let silent = pending.iter().filter(|(_, one)| one.silent_since().is_some_and(is_over));
            silent.map(|(_, one)| Arc::clone(one)).collect()
        };
        for one in overdue {
            one.overdue(self.timeout);
        }
        let away = self.away.load(Ordering::Relaxed);
        // Once: the look at which it is over by one.
        if away != DRIVES && now.wrapping_sub(away) == LOOKS + 1 {
            tracing::error!("a coroutine has held up the event loop for {:?} (--timeout)", self.timeout);
            interrupt::raise(self.thread.load(Ordering::Relaxed));
            let hub = Arc::clone(hub);
            interrupt::replace_if_stuck(move || hub.silence.away.load(Ordering::Relaxed) == away);
        }
    }

    fn pending(&self) -> MutexGuard<'_, Slab<Arc<dyn Pending>>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        let ended = self.0.pending().try_remove(self.1);
        drop(ended); // outside of the lock
    }
}

/// How many looks make a timeout.
const LOOKS: u32 = 4;
/// No look has this number.
const DRIVES: u32 = 0;
