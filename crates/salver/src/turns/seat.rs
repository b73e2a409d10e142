//! A thread that drives the loop and makes calls: how it sleeps, is woken, and what it is doing.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::Instant;

/// One thread of the turns.
#[derive(Debug)]
pub(super) struct Seat {
    thread: Thread,
    /// Its number of the system.
    pub(super) number: u32,
    woken: AtomicBool,
    /// Milliseconds, by [`now`], when its call began or last showed that it lives.
    pub(super) heard: AtomicU32,
    /// Whether its call waits for the client: silence is then the client's.
    pub(super) waits: AtomicBool,
    /// Whether the call has a place among those that may run at once.
    pub(super) placed: AtomicBool,
}

thread_local! {
    static OURS: RefCell<Option<Arc<Seat>>> = const { RefCell::new(None) };
}

impl Seat {
    /// The seat of this thread.
    pub(super) fn ours() -> Arc<Self> {
        OURS.with_borrow_mut(|ours| Arc::clone(ours.get_or_insert_with(|| Arc::new(Self::new()))))
    }

    fn new() -> Self {
        Self {
            thread: std::thread::current(),
            number: u32::try_from(rustix::thread::gettid().as_raw_pid()).unwrap_or(0),
            woken: AtomicBool::new(false),
            heard: AtomicU32::new(0),
            waits: AtomicBool::new(false),
            placed: AtomicBool::new(false),
        }
    }

    /// Sleeps until somebody wakes it; only its own thread may ask for that.
    pub(super) fn sleep(&self) {
        while !self.woken.swap(false, Ordering::Acquire) {
            std::thread::park();
        }
    }

    /// The same, but for at most `time`; whether it was woken.
    pub(super) fn sleep_for(&self, time: std::time::Duration) -> bool {
        let until = Instant::now() + time;
        loop {
            if self.woken.swap(false, Ordering::Acquire) {
                return true;
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            std::thread::park_timeout(left);
        }
    }

    pub(super) fn rouse(&self) {
        if !self.woken.swap(true, Ordering::Release) {
            self.thread.unpark();
        }
    }

    /// Runs `until` to its end on this thread, which sleeps meanwhile.
    pub(super) fn block_on<T>(self: &Arc<Self>, mut until: std::pin::Pin<&mut impl Future<Output = T>>) -> T {
        let waker = Waker::from(Arc::clone(self));
        let mut cx = Context::from_waker(&waker);
        loop {
            if let Poll::Ready(done) = until.as_mut().poll(&mut cx) {
                return done;
            }
            self.sleep();
        }
    }
}

impl Wake for Seat {
    fn wake(self: Arc<Self>) {
        self.rouse();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.rouse();
    }
}

/// The call of this thread shows that it lives.
pub(super) fn touch() {
    OURS.with_borrow(|ours| {
        if let Some(seat) = ours {
            seat.heard.store(now(), Ordering::Relaxed);
        }
    });
}

/// Milliseconds of a clock that is cheap to read and a few of them behind; they wrap around after seven weeks, and are only
/// ever compared.
pub(super) fn now() -> u32 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::MonotonicCoarse);
    let millis = time.tv_sec.wrapping_mul(1000).wrapping_add(time.tv_nsec / 1_000_000);
    u32::try_from(millis & i64::from(u32::MAX)).unwrap_or(0)
}
