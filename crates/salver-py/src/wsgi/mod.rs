//! WSGI applications (PEP 3333): a request becomes a dict and a call, what the call gives a response.
//!
//! Kept strictly: headers leave with the first non-empty piece of the body; what a client could be harmed by (line ends in
//! headers, a second length, content where there can be none) never leaves; `close()` is called once, whatever happened.

use std::sync::Arc;

use bytes::Bytes;
use http::{Method, StatusCode};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::{PyBytes, PyList, PyTuple};
use salver::turns::Turns;
use salver::{Body, Error, Request};
use salver_cli::applications;

use crate::errors;
use crate::exchange::{Application, Asked, Exchange, Gone};

mod environ;
mod error_stream;
pub(crate) mod file;
mod head;
mod hints;
pub(crate) mod input;
mod start;

use environ::Environ;
use input::Input;
use start::Start;

/// One application below its mount.
pub(crate) struct Wsgi {
    call: Py<PyAny>,
    environ: Environ,
}

impl Wsgi {
    pub(crate) fn open(
        py: Python<'_>,
        call: Py<PyAny>,
        application: &applications::Application,
        turns: &Turns,
    ) -> PyResult<Self> {
        Ok(Self { call, environ: Environ::open(py, &application.prefix, turns.threads() > 1)? })
    }

    fn respond(&self, py: Python<'_>, asked: &mut Asked, exchange: &Arc<Exchange>) -> PyResult<()> {
        let Asked { request, start, path_info } = asked;
        let (beginning, body) = (std::mem::take(start), std::mem::take(&mut request.body));
        let has_body = !beginning.is_empty() || !matches!(body, Body::Empty);
        let input = has_body.then(|| Input::new(beginning, body, Arc::clone(exchange))).transpose()?;
        let head_only = request.method == Method::HEAD;
        let environ = self.environ.of(py, request, path_info, input, exchange)?;
        let start = Bound::new(py, Start::new(Arc::clone(exchange), head_only))?;
        let result = self.call.bind(py).call1((environ, &start))?;
        let sent = send(&result, &start, exchange, head_only);
        let closed = close(&result);
        match (sent, closed) {
            (Err(Fault::Raised(error)), closed) => {
                if let Err(error) = closed {
                    errors::log(py, "an application raised in close()", &error);
                }
                Err(error)
            }
            (_, Err(error)) => {
                // Its answer has been made: that it failed to tidy up does not make it wrong.
                errors::log(py, "an application raised in close()", &error);
                Ok(())
            }
            (Ok(()) | Err(Fault::Gone), Ok(())) => Ok(()),
        }
    }
}

impl Application for Wsgi {
    fn call(&self, mut asked: Box<Asked>, exchange: &Arc<Exchange>) -> Result<(), Error> {
        Python::attach(|py| {
            self.respond(py, &mut asked, exchange).map_err(|error| {
                let what = if exchange.is_answered() { "amid its answer" } else { "before its answer" };
                let Request { method, target, .. } = &asked.request;
                errors::log(py, &format!("an application raised {what}: {method} {target:?}"), &error);
                failed()
            })
        })
    }
}

/// Why nothing more is sent.
pub(crate) enum Fault {
    Raised(PyErr),
    /// The connection wants no more: a reason to stop, and no fault.
    Gone,
}

impl From<PyErr> for Fault {
    fn from(error: PyErr) -> Self {
        Self::Raised(error)
    }
}

impl From<Gone> for Fault {
    fn from(_: Gone) -> Self {
        Self::Gone
    }
}

/// Answers with what the application returned.
fn send(
    result: &Bound<'_, PyAny>,
    start: &Bound<'_, Start>,
    exchange: &Arc<Exchange>,
    head_only: bool,
) -> Result<(), Fault> {
    let py = result.py();
    if let Some(whole) = whole(result)? {
        return start.get().answer_whole(py, whole);
    }
    if let Ok(file) = result.cast_exact::<file::FileWrapper>()
        && let Some(said) = start.get().said()
        && let Some(body) = file.get().range(py, said.declared)?
    {
        return Ok(start.get().answer(Some(body)).map(drop)?);
    }
    send_pieces(result, start, exchange, head_only)
}

fn send_pieces(
    result: &Bound<'_, PyAny>,
    start: &Bound<'_, Start>,
    exchange: &Arc<Exchange>,
    head_only: bool,
) -> Result<(), Fault> {
    for piece in result.try_iter()? {
        let piece = piece?;
        let piece = piece.cast::<PyBytes>().map_err(|_| not_bytes(&piece))?;
        start.get().send(piece)?;
        if head_only && exchange.is_answered() {
            return Ok(()); // nobody will see the rest
        }
    }
    // PEP 3333: headers leave now at the latest, also where there was nothing to send.
    Ok(start.get().answer(Some(Body::Empty)).map(drop)?)
}

/// The content of an exact list or tuple of bytes, which is all there already.
fn whole(result: &Bound<'_, PyAny>) -> PyResult<Option<Bytes>> {
    let py = result.py();
    let items: Vec<Bound<'_, PyAny>> = if let Ok(list) = result.cast_exact::<PyList>() {
        if list.len() == 1 {
            return Ok(Some(bytes_of(&list.get_item(0)?)?));
        }
        list.iter().collect()
    } else if let Ok(tuple) = result.cast_exact::<PyTuple>() {
        tuple.iter().collect()
    } else {
        return Ok(None);
    };
    let mut total = 0;
    for item in &items {
        total += item.cast::<PyBytes>().map_err(|_| not_bytes(item))?.as_bytes().len();
    }
    if total > JOINED {
        return Ok(None);
    }
    let joined = PyBytes::new(py, b"").call_method1("join", (PyList::new(py, &items)?,))?;
    bytes_of(&joined).map(Some)
}

/// The bytes of `object`: copied if they are few, else kept where they are.
pub(crate) fn bytes_of(object: &Bound<'_, PyAny>) -> PyResult<Bytes> {
    let bytes = object.cast::<PyBytes>().map_err(|_| not_bytes(object))?;
    match bytes.as_bytes().len() {
        0..COPIED => Ok(Bytes::copy_from_slice(bytes.as_bytes())),
        _ => {
            // Those that have left were let go of without the interpreter's lock, and wait for whoever attaches: in a call that never
            // has to wait for its client that would be nobody, and a large answer stayed in memory as a whole.
            Python::attach(|_| ());
            Ok(Bytes::from_owner(PyBackedBytes::from(bytes.clone())))
        }
    }
}

fn not_bytes(object: &Bound<'_, PyAny>) -> PyErr {
    let kind = object.get_type().name().map_or_else(|_| "?".into(), |name| name.to_string());
    pyo3::exceptions::PyTypeError::new_err(format!("the application gave a {kind} where bytes are due"))
}

/// Calls `close()`, if there is one.
fn close(result: &Bound<'_, PyAny>) -> PyResult<()> {
    if result.is_exact_instance_of::<PyList>() || result.is_exact_instance_of::<PyTuple>() {
        return Ok(());
    }
    match result.getattr_opt("close")? {
        Some(close) => close.call0().map(drop),
        None => Ok(()),
    }
}

/// What a client hears of an application that raised; its traceback has been logged.
fn failed() -> Error {
    Error::new(StatusCode::INTERNAL_SERVER_ERROR, "The application met a fault")
}

/// Lists up to this are joined into one piece, in bytes.
const JOINED: usize = 1024 * 1024;
/// Pieces below this are copied, in bytes: a reference would have to be given back under the interpreter's lock.
const COPIED: usize = 32 * 1024;
