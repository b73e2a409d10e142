//! The server: loops, their accept queues, and how they stop.
//!
//! A loop is a tokio current-thread runtime on a thread of its own, with its own accept queue, buffers and clock: nothing is
//! shared on the way of a request. Connections are `Send` tasks all the same, so that whichever thread has time may drive a
//! loop. There is one accept loop, for every kind of listener.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::{Notify, watch};

use crate::http1::head::Head;
use crate::http1::{self, Limits};
use crate::http2;
use crate::listen::{Listeners, Queue, SocketFile};
use crate::request::Local;
use crate::seconds::Seconds;
use crate::site::Site;
use crate::start_error::StartError;
use crate::tls::Tls;
use crate::workshop;

mod accept;
pub(crate) mod buffers;
pub(crate) mod clock;
pub(crate) mod date;
mod driven;
pub(crate) mod nobody;
mod origin;
mod plain;
pub(crate) mod socket;
pub(crate) mod transport;

use accept::Acceptor;
use clock::Clock;
pub use driven::Driven;
pub use origin::Origin;

/// How a server runs and stops.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "cli", derive(clap::Args), group(skip))] // every module has an `Options`
pub struct Options {
    /// Time for running requests at a graceful stop, in seconds
    #[cfg_attr(feature = "cli", arg(long, value_name = "S", default_value_t = Self::default().graceful_timeout))]
    pub graceful_timeout: Seconds,
}

impl Default for Options {
    fn default() -> Self {
        Self { graceful_timeout: 30.into() }
    }
}

/// A site and what it is served with; [`Server::start`] makes it run.
///
/// ```
/// use salver::{Server, Site, handler};
/// use salver::listen::{Address, Listeners};
///
/// # fn main() -> Result<(), salver::StartError> {
/// let site = Site::new().mount("/", handler::redirect::open("https://example.org/")?)?;
/// let listeners = Listeners::open(&["127.0.0.1:0".parse::<Address>()?], 1)?;
/// let running = Server::new(site).start(listeners)?;
/// running.stop().graceful();
/// running.wait();
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Server {
    site: Arc<Site>,
    http1: http1::Options,
    http2: http2::Options,
    options: Options,
    tls: Option<Tls>,
    relieved: fn(),
}

/// A server that runs until it is stopped; dropping this stops it at once.
#[derive(Debug)]
pub struct Running {
    stop: Stop,
    locals: Vec<Local>,
    origins: Vec<Origin>,
    loops: Vec<JoinHandle<()>>,
    /// Socket files go when the loops have ended.
    _files: Vec<Arc<SocketFile>>,
}

/// A way to stop a [`Running`] server from anywhere; cheap to clone.
///
/// ```
/// # fn main() -> Result<(), salver::StartError> {
/// # let listeners = salver::listen::Listeners::open(&["127.0.0.1:0".parse()?], 1)?;
/// let running = salver::Server::new(salver::Site::new()).start(listeners)?;
/// let stop = running.stop();
/// std::thread::spawn(move || stop.graceful()); // or whatever hears of the end
/// running.wait();
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Stop(Arc<watch::Sender<Phase>>);

/// What a server is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd)]
#[repr(u8)]
pub(crate) enum Phase {
    Serving,
    /// Somebody else takes what is new; what is kept here has one more answer.
    Draining,
    /// What is queued and what runs is answered; nothing new is taken.
    Stopping,
    Over,
}

/// What the connections of one loop have in common.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) site: Arc<Site>,
    pub(crate) options: http1::Options,
    pub(crate) limits: Limits,
    pub(crate) http2: http2::Options,
    pub(crate) tls: Option<Tls>,
    pub(crate) clock: Arc<Clock>,
    pub(crate) buffers: buffers::Pool,
    phase: AtomicU8,
    connections: AtomicUsize,
    /// Told when the last connection of a stopping loop has ended.
    empty: Notify,
}

impl Server {
    /// A server of `site` with the usual limits.
    pub fn new(site: Site) -> Self {
        let (http1, options) = (http1::Options::default(), Options::default());
        let http2 = http2::Options::default();
        Self { site: Arc::new(site), http1, http2, options, tls: None, relieved: || {} }
    }

    /// Calls `relieved` on a loop's thread when most of its many connections have ended, and on those that make listings,
    /// archives and codings when they come to rest: the moments to have the allocator give memory back. The latter threads are the
    /// process's, and obey the first server that says so.
    #[must_use]
    pub fn when_relieved(mut self, relieved: fn()) -> Self {
        self.relieved = relieved;
        workshop::when_relieved(relieved);
        self
    }

    /// The same server with these options for HTTP/1.
    #[must_use]
    pub fn http1(mut self, options: http1::Options) -> Self {
        self.http1 = options;
        self
    }

    /// The same server with these options for HTTP/2.
    #[must_use]
    pub fn http2(mut self, options: http2::Options) -> Self {
        self.http2 = options;
        self
    }

    /// The same server with these options.
    #[must_use]
    pub fn options(mut self, options: Options) -> Self {
        self.options = options;
        self
    }

    /// The same server with HTTPS on its TCP addresses. Unix sockets stay in the clear, and so do the addresses that
    /// [`Listeners::open_clear`] opened, where requests are sent on to https.
    #[must_use]
    pub fn tls(mut self, tls: Tls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Starts a thread for each loop the listeners were made for; connections are accepted when this returns.
    ///
    /// # Errors
    /// When the system refuses a thread or an event queue.
    pub fn start(self, listeners: Listeners) -> Result<Running, StartError> {
        let locals = listeners.locals().cloned().collect();
        let origins = self.origins(&listeners);
        let (queues, files) = listeners.into_queues()?;
        let mut running = Running { stop: Stop::new(), locals, origins, loops: Vec::new(), _files: files };
        for (number, queues) in queues.into_iter().enumerate() {
            let (shared, grace, phase) = self.parts(&running.stop);
            let thread = start_loop(number, queues, shared, phase, grace);
            running.loops.push(thread.map_err(|error| {
                StartError::new(format!(
                    "cannot start an event loop: {error}; look at `ulimit -u` and `ulimit -n`"
                ))
            })?);
        }
        Ok(running)
    }

    /// What one loop of this server needs beside its queues.
    fn parts(&self, stop: &Stop) -> (Arc<Shared>, Duration, watch::Receiver<Phase>) {
        let shared = Shared::new(self);
        (shared, self.options.graceful_timeout.into(), stop.0.subscribe())
    }
}

impl From<Site> for Server {
    fn from(site: Site) -> Self {
        Self::new(site)
    }
}

impl Running {
    /// The addresses that are served, with their real ports.
    pub fn locals(&self) -> &[Local] {
        &self.locals
    }

    /// The same with what is spoken there.
    pub fn origins(&self) -> &[Origin] {
        &self.origins
    }

    /// A handle that stops this server.
    pub fn stop(&self) -> Stop {
        self.stop.clone()
    }

    /// Waits until the server has stopped.
    pub fn wait(mut self) {
        for thread in self.loops.drain(..) {
            if thread.join().is_err() {
                tracing::error!("an event loop ended by a panic");
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.now();
    }
}

impl Stop {
    fn new() -> Self {
        Self(Arc::new(watch::Sender::new(Phase::Serving)))
    }

    /// Another server has taken over these sockets: what is queued here is answered, running requests end within the grace, and
    /// a kept connection has one more answer, with `Connection: close`, or five seconds without one.
    pub fn drain(&self) {
        self.advance(Phase::Draining);
    }

    /// Queued and running requests end, within the grace; new connections are not taken.
    pub fn graceful(&self) {
        self.advance(Phase::Stopping);
    }

    /// Ends at once.
    pub fn now(&self) {
        self.advance(Phase::Over);
    }

    /// Ready when a stop has begun, of either kind.
    pub fn begun(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut phase = self.0.subscribe();
        async move {
            // An error means that nobody is left who could stop: as good as a stop.
            let _ = phase.wait_for(|phase| *phase > Phase::Serving).await;
        }
    }

    /// Whether it ends at once, not in good order.
    pub fn is_now(&self) -> bool {
        *self.0.borrow() == Phase::Over
    }

    fn advance(&self, to: Phase) {
        self.0.send_if_modified(|phase| {
            let advances = *phase < to;
            if advances {
                *phase = to;
            }
            advances
        });
    }
}

impl Shared {
    fn new(server: &Server) -> Arc<Self> {
        Arc::new(Self {
            site: Arc::clone(&server.site),
            limits: server.http1.limits(),
            options: server.http1.clone(),
            http2: server.http2.clone(),
            tls: server.tls.clone(),
            clock: Clock::new(server.relieved),
            buffers: buffers::Pool::default(),
            phase: AtomicU8::new(Phase::Serving as u8),
            connections: AtomicUsize::new(0),
            empty: Notify::new(),
        })
    }

    /// Whether HTTP/2 is spoken: not where HTTP/1.0 is asked for.
    pub(crate) fn speaks_http2(&self) -> bool {
        self.http2.is_spoken() && self.options.protocol == http1::Protocol::Http11
    }

    /// Whether connections are to end.
    pub(crate) fn is_stopping(&self) -> bool {
        self.phase.load(Ordering::Relaxed) != Phase::Serving as u8
    }

    /// Whether connections are to end soon, though not without one more answer.
    pub(crate) fn is_draining(&self) -> bool {
        self.phase.load(Ordering::Relaxed) == Phase::Draining as u8
    }

    /// Whether a connection stays after the answer to this request (RFC 9112 §9.3).
    pub(crate) fn keeps_alive(&self, head: &Head) -> bool {
        let asked = match self.options.protocol {
            http1::Protocol::Http10 => head.keep_alive && head.keep_alive_asked,
            http1::Protocol::Http11 => head.keep_alive,
        };
        asked && self.options.keep_alive > Seconds::from(0) && !self.is_stopping()
    }
}

/// Counts one connection as long as it lives.
struct Counted(Arc<Shared>);

impl Counted {
    fn new(shared: &Arc<Shared>) -> Self {
        shared.connections.fetch_add(1, Ordering::Relaxed);
        shared.site.meter.connected();
        Self(Arc::clone(shared))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.site.meter.disconnected();
        if self.0.connections.fetch_sub(1, Ordering::Relaxed) == 1 && self.0.is_stopping() {
            self.0.empty.notify_one();
        }
    }
}

/// Starts one loop on a thread of its own; returns once it listens.
fn start_loop(
    number: usize,
    queues: Vec<Queue>,
    shared: Arc<Shared>,
    phase: watch::Receiver<Phase>,
    grace: Duration,
) -> io::Result<JoinHandle<()>> {
    let runtime = runtime()?;
    let acceptors = {
        let _inside = runtime.enter();
        acceptors(queues)?
    };
    std::thread::Builder::new().name(format!("salver-loop-{number}")).spawn(move || {
        runtime.block_on(run_loop(shared, acceptors, phase, grace));
        // What still runs is dropped here, and its sockets are closed; blocking work is not waited for.
        runtime.shutdown_background();
    })
}

/// What drives one loop.
fn runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .max_blocking_threads(BLOCKING_THREADS)
        .thread_keep_alive(Duration::from_secs(5))
        .thread_name("salver-blocking")
        .build()
}

/// Puts the queues of a loop onto its runtime, which is entered.
fn acceptors(queues: Vec<Queue>) -> io::Result<Vec<Acceptor>> {
    queues.into_iter().map(Acceptor::new).collect()
}

async fn run_loop(
    shared: Arc<Shared>,
    acceptors: Vec<Acceptor>,
    phase: watch::Receiver<Phase>,
    grace: Duration,
) {
    serve_until_over(&shared, acceptors, phase, grace).await;
    shared.clock.forget_all();
}

async fn serve_until_over(
    shared: &Arc<Shared>,
    acceptors: Vec<Acceptor>,
    mut phase: watch::Receiver<Phase>,
    grace: Duration,
) {
    tokio::spawn(Arc::clone(&shared.clock).run());
    let accepting: Vec<_> = acceptors
        .into_iter()
        .map(|acceptor| tokio::spawn(acceptor.run(Arc::clone(shared), phase.clone())))
        .collect();
    // An error means that nobody is left who could stop us: as good as a stop.
    let reached = phase.wait_for(|phase| *phase > Phase::Serving).await.map_or(Phase::Over, |phase| *phase);
    if reached == Phase::Over {
        return;
    }
    shared.phase.store(reached as u8, Ordering::Relaxed);
    let mut later = phase.clone();
    let hurried = async {
        // A server that drains may still be told to stop.
        if reached == Phase::Draining && later.wait_for(|phase| *phase >= Phase::Stopping).await.is_ok() {
            shared.phase.store(Phase::Stopping as u8, Ordering::Relaxed);
            shared.clock.wake_all();
        }
        std::future::pending::<()>().await;
    };
    let drained = async {
        for acceptor in accepting {
            // A panic of the accept loop has been reported; the stop goes on.
            let _ = acceptor.await;
        }
        shared.clock.wake_all();
        while shared.connections.load(Ordering::Relaxed) > 0 {
            shared.empty.notified().await;
        }
    };
    tokio::select! {
        () = drained => {}
        () = hurried => {}
        _ = phase.wait_for(|phase| *phase == Phase::Over) => {}
        () = tokio::time::sleep(grace) => {
            let left = shared.connections.load(Ordering::Relaxed);
            tracing::warn!("{left} connections were cut: their requests outlived --graceful-timeout");
        }
    }
}

/// How many threads of a loop may wait for the disk at once.
const BLOCKING_THREADS: usize = 32;
