//! The HTTP connection of an application: its `receive` and `send` (ASGI, "HTTP").

use std::sync::Arc;

use bytes::Bytes;
use pyo3::exceptions::{PyKeyError, PyOSError, PyRuntimeError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use salver::{Body, Interim};

use super::awaitable::{Channel, Waiting, What};
use super::exchange::{Content, Exchange, Gone, Stage, State};
use super::hub::Asked;
use super::message;
use super::scope::{Kind, Shown};
use crate::errors;
use crate::head::{Head, wrong_type};

/// `receive()` of one request.
#[pyclass(frozen, module = "salver._salver")]
pub(crate) struct HttpReceive(Arc<Exchange>);

/// `send(message)` of one request.
#[pyclass(frozen, module = "salver._salver")]
pub(crate) struct HttpSend {
    exchange: Arc<Exchange>,
    /// The request, for the log.
    shown: Shown,
    /// Where early hints go.
    interim: Interim,
}

impl Asked for Exchange {
    fn start(self: Arc<Self>, py: Python<'_>) -> Option<Py<PyAny>> {
        let asked = {
            let mut state = self.state();
            if state.is_over() { None } else { state.request.take() }
        };
        let (request, path_info) = &*asked?;
        let start = || -> PyResult<Py<PyAny>> {
            let scope = self.mount.scopes.of(py, Kind::Http, request, path_info)?;
            let receive = Bound::new(py, HttpReceive(Arc::clone(&self)))?;
            let (shown, interim) = (Shown::of(request), request.interim.clone());
            let send = Bound::new(py, HttpSend { exchange: Arc::clone(&self), shown, interim })?;
            let arguments = (&self.mount.application, scope, receive, send).into_pyobject(py)?;
            Ok(arguments.into_any().unbind())
        };
        match start() {
            Ok(arguments) => Some(arguments),
            Err(error) => {
                errors::log(py, "a request could not be put to its application", &error);
                self.fail(super::failed());
                None
            }
        }
    }

    fn flush(self: Arc<Self>) {
        let mut state = self.state();
        if let Stage::Said(_) = state.stage
            && let Stage::Said(head) = std::mem::replace(&mut state.stage, Stage::Streaming)
        {
            let body = self.body(head.is_event_stream());
            self.give(state, head, body);
        }
    }
}

impl Channel for Exchange {
    fn receive(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        let mut state = self.state();
        if state.is_over() {
            state.told = true;
            drop(state);
            return disconnect(py).map(Some);
        }
        match std::mem::replace(&mut state.content, Content::Over) {
            Content::Whole(bytes) => {
                drop(state);
                request(py, &bytes, false).map(Some)
            }
            Content::Piece(bytes, rest) => {
                state.heard = self.hub.silence.now();
                let more = rest.is_some();
                if let Some(stream) = rest {
                    state.content = Content::Stream { stream, asked: false };
                }
                drop(state);
                request(py, &bytes, more).map(Some)
            }
            Content::Stream { stream, .. } => {
                state.content = Content::Stream { stream, asked: true };
                Ok(None)
            }
            Content::Over => Ok(None),
        }
    }

    fn has_room(&self) -> PyResult<bool> {
        Exchange::has_room(self).map_err(|Gone| left(&mut self.state()))
    }

    fn future<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.hub.future(py)
    }

    fn wake_later(&self, future: Py<PyAny>) {
        Exchange::wake_later(self, future);
    }
}

#[pymethods]
impl HttpReceive {
    fn __call__(&self) -> Waiting {
        Waiting::new(Arc::clone(&self.0) as Arc<dyn Channel>, What::Message)
    }
}

#[pymethods]
impl HttpSend {
    fn __call__(&self, message: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        let py = message.py();
        let message = message.cast::<PyDict>().map_err(|_| wrong_type("a message", "a dict", message))?;
        let kind = message.get_item(intern!(py, "type"))?.ok_or_else(|| PyKeyError::new_err("type"))?;
        let has_room = if kind.eq(intern!(py, "http.response.start"))? {
            self.start(message)?
        } else if kind.eq(intern!(py, "http.response.body"))? {
            self.body(message)?
        } else if kind.eq(intern!(py, "http.response.pathsend"))? {
            self.file(message)?
        } else if kind.eq(intern!(py, "http.response.early_hint"))? {
            self.early_hint(message)?
        } else {
            return Err(PyRuntimeError::new_err(format!(
                "{} is no message of an HTTP response",
                kind.repr()?
            )));
        };
        match has_room {
            true => Ok(self.exchange.mount.done.clone_ref(py).into_any()),
            false => {
                let channel = Arc::clone(&self.exchange) as Arc<dyn Channel>;
                Ok(Py::new(py, Waiting::new(channel, What::Room))?.into_any())
            }
        }
    }

    /// The application has returned, or raised `error`.
    fn end(&self, py: Python<'_>, error: &Bound<'_, PyAny>) {
        let exchange = &self.exchange;
        let state = exchange.state();
        let is_silent = matches!(state.stage, Stage::Silent | Stage::Said(_));
        let (is_complete, has_left) = (matches!(state.stage, Stage::Complete), state.gone);
        drop(state);
        let asked = &self.shown;
        if !error.is_none() {
            let raised = PyErr::from_value(error.clone());
            let when = match (is_silent, is_complete) {
                (true, _) => "before its answer",
                (_, true) => "behind its answer",
                _ => "amid its answer",
            };
            // What it raises because its client has left is no fault.
            if has_left && !is_complete {
                tracing::debug!("an application ended with {raised}, its client having left: {asked}");
            } else {
                errors::log(py, &format!("an application raised {when}: {asked}"), &raised);
            }
        } else if !is_complete && !has_left {
            let what = if is_silent { "without an answer" } else { "without the end of its answer" };
            tracing::error!("an application returned {what}: {asked}");
        }
        if is_silent {
            exchange.fail(super::failed());
        } else if !is_complete {
            exchange.end_body(exchange.state(), false);
        }
    }
}

impl HttpSend {
    fn start(&self, message: &Bound<'_, PyDict>) -> PyResult<bool> {
        let head = message::head(message)?;
        let mut state = self.exchange.state();
        match state.stage {
            Stage::Complete => return Err(out_of_order("http.response.start", "its answer is complete")),
            Stage::Said(_) | Stage::Streaming => {
                return Err(out_of_order("http.response.start", "its answer has begun"));
            }
            Stage::Silent if state.gone => return Err(left(&mut state)),
            Stage::Silent => {}
        }
        state.bodiless |= head.is_bodiless();
        state.stage = Stage::Said(head);
        drop(state);
        self.exchange.hub.hold_head(Arc::clone(&self.exchange) as Arc<dyn Asked>);
        Ok(true)
    }

    fn body(&self, message: &Bound<'_, PyDict>) -> PyResult<bool> {
        let (bytes, more) = message::body(message)?;
        let exchange = &self.exchange;
        let mut state = exchange.state();
        match std::mem::replace(&mut state.stage, Stage::Streaming) {
            Stage::Silent => {
                state.stage = Stage::Silent;
                return Err(out_of_order("http.response.body", "http.response.start comes first"));
            }
            Stage::Complete => {
                state.stage = Stage::Complete;
                return Err(out_of_order("http.response.body", "its answer is complete"));
            }
            Stage::Said(head) if !more && fits(&head, bytes.len()) => {
                state.stage = Stage::Complete;
                state.content = Content::Over;
                let whole = cut(&head, bytes, state.bodiless);
                exchange.give(state, head, whole.into());
                return Ok(true);
            }
            Stage::Said(head) => {
                let body = exchange.body(head.is_event_stream());
                exchange.give(state, head, body);
                state = exchange.state();
            }
            Stage::Streaming => {}
        }
        if state.bodiless {
            if !more {
                exchange.end_body(state, true);
            }
            return Ok(true);
        }
        if state.gone {
            return Err(left(&mut state));
        }
        if bytes.is_empty() && more {
            return Ok(true);
        }
        if bytes.is_empty() {
            exchange.end_body(state, true);
            return Ok(true);
        }
        let has_room = exchange.push(state, bytes);
        if !more {
            exchange.end_body(exchange.state(), true);
        }
        Ok(has_room || !more)
    }

    /// Links ahead of the answer (RFC 8297); once it has begun nobody hears them.
    fn early_hint(&self, message: &Bound<'_, PyDict>) -> PyResult<bool> {
        let links = message::links(message)?;
        let state = self.exchange.state();
        if matches!(state.stage, Stage::Silent) {
            self.interim.early_hints(links);
            self.exchange.wake_connection(state);
        }
        Ok(true)
    }

    fn file(&self, message: &Bound<'_, PyDict>) -> PyResult<bool> {
        let exchange = &self.exchange;
        let misplaced =
            || out_of_order("http.response.pathsend", "it stands between http.response.start and any body");
        if !takes_file(&exchange.state()) {
            return Err(misplaced());
        }
        let mut range = message::file(message)?;
        let mut state = exchange.state();
        // Another thread may have sent something meanwhile.
        match std::mem::replace(&mut state.stage, Stage::Complete) {
            Stage::Said(head) => {
                state.content = Content::Over;
                if let Some(declared) = head.declared {
                    range.truncate(declared);
                }
                exchange.give(state, head, Body::File(range));
            }
            // The head has left, because something else was awaited before the file was named.
            Stage::Streaming if !state.pieces.have_begun() => {
                state.stage = Stage::Streaming;
                if !state.bodiless {
                    if state.gone {
                        return Err(left(&mut state));
                    }
                    state.pieces.put_file(range);
                }
                exchange.end_body(state, true);
            }
            other => {
                state.stage = other;
                return Err(misplaced());
            }
        }
        Ok(true)
    }
}

/// Whether a file may be all of the body: nothing of it was sent, though its head may have left.
fn takes_file(state: &State) -> bool {
    matches!(state.stage, Stage::Said(_))
        || (matches!(state.stage, Stage::Streaming) && !state.pieces.have_begun())
}

/// Whether content of this length can go out whole: not where more was promised, for then the client is told by a cut.
fn fits(head: &Head, length: usize) -> bool {
    head.declared.is_none_or(|declared| declared <= length as u64) || head.is_bodiless()
}

/// The content that fits the length that was declared.
fn cut(head: &Head, bytes: Bytes, bodiless: bool) -> Bytes {
    match head.declared {
        Some(declared) if declared < bytes.len() as u64 && !bodiless => {
            tracing::error!(
                "an application gave {} bytes and said Content-Length: {declared}; the rest is cut off",
                bytes.len()
            );
            bytes.slice(..usize::try_from(declared).unwrap_or(usize::MAX))
        }
        _ => bytes,
    }
}

fn request(py: Python<'_>, bytes: &[u8], more: bool) -> PyResult<Py<PyAny>> {
    let message = PyDict::new(py);
    message.set_item(intern!(py, "type"), intern!(py, "http.request"))?;
    message.set_item(intern!(py, "body"), PyBytes::new(py, bytes))?;
    message.set_item(intern!(py, "more_body"), more)?;
    Ok(message.into_any().unbind())
}

fn disconnect(py: Python<'_>) -> PyResult<Py<PyAny>> {
    let message = PyDict::new(py);
    message.set_item(intern!(py, "type"), intern!(py, "http.disconnect"))?;
    Ok(message.into_any().unbind())
}

fn out_of_order(what: &str, why: &str) -> PyErr {
    PyRuntimeError::new_err(format!("an application sent {what}, but {why}"))
}

fn left(state: &mut State) -> PyErr {
    state.told = true;
    PyOSError::new_err("the client has left")
}
