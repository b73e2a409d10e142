//! A server whose one loop has no thread of its own: whoever has time drives it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::runtime::{Handle, Runtime};
use tokio::sync::watch;

use super::{Origin, Server, Stop, runtime};
use crate::listen::{Listeners, SocketFile};
use crate::request::Local;
use crate::start_error::StartError;

/// A server that goes on while a thread is in [`Driven::turn`], and stands still otherwise.
///
/// [`Turns`](crate::turns::Turns) takes care that some thread always is.
///
/// ```
/// use salver::{Server, Site};
/// use salver::listen::{Address, Listeners};
///
/// # fn main() -> Result<(), salver::StartError> {
/// let listeners = Listeners::open(&["127.0.0.1:0".parse::<Address>()?], 1)?;
/// let driven = Server::new(Site::new()).drive(listeners)?;
/// driven.stop().graceful();
/// driven.turn(driven.ended()); // accepts, serves and stops on this very thread
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Driven {
    /// Taken when the server has ended: what still ran is dropped, and its sockets are closed.
    runtime: Mutex<Option<Runtime>>,
    handle: Handle,
    stop: Stop,
    ended: watch::Receiver<bool>,
    locals: Vec<Local>,
    origins: Vec<Origin>,
    /// Socket files go with the server.
    _files: Vec<Arc<SocketFile>>,
}

impl Server {
    /// A server whose loop is driven by [`Driven::turn`]; it listens when this returns, and accepts once it is driven. The one loop
    /// serves every queue, also those of listeners that were opened for several.
    ///
    /// # Errors
    /// When the system refuses an event queue.
    pub fn drive(self, listeners: Listeners) -> Result<Driven, StartError> {
        let cannot = |error: &dyn std::fmt::Display| {
            StartError::new(format!("cannot start an event loop: {error}; look at `ulimit -n`"))
        };
        let locals = listeners.locals().cloned().collect();
        let origins = self.origins(&listeners);
        let (queues, files) = listeners.into_queues()?;
        // A worker has the queues of those that are gone beside its own: one loop serves them all.
        let queues = queues.into_iter().flatten().collect();
        let runtime = runtime().map_err(|error| cannot(&error))?;
        let stop = Stop::new();
        let (over, ended) = watch::channel(false);
        let (shared, grace, phase) = self.parts(&stop);
        let acceptors = {
            let _inside = runtime.enter();
            super::acceptors(queues).map_err(|error| cannot(&error))?
        };
        runtime.spawn(async move {
            super::run_loop(shared, acceptors, phase, grace).await;
            over.send_replace(true);
        });
        let handle = runtime.handle().clone();
        Ok(Driven { handle, runtime: Mutex::new(Some(runtime)), stop, ended, locals, origins, _files: files })
    }
}

impl Driven {
    /// Drives the loop on this thread until `until` is ready; its wakers may be called from anywhere.
    ///
    /// A second thread waits until the first has left. Once the server was [closed](Driven::close), returns `None`.
    pub fn turn<T>(&self, until: impl Future<Output = T>) -> Option<T> {
        self.lock().as_ref().map(|runtime| runtime.block_on(until))
    }

    /// Ready when the server has stopped, whatever made it stop.
    pub fn ended(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut ended = self.ended.clone();
        async move {
            // An error means that the loop was dropped: as good as an end.
            let _ = ended.wait_for(|ended| *ended).await;
        }
    }

    /// Drops what still runs and closes its sockets; blocking work is not waited for.
    pub fn close(&self) {
        if let Some(runtime) = self.lock().take() {
            runtime.shutdown_background();
        }
    }

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

    /// Runs `future` beside the connections.
    pub fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        self.handle.spawn(future);
    }

    fn lock(&self) -> MutexGuard<'_, Option<Runtime>> {
        self.runtime.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Driven {
    fn drop(&mut self) {
        self.close(); // a runtime that is dropped by a thread of another one would panic
    }
}
