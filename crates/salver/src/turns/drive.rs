//! The threads: turning, calling, waiting for clients.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use super::state::{Queued, State, Successor, Turner, Work};
use super::{CALL_STACK, Call, Place, Seat, Shared, seat, sentinel};
use crate::server::Driven;
use crate::start_error::StartError;

impl Shared {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn queue(&self, call: Arc<dyn Call>) {
        let mut state = self.state();
        state.calls.push_back(Queued { call, since: seat::now() });
        let waker = state.is_runnable(self.most).then(|| state.turn_waker()).flatten();
        let sentinel = state.watcher(self.most);
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
        rouse(sentinel);
    }

    pub(super) fn wake(&self, task: Waker) {
        let mut state = self.state();
        state.wakers.push(task);
        let waker = state.turn_waker();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    pub(super) fn run(
        self: &Arc<Self>,
        driven: Driven,
        place: Box<dyn Place>,
        beside: impl FnOnce(),
    ) -> Result<(), StartError> {
        let twice = || StartError::new("these turns drive a server already; make new ones");
        let ended = driven.ended();
        self.place.set(place).map_err(|_| twice())?;
        self.driven.set(driven).map_err(|_| twice())?;
        let Some(driven) = self.driven.get() else { return Err(twice()) };
        let ours = Seat::ours();
        let (shared, main) = (Arc::clone(self), Arc::clone(&ours));
        driven.spawn(async move {
            ended.await;
            shared.end();
            main.rouse();
        });
        sentinel::start(Arc::clone(self)).map_err(|error| cannot_start(&error))?;
        self.state().threads += 1;
        self.start_thread().map_err(|error| cannot_start(&error))?;
        beside();
        while !self.state().over {
            ours.sleep();
        }
        driven.close();
        Ok(())
    }

    /// The server has ended: every thread leaves as soon as it can.
    fn end(&self) {
        let mut state = self.state();
        state.over = true;
        let waker = state.turn_waker();
        let mut sleeping = std::mem::take(&mut state.spares);
        sleeping.extend(state.sentinel.take());
        drop(state);
        for seat in sleeping {
            seat.rouse();
        }
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Starts a thread, which is counted already.
    fn start_thread(self: &Arc<Self>) -> std::io::Result<()> {
        let shared = Arc::clone(self);
        let thread = std::thread::Builder::new().name("salver-turn".into()).stack_size(CALL_STACK);
        thread.spawn(move || shared.drive()).map(drop)
    }

    /// Sees to it that `successor` takes the turn.
    pub(super) fn send(self: &Arc<Self>, successor: Successor) {
        match successor {
            Successor::None => {}
            Successor::Spare(spare) => spare.rouse(),
            Successor::New => {
                if let Err(error) = self.start_thread() {
                    let mut state = self.state();
                    state.threads -= 1;
                    if matches!(state.turner, Turner::Coming) {
                        state.turner = Turner::Nobody;
                    }
                    drop(state);
                    tracing::error!("no thread for another call: {error}; look at `ulimit -u`");
                }
            }
        }
    }

    /// The life of one thread. It goes to its place with its first call and no sooner: whoever holds that call up there must not hold
    /// up the loop, which a new thread is started to drive.
    fn drive(self: Arc<Self>) {
        let seat = Seat::ours();
        let mut call = self.next_call(&seat);
        if let (Some(place), true) = (self.place.get(), call.is_some()) {
            place.inhabit(&mut || {
                while let Some(next) = call.take().or_else(|| self.next_call(&seat)) {
                    self.make_calls(&seat, next);
                }
            });
        }
        self.state().threads -= 1;
    }

    /// The next call of this thread, which turns or sleeps until there is one; `None` when it is to leave.
    fn next_call(self: &Arc<Self>, seat: &Arc<Seat>) -> Option<Arc<dyn Call>> {
        loop {
            let mut state = self.state();
            let work = state.next(seat, self.most);
            let sentinel = if matches!(work, Work::Call(_)) { state.sentinel.take() } else { None };
            drop(state);
            rouse(sentinel);
            let call = match work {
                Work::Turn(turn) => self.turn(seat, turn),
                Work::Call(call) => Some(call),
                Work::Spare => {
                    seat.sleep();
                    None
                }
                Work::Superfluous | Work::Over => return None,
            };
            if call.is_some() {
                return call;
            }
        }
    }

    /// Drives the loop until a call can be made, and takes it; `None` when the server has ended.
    fn turn(self: &Arc<Self>, seat: &Arc<Seat>, turn: u64) -> Option<Arc<dyn Call>> {
        let mut fresh = true;
        let mut woken = Vec::new();
        let taken = self.driven.get()?.turn(poll_fn(|cx| {
            let polled = self.poll_turn(cx, seat, turn, &mut woken, std::mem::take(&mut fresh));
            // In here a task is woken without a system call.
            woken.drain(..).for_each(Waker::wake);
            polled
        }));
        let (call, successor) = taken.flatten()?;
        self.send(successor);
        Some(call)
    }

    fn poll_turn(
        &self,
        cx: &mut Context<'_>,
        seat: &Arc<Seat>,
        turn: u64,
        woken: &mut Vec<Waker>,
        fresh: bool,
    ) -> Poll<Option<(Arc<dyn Call>, Successor)>> {
        let mut state = self.state();
        std::mem::swap(&mut state.wakers, woken);
        if state.over {
            state.turner = Turner::Nobody;
            return Poll::Ready(None);
        }
        if state.turn != turn {
            return Poll::Ready(None); // a guest was quicker, and has left or will come back
        }
        if let Turner::Turning(waker) = &mut state.turner
            && waker.is_none()
        {
            *waker = Some(cx.waker().clone());
        }
        if state.leave_to_guest() {
            return Poll::Ready(None);
        }
        if !state.could_run(self.most) {
            return Poll::Pending;
        }
        if fresh {
            // Every turn looks at its sockets at least once, also where calls are waiting.
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        if state.is_left(self.most) {
            // Another thread makes quick calls: it turns between them, and wakes nobody for each answer.
            state.turner = Turner::Nobody;
            return Poll::Ready(None);
        }
        let Some(call) = state.take_call(seat, self.most) else { return Poll::Pending };
        state.turner = Turner::Nobody;
        let successor = if state.slow > 0 { state.succeed(self.most) } else { Successor::None };
        let sentinel = state.sentinel.take();
        drop(state);
        rouse(sentinel);
        Poll::Ready(Some((call, successor)))
    }

    /// Drives the loop, in place of whoever does, until `until` is ready; `None` when the server has ended.
    pub(super) fn visit<T>(
        self: &Arc<Self>,
        mut until: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Option<T> {
        let driven = self.driven.get()?;
        let mut state = self.state();
        if state.over {
            return None;
        }
        state.busy.guest_goes(false, seat::now());
        let turner = state.give_guest();
        drop(state);
        if let Some(turner) = turner {
            turner.wake();
        }
        let mut fresh = true;
        let mut woken = Vec::new();
        let done = driven.turn(poll_fn(|cx| {
            let mut state = self.state();
            std::mem::swap(&mut state.wakers, &mut woken);
            if state.over {
                state.turner = Turner::Nobody;
                return Poll::Ready(None);
            }
            state.leave_to_guest(); // whoever was on its way to a turn: it is ours now
            if let Turner::Turning(waker @ None) = &mut state.turner {
                *waker = Some(cx.waker().clone());
            }
            let assistant = state.assist(self.most);
            drop(state);
            self.send(assistant);
            woken.drain(..).for_each(Waker::wake);
            match until(cx) {
                // Every turn looks at its sockets at least once.
                Poll::Ready(_) if std::mem::take(&mut fresh) => {
                    cx.waker().wake_by_ref();
                    Poll::Pending
                }
                Poll::Ready(done) => {
                    let mut state = self.state();
                    state.turner = Turner::Nobody;
                    state.busy.guest_goes(true, seat::now());
                    let sentinel = state.sentinel.take();
                    drop(state);
                    rouse(sentinel);
                    Poll::Ready(Some(done))
                }
                Poll::Pending => {
                    fresh = false;
                    Poll::Pending
                }
            }
        }));
        done.flatten()
    }

    /// Makes `call` and those that wait behind it, until a turn is due.
    fn make_calls(&self, seat: &Arc<Seat>, call: Arc<dyn Call>) {
        let Some(place) = self.place.get() else { return };
        let mut next = Some(call);
        place.enter(&mut || {
            while let Some(call) = next.take() {
                // The call itself answers for what it does; a panic that gets here costs only its own request.
                let _ = catch_unwind(AssertUnwindSafe(|| call.run()));
                let mut state = self.state();
                let ended = state.remove(seat);
                next = state.end_call(seat, self.most);
                let sentinel = state.watcher(self.most);
                drop(state);
                rouse(sentinel);
                drop(ended); // whose destructors may queue calls of their own
            }
        });
    }

    pub(super) fn wait<T>(self: &Arc<Self>, until: impl Future<Output = T>) -> T {
        let mut until = pin!(until);
        if let Poll::Ready(done) = until.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return done;
        }
        let seat = Seat::ours();
        let mut state = self.state();
        let left = state.leave_place(&seat, self.most);
        let successor = state.succeed(self.most);
        let waker = state.is_runnable(self.most).then(|| state.turn_waker()).flatten();
        drop(state);
        self.send(successor);
        if let Some(waker) = waker {
            waker.wake();
        }
        seat.waits.store(true, Ordering::Relaxed);
        let done = seat.block_on(until);
        seat.heard.store(seat::now(), Ordering::Relaxed);
        seat.waits.store(false, Ordering::Relaxed);
        let mut state = self.state();
        let is_placed = !left || state.return_to_place(&seat, self.most);
        let sentinel = state.watcher(self.most);
        drop(state);
        rouse(sentinel);
        if !is_placed {
            while !seat.placed.load(Ordering::Relaxed) {
                seat.sleep();
            }
        }
        done
    }
}

fn cannot_start(error: &std::io::Error) -> StartError {
    StartError::new(format!("cannot start a thread: {error}; look at `ulimit -u`"))
}

fn rouse(sentinel: Option<Arc<Seat>>) {
    if let Some(sentinel) = sentinel {
        sentinel.rouse();
    }
}
