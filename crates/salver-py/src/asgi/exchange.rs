//! One HTTP request between its connection and its application's task.
//!
//! The connection's side (a future, then a body) knows no Python and is polled while the server is driven; the application's side
//! runs in asyncio's turn. Whichever goes first, the other hears of it: the connection by its waker, the task by way of the hub.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http_body::Frame;
use pyo3::prelude::*;
use salver::body::{BoxError, Reported, Stream};
use salver::{Answer, Body, Error, Request};

use super::Mount;
use super::hub::{Event, Hub, Woken};
use super::message::Head;
use crate::hosted::fault;

/// One request and its answer.
pub(crate) struct Exchange {
    pub(crate) hub: Arc<Hub>,
    pub(crate) mount: Arc<Mount>,
    pub(super) state: Mutex<State>,
}

pub(super) struct State {
    /// The head and the path below the mount, until the application is called.
    pub(super) request: Option<(Request, Vec<u8>)>,
    pub(super) content: Content,
    pub(super) stage: Stage,
    /// Whether nobody sees a body: an answer to HEAD, or of a status without one.
    pub(super) bodiless: bool,
    /// An answer on its way to the connection.
    answer: Option<Answer>,
    /// The connection's task, while it waits for the application.
    connection: Option<Waker>,
    chunks: VecDeque<Bytes>,
    /// How much the chunks hold, in bytes.
    held: usize,
    /// How the body ended.
    end: Option<Result<(), BoxError>>,
    /// The connection wants no more.
    pub(super) gone: bool,
    /// The application has been told so.
    pub(super) told: bool,
    /// Futures that wait for something new.
    waiting: Vec<Py<PyAny>>,
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
            request: Some((request, path_info)),
            content,
            stage: Stage::Silent,
            answer: None,
            connection: None,
            chunks: VecDeque::new(),
            held: 0,
            end: None,
            gone: false,
            told: false,
            waiting: Vec::new(),
        };
        Arc::new(Self { hub, mount, state: Mutex::new(state) })
    }

    /// Has the application called, and waits for its answer; dropped before that, the application is told.
    pub(crate) async fn answer(self: Arc<Self>) -> Answer {
        let unless_dropped = Leaving(Some(Arc::clone(&self)));
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
                    state.stage = Stage::Complete;
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
        Body::Stream(Box::pin(Pieces { exchange: Leaving(Some(Arc::clone(self))), stop }))
    }

    /// Sends a piece of the body; whether there is room for more.
    pub(super) fn push(&self, mut state: MutexGuard<'_, State>, piece: Bytes) -> bool {
        state.held += piece.len();
        state.chunks.push_back(piece);
        let has_room = state.held < WINDOW;
        self.wake_connection(state);
        has_room
    }

    /// Ends the body, well or by a fault that has been logged.
    pub(super) fn end_body(&self, mut state: MutexGuard<'_, State>, well: bool) {
        if state.end.is_none() {
            state.end = Some(if well { Ok(()) } else { Err(Reported.into()) });
        }
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
        Ok(state.held < WINDOW / 2)
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
        state.held = 0;
        let chunks = std::mem::take(&mut state.chunks);
        let content = std::mem::replace(&mut state.content, Content::Over);
        self.wake_application(state);
        drop((chunks, content));
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
struct Pieces {
    exchange: Leaving,
    /// Ready when the server stops; only where that ends the stream.
    stop: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let pieces = &mut *self;
        let Some(exchange) = &pieces.exchange.0 else { return Poll::Ready(None) };
        let mut state = exchange.state();
        if let Some(piece) = state.chunks.pop_front() {
            let was_full = state.held >= WINDOW / 2;
            state.held -= piece.len();
            if was_full && state.held < WINDOW / 2 {
                exchange.wake_application(state);
            }
            return Poll::Ready(Some(Ok(Frame::data(piece))));
        }
        match state.end.take() {
            Some(Ok(())) => {
                state.end = Some(Ok(()));
                return Poll::Ready(None);
            }
            Some(Err(error)) => return Poll::Ready(Some(Err(error))),
            None => state.wait(cx),
        }
        if let Poll::Ready(read) = state.poll_content(cx) {
            state.gone |= read.is_err();
            exchange.wake_application(state);
        } else {
            drop(state);
        }
        if pieces.stop.as_mut().is_some_and(|stop| stop.as_mut().poll(cx).is_ready()) {
            pieces.stop = None;
            exchange.leave();
            return Poll::Ready(None);
        }
        Poll::Pending
    }
}

/// How much of a body may wait for a slow client before its application waits, in bytes.
const WINDOW: usize = 256 * 1024;
