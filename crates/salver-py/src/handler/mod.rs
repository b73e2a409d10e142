//! Handler classes: subclasses of `http.server.BaseHTTPRequestHandler` without their sockets.
//!
//! For each request the class is called as `http.server` calls it, with a [`Connection`] in the socket's place.
//! `salver._handler` prepares it so that what `http.server` would parse once more is there already; a class that overrides
//! `setup`, `handle` or the like reads its request by itself.

use std::sync::{Arc, OnceLock};

use http::{Method, StatusCode};
use pyo3::exceptions::PyConnectionError;
use pyo3::prelude::*;
use salver::rfc::path;
use salver::{Error, Target};

use crate::errors;
use crate::exchange::{Application, Asked, Exchange};

mod chunked;
pub(crate) mod connection;
mod wire;
pub(crate) mod writer;

use connection::Connection;
use wire::End;
use writer::Writer;

/// A class below its mount.
pub(crate) struct HandlerClass {
    /// Called with connection, address and server.
    call: Py<PyAny>,
    /// It writes its own line into the log.
    logs: bool,
    /// What handlers reach as `self.server`; made at the first request where nobody gave one.
    server: OnceLock<Py<PyAny>>,
    /// The mount, empty for the root.
    prefix: String,
}

impl HandlerClass {
    /// `object` as a target of the command line.
    pub(crate) fn open(py: Python<'_>, object: &Py<PyAny>, prefix: &str) -> PyResult<Self> {
        let prepared = py.import("salver._handler")?.call_method1("hosted", (object,))?;
        let (call, logs) = prepared.extract()?;
        let prefix = if prefix == "/" { String::new() } else { prefix.to_owned() };
        Ok(Self { call, logs, server: OnceLock::new(), prefix })
    }

    /// What a server of Python calls for each request; it logs for itself.
    pub(crate) fn of_server(call: Py<PyAny>, server: Py<PyAny>) -> Self {
        Self { call, logs: true, server: OnceLock::from(server), prefix: String::new() }
    }

    fn respond(&self, py: Python<'_>, asked: Box<Asked>, exchange: &Arc<Exchange>) -> PyResult<End> {
        let Asked { request, start, path_info } = *asked;
        let path = self.path(&request.target, &path_info);
        let (remote, local) = (request.peer.remote, connection::local(&request.peer.local));
        let head_only = request.method == Method::HEAD;
        let writer = Bound::new(py, Writer::new(Arc::clone(exchange), head_only, self.logs))?;
        let connection = Connection::new(request, start, path, exchange, writer.clone().unbind());
        let remote = connection::address(py, remote)?;
        let server = match self.server.get() {
            Some(server) => server,
            None => {
                let address = connection::address(py, local)?;
                let made = py.import("salver._handler")?.call_method1("Server", (address, &self.call))?;
                self.server.get_or_init(|| made.unbind())
            }
        };
        self.call.bind(py).call1((Bound::new(py, connection)?, remote, server))?;
        Ok(writer.get().end())
    }

    /// The target below the mount, as sent; one that was spelled by detours as it is meant. A class knows nothing of mounts.
    fn path(&self, target: &Target, path_info: &[u8]) -> Vec<u8> {
        let raw = target.as_bytes();
        let below = match raw.strip_prefix(self.prefix.as_bytes()) {
            Some(below) if below.starts_with(b"/") => below.to_vec(),
            Some(below) if below.is_empty() || below.starts_with(b"?") => [b"/", below].concat(),
            _ if raw == b"*" => return raw.to_vec(),
            _ => {
                let query = target.query().map_or_else(Vec::new, |query| [b"?", query].concat());
                [path::encode(path_info).to_string().into_bytes(), query].concat()
            }
        };
        // SECURITY: `//host/` in a Location that a class makes of its path would lead elsewhere (CVE-2021-28861).
        let slashes = below.iter().take_while(|byte| **byte == b'/').count();
        below.get(slashes.saturating_sub(1)..).unwrap_or_default().to_vec()
    }
}

impl Application for HandlerClass {
    fn call(&self, asked: Box<Asked>, exchange: &Arc<Exchange>) -> Result<(), Error> {
        Python::attach(|py| {
            let line = format!("{} {}", asked.request.method, asked.request.target.as_bytes().escape_ascii());
            match self.respond(py, asked, exchange) {
                Ok(End::Well) => return Ok(()),
                Ok(End::Cut(why)) => {
                    if !exchange.is_gone() {
                        tracing::error!("{why}: {line}");
                    }
                }
                Ok(End::None(why)) => tracing::error!("{why}: {line}"),
                Err(error) => {
                    // Whoever writes to a client that has left hears of it; what comes of that is no fault.
                    let is_gone = exchange.is_gone() && error.is_instance_of::<PyConnectionError>(py);
                    if !is_gone {
                        let when =
                            if exchange.is_answered() { "amid its answer" } else { "before its answer" };
                        errors::log(py, &format!("a handler class raised {when}: {line}"), &error);
                    }
                }
            }
            Err(failed())
        })
    }
}

/// What a client hears of a handler that failed; the log knows why.
fn failed() -> Error {
    Error::new(StatusCode::INTERNAL_SERVER_ERROR, "The application met a fault")
}
