//! One request between its connection and the thread that calls the application: an answer, then perhaps a body in pieces.
//!
//! The call's side may block (it waits as [`Turns::wait`] does, without the interpreter's lock); the connection's side never
//! does. Whichever side goes first, the other hears of it.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use http_body::Frame;
use salver::body::BoxError;
use salver::turns::{Call, Turns};
use salver::{Answer, Body, Error, Request, Response};

use crate::pieces::{Next, Pieces};
use crate::{forked, interrupt};

/// Something that is called with a request: holds the Python object.
pub(crate) trait Application: Send + Sync + 'static {
    /// Answers by way of `exchange`, on a thread that holds the interpreter's lock.
    fn call(&self, asked: Box<Asked>, exchange: &Arc<Exchange>);
}

/// A request on its way to an application; boxed, for it is large and goes through many hands.
#[derive(Debug)]
pub(crate) struct Asked {
    /// The request; what had been read of its body is in `start`.
    pub(crate) request: Request,
    /// The beginning of its body, or all of it.
    pub(crate) start: Bytes,
    /// The path below the mount: percent-decoded, not normalised.
    pub(crate) path_info: Vec<u8>,
}

/// One request and its answer.
pub(crate) struct Exchange {
    application: Arc<dyn Application>,
    turns: Turns,
    asked: Mutex<Option<Box<Asked>>>,
    state: Mutex<State>,
    /// Which thread of the interpreter is in the call; 0 is none.
    ident: AtomicU64,
    /// Its request has ended, since it was silent for too long.
    overdue: AtomicBool,
}

#[derive(Default)]
struct State {
    stage: Stage,
    /// The connection's task, while it waits for the call.
    connection: Option<Waker>,
    /// The call's thread, while it waits for the connection.
    caller: Option<Waker>,
    pieces: Pieces,
}

/// How far an exchange has come.
#[derive(Default)]
enum Stage {
    /// There is no answer.
    #[default]
    Asked,
    /// It is there, and the connection has not seen it.
    Answered(Answer),
    /// Its head is there, and its body may come in pieces, or be all there when the connection sees it.
    Begun(Response),
    /// The connection has it; its body may be on its way.
    Taken,
    /// The connection wants no more: the client has left, or has all that it may have.
    Gone,
}

/// The connection wants no more.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gone;

impl Exchange {
    pub(crate) fn new(application: Arc<dyn Application>, turns: Turns, asked: Box<Asked>) -> Arc<Self> {
        let (asked, state) = (Mutex::new(Some(asked)), Mutex::default());
        Arc::new(Self {
            application,
            turns,
            asked,
            state,
            ident: AtomicU64::new(0),
            overdue: AtomicBool::new(false),
        })
    }

    /// The turns that the call takes.
    pub(crate) fn turns(&self) -> &Turns {
        &self.turns
    }

    /// Queues the call and waits for its answer; dropped before that, the application is told that its client has gone.
    pub(crate) async fn answer(self: Arc<Self>) -> Answer {
        let unless_dropped = Leaving(Some(Arc::clone(&self)));
        self.turns.queue(Arc::clone(&self) as Arc<dyn Call>);
        let answer = poll_fn(|cx| {
            let mut state = self.state();
            match std::mem::replace(&mut state.stage, Stage::Taken) {
                Stage::Answered(answer) => Poll::Ready(answer),
                Stage::Begun(mut response) => {
                    *response.body_mut() = state.pieces.whole().unwrap_or_else(|| self.body());
                    Poll::Ready(Ok(response))
                }
                other => {
                    state.stage = other;
                    state.connection = Some(cx.waker().clone());
                    Poll::Pending
                }
            }
        })
        .await;
        unless_dropped.stay();
        answer
    }

    /// Whether an answer has been given.
    pub(crate) fn is_answered(&self) -> bool {
        !matches!(self.state().stage, Stage::Asked)
    }

    /// Whether the connection wants no more.
    pub(crate) fn is_gone(&self) -> bool {
        matches!(self.state().stage, Stage::Gone)
    }

    /// Gives the answer; a second one is dropped.
    pub(crate) fn give(&self, answer: Answer) {
        let mut state = self.state();
        if !matches!(state.stage, Stage::Asked) {
            return;
        }
        state.stage = Stage::Answered(answer);
        self.wake_connection(state);
    }

    /// Gives the head of an answer whose body [`Exchange::push`] sends; where all of it has been pushed before the connection
    /// looks, it is an answer in one piece.
    pub(crate) fn begin(&self, response: Response) {
        let mut state = self.state();
        if !matches!(state.stage, Stage::Asked) {
            return;
        }
        state.stage = Stage::Begun(response);
        self.wake_connection(state);
    }

    /// The body whose pieces [`Exchange::push`] sends.
    pub(crate) fn body(self: &Arc<Self>) -> Body {
        Body::Stream(Box::pin(Streamed(Leaving(Some(Arc::clone(self))))))
    }

    /// Sends a piece of the body. Where the client is slow this waits until there is room; `outside` runs the wait without
    /// the interpreter's lock.
    pub(crate) fn push(
        &self,
        piece: Bytes,
        outside: impl FnOnce(&mut (dyn FnMut() -> Result<(), Gone> + Send)) -> Result<(), Gone>,
    ) -> Result<(), Gone> {
        let mut state = self.state();
        if matches!(state.stage, Stage::Gone) {
            return Err(Gone);
        }
        let is_full = !state.pieces.push(piece);
        self.wake_connection(state);
        self.turns.touch();
        if is_full { outside(&mut || self.turns.wait(poll_fn(|cx| self.poll_room(cx)))) } else { Ok(()) }
    }

    /// Has the connection look at what was said beside the answer.
    pub(crate) fn stir(&self) {
        self.wake_connection(self.state());
        self.turns.touch();
    }

    fn poll_room(&self, cx: &mut Context<'_>) -> Poll<Result<(), Gone>> {
        let mut state = self.state();
        match state.stage {
            Stage::Gone => Poll::Ready(Err(Gone)),
            _ if state.pieces.has_room() => Poll::Ready(Ok(())),
            _ => {
                state.caller = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    /// Ends the body, well or by a fault that has been logged.
    pub(crate) fn end(&self, well: bool) {
        let mut state = self.state();
        state.pieces.end(well);
        self.wake_connection(state);
    }

    /// Ready when the connection wants no more; whoever waits for something else of the client as well asks here, too.
    pub(crate) fn poll_gone(&self, cx: &mut Context<'_>) -> Poll<Gone> {
        let mut state = self.state();
        if matches!(state.stage, Stage::Gone) {
            return Poll::Ready(Gone);
        }
        state.caller = Some(cx.waker().clone());
        Poll::Pending
    }

    fn leave(&self) {
        let mut state = self.state();
        state.stage = Stage::Gone;
        let (unsent, caller) = (state.pieces.clear(), state.caller.take());
        drop(state);
        drop(unsent);
        if let Some(caller) = caller {
            caller.wake();
        }
    }

    fn wake_connection(&self, mut state: MutexGuard<'_, State>) {
        let connection = state.connection.take();
        drop(state);
        if let Some(connection) = connection {
            self.turns.wake(connection);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Call for Exchange {
    fn run(self: Arc<Self>) {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(asked) = asked.filter(|_| !self.is_gone()) else { return };
        self.ident.store(interrupt::ident(), Ordering::Release);
        let (ended, mark) = (Ended(&self), forked::mark());
        self.application.call(asked, &self);
        forked::end_copy(mark);
        drop(ended);
    }

    fn overdue(self: Arc<Self>, silent: Duration, thread: Option<u32>) {
        if thread.is_none() {
            tracing::error!("a request waited {silent:?} for a thread: all of them are busy; see --threads");
            let message = "The application has had no time for this request";
            return self.give(Err(Error::new(StatusCode::GATEWAY_TIMEOUT, message)));
        }
        if !self.overdue.swap(true, Ordering::AcqRel) {
            tracing::error!("the application was silent for {silent:?} (--timeout): its request ends");
            let message = "The application took too long to answer";
            self.give(Err(Error::new(StatusCode::GATEWAY_TIMEOUT, message)));
            self.end(false);
        }
        interrupt::raise(self.ident.load(Ordering::Acquire));
        interrupt::replace_if_stuck(move || self.ident.load(Ordering::Acquire) != 0);
    }
}

/// Whatever became of a call, a panic too, nobody is left waiting for it when this is dropped.
struct Ended<'e>(&'e Exchange);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.ident.store(0, Ordering::Release);
        if !self.0.is_answered() {
            self.0.give(Err(Error::internal("the application gave no answer")));
        }
        self.0.end(false);
    }
}

/// Tells the call that the connection wants no more, when dropped.
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
struct Streamed(Leaving);

impl http_body::Body for Streamed {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let Some(exchange) = &self.0.0 else { return Poll::Ready(None) };
        let mut state = exchange.state();
        match state.pieces.next() {
            Next::Piece(piece, made_room) => {
                let caller = if made_room { state.caller.take() } else { None };
                drop(state);
                if let Some(caller) = caller {
                    caller.wake();
                }
                Poll::Ready(Some(Ok(Frame::data(piece))))
            }
            Next::End(end) => Poll::Ready(end.err().map(Err)),
            Next::Nothing => {
                state.connection = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}
