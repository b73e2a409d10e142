//! A server for a listening socket of Python's: what the modules that stand in for `http.server` and `wsgiref` run on.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use pyo3::exceptions::{PyOSError, PyRuntimeError};
use pyo3::prelude::*;
use salver::finish::log::{AccessLog, Options as LogOptions};
use salver::listen::{Address, Listeners};
use salver::turns::{CALL_STACK, Options as TurnOptions, Turns};
use salver::{Server, ServerOptions, Site, StartError, Stop};
use salver_cli::applications::{Application as Named, Kind};
use salver_cli::events;

use crate::command::Attached;
use crate::exchange::Application;
use crate::handler::HandlerClass;
use crate::hosted::Hosted;
use crate::wsgi::Wsgi;

/// A server that runs on threads of its own, from its construction until [`Engine::stop`].
#[pyclass(frozen, module = "salver._salver")]
pub(crate) struct Engine {
    stop: Stop,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[pymethods]
impl Engine {
    /// Serves on the listening socket `descriptor`, which is the engine's from now on: `application` as `kind` (`wsgi` or
    /// `handler`) has it, called at most `threads` times at once. `server` is what handlers find as `self.server`.
    #[new]
    #[pyo3(signature = (descriptor, kind, application, server, threads=None))]
    fn open(
        py: Python<'_>,
        descriptor: i32,
        kind: &str,
        application: Py<PyAny>,
        server: Py<PyAny>,
        threads: Option<std::num::NonZeroUsize>,
    ) -> PyResult<Self> {
        let turns = Turns::new(&TurnOptions { threads });
        turns.set_timeout(Duration::ZERO);
        let named = Named { kind: Some(Kind::Wsgi), spec: kind.into(), prefix: "/".into() };
        let called: Box<dyn Application> = match kind {
            "wsgi" => Box::new(Wsgi::open(py, application, &named, &turns)?),
            _ => Box::new(HandlerClass::of_server(application, server)),
        };
        // A class writes its lines itself, as it does in `http.server`.
        let log = if kind == "wsgi" { AccessLog::open(&LogOptions::default()) } else { Ok(AccessLog::off()) };
        let fails = |error: StartError| PyOSError::new_err(error.to_string());
        events::start(&events::Options { log_level: events::LogLevel::default() }).map_err(fails)?;
        let log = log.map_err(fails)?.zone(events::seconds_ahead_of_utc);
        let hosted = Hosted::new(called, turns.clone(), "/");
        let site = Site::new().log(Arc::new(log)).mount("/", hosted).map_err(fails)?;
        let listeners = Listeners::open(&[Address::Inherited(descriptor)], 1).map_err(fails)?;
        let options = ServerOptions { graceful_timeout: GRACE.into() };
        let driven = Server::new(site).options(options).drive(listeners).map_err(fails)?;
        let stop = driven.stop();
        let run = move || {
            if let Err(error) = turns.run(driven, Attached) {
                tracing::error!("{error}");
            }
        };
        let thread = std::thread::Builder::new().name("salver".into()).stack_size(CALL_STACK);
        let thread =
            thread.spawn(run).map_err(|error| PyRuntimeError::new_err(format!("no thread: {error}")))?;
        Ok(Self { stop, thread: Mutex::new(Some(thread)) })
    }

    /// Stops: running requests end if they are quick, or at once with `now`. Returns when nobody listens any more.
    fn stop(&self, py: Python<'_>, now: bool) {
        if now {
            self.stop.now();
        } else {
            self.stop.graceful();
        }
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        let ended = py.detach(|| thread.map(JoinHandle::join));
        if matches!(ended, Some(Err(_))) {
            tracing::error!("a server's thread ended by a panic");
        }
        events::flush();
    }
}

/// How long running requests may take at a stop, in seconds.
const GRACE: u64 = 5;
