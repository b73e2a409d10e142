//! The sentinel: a thread that looks once a millisecond, while there is traffic, whether a call holds up the loop.
//!
//! While calls have been quick for a while, the kernel may be late with it by some milliseconds, so that it comes with an interrupt that
//! there is anyway. A timer a millisecond costs a call of 60 µs some percent, within a virtual machine above all.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::state::{State, Successor, Turner};
use super::{Seat, Shared, seat};

/// Starts it; it ends with the server.
pub(super) fn start(shared: Arc<Shared>) -> std::io::Result<()> {
    std::thread::Builder::new().name("salver-sentinel".into()).spawn(move || watch(&shared)).map(drop)
}

/// How often it looks while there are calls on a thread that has left the loop.
const TICK: Duration = Duration::from_millis(1);
/// How often it looks for overdue calls while some thread drives the loop.
const ROUND: Duration = Duration::from_millis(50);
/// After how many quiet ticks it rests.
const QUIET: u32 = 4;
/// After how many ticks with quick calls alone it may be late.
const STEADY: u32 = 32;
/// How late, in nanoseconds: a tick of most kernels.
const LATE: NonZeroU64 = NonZeroU64::new(4_000_000).unwrap();

fn watch(shared: &Arc<Shared>) {
    let seat = Seat::ours();
    let (mut beat, mut quiet, mut steady, mut round) = (0, 0, 0_u32, seat::now());
    let mut late = false;
    loop {
        let mut state = shared.state();
        if state.over {
            return;
        }
        let mut successor = Successor::None;
        let beats = shared.beats(&state);
        let left = state.is_left(shared.most);
        state.look();
        match state.turner {
            Turner::Nobody if beats == beat => {
                state.expect_slow();
                successor = state.succeed(shared.most);
                (quiet, steady) = (0, 0);
            }
            Turner::Nobody => {
                // Calls come and go: quick ones, many of them. A turn between two of them is enough.
                state.turn_asked = true;
                (quiet, steady) = (0, steady.saturating_add(1));
            }
            Turner::Coming => quiet = 0,
            Turner::Turning(_) if beats == beat && left => {
                state.expect_slow();
                (quiet, steady) = (0, 0);
            }
            Turner::Turning(_) if beats == beat => quiet += 1,
            Turner::Turning(_) => quiet = 0,
        }
        beat = beats;
        let turner = if left && state.is_runnable(shared.most) { state.turn_waker() } else { None };
        let rests = quiet >= QUIET;
        let is_idle = state.made.is_empty() && state.calls.is_empty();
        if rests {
            state.sentinel = Some(Arc::clone(&seat));
        }
        drop(state);
        // Before a thread is started, which inherits it.
        if late != (steady >= STEADY) {
            late = !late;
            may_be_late(late);
        }
        shared.send(successor);
        if let Some(turner) = turner {
            turner.wake(); // it takes what was left to a call that lasts
        }
        if seat::now().wrapping_sub(round) >= ROUND_MILLIS {
            round = seat::now();
            shared.look_for_overdue();
        }
        match (rests, is_idle) {
            (true, true) => seat.sleep(),
            (true, false) => {
                seat.sleep_for(ROUND);
            }
            (false, _) => {
                seat.sleep_for(TICK);
            }
        }
        if rests {
            shared.state().sentinel = None;
            quiet = 0;
        }
    }
}

/// Lets the kernel wake this thread late, or not.
fn may_be_late(late: bool) {
    #[cfg(any(target_os = "android", target_os = "linux"))]
    let _ = rustix::thread::set_current_timer_slack(late.then_some(LATE)); // without it, it costs a little more
    #[cfg(not(any(target_os = "android", target_os = "linux")))]
    let _ = (late, LATE);
}

const ROUND_MILLIS: u32 = 50;

impl Shared {
    /// What is another number at each look while there is progress.
    pub(super) fn beats(&self, state: &State) -> u64 {
        state.beat.wrapping_add(self.progress.load(Ordering::Relaxed))
    }

    /// Tells every call that was silent for too long, outside of the lock.
    fn look_for_overdue(&self) {
        let Some(timeout) = self.timeout.get().copied().filter(|timeout| !timeout.is_zero()) else { return };
        let limit = u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX);
        let now = seat::now();
        let mut overdue = Vec::new();
        let mut state = self.state();
        for made in &state.made {
            let heard = made.seat.heard.load(Ordering::Relaxed);
            if !made.seat.waits.load(Ordering::Relaxed) && now.wrapping_sub(heard) >= limit {
                made.seat.heard.store(now, Ordering::Relaxed);
                overdue.push((Arc::clone(&made.call), Some(made.seat.number)));
            }
        }
        while state.calls.front().is_some_and(|queued| now.wrapping_sub(queued.since) >= limit) {
            let Some(queued) = state.calls.pop_front() else { break };
            overdue.push((queued.call, None));
        }
        drop(state);
        for (call, thread) in overdue {
            call.overdue(timeout, thread);
        }
    }
}
