//! What passes between a program and the connection of its WebSocket: messages in both directions, a bounded amount of them.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};

use bytes::Bytes;

/// A WebSocket as its program sees it.
pub struct Link {
    state: Mutex<State>,
    notify: Box<dyn Notify>,
}

/// How the two ends hear of each other.
pub trait Notify: Send + Sync {
    /// There is something new for the program.
    fn changed(&self);

    /// Wakes the connection's task; called by the program's side.
    fn wake(&self, task: Waker);
}

/// A message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// Text, which is UTF-8.
    Text(String),
    /// Bytes.
    Binary(Bytes),
}

/// How a WebSocket was closed (RFC 6455 §7.1.5, §7.1.6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Close {
    /// The code of its close frame; 1005 where it had none, 1006 where no frame came.
    pub code: u16,
    /// The reason of its close frame.
    pub reason: String,
}

/// Something for the program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Received {
    /// The client has sent a message.
    Message(Message),
    /// Nothing more comes; said again each time it is asked.
    Closed(Close),
}

/// The WebSocket is closed: nothing can be sent any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closed;

/// Something for the connection.
#[derive(Debug)]
pub(super) enum Outgoing {
    Message(Message),
    Close(Close),
}

#[derive(Default)]
struct State {
    incoming: VecDeque<Message>,
    /// How much that is, in bytes.
    received: usize,
    outgoing: VecDeque<Outgoing>,
    /// How much that is, in bytes.
    unsent: usize,
    /// The program has closed it.
    closing: bool,
    /// The client has; the program, which may still answer what came before that, has not been told.
    leaving: Option<Close>,
    closed: Option<Close>,
    /// The connection's task.
    connection: Option<Waker>,
}

impl Message {
    fn len(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Binary(bytes) => bytes.len(),
        }
    }
}

impl Close {
    /// A close with this code, without a reason.
    pub fn new(code: u16) -> Self {
        Self { code, reason: String::new() }
    }
}

impl Link {
    /// A link whose ends hear of each other by `notify`.
    pub fn new(notify: impl Notify + 'static) -> Self {
        Self { state: Mutex::default(), notify: Box::new(notify) }
    }

    /// What the client has sent next; `None` if there is nothing yet.
    pub fn receive(&self) -> Option<Received> {
        let mut state = self.state();
        let Some(message) = state.incoming.pop_front() else {
            if let Some(close) = state.leaving.take() {
                state.outgoing.push_back(Outgoing::Close(Close::new(close.code)));
                state.closed = Some(close.clone());
                self.wake(state);
                return Some(Received::Closed(close));
            }
            return state.closed.clone().map(Received::Closed);
        };
        let was_full = state.received >= WINDOW;
        state.received -= message.len() + OVERHEAD;
        if was_full && state.received < WINDOW {
            self.wake(state);
        }
        Some(Received::Message(message))
    }

    /// Sends a message; whether there is room for more.
    ///
    /// # Errors
    /// It is closed, by either side.
    pub fn send(&self, message: Message) -> Result<bool, Closed> {
        let mut state = self.state();
        if state.closing || state.closed.is_some() {
            return Err(Closed);
        }
        state.unsent += message.len() + OVERHEAD;
        state.outgoing.push_back(Outgoing::Message(message));
        let has_room = state.unsent < WINDOW;
        self.wake(state);
        Ok(has_room)
    }

    /// Whether more may be sent.
    ///
    /// # Errors
    /// It is closed.
    pub fn has_room(&self) -> Result<bool, Closed> {
        let state = self.state();
        if state.closed.is_some() { Err(Closed) } else { Ok(state.unsent < WINDOW / 2) }
    }

    /// Closes it, behind what was sent.
    ///
    /// # Errors
    /// It is closed already.
    pub fn close(&self, close: Close) -> Result<(), Closed> {
        let mut state = self.state();
        if state.closing || state.closed.is_some() {
            return Err(Closed);
        }
        state.closing = true;
        state.outgoing.push_back(Outgoing::Close(close));
        self.wake(state);
        Ok(())
    }

    /// The client closes it: the program may answer what came before, until it is told.
    pub(super) fn leave(&self, close: Close) {
        let mut state = self.state();
        if state.closed.is_none() {
            state.leaving = Some(close);
        }
        drop(state);
        self.notify.changed();
    }

    /// Nothing more comes from the client, and nothing more is sent to it; a close that the client said before counts.
    pub fn finish(&self, close: Close) {
        let mut state = self.state();
        if state.closed.is_some() {
            return;
        }
        state.closed = Some(state.leaving.take().unwrap_or(close));
        state.outgoing.clear();
        state.unsent = 0;
        drop(state);
        self.notify.changed();
    }

    /// What is to be sent next; the task of `cx` is woken when there is something.
    pub(super) fn next(&self, cx: &Context<'_>) -> Option<Outgoing> {
        let mut state = self.state();
        let Some(outgoing) = state.outgoing.pop_front() else {
            match &mut state.connection {
                Some(connection) => connection.clone_from(cx.waker()),
                none => *none = Some(cx.waker().clone()),
            }
            return None;
        };
        if let Outgoing::Message(message) = &outgoing {
            let was_full = state.unsent >= WINDOW / 2;
            state.unsent -= message.len() + OVERHEAD;
            if was_full && state.unsent < WINDOW / 2 {
                drop(state);
                self.notify.changed();
            }
        }
        Some(outgoing)
    }

    /// Hands a message to the program.
    pub(super) fn put(&self, message: Message) {
        let mut state = self.state();
        state.received += message.len() + OVERHEAD;
        state.incoming.push_back(message);
        drop(state);
        self.notify.changed();
    }

    /// Whether the program has not taken enough to be given more; the task of `cx` is woken when it has.
    pub(super) fn is_full(&self, cx: &Context<'_>) -> bool {
        let mut state = self.state();
        let is_full = state.received >= WINDOW;
        if is_full {
            state.connection = Some(cx.waker().clone());
        }
        is_full
    }

    fn wake(&self, mut state: MutexGuard<'_, State>) {
        let connection = state.connection.take();
        drop(state);
        if let Some(connection) = connection {
            self.notify.wake(connection);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link").field("closed", &self.state().closed).finish_non_exhaustive()
    }
}

/// How much may wait in either direction before its source waits, in bytes.
const WINDOW: usize = 256 * 1024;
/// What a message counts for beside its content, in bytes: many empty ones are not for nothing.
const OVERHEAD: usize = 64;
