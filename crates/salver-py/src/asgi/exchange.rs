//! One HTTP request between its connection and its application's task.
//!
//! The connection's side (a future, then a body) knows no Python and is polled while the server is driven; the application's side
//! runs in asyncio's turn. Whichever goes first, the other hears of it: the connection by its waker, the task by way of the hub.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use http_body::Frame;
use pyo3::prelude::*;
use salver::body::{BoxError, Stream};
use salver::{Answer, Body, Error, Request};

use super::Mount;
use super::hub::{Event, Hub, Woken};
use super::silence::Pending;
use crate::head::Head;
use crate::hosted::fault;
use crate::pieces::{Next, Pieces};

/// One request and its answer.
pub(crate) struct Exchange {
    pub(crate) hub: Arc<Hub>,
    pub(crate) mount: Arc<Mount>,
    pub(super) state: Mutex<State>,
}

pub(super) struct State {
    /// The head and the path below the mount, until the application is called.
    pub(super) request: Option<Box<(Request, Vec<u8>)>>,
    pub(super) content: Content,
    pub(super) stage: Stage,
    /// Whether nobody sees a body: an answer to HEAD, or of a status without one.
    pub(super) bodiless: bool,
    /// An answer on its way to the connection.
    answer: Option<Answer>,
    /// The connection's task, while it waits for the application.
    connection: Option<Waker>,
    pub(super) pieces: Pieces,
    /// The connection wants no more.
    pub(super) gone: bool,
    /// The application has been told so.
    pub(super) told: bool,
    /// Futures that wait for something new.
    waiting: Vec<Py<PyAny>>,
    /// At which look of [`Silence`](super::silence::Silence) the application had something to do.
    pub(super) heard: u32,
}

/// The request's content, on its way to the application.
pub(super) enum Content {
    /// All of it.
    Whole(Bytes),
    /// It comes when it is asked for.
    Stream { stream: Stream, asked: bool },
    /// A piece; the rest behind it, if there is any.
    Piece(Bytes, Option<Stream>),
    /// The application has had it.
    Over,
}

/// How far the answer has come.
pub(super) enum Stage {
    /// Nothing was said.
    Silent,
    /// How it begins.
    Said(Head),
    /// That has left, and the body follows.
    Streaming,
    /// All was said.
    Complete,
}

/// The connection wants no more.
#[derive(Clone, Copy, Debug)]
pub(super) struct Gone;

impl Exchange {
    pub(crate) fn new(
        hub: Arc<Hub>,
        mount: Arc<Mount>,
        mut request: Request,
        start: Bytes,
        path_info: Vec<u8>,
    ) -> Arc<Self> {
        let content = match std::mem::take(&mut request.body) {
            Body::Stream(stream) if start.is_empty() => Content::Stream { stream, asked: false },
            Body::Stream(stream) => Content::Piece(start, (!stream.is_end_stream()).then_some(stream)),
            Body::Bytes(bytes) => Content::Whole(bytes),
            Body::Empty | Body::File(_) => Content::Whole(start),
        };
        let state = State {
            bodiless: request.method == http::Method::HEAD,
            request: Some(Box::write(Box::new_uninit(), (request, path_info))), // made where it lies
            content,
            stage: Stage::Silent,
            answer: None,
            connection: None,
            pieces: Pieces::default(),
            gone: false,
            told: false,
            waiting: Vec::new(),
            heard: hub.silence.now(),
        };
        Arc::new(Self { hub, mount, state: Mutex::new(state) })
    }

    /// Has the application called, and waits for its answer; dropped before that, the application is told.
    pub(crate) async fn answer(self: Arc<Self>) -> Answer {
        let unless_dropped = Leaving(Some(Arc::clone(&self)));
        let _pending = self.hub.silence.enter(Arc::clone(&self) as _);
        self.hub.push(Event::Asked(Arc::clone(&self) as _));
        let answer = poll_fn(|cx| {
            let mut state = self.state();
            if let Some(answer) = state.answer.take() {
                return Poll::Ready(answer);
            }
            state.wait(cx);
            match state.poll_content(cx) {
                Poll::Ready(Ok(())) => self.wake_application(state),
                Poll::Ready(Err(error)) => {
                    state.gone = true;
                    self.wake_application(state);
                    return Poll::Ready(Err(fault(error)));
                }
                Poll::Pending => {}
            }
            Poll::Pending
        })
        .await;
        unless_dropped.stay();
        answer
    }

    /// Gives the answer, with `body`.
    pub(super) fn give(&self, mut state: MutexGuard<'_, State>, head: Head, body: Body) {
        state.answer = Some(Ok(head.into_response(body)));
        self.wake_connection(state);
    }

    /// Gives an error for an answer, if none was given.
    pub(super) fn fail(&self, error: Error) {
        let mut state = self.state();
        state.answer = Some(Err(error));
        state.stage = Stage::Complete;
        state.content = Content::Over;
        self.wake_connection(state);
    }

    /// The body whose pieces [`Exchange::push`] sends; a stream of events ends when the server stops.
    pub(super) fn body(self: &Arc<Self>, is_event_stream: bool) -> Body {
        let stop = self.hub.stop().filter(|_| is_event_stream);
        let stop = stop.map(|stop| Box::pin(stop.begun()) as Pin<Box<dyn Future<Output = ()> + Send>>);
        Body::Stream(Box::pin(Streamed { exchange: Leaving(Some(Arc::clone(self))), stop }))
    }

    /// Sends a piece of the body; whether there is room for more.
    pub(super) fn push(&self, mut state: MutexGuard<'_, State>, piece: Bytes) -> bool {
        let has_room = state.pieces.push(piece);
        self.wake_connection(state);
        has_room
    }

    /// Ends the body, well or by a fault that has been logged.
    pub(super) fn end_body(&self, mut state: MutexGuard<'_, State>, well: bool) {
        state.pieces.end(well);
        state.stage = Stage::Complete;
        state.content = Content::Over;
        self.wake_connection(state);
    }

    /// Whether more may be sent.
    pub(super) fn has_room(&self) -> Result<bool, Gone> {
        let state = self.state();
        if state.gone && matches!(state.stage, Stage::Streaming) {
            return Err(Gone);
        }
        Ok(state.pieces.has_room())
    }

    /// Has `future` woken when something changes.
    pub(super) fn wake_later(&self, future: Py<PyAny>) {
        let mut state = self.state();
        state.waiting.push(future);
        // Content is read by the connection's task, which has to be told that it is wanted.
        if matches!(state.content, Content::Stream { asked: true, .. }) {
            self.wake_connection(state);
        }
    }

    pub(super) fn wake_connection(&self, mut state: MutexGuard<'_, State>) {
        let connection = state.connection.take();
        drop(state);
        self.hub.turns.progress();
        if let Some(connection) = connection {
            self.hub.turns.wake(connection);
        }
    }

    fn wake_application(self: &Arc<Self>, state: MutexGuard<'_, State>) {
        let is_awaited = !state.waiting.is_empty();
        drop(state);
        if is_awaited {
            self.hub.push(Event::Woken(Arc::clone(self) as _));
        }
    }

    fn leave(self: &Arc<Self>) {
        let mut state = self.state();
        state.gone = true;
        let unsent = state.pieces.clear();
        let content = std::mem::replace(&mut state.content, Content::Over);
        self.wake_application(state);
        drop((unsent, content));
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Woken for Exchange {
    fn futures(&self) -> Vec<Py<PyAny>> {
        std::mem::take(&mut self.state().waiting)
    }
}

impl Pending for Exchange {
    fn silent_since(&self) -> Option<u32> {
        let state = self.state();
        let waits_for_client = matches!(state.content, Content::Stream { asked: true, .. });
        let is_silent = matches!(state.stage, Stage::Silent | Stage::Said(_));
        (is_silent && !state.gone && !waits_for_client).then_some(state.heard)
    }

    fn overdue(self: Arc<Self>, silent: Duration) {
        tracing::error!("an application was silent for {silent:?} (--timeout): its request ends");
        let message = "The application took too long to answer";
        self.fail(Error::new(StatusCode::GATEWAY_TIMEOUT, message));
        self.leave();
    }
}

impl State {
    /// Whether the application's part in the conversation is over.
    pub(super) fn is_over(&self) -> bool {
        self.gone || matches!(self.stage, Stage::Complete)
    }

    fn wait(&mut self, cx: &Context<'_>) {
        match &mut self.connection {
            Some(connection) => connection.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
    }

    /// Reads a piece of the content, if the application asked for one. Ready: there is something new for it.
    fn poll_content(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        let Content::Stream { stream, asked: true } = &mut self.content else { return Poll::Pending };
        loop {
            let frame = match stream.as_mut().poll_frame(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(frame) => frame,
            };
            match frame.transpose()?.map(Frame::into_data) {
                None => self.content = Content::Piece(Bytes::new(), None),
                Some(Ok(data)) if !data.is_empty() => {
                    let ended = stream.is_end_stream();
                    let rest = std::mem::replace(&mut self.content, Content::Over);
                    let Content::Stream { stream, .. } = rest else { return Poll::Pending };
                    self.content = Content::Piece(data, (!ended).then_some(stream));
                }
                Some(_) => continue, // trailers, or nothing
            }
            return Poll::Ready(Ok(()));
        }
    }
}

/// Tells the application that the connection wants no more, when dropped.
struct Leaving(Option<Arc<Exchange>>);

impl Leaving {
    fn stay(mut self) {
        self.0 = None;
    }
}

impl Drop for Leaving {
    fn drop(&mut self) {
        if let Some(exchange) = &self.0 {
            exchange.leave();
        }
    }
}

/// The body of an answer, as its pieces come.
struct Streamed {
    exchange: Leaving,
    /// Ready when the server stops; only where that ends the stream.
    stop: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl http_body::Body for Streamed {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let body = &mut *self;
        let Some(exchange) = &body.exchange.0 else { return Poll::Ready(None) };
        let mut state = exchange.state();
        match state.pieces.next() {
            Next::Piece(piece, made_room) => {
                if made_room {
                    exchange.wake_application(state);
                }
                return Poll::Ready(Some(Ok(Frame::data(piece))));
            }
            Next::End(end) => return Poll::Ready(end.err().map(Err)),
            Next::Nothing => state.wait(cx),
        }
        if let Poll::Ready(read) = state.poll_content(cx) {
            state.gone |= read.is_err();
            exchange.wake_application(state);
        } else {
            drop(state);
        }
        if body.stop.as_mut().is_some_and(|stop| stop.as_mut().poll(cx).is_ready()) {
            body.stop = None;
            exchange.leave();
            return Poll::Ready(None);
        }
        Poll::Pending
    }
}
