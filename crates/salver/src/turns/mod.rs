//! Turns: blocking calls on the loop's own thread, without a slow one ever holding up the loop.
//!
//! Handing a call to another thread costs two wake-ups, nearly as much as everything else that is done for a small request;
//! calling inside the loop costs nothing, but then a slow call stalls every connection. So the two take turns: a thread
//! drives the loop until calls are queued and all that was ready has been served (a *turn*), leaves it, runs the calls, and
//! takes the next turn, which delivers their answers without a system call. When a call lasts longer than about a
//! millisecond, a *sentinel* has a spare thread take the next turn: the slow call ends on its own thread, and files,
//! other mounts and other calls go on.
//!
//! - At most `--threads` calls run at once; with all of them busy one thread more still turns.
//! - A call that waits for its client ([`Turns::wait`]) is not running: it gives its place to others and takes one
//!   again afterwards, so that slow uploads and slow readers use up threads, not places. With one thread alone it keeps its
//!   place: there never are two calls under way.
//! - A call that was silent for `--timeout` is told ([`Call::overdue`]).
//!
//! An event loop of somebody else's (asyncio's) is a *guest*: it drives ours while it has nothing to do itself.
//!
//! Nothing here knows Python: a [`Place`] says what a thread does before it may call.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use crate::server::Driven;
use crate::start_error::StartError;

mod busy;
mod drive;
mod seat;
mod sentinel;
mod state;

use seat::Seat;
use state::State;

/// How applications are called.
#[derive(Clone, Debug, Default)]
#[cfg_attr(feature = "cli", derive(clap::Args), group(skip))] // every module has an `Options`
pub struct Options {
    /// How many calls of applications may run at once; with 1 they never overlap [default: 4 a core and 1, at most 32]
    #[cfg_attr(feature = "cli", arg(long, value_name = "N"))]
    pub threads: Option<NonZeroUsize>,
}

/// Blocking calls and the loop they take turns with; cheap to clone.
///
/// ```
/// use std::sync::Arc;
/// use salver::turns::{Anywhere, Call, Turns};
/// use salver::{Server, Site};
///
/// struct Stopping(salver::Stop);
///
/// impl Call for Stopping {
///     fn run(self: Arc<Self>) {
///         self.0.now(); // whatever blocks may stand here
///     }
/// }
///
/// # fn main() -> Result<(), salver::StartError> {
/// let listeners = salver::listen::Listeners::open(&["127.0.0.1:0".parse()?], 1)?;
/// let driven = Server::new(Site::new()).drive(listeners)?;
/// let turns = Turns::new(&Default::default());
/// turns.queue(Arc::new(Stopping(driven.stop())));
/// turns.run(driven, Anywhere)?; // returns when the server has stopped
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Turns(Arc<Shared>);

/// What has come of turns so far.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Counted {
    /// How often another thread went on with the loop because a call lasted, or waited for its client.
    pub take_overs: u64,
    /// How long calls took, all together, in seconds: waits for locks in them included, waits for their clients not (where there is
    /// one thread alone, these too). The time that a guest is away from the loop counts as a call.
    pub seconds: f64,
}

/// A blocking call.
pub trait Call: Send + Sync + 'static {
    /// Makes the call, on a thread that [`Place::enter`] has prepared.
    fn run(self: Arc<Self>);

    /// It was silent for `silent`, running on the thread with this number of the system, or still queued (`None`).
    ///
    /// Called again each time it was silent for so long.
    fn overdue(self: Arc<Self>, silent: Duration, thread: Option<u32>) {
        let _ = (silent, thread);
    }
}

/// What a thread does around calls: an interpreter's lock is taken here.
pub trait Place: Send + Sync + 'static {
    /// Runs the `life` of a thread from its first call on: what every call would otherwise prepare anew is prepared here.
    fn inhabit(&self, life: &mut (dyn FnMut() + Send)) {
        life();
    }

    /// Runs `calls` where calls may be made; it makes one or many.
    fn enter(&self, calls: &mut dyn FnMut());
}

/// A [`Place`] that asks for nothing.
#[derive(Clone, Copy, Debug)]
pub struct Anywhere;

impl Place for Anywhere {
    fn enter(&self, calls: &mut dyn FnMut()) {
        calls();
    }
}

struct Shared {
    /// How many calls may run at once.
    most: usize,
    /// How long a call may be silent; zero is for ever.
    timeout: OnceLock<Duration>,
    state: std::sync::Mutex<State>,
    driven: OnceLock<Driven>,
    place: OnceLock<Box<dyn Place>>,
    /// What a guest has done while it was away.
    progress: AtomicU64,
}

impl Options {
    /// How many calls may run at once.
    pub fn threads(&self) -> usize {
        let cores = || std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        self.threads.map_or_else(|| (4 * cores() + 1).min(32), NonZeroUsize::get)
    }
}

impl Turns {
    /// Turns for a server that is to come.
    pub fn new(options: &Options) -> Self {
        Self(Arc::new(Shared {
            most: options.threads(),
            timeout: OnceLock::new(),
            state: std::sync::Mutex::default(),
            driven: OnceLock::new(),
            place: OnceLock::new(),
            progress: AtomicU64::new(0),
        }))
    }

    /// How many calls may run at once.
    pub fn threads(&self) -> usize {
        self.0.most
    }

    /// From now on a call that is silent for so long is told; zero is for ever. The first caller decides.
    pub fn set_timeout(&self, timeout: Duration) {
        let _ = self.0.timeout.set(timeout);
    }

    /// Queues a call; it is made as soon as a thread may.
    pub fn queue(&self, call: Arc<dyn Call>) {
        self.0.queue(call);
    }

    /// Wakes a task of the loop from a call, without a system call where that can be: the next turn does it.
    pub fn wake(&self, task: Waker) {
        self.0.wake(task);
    }

    /// Waits, in a call, for something that its client does; outside of [`Place::enter`]'s care, so let go of locks first.
    ///
    /// The call's place goes to others meanwhile (not where there is only one).
    pub fn wait<T>(&self, until: impl Future<Output = T>) -> T {
        self.0.wait(until)
    }

    /// The running call shows that it lives: its silence begins anew.
    pub fn touch(&self) {
        seat::touch();
    }

    /// What has come of it so far.
    pub fn counted(&self) -> Counted {
        let state = self.0.state();
        let millis = state.busy.millis(seat::now());
        Counted { take_overs: state.take_overs, seconds: millis as f64 / 1000.0 }
    }

    /// A guest shows that what keeps it away is many small things and no large one: nobody takes its turn over meanwhile. It has to
    /// come back between them soon, for until then nobody drives the loop.
    pub fn progress(&self) {
        // Only the guest writes.
        let progress = self.0.progress.load(Ordering::Relaxed);
        self.0.progress.store(progress.wrapping_add(1), Ordering::Relaxed);
    }

    /// Drives `driven` and makes the calls until the server has stopped; calls that are stuck then are left behind.
    ///
    /// # Errors
    /// When the system refuses a first thread.
    pub fn run(&self, driven: Driven, place: impl Place) -> Result<(), StartError> {
        self.0.run(driven, Box::new(place), || {})
    }

    /// The same; `guest` runs on this thread meanwhile, and takes turns by [`Turns::visit`].
    ///
    /// # Errors
    /// When the system refuses a first thread.
    pub fn run_beside(
        &self,
        driven: Driven,
        place: impl Place,
        guest: impl FnOnce(),
    ) -> Result<(), StartError> {
        self.0.run(driven, Box::new(place), guest)
    }

    /// Takes the turn and drives the loop until `until` is ready; `None` when the server has ended. What `until` says is
    /// asked again before the turn ends, so it must not be used up by that. Only one thread may be such a guest.
    ///
    /// Whoever had the turn leaves it. When the guest stays away for more than about a millisecond, a spare thread has it until
    /// the guest comes back; calls are made by spare threads.
    pub fn visit<T>(&self, until: impl FnMut(&mut Context<'_>) -> Poll<T>) -> Option<T> {
        self.0.visit(until)
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Turns").field("most", &self.most).finish_non_exhaustive()
    }
}

/// How deep the stack of a thread that calls may become, in bytes: as that of a thread which an application starts by itself, since
/// interpreters measure by it how deep a recursion may go. Rust's own default is a quarter. What is not used costs nothing.
pub const CALL_STACK: usize = 8 << 20;

#[cfg(test)]
mod tests;
