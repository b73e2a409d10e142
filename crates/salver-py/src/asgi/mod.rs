//! ASGI applications (version 3.0 of the specification): requests become tasks of an asyncio loop that drives the server while it
//! has nothing to do itself (`salver._asgi` is its half in Python).
//!
//! Kept strictly: heads are checked before anything leaves; an application that raises, says things in the wrong order or nothing
//! at all costs its own request; a client that leaves is told to its task, which is not killed.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use ::http::StatusCode;
use bytes::Bytes;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use salver::turns::{Place, Turns};
use salver::websocket::{Handshake, Options as WebSocketOptions};
use salver::{Driven, Error, Handler, Reply, Request, SafePath, StartError};
use salver_cli::applications::Application;
use salver_cli::options::Options;

use crate::hosted::{beginning, is_short, path_info};

mod awaitable;
mod exchange;
mod http;
mod hub;
mod message;
mod scope;
mod silence;
mod websocket;

use awaitable::Done;
use exchange::Exchange;
use hub::{Hub, PyHub};
use scope::Scopes;
use websocket::Conversation;

/// The loop of one process, once an application needs it.
#[derive(Default)]
pub(crate) struct Asgi(OnceLock<Opened>);

struct Opened {
    hub: Arc<Hub>,
    /// `_asgi.Runner`.
    runner: Py<PyAny>,
    grace: Duration,
}

/// One application below its mount.
pub(crate) struct Mount {
    application: Py<PyAny>,
    scopes: Scopes,
    done: Py<Done>,
    websocket: WebSocketOptions,
}

impl Asgi {
    /// Takes an application in.
    ///
    /// # Errors
    /// `_asgi.Fault`: one line with the mend.
    pub(crate) fn open(
        &self,
        py: Python<'_>,
        object: Py<PyAny>,
        application: &Application,
        turns: &Turns,
        options: &Options,
    ) -> PyResult<Hosted> {
        let Opened { hub, runner, .. } = self.opened(py, turns, options)?;
        let asgi = &options.applications.asgi;
        let lifespan = asgi.lifespan.as_str();
        let state = runner.call_method1(py, "add", (&application.spec, &object, lifespan))?;
        let state = state.into_bound(py).cast_into::<PyDict>()?.unbind();
        let scopes = Scopes::new(py, &asgi.root_path, &application.prefix, state);
        let websocket = options.websocket.clone();
        let mount = Mount { application: object, scopes, done: Py::new(py, Done)?, websocket };
        let prefix = application.prefix.trim_end_matches('/').to_owned();
        Ok(Hosted { hub: Arc::clone(hub), mount: Arc::new(mount), prefix })
    }

    fn opened(&self, py: Python<'_>, turns: &Turns, options: &Options) -> PyResult<&Opened> {
        if self.0.get().is_none() {
            let hub = Arc::new(Hub::new(turns.clone(), options.gateway.timeout.into()));
            let kind = options.applications.asgi.event_loop.as_str();
            let runner = py.import("salver._asgi")?.getattr("Runner")?;
            let runner = runner.call1((PyHub(Arc::clone(&hub)), kind))?;
            hub.set_loop(&runner.getattr("loop")?)?;
            let grace = options.server.graceful_timeout.into();
            let _ = self.0.set(Opened { hub, runner: runner.unbind(), grace });
        }
        Ok(self.0.get().expect("it was set just now, and is never taken away"))
    }

    /// Starts the applications up, if there are any.
    ///
    /// # Errors
    /// One that failed: one line with the mend.
    pub(crate) fn startup(&self) -> Result<(), StartError> {
        let Some(Opened { runner, .. }) = self.0.get() else { return Ok(()) };
        Python::attach(|py| {
            let started = runner.call_method0(py, "startup");
            started.map(drop).map_err(|error| StartError::new(error.value(py).to_string()))
        })
    }

    /// Drives `driven` until it has stopped: with the loop, if there is one, and without otherwise.
    ///
    /// # Errors
    /// When the system refuses a thread.
    pub(crate) fn run(&self, driven: Driven, turns: &Turns, place: impl Place) -> Result<(), StartError> {
        let Some(opened) = self.0.get() else { return turns.run(driven, place) };
        opened.hub.serve(&driven);
        let stop = driven.stop();
        let begun = Arc::new(OnceLock::new());
        let (begin, noted) = (stop.begun(), Arc::clone(&begun));
        driven.spawn(async move {
            begin.await;
            let _ = noted.set(Instant::now());
        });
        turns.run_beside(driven, place, || {
            Python::attach(|py| {
                let ran = opened.runner.call_method0(py, "run").and_then(|_| {
                    let since = begun.get().map_or(Duration::ZERO, Instant::elapsed);
                    let grace =
                        if stop.is_now() { Duration::ZERO } else { opened.grace.saturating_sub(since) };
                    opened.runner.call_method1(py, "shutdown", (grace.as_secs_f64(),))
                });
                if let Err(error) = ran {
                    crate::errors::log(py, "the event loop of applications ended", &error);
                    stop.now();
                }
            });
        })
    }
}

/// An application as a handler.
pub(crate) struct Hosted {
    hub: Arc<Hub>,
    mount: Arc<Mount>,
    /// The mount, empty for the root.
    prefix: String,
}

impl Handler for Hosted {
    fn handle(&self, mut request: Request, rest: SafePath) -> Reply<'_> {
        let path_info = path_info(&request, &self.prefix, &rest);
        let (hub, mount) = (Arc::clone(&self.hub), Arc::clone(&self.mount));
        match Handshake::parse(&request) {
            Ok(None) => {}
            Ok(Some(handshake)) => {
                return Reply::later(Conversation::new(hub, mount, handshake, request, path_info).answer());
            }
            Err(error) => return Reply::ready(Err(error)),
        }
        if !is_short(&request) {
            return Reply::later(Exchange::new(hub, mount, request, Bytes::new(), path_info).answer());
        }
        Reply::later(async move {
            let start = beginning(&mut request.body, false).await?;
            Exchange::new(hub, mount, request, start, path_info).answer().await
        })
    }
}

/// What a client hears of an application that raised; its traceback has been logged.
fn failed() -> Error {
    Error::new(StatusCode::INTERNAL_SERVER_ERROR, "The application met a fault")
}
