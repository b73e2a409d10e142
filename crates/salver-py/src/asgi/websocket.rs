//! The WebSocket connection of an application: its `receive` and `send` (ASGI, "WebSocket").

use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Poll, Waker};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, StatusCode};
use pyo3::exceptions::{PyKeyError, PyOSError, PyRuntimeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyString};
use salver::websocket::{Close, Closed, Handshake, Link, Message, Notify, Received};
use salver::{Answer, Body, Error, Request};

use super::Mount;
use super::awaitable::{Channel, Waiting, What};
use super::hub::{Asked, Event, Hub, Woken};
use super::message::{self, bytes_like};
use super::scope::{Kind, Shown};
use super::silence::Pending;
use crate::errors;
use crate::head::{Head, parse_field, wrong_type};

/// One WebSocket and its application's task.
pub(crate) struct Conversation {
    hub: Arc<Hub>,
    mount: Arc<Mount>,
    link: Arc<Link>,
    state: Mutex<State>,
}

struct State {
    /// Until the application is called.
    request: Option<(Request, Vec<u8>)>,
    stage: Stage,
    answer: Option<Answer>,
    /// The connection's task, while it waits for the answer to the handshake.
    connection: Option<Waker>,
    waiting: Vec<Py<PyAny>>,
    /// At which look of [`Silence`](super::silence::Silence) it was asked.
    heard: u32,
}

/// How far the conversation has come.
enum Stage {
    /// The application has not been told of the handshake.
    New(Handshake),
    /// It has been told, and not answered.
    Asked(Handshake),
    /// It refuses by a response of its own, whose body comes.
    Refusing(Head, BytesMut),
    /// It has refused, or the client had left.
    Refused,
    Open,
    /// The application has closed it.
    Closed,
}

/// `receive()` of one WebSocket.
#[pyclass(frozen, module = "salver._salver")]
pub(crate) struct WebSocketReceive(Arc<Conversation>);

/// `send(message)` of one WebSocket.
#[pyclass(frozen, module = "salver._salver")]
pub(crate) struct WebSocketSend {
    conversation: Arc<Conversation>,
    /// The request, for the log.
    shown: Shown,
}

/// How the link tells the conversation.
struct Teller {
    hub: Arc<Hub>,
    conversation: Weak<Conversation>,
}

impl Notify for Teller {
    fn changed(&self) {
        if let Some(conversation) = self.conversation.upgrade() {
            conversation.changed();
        }
    }

    fn wake(&self, task: Waker) {
        self.hub.turns.progress();
        self.hub.turns.wake(task);
    }
}

impl Conversation {
    pub(crate) fn new(
        hub: Arc<Hub>,
        mount: Arc<Mount>,
        handshake: Handshake,
        request: Request,
        path_info: Vec<u8>,
    ) -> Arc<Self> {
        Arc::new_cyclic(|conversation| {
            let link =
                Arc::new(Link::new(Teller { hub: Arc::clone(&hub), conversation: conversation.clone() }));
            let state = State {
                request: Some((request, path_info)),
                stage: Stage::New(handshake),
                answer: None,
                connection: None,
                waiting: Vec::new(),
                heard: hub.silence.now(),
            };
            Self { hub, mount, link, state: Mutex::new(state) }
        })
    }

    /// Has the application called, and waits until it has accepted or refused; dropped before that, the application is told.
    pub(crate) async fn answer(self: Arc<Self>) -> Answer {
        let mut leaving = Leaving(Some(Arc::clone(&self)));
        let _pending = self.hub.silence.enter(Arc::clone(&self) as _);
        self.hub.push(Event::Asked(Arc::clone(&self) as _));
        let answer = poll_fn(|cx| {
            let mut state = self.state();
            match state.answer.take() {
                Some(answer) => Poll::Ready(answer),
                None => {
                    state.connection = Some(cx.waker().clone());
                    Poll::Pending
                }
            }
        })
        .await;
        leaving.0 = None;
        answer
    }

    fn give(&self, mut state: MutexGuard<'_, State>, answer: Answer) {
        state.answer = Some(answer);
        let connection = state.connection.take();
        drop(state);
        if let Some(connection) = connection {
            self.hub.turns.wake(connection);
        }
    }

    /// Refuses with a response, unless the handshake has been answered.
    fn refuse(&self, answer: Answer, code: u16) {
        let mut state = self.state();
        state.stage = Stage::Refused;
        self.give(state, answer);
        self.link.finish(Close::new(code));
    }

    fn changed(self: &Arc<Self>) {
        if !self.state().waiting.is_empty() {
            self.hub.push(Event::Woken(Arc::clone(self) as _));
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Leaving(Option<Arc<Conversation>>);

impl Drop for Leaving {
    fn drop(&mut self) {
        if let Some(conversation) = &self.0 {
            conversation.state().stage = Stage::Refused;
            conversation.link.finish(Close::new(1006));
        }
    }
}

impl Pending for Conversation {
    fn silent_since(&self) -> Option<u32> {
        let state = self.state();
        matches!(state.stage, Stage::New(_) | Stage::Asked(_) | Stage::Refusing(..)).then_some(state.heard)
    }

    fn overdue(self: Arc<Self>, silent: Duration) {
        tracing::error!("an application did not answer a WebSocket's handshake for {silent:?} (--timeout)");
        let message = "The application took too long to answer";
        self.refuse(Err(Error::new(StatusCode::GATEWAY_TIMEOUT, message)), 1006);
    }
}

impl Woken for Conversation {
    fn futures(&self) -> Vec<Py<PyAny>> {
        std::mem::take(&mut self.state().waiting)
    }
}

impl Asked for Conversation {
    fn start(self: Arc<Self>, py: Python<'_>) -> Option<Py<PyAny>> {
        let asked = self.state().request.take();
        let (request, path_info) = asked?;
        let start = || -> PyResult<Option<Py<PyAny>>> {
            let protocols = match &self.state().stage {
                Stage::New(handshake) => handshake.protocols.clone(),
                _ => return Ok(None), // the client has left
            };
            let scope = self.mount.scopes.of(py, Kind::WebSocket, &request, &path_info)?;
            scope.set_item(intern!(py, "subprotocols"), protocols)?;
            let receive = Bound::new(py, WebSocketReceive(Arc::clone(&self)))?;
            let send = WebSocketSend { conversation: Arc::clone(&self), shown: Shown::of(&request) };
            let send = Bound::new(py, send)?;
            let arguments = (&self.mount.application, scope, receive, send).into_pyobject(py)?;
            Ok(Some(arguments.into_any().unbind()))
        };
        start().unwrap_or_else(|error| {
            errors::log(py, "a request could not be put to its application", &error);
            self.refuse(Err(super::failed()), 1006);
            None
        })
    }

    fn flush(self: Arc<Self>) {}
}

impl Channel for Conversation {
    fn receive(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        let mut state = self.state();
        match std::mem::replace(&mut state.stage, Stage::Refused) {
            Stage::New(handshake) => {
                state.stage = Stage::Asked(handshake);
                drop(state);
                let message = PyDict::new(py);
                message.set_item(intern!(py, "type"), intern!(py, "websocket.connect"))?;
                return Ok(Some(message.into_any().unbind()));
            }
            stage => state.stage = stage,
        }
        drop(state);
        self.link.receive().map(|received| self::message(py, received)).transpose()
    }

    fn has_room(&self) -> PyResult<bool> {
        self.link.has_room().map_err(left)
    }

    fn future<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.hub.future(py)
    }

    fn wake_later(&self, future: Py<PyAny>) {
        self.state().waiting.push(future);
    }
}

#[pymethods]
impl WebSocketReceive {
    fn __call__(&self) -> Waiting {
        Waiting::new(Arc::clone(&self.0) as Arc<dyn Channel>, What::Message)
    }
}

#[pymethods]
impl WebSocketSend {
    fn __call__(&self, message: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        let py = message.py();
        let message = message.cast::<PyDict>().map_err(|_| wrong_type("a message", "a dict", message))?;
        let kind = message.get_item(intern!(py, "type"))?.ok_or_else(|| PyKeyError::new_err("type"))?;
        let mut has_room = true;
        if kind.eq(intern!(py, "websocket.send"))? {
            has_room = self.send(message)?;
        } else if kind.eq(intern!(py, "websocket.accept"))? {
            self.accept(message)?;
        } else if kind.eq(intern!(py, "websocket.close"))? {
            self.close(message)?;
        } else if kind.eq(intern!(py, "websocket.http.response.start"))? {
            self.start(message)?;
        } else if kind.eq(intern!(py, "websocket.http.response.body"))? {
            self.body(message)?;
        } else {
            return Err(PyRuntimeError::new_err(format!("{} is no message of a WebSocket", kind.repr()?)));
        }
        if has_room {
            return Ok(self.conversation.mount.done.clone_ref(py).into_any());
        }
        let channel = Arc::clone(&self.conversation) as Arc<dyn Channel>;
        Ok(Py::new(py, Waiting::new(channel, What::Room))?.into_any())
    }

    /// The application has returned, or raised `error`.
    fn end(&self, py: Python<'_>, error: &Bound<'_, PyAny>) {
        let Conversation { link, .. } = &*self.conversation;
        let stage = match self.conversation.state().stage {
            Stage::New(_) | Stage::Asked(_) | Stage::Refusing(..) => Ended::Unanswered,
            Stage::Open if link.has_room().is_ok() => Ended::Open,
            _ => Ended::Over,
        };
        let asked = &self.shown;
        if !error.is_none() {
            let raised = PyErr::from_value(error.clone());
            // What it raises because its client has left is no fault.
            if matches!(stage, Ended::Over) && raised.is_instance_of::<PyOSError>(py) {
                tracing::debug!("an application ended with {raised}, its client having left: {asked}");
            } else {
                errors::log(py, &format!("an application raised in a WebSocket: {asked}"), &raised);
            }
        } else if matches!(stage, Ended::Unanswered) {
            tracing::error!("an application returned without an answer: {asked}");
        }
        match stage {
            Ended::Unanswered => self.conversation.refuse(Err(super::failed()), 1006),
            Ended::Open => {
                let code = if error.is_none() { 1000 } else { 1011 };
                let _ = link.close(Close::new(code));
            }
            Ended::Over => {}
        }
    }
}

/// Where a conversation stood when its application ended.
enum Ended {
    Unanswered,
    Open,
    Over,
}

impl WebSocketSend {
    fn accept(&self, message: &Bound<'_, PyDict>) -> PyResult<()> {
        let py = message.py();
        let mut headers = HeaderMap::new();
        message::each_field(message, |name, value| {
            let (name, value) = parse_field(name, value)?;
            headers.try_append(name, value).map_err(errors::too_many_headers)?;
            Ok(())
        })?;
        let protocol = message.get_item(intern!(py, "subprotocol"))?.filter(|protocol| !protocol.is_none());
        let protocol = protocol.map(|protocol| -> PyResult<HeaderValue> {
            let text =
                protocol.cast::<PyString>().map_err(|_| wrong_type("subprotocol", "a str", &protocol))?;
            let text = text.to_cow()?;
            HeaderValue::from_str(&text)
                .map_err(|_| PyValueError::new_err(format!("{text:?} is no subprotocol")))
        });
        let protocol = protocol.transpose()?;
        let conversation = &self.conversation;
        let mut state = conversation.state();
        match std::mem::replace(&mut state.stage, Stage::Open) {
            Stage::New(handshake) | Stage::Asked(handshake) => {
                let link = Arc::clone(&conversation.link);
                let response = handshake.accept(link, protocol, headers, &conversation.mount.websocket);
                conversation.give(state, Ok(response));
                Ok(())
            }
            Stage::Refused => {
                state.stage = Stage::Refused;
                drop(state);
                Err(left(Closed))
            }
            other => {
                state.stage = other;
                Err(out_of_order("websocket.accept", "the handshake has been answered"))
            }
        }
    }

    fn send(&self, message: &Bound<'_, PyDict>) -> PyResult<bool> {
        let py = message.py();
        match self.conversation.state().stage {
            Stage::Open => {}
            Stage::New(_) | Stage::Asked(_) | Stage::Refusing(..) => {
                return Err(out_of_order("websocket.send", "websocket.accept comes first"));
            }
            Stage::Closed => return Err(out_of_order("websocket.send", "it has closed the WebSocket")),
            Stage::Refused => return Err(left(Closed)),
        }
        let text = message.get_item(intern!(py, "text"))?.filter(|text| !text.is_none());
        let bytes = message.get_item(intern!(py, "bytes"))?.filter(|bytes| !bytes.is_none());
        let sent = match (text, bytes) {
            (Some(text), None) => {
                let text = text.cast::<PyString>().map_err(|_| wrong_type("text", "a str", &text))?;
                Message::Text(text.to_cow()?.into_owned())
            }
            (None, Some(bytes)) => Message::Binary(bytes_like(&bytes, "bytes")?),
            _ => return Err(PyValueError::new_err("websocket.send takes either text or bytes")),
        };
        self.conversation.link.send(sent).map_err(left)
    }

    fn close(&self, message: &Bound<'_, PyDict>) -> PyResult<()> {
        let py = message.py();
        let code = message.get_item(intern!(py, "code"))?.filter(|code| !code.is_none());
        let code: u16 =
            code.map_or(Ok(1000), |code| code.extract().map_err(|_| wrong_type("code", "an int", &code)))?;
        let reason = message.get_item(intern!(py, "reason"))?.filter(|reason| !reason.is_none());
        let reason: String = reason.map_or(Ok(String::new()), |reason| reason.extract())?;
        let mut state = self.conversation.state();
        match std::mem::replace(&mut state.stage, Stage::Closed) {
            Stage::Open => {
                if !is_sendable(code) {
                    state.stage = Stage::Open;
                    return Err(PyValueError::new_err(format!("{code} is no close code that may be sent")));
                }
                drop(state);
                self.conversation.link.close(Close { code, reason }).map_err(left)
            }
            Stage::New(_) | Stage::Asked(_) => {
                drop(state);
                let refused = Error::new(StatusCode::FORBIDDEN, "The application refuses this WebSocket");
                self.conversation.refuse(Err(refused), 1006);
                Ok(())
            }
            Stage::Refused => {
                state.stage = Stage::Refused;
                drop(state);
                Err(left(Closed))
            }
            other => {
                state.stage = other;
                Err(out_of_order("websocket.close", "it has closed the WebSocket"))
            }
        }
    }

    fn start(&self, message: &Bound<'_, PyDict>) -> PyResult<()> {
        let head = message::head(message)?;
        let mut state = self.conversation.state();
        match std::mem::replace(&mut state.stage, Stage::Refused) {
            Stage::New(_) | Stage::Asked(_) => {
                state.stage = Stage::Refusing(head, BytesMut::new());
                Ok(())
            }
            Stage::Refused => {
                drop(state);
                Err(left(Closed))
            }
            other => {
                state.stage = other;
                Err(out_of_order("websocket.http.response.start", "the handshake has been answered"))
            }
        }
    }

    fn body(&self, message: &Bound<'_, PyDict>) -> PyResult<()> {
        let (bytes, more) = message::body(message)?;
        let mut state = self.conversation.state();
        match std::mem::replace(&mut state.stage, Stage::Refused) {
            Stage::Refusing(head, mut content) => {
                content.extend_from_slice(&bytes);
                if more {
                    state.stage = Stage::Refusing(head, content);
                    return Ok(());
                }
                drop(state);
                let body: Bytes = content.freeze();
                self.conversation.refuse(Ok(head.into_response(Body::from(body))), 1006);
                Ok(())
            }
            other => {
                state.stage = other;
                Err(out_of_order("websocket.http.response.body", "websocket.http.response.start comes first"))
            }
        }
    }
}

fn message(py: Python<'_>, received: Received) -> PyResult<Py<PyAny>> {
    let message = PyDict::new(py);
    match received {
        Received::Message(Message::Text(text)) => {
            message.set_item(intern!(py, "type"), intern!(py, "websocket.receive"))?;
            message.set_item(intern!(py, "text"), text)?;
        }
        Received::Message(Message::Binary(bytes)) => {
            message.set_item(intern!(py, "type"), intern!(py, "websocket.receive"))?;
            message.set_item(intern!(py, "bytes"), PyBytes::new(py, &bytes))?;
        }
        Received::Closed(Close { code, reason }) => {
            message.set_item(intern!(py, "type"), intern!(py, "websocket.disconnect"))?;
            message.set_item(intern!(py, "code"), code)?;
            message.set_item(intern!(py, "reason"), reason)?;
        }
    }
    Ok(message.into_any().unbind())
}

/// Codes of close frames that may be sent (RFC 6455 §7.4).
fn is_sendable(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

fn out_of_order(what: &str, why: &str) -> PyErr {
    PyRuntimeError::new_err(format!("an application sent {what}, but {why}"))
}

fn left(_: Closed) -> PyErr {
    PyOSError::new_err("the client has left")
}
