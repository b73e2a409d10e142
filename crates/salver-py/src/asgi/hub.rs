//! Where the server and asyncio meet: what has come for the applications, and how asyncio's selector drives the server.

use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd, RawFd};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use pyo3::exceptions::PyOSError;
use pyo3::intern;
use pyo3::prelude::*;
use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};
use rustix::time::Timespec;
use salver::turns::Turns;
use salver::{Driven, Stop};
use tokio::io::unix::AsyncFd;
use tokio::time::{Instant, Sleep};

use super::silence::Silence;
use crate::descriptor;
use crate::forked;

/// The meeting place of one process.
pub(crate) struct Hub {
    pub(crate) turns: Turns,
    pub(crate) silence: Silence,
    inbox: Mutex<Inbox>,
    /// Kept from turn to turn; only the loop's own thread looks.
    watch: Mutex<Watch>,
    /// `create_future` of the loop.
    create_future: OnceLock<Py<PyAny>>,
    stop: OnceLock<Stop>,
    over: AtomicBool,
    /// Rung when there is something in the inbox, where the loop is not ours (uvloop).
    bell: OnceLock<OwnedFd>,
    /// The process that takes the turns.
    mark: OnceLock<u64>,
}

#[derive(Default)]
struct Inbox {
    events: Vec<Event>,
    /// Heads that the application has sent, and that have not left yet.
    heads: Vec<Arc<dyn Asked>>,
    /// The turn of asyncio's thread.
    turn: Option<Waker>,
}

/// Something for asyncio.
pub(crate) enum Event {
    /// A request, to be started.
    Asked(Arc<dyn Asked>),
    /// Something that these futures wait for.
    Woken(Arc<dyn Woken>),
}

/// A request on its way to its application.
pub(crate) trait Asked: Send + Sync {
    /// The arguments of `_asgi.serve`: application, scope, receive, send. `None` if nobody wants the answer any more.
    fn start(self: Arc<Self>, py: Python<'_>) -> Option<Py<PyAny>>;

    /// Has what was said so far leave, before asyncio sleeps.
    fn flush(self: Arc<Self>);
}

/// Something that futures wait for.
pub(crate) trait Woken: Send + Sync {
    /// Takes the futures that are to be woken.
    fn futures(&self) -> Vec<Py<PyAny>>;
}

/// What a turn watches beside the inbox.
#[derive(Default)]
struct Watch {
    descriptors: Option<AsyncFd<OwnedFd>>,
    timer: Option<Pin<Box<Sleep>>>,
    /// When the timer is due; `None` once it was.
    due: Option<Instant>,
}

/// Something asyncio waits for is ready.
const DESCRIPTORS: u8 = 1;
/// There is something to take.
const EVENTS: u8 = 2;
/// The server has stopped.
const OVER: u8 = 4;
/// The time is over: nothing that asyncio needs to be told.
const TIME: u8 = 8;

impl Hub {
    /// A hub; `timeout` is how long an application may be silent, zero is for ever.
    pub(crate) fn new(turns: Turns, timeout: Duration) -> Self {
        Self {
            turns,
            silence: Silence::new(timeout),
            inbox: Mutex::default(),
            watch: Mutex::default(),
            create_future: OnceLock::new(),
            stop: OnceLock::new(),
            over: AtomicBool::new(false),
            bell: OnceLock::new(),
            mark: OnceLock::new(),
        }
    }

    /// The loop whose futures are used.
    pub(crate) fn set_loop(&self, event_loop: &Bound<'_, PyAny>) -> PyResult<()> {
        let create_future = event_loop.getattr(intern!(event_loop.py(), "create_future"))?;
        let _ = self.create_future.set(create_future.unbind());
        Ok(())
    }

    /// The server that is driven from now on.
    pub(crate) fn serve(self: &Arc<Self>, driven: &Driven) {
        let _ = self.stop.set(driven.stop());
        self.silence.set_thread();
        driven.spawn(Silence::keep_looking(Arc::clone(self)));
        let (hub, ended) = (Arc::clone(self), driven.ended());
        driven.spawn(async move {
            ended.await;
            hub.over.store(true, Ordering::Release);
            hub.ring();
        });
    }

    /// How the server stops, once there is one.
    pub(crate) fn stop(&self) -> Option<&Stop> {
        self.stop.get()
    }

    /// A new future of the loop's.
    pub(crate) fn future<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        match self.create_future.get() {
            Some(create_future) => create_future.bind(py).call0(),
            None => Err(PyOSError::new_err("no loop runs")),
        }
    }

    /// Has asyncio see to `event`.
    pub(crate) fn push(&self, event: Event) {
        let mut inbox = self.inbox();
        inbox.events.push(event);
        let is_first = inbox.events.len() == 1;
        let turn = inbox.turn.take();
        drop(inbox);
        if let Some(turn) = turn {
            turn.wake();
        }
        if is_first {
            self.ring();
        }
    }

    /// A head was said; it leaves with what follows, or when asyncio sleeps.
    pub(crate) fn hold_head(&self, asked: Arc<dyn Asked>) {
        let mut inbox = self.inbox();
        inbox.heads.push(asked);
        let is_first = inbox.heads.len() == 1;
        drop(inbox);
        if is_first {
            self.ring();
        }
    }

    fn flush_heads(&self) {
        let heads = std::mem::take(&mut self.inbox().heads);
        heads.into_iter().for_each(Asked::flush);
    }

    fn ring(&self) {
        if let Some(bell) = self.bell.get() {
            // Full only if it was rung for ages: then it is heard as well.
            let _ = rustix::io::write(bell, &1u64.to_ne_bytes());
        }
    }

    /// What is ready; asked again until something is.
    fn poll(
        &self,
        cx: &mut Context<'_>,
        descriptor: RawFd,
        timeout: Option<Duration>,
        deadline: Option<Instant>,
    ) -> Poll<u8> {
        let mut ready = 0;
        let mut inbox = self.inbox();
        if inbox.events.is_empty() {
            match &mut inbox.turn {
                Some(turn) => turn.clone_from(cx.waker()),
                none => *none = Some(cx.waker().clone()),
            }
        } else {
            ready |= EVENTS;
        }
        drop(inbox);
        let mut watch = self.watch.lock().unwrap_or_else(PoisonError::into_inner);
        if watch.poll_descriptors(cx, descriptor) {
            ready |= DESCRIPTORS;
        }
        if timeout == Some(Duration::ZERO) || deadline.is_some_and(|deadline| watch.poll_timer(cx, deadline))
        {
            ready |= TIME;
        }
        if ready == 0 { Poll::Pending } else { Poll::Ready(ready) }
    }

    fn inbox(&self) -> MutexGuard<'_, Inbox> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watch {
    fn poll_descriptors(&mut self, cx: &mut Context<'_>, descriptor: RawFd) -> bool {
        if self.descriptors.is_none() {
            // Refused only where the system is out of memory: asyncio's own descriptors then wait for the next turn.
            let own = descriptor::borrow(descriptor, |fd| fd.try_clone_to_owned().ok());
            self.descriptors = own.and_then(descriptor::watch);
        }
        let Some(descriptors) = &self.descriptors else { return true };
        while let Poll::Ready(Ok(mut guard)) = descriptors.poll_read_ready(cx) {
            // The edge of a queue of descriptors says that something came, not that it is still there.
            if is_readable(descriptor) {
                return true;
            }
            guard.clear_ready();
        }
        false
    }

    fn poll_timer(&mut self, cx: &mut Context<'_>, deadline: Instant) -> bool {
        // One that is due earlier is left: asyncio finds nothing to do, and asks again.
        if self.due.is_none_or(|due| due > deadline) {
            self.due = Some(deadline);
            match &mut self.timer {
                Some(timer) => timer.as_mut().reset(deadline),
                none => *none = Some(Box::pin(tokio::time::sleep_until(deadline))),
            }
        }
        let Some(timer) = &mut self.timer else { return true };
        let is_due = timer.as_mut().poll(cx).is_ready();
        if is_due {
            self.due = None;
        }
        is_due
    }
}

fn is_readable(descriptor: RawFd) -> bool {
    let ask = |fd: BorrowedFd<'_>| {
        let mut asked = [PollFd::from_borrowed_fd(fd, PollFlags::IN)];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        Some(poll(&mut asked, Some(&now)).is_ok_and(|ready| ready > 0))
    };
    descriptor::borrow(descriptor, ask).unwrap_or(false)
}

/// The hub as `_asgi.Hub` describes it.
#[pyclass(frozen, name = "Hub", module = "salver._salver")]
pub(crate) struct PyHub(pub(crate) Arc<Hub>);

#[pymethods]
impl PyHub {
    #[pyo3(signature = (descriptor, timeout, /))]
    fn turn(&self, py: Python<'_>, descriptor: i32, timeout: Option<f64>) -> Option<u8> {
        let hub = &*self.0;
        if hub.stop.get().is_none() || hub.bell.get().is_some() {
            return None;
        }
        if hub.over.load(Ordering::Acquire) {
            return None;
        }
        forked::end_copy(*hub.mark.get_or_init(forked::mark));
        hub.flush_heads();
        let timeout = timeout
            .map(|seconds| Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(LONGEST).min(LONGEST));
        py.detach(|| {
            let deadline =
                timeout.filter(|timeout| !timeout.is_zero()).map(|timeout| Instant::now() + timeout);
            hub.silence.come_back();
            let ready = hub.turns.visit(|cx| hub.poll(cx, descriptor, timeout, deadline));
            hub.silence.leave();
            if ready.is_none() {
                hub.over.store(true, Ordering::Release);
            }
            Some(ready.map_or(OVER | EVENTS, |ready| ready & !TIME))
        })
    }

    fn take(&self, py: Python<'_>) -> PyResult<Vec<Py<PyAny>>> {
        let hub = &*self.0;
        if let Some(bell) = hub.bell.get() {
            let _ = rustix::io::read(bell, &mut [0; 8]);
            hub.flush_heads();
        }
        let mut inbox = hub.inbox();
        let count = inbox.events.len().min(BATCH);
        let later = inbox.events.split_off(count);
        let has_more = !later.is_empty();
        let events = std::mem::replace(&mut inbox.events, later);
        drop(inbox);
        if has_more {
            hub.ring();
        }
        let mut started = Vec::with_capacity(events.len());
        for event in events {
            match event {
                Event::Asked(asked) => started.extend(asked.start(py)),
                Event::Woken(woken) => {
                    for future in woken.futures() {
                        let future = future.bind(py);
                        if !future.call_method0(intern!(py, "done"))?.is_truthy()? {
                            future.call_method1(intern!(py, "set_result"), (py.None(),))?;
                        }
                    }
                }
            }
        }
        Ok(started)
    }

    fn bridge(&self) -> PyResult<i32> {
        let hub = &*self.0;
        if hub.bell.get().is_none() {
            let bell = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK);
            let bell = bell.map_err(|error| PyOSError::new_err(error.to_string()))?;
            let _ = hub.bell.set(bell);
        }
        Ok(hub.bell.get().map_or(-1, |bell| bell.as_fd().as_raw_fd()))
    }

    fn is_over(&self) -> bool {
        self.0.over.load(Ordering::Acquire)
    }
}

/// How many events asyncio is given at once: between two batches the loop is driven, or files would wait for all of them.
const BATCH: usize = 32;
/// A longer sleep than this comes back in between, in seconds.
const LONGEST: Duration = Duration::from_secs(24 * 3600);
