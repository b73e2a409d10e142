//! What the threads decide by: who drives the loop, what is queued, who may call. Pure: every method is one decision, made
//! under the lock; what has to be woken is returned.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Waker;

use super::Call;
use super::busy::Busy;
use super::seat::{self, Seat};

/// Who drives the loop.
#[derive(Debug, Default)]
pub(super) enum Turner {
    /// Nobody: its thread makes calls.
    #[default]
    Nobody,
    /// A thread that was told to and is on its way.
    Coming,
    /// A thread, with the waker of its turn once it has one.
    Turning(Option<Waker>),
}

/// A call and since when it has been queued, by [`seat::now`].
pub(super) struct Queued {
    pub(super) call: Arc<dyn Call>,
    pub(super) since: u32,
}

/// A call that a thread is making.
pub(super) struct Made {
    pub(super) call: Arc<dyn Call>,
    pub(super) seat: Arc<Seat>,
}

/// The state of all turns.
#[derive(Default)]
pub(super) struct State {
    pub(super) turner: Turner,
    pub(super) calls: VecDeque<Queued>,
    /// Tasks of the loop that the next turn wakes.
    pub(super) wakers: Vec<Waker>,
    /// Calls under way, those included that wait for their clients.
    pub(super) made: Vec<Made>,
    /// How many places are taken.
    pub(super) placed: usize,
    /// Threads whose client has come back and that want a place again, first come first served.
    pub(super) returning: VecDeque<Arc<Seat>>,
    /// How many threads wait for their clients.
    pub(super) waiting: usize,
    /// Threads with nothing to do, the latest last: it is the warmest.
    pub(super) spares: Vec<Arc<Seat>>,
    /// How many threads there are.
    pub(super) threads: usize,
    /// The number of the turn at hand: who was on its way to one that somebody else has taken since finds another number here.
    pub(super) turn: u64,
    /// Counts calls and turns begun: while it stands still, something is stuck.
    pub(super) beat: u64,
    /// How many of the next calls are believed to be slow.
    pub(super) slow: u32,
    /// Whether a guest waits for the turn ([`super::Turns::visit`]).
    pub(super) guest_waits: bool,
    /// Whether whoever makes calls should turn when the one at hand has ended.
    pub(super) turn_asked: bool,
    /// How often a thread was sent to turn in the place of one that is in a call.
    pub(super) take_overs: u64,
    /// The time of calls that have a place, and of the guest away from the loop.
    pub(super) busy: Busy,
    /// The sentinel, while it sleeps.
    pub(super) sentinel: Option<Arc<Seat>>,
    pub(super) over: bool,
}

/// What a thread is to do next.
pub(super) enum Work {
    /// Drive the loop; the number of the turn.
    Turn(u64),
    Call(Arc<dyn Call>),
    /// Sleep until woken.
    Spare,
    /// Leave: there are spares enough.
    Superfluous,
    Over,
}

/// How the turn goes on without its thread, when it leaves to make a call.
pub(super) enum Successor {
    /// It comes back itself: the call is believed to be quick.
    None,
    /// This thread takes over.
    Spare(Arc<Seat>),
    /// A new thread takes over.
    New,
}

impl State {
    /// Whether a queued call could be made by one more thread.
    pub(super) fn is_runnable(&self, most: usize) -> bool {
        !self.calls.is_empty() && self.placed < most && self.returning.is_empty()
    }

    /// What a thread without work does.
    pub(super) fn next(&mut self, seat: &Arc<Seat>, most: usize) -> Work {
        // A spare can be woken late, by what it waited for in a call before: it is no spare any more, or would be one twice, and
        // would be sent to succeed itself.
        self.spares.retain(|spare| !Arc::ptr_eq(spare, seat));
        if self.over {
            return Work::Over;
        }
        if matches!(self.turner, Turner::Nobody | Turner::Coming) {
            // Also where queued calls could be made: a turn that finds some looks at its sockets once and ends.
            self.begin_turn();
            return Work::Turn(self.turn);
        }
        match self.take_call(seat, most) {
            Some(call) => Work::Call(call),
            None if self.spares.len() > most => Work::Superfluous,
            None => {
                self.spares.push(Arc::clone(seat));
                Work::Spare
            }
        }
    }

    pub(super) fn begin_turn(&mut self) {
        self.turner = Turner::Turning(None);
        self.turn += 1;
        self.turn_asked = false;
        self.beat += 1;
    }

    /// A place and a call to make, if there are both.
    pub(super) fn take_call(&mut self, seat: &Arc<Seat>, most: usize) -> Option<Arc<dyn Call>> {
        if !self.is_runnable(most) {
            return None;
        }
        let Queued { call, .. } = self.calls.pop_front()?;
        self.placed += 1;
        self.begin_call(seat, &call);
        Some(call)
    }

    fn begin_call(&mut self, seat: &Arc<Seat>, call: &Arc<dyn Call>) {
        self.beat += 1;
        let now = seat::now();
        self.busy.begin(now);
        seat.heard.store(now, Ordering::Relaxed);
        seat.placed.store(true, Ordering::Relaxed);
        self.made.push(Made { call: Arc::clone(call), seat: Arc::clone(seat) });
    }

    /// The thread's call has ended: takes it off the list, to be dropped outside of the lock.
    pub(super) fn remove(&mut self, seat: &Arc<Seat>) -> Option<Made> {
        let at = self.made.iter().position(|made| Arc::ptr_eq(&made.seat, seat))?;
        Some(self.made.swap_remove(at))
    }

    /// The thread's call has ended. The next one, if it may go on; its place is then the same one.
    pub(super) fn end_call(&mut self, seat: &Arc<Seat>) -> Option<Arc<dyn Call>> {
        seat.placed.store(false, Ordering::Relaxed);
        self.busy.end(seat::now());
        self.slow = self.slow.saturating_sub(1);
        if let Some(returning) = self.returning.pop_front() {
            self.give_place(&returning); // the place is handed on
            return None;
        }
        let is_turn_wanted = self.turn_asked && matches!(self.turner, Turner::Nobody);
        if self.over || is_turn_wanted || self.calls.is_empty() {
            self.placed -= 1;
            return None;
        }
        let Queued { call, .. } = self.calls.pop_front()?;
        self.begin_call(seat, &call);
        Some(call)
    }

    fn give_place(&mut self, seat: &Arc<Seat>) {
        self.busy.begin(seat::now());
        seat.placed.store(true, Ordering::Relaxed);
        seat.rouse();
    }

    /// The thread's call gives its place away for as long as it waits for its client; whether it did.
    pub(super) fn leave_place(&mut self, seat: &Arc<Seat>, most: usize) -> bool {
        let gives = most > 1 && seat.placed.load(Ordering::Relaxed) && self.waiting < MOST_WAITING;
        if gives {
            self.waiting += 1;
            seat.placed.store(false, Ordering::Relaxed);
            self.busy.end(seat::now());
            match self.returning.pop_front() {
                Some(returning) => self.give_place(&returning),
                None => self.placed -= 1,
            }
        }
        gives
    }

    /// The thread's call has what it waited for and wants its place back; whether it has it at once.
    pub(super) fn return_to_place(&mut self, seat: &Arc<Seat>, most: usize) -> bool {
        self.waiting -= 1;
        if self.placed < most {
            self.placed += 1;
            self.busy.begin(seat::now());
            seat.placed.store(true, Ordering::Relaxed);
            return true;
        }
        self.returning.push_back(Arc::clone(seat));
        false
    }

    /// Somebody takes the turn over, if nobody has it; to be roused or started by the caller.
    pub(super) fn succeed(&mut self, most: usize) -> Successor {
        if !matches!(self.turner, Turner::Nobody) || self.over {
            return Successor::None;
        }
        match self.spares.pop() {
            Some(spare) => {
                self.turner = Turner::Coming;
                self.take_overs += 1;
                Successor::Spare(spare)
            }
            None if self.threads <= most + self.waiting => {
                self.turner = Turner::Coming;
                self.take_overs += 1;
                self.threads += 1;
                Successor::New
            }
            None => Successor::None,
        }
    }

    /// The turn becomes the guest's: at once, or as soon as who has it has been woken by the waker and has left.
    pub(super) fn give_guest(&mut self) -> Option<Waker> {
        match &self.turner {
            Turner::Turning(waker) => {
                self.guest_waits = true;
                waker.clone()
            }
            // Who is on its way finds the turn taken, and looks for something else to do.
            Turner::Nobody | Turner::Coming => {
                self.begin_turn();
                None
            }
        }
    }

    /// Who has the turn leaves it to a guest that waits; whether there is one. The guest asks, too: who had the turn may be
    /// on its way still.
    pub(super) fn leave_to_guest(&mut self) -> bool {
        let waits = std::mem::take(&mut self.guest_waits);
        if waits {
            self.begin_turn();
        }
        waits
    }

    /// Somebody to make a queued call beside the turn of a guest, who makes none; to be roused or started by the caller.
    pub(super) fn assist(&mut self, most: usize) -> Successor {
        if !self.is_runnable(most) || self.over {
            return Successor::None;
        }
        match self.spares.pop() {
            Some(spare) => Successor::Spare(spare),
            None if self.threads <= most + self.waiting => {
                self.threads += 1;
                Successor::New
            }
            None => Successor::None,
        }
    }

    /// A thread of the turn must look: the waker to call, once the lock is released.
    pub(super) fn turn_waker(&self) -> Option<Waker> {
        match &self.turner {
            Turner::Turning(waker) => waker.clone(),
            Turner::Nobody | Turner::Coming => None,
        }
    }
}

/// How many calls may wait for their clients without their places; more keep theirs.
const MOST_WAITING: usize = 512;
