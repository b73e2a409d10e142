//! A request body on its way from the connection to the handler: one chunk at a time.
//!
//! The connection reads only when the handler asks: that is the back-pressure, and what makes `100 Continue` lazy. Both ends
//! are usually polled by the same task; a handler that moved the body elsewhere works as well.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http_body::{Frame, SizeHint};

use super::Fault;
use crate::body::BoxError;

/// The connection's end.
#[derive(Clone, Debug)]
pub(crate) struct Incoming(Arc<Mutex<State>>);

/// The handler's end: the stream in [`crate::Body::Stream`].
#[derive(Debug)]
pub(crate) struct Content {
    state: Arc<Mutex<State>>,
    /// What is left, if the length was declared (RFC 9112 §6.2).
    left: Option<u64>,
    connection: Option<Waker>,
}

#[derive(Debug)]
struct State {
    slot: Slot,
    handler: Option<Waker>,
    reader: Reader,
    fault: Option<Fault>,
}

/// Who is interested in the content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reader {
    /// Whoever has the handler's end.
    Handler,
    /// Nobody: it was dropped.
    Nobody,
    /// The pipeline, which only wants to know how it ends.
    Pipeline,
}

/// What passes between the two ends.
#[derive(Debug)]
enum Slot {
    /// Nothing, and nobody asked.
    Idle,
    /// The handler asked.
    Wanted,
    /// The connection brought this.
    Full(Bytes),
    /// The body is over, well or by the fault.
    Over,
}

/// Both ends; `length` is the declared one and `connection` the task to wake when the handler asks.
pub(crate) fn incoming(length: Option<u64>, connection: Option<Waker>) -> (Incoming, Content) {
    let state = State { slot: Slot::Idle, handler: None, reader: Reader::Handler, fault: None };
    let state = Arc::new(Mutex::new(state));
    (Incoming(Arc::clone(&state)), Content { state, left: length, connection })
}

impl Incoming {
    /// Whether the handler waits for a chunk.
    pub(crate) fn is_wanted(&self) -> bool {
        matches!(lock(&self.0).slot, Slot::Wanted)
    }

    /// Whether the handler will never ask again.
    pub(crate) fn is_unwanted(&self) -> bool {
        lock(&self.0).reader != Reader::Handler
    }

    /// Whether what is left is read only to see how it ends, and that is not known yet.
    pub(crate) fn is_settling(&self) -> bool {
        let state = lock(&self.0);
        state.reader == Reader::Pipeline && !matches!(state.slot, Slot::Over)
    }

    /// Ready when a body that the handler left has come to its end or been given up (at once if somebody still reads it), with the
    /// reason why it was not complete, if it was not.
    pub(crate) fn poll_settled(&self, cx: &Context<'_>) -> Poll<Option<Fault>> {
        let mut state = lock(&self.0);
        if state.reader == Reader::Handler || matches!(state.slot, Slot::Over) {
            return Poll::Ready(state.fault.clone());
        }
        state.reader = Reader::Pipeline;
        state.handler = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Hands over what the handler asked for.
    pub(crate) fn put(&self, chunk: Bytes) {
        self.fill(Slot::Full(chunk), None);
    }

    /// The body is complete, or nobody waits for the rest.
    pub(crate) fn end(&self) {
        self.fill(Slot::Over, None);
    }

    /// The body will not be complete.
    pub(crate) fn fail(&self, fault: Fault) {
        self.fill(Slot::Over, Some(fault));
    }

    fn fill(&self, slot: Slot, fault: Option<Fault>) {
        let mut state = lock(&self.0);
        state.slot = slot;
        state.fault = fault;
        let handler = state.handler.take();
        drop(state);
        if let Some(handler) = handler {
            handler.wake();
        }
    }
}

impl http_body::Body for Content {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let content = &mut *self;
        let mut state = lock(&content.state);
        match std::mem::replace(&mut state.slot, Slot::Wanted) {
            Slot::Full(chunk) => {
                state.slot = Slot::Idle;
                content.left = content.left.map(|left| left.saturating_sub(chunk.len() as u64));
                Poll::Ready(Some(Ok(Frame::data(chunk))))
            }
            Slot::Over => {
                state.slot = Slot::Over;
                Poll::Ready(state.fault.clone().map(|fault| Err(fault.into())))
            }
            Slot::Idle | Slot::Wanted => {
                if !state.handler.as_ref().is_some_and(|handler| handler.will_wake(cx.waker())) {
                    state.handler = Some(cx.waker().clone());
                }
                drop(state);
                // The connection polls us in its own task, and looks at the slot right after: no need to wake it then.
                if let Some(connection) =
                    content.connection.as_ref().filter(|task| !task.will_wake(cx.waker()))
                {
                    connection.wake_by_ref();
                }
                Poll::Pending
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.left == Some(0)
    }

    fn size_hint(&self) -> SizeHint {
        self.left.map(SizeHint::with_exact).unwrap_or_default()
    }
}

impl Drop for Content {
    fn drop(&mut self) {
        lock(&self.state).reader = Reader::Nobody;
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
