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
    age: Age,
}

/// How often the sentinel has seen a call that has its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Age {
    New,
    Seen,
    /// Twice: it lasts.
    Lasting,
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
    /// How many of these have calls that last.
    pub(super) lasting: usize,
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
    /// Whether a queued call should be made by one more thread. Quick calls are made by one thread, one after the other: more of them
    /// would only pass an interpreter's lock to and fro.
    pub(super) fn is_runnable(&self, most: usize) -> bool {
        self.could_run(most) && (self.slow > 0 || self.placed == self.lasting)
    }

    /// Whether a queued call could be made by one more thread, and is left to one that makes quick ones.
    pub(super) fn is_left(&self, most: usize) -> bool {
        self.could_run(most) && !self.is_runnable(most)
    }

    /// The sentinel, where it sleeps and a call is left to a thread that may turn out to be slow; to be roused by the caller.
    pub(super) fn watcher(&mut self, most: usize) -> Option<Arc<Seat>> {
        if self.is_left(most) { self.sentinel.take() } else { None }
    }

    /// Whether a queued call could be made by one more thread.
    pub(super) fn could_run(&self, most: usize) -> bool {
        !self.calls.is_empty() && self.placed < most && self.returning.is_empty()
    }

    /// The sentinel looks at the calls under way.
    pub(super) fn look(&mut self) {
        for made in &mut self.made {
            match made.age {
                Age::New => made.age = Age::Seen,
                Age::Seen if made.seat.placed.load(Ordering::Relaxed) => {
                    made.age = Age::Lasting;
                    self.lasting += 1;
                }
                Age::Seen | Age::Lasting => {}
            }
        }
    }

    /// The next calls are believed to be slow.
    pub(super) fn expect_slow(&mut self) {
        self.slow = SLOW;
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
            if !self.is_left(most) {
                // Also where queued calls could be made: a turn that finds some looks at its sockets once and ends.
                self.begin_turn();
                return Work::Turn(self.turn);
            }
            self.turner = Turner::Nobody; // whoever makes quick calls comes back for it
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
        self.made.push(Made { call: Arc::clone(call), seat: Arc::clone(seat), age: Age::New });
    }

    /// The thread's call has ended: takes it off the list, to be dropped outside of the lock.
    pub(super) fn remove(&mut self, seat: &Arc<Seat>) -> Option<Made> {
        let at = self.renew(seat)?;
        Some(self.made.swap_remove(at))
    }

    /// The thread's call does not last any more; where it is on the list.
    fn renew(&mut self, seat: &Arc<Seat>) -> Option<usize> {
        let at = self.made.iter().position(|made| Arc::ptr_eq(&made.seat, seat))?;
        let made = self.made.get_mut(at)?;
        if std::mem::replace(&mut made.age, Age::New) == Age::Lasting {
            self.lasting -= 1;
        }
        Some(at)
    }

    /// The thread's call has ended. The next one, if it may go on.
    pub(super) fn end_call(&mut self, seat: &Arc<Seat>, most: usize) -> Option<Arc<dyn Call>> {
        seat.placed.store(false, Ordering::Relaxed);
        self.busy.end(seat::now());
        self.slow = self.slow.saturating_sub(1);
        if let Some(returning) = self.returning.pop_front() {
            self.give_place(&returning); // the place is handed on
            return None;
        }
        self.placed -= 1;
        let is_turn_wanted = self.turn_asked && matches!(self.turner, Turner::Nobody);
        if self.over || is_turn_wanted { None } else { self.take_call(seat, most) }
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
            self.renew(seat);
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

/// How many calls after a slow one are believed to be slow, too.
const SLOW: u32 = 32;
/// How many calls may wait for their clients without their places; more keep theirs.
const MOST_WAITING: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spare_that_is_woken_late_is_no_spare_twice() {
        let seat = Seat::ours();
        let mut state = State { turner: Turner::Turning(None), ..State::default() };
        for _ in 0..3 {
            assert!(matches!(state.next(&seat, 4), Work::Spare));
        }
        assert_eq!(state.spares.len(), 1);
        state.turner = Turner::Coming;
        assert!(matches!(state.next(&seat, 4), Work::Turn(_)), "whoever is there first takes the turn");
        state.turner = Turner::Nobody;
        assert!(matches!(state.succeed(4), Successor::New), "and cannot be sent to succeed itself");
    }

    #[test]
    fn quick_calls_are_left_to_the_thread_that_makes_them_until_one_lasts() {
        struct Nothing;
        impl Call for Nothing {
            fn run(self: Arc<Self>) {}
        }
        let queue = |state: &mut State| state.calls.push_back(Queued { call: Arc::new(Nothing), since: 0 });
        let (ours, other) = (Seat::ours(), std::thread::spawn(Seat::ours).join().unwrap());
        let mut state = State { sentinel: Some(Seat::ours()), ..State::default() };
        queue(&mut state);
        assert!(state.take_call(&ours, 4).is_some() && state.watcher(4).is_none());
        queue(&mut state);
        queue(&mut state);
        assert!(state.is_left(4) && state.take_call(&other, 4).is_none());
        state.turner = Turner::Coming;
        assert!(matches!(state.next(&other, 4), Work::Spare), "who makes calls comes back for the turn");
        assert!(matches!(state.turner, Turner::Nobody));
        assert!(state.watcher(4).is_some(), "but the sentinel has to look");
        state.look();
        assert!(state.is_left(4), "it may have begun just now");
        state.look();
        assert!(state.take_call(&other, 4).is_some(), "the first one lasts");
        assert!(state.is_left(4), "the second one is quick, for all that is known");
        state.remove(&ours);
        assert!(state.end_call(&ours, 4).is_none() && state.lasting == 0);
        state.look();
        state.look();
        assert_eq!(state.lasting, 1);
        assert!(state.leave_place(&other, 4), "it waits for its client");
        assert!(state.lasting == 0 && state.take_call(&ours, 4).is_some());
        queue(&mut state);
        assert!(state.return_to_place(&other, 4) && state.is_left(4));
        state.expect_slow();
        assert!(state.is_runnable(4), "slow ones run side by side");
        state.remove(&ours);
        state.remove(&other);
        assert!(state.end_call(&ours, 4).is_some() && state.placed == 2);
    }

    #[test]
    fn who_is_on_its_way_to_a_turn_that_a_guest_has_taken_turns_back() {
        let mut state = State::default();
        let seat = Seat::ours();
        let Work::Turn(turn) = state.next(&seat, 1) else { panic!("nobody has the turn") };
        assert!(state.give_guest().is_none(), "there is nobody to wake yet");
        assert!(state.leave_to_guest(), "the guest is first to get there");
        assert_ne!(state.turn, turn, "and who comes later finds another turn");
    }
}
