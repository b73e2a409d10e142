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
use http::{HeaderMap, StatusCode};
use http_body::Frame;
use salver::body::BoxError;
use salver::turns::{Call, Turns};
use salver::{Answer, Body, Error, Interim, Request, Response};

use crate::pieces::{Next, Pieces};
use crate::{forked, interrupt};

/// Something that is called with a request: holds the Python object.
pub(crate) trait Application: Send + Sync + 'static {
    /// Answers by way of `exchange`, on a thread that holds the interpreter's lock.
    ///
    /// # Errors
    /// Where that failed, which has been logged: what a client hears that has had no answer.
    fn call(&self, asked: Box<Asked>, exchange: &Arc<Exchange>) -> Result<(), Error>;
}

/// What the exchanges of an application have in common.
pub(crate) struct Called {
    pub(crate) application: Box<dyn Application>,
    /// The turns that its calls take.
    pub(crate) turns: Turns,
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
    called: Arc<Called>,
    /// The request's way to its client before the answer.
    interim: Interim,
    state: Mutex<State>,
    /// Which thread of the interpreter is in the call; 0 is none.
    ident: AtomicU64,
    /// Its request has ended, since it was silent for too long.
    overdue: AtomicBool,
}

#[derive(Default)]
struct State {
    /// Until the call begins.
    asked: Option<Box<Asked>>,
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
    pub(crate) fn new(called: Arc<Called>, interim: Interim, asked: Box<Asked>) -> Arc<Self> {
        let state = Mutex::new(State { asked: Some(asked), ..State::default() });
        Arc::new(Self { called, interim, state, ident: AtomicU64::new(0), overdue: AtomicBool::new(false) })
    }

    /// The turns that the call takes.
    pub(crate) fn turns(&self) -> &Turns {
        &self.called.turns
    }

    /// Queues the call and waits for its answer; dropped before that, the application is told that its client has gone.
    pub(crate) async fn answer(self: Arc<Self>) -> Answer {
        self.turns().queue(Arc::clone(&self) as Arc<dyn Call>);
        let waiting = Leaving(Some(self));
        let answer =
            poll_fn(|cx| waiting.0.as_ref().map_or(Poll::Pending, |exchange| exchange.poll_answer(cx)));
        let answer = answer.await;
        waiting.stay();
        answer
    }

    fn poll_answer(self: &Arc<Self>, cx: &mut Context<'_>) -> Poll<Answer> {
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
        self.turns().touch();
        if is_full { outside(&mut || self.turns().wait(poll_fn(|cx| self.poll_room(cx)))) } else { Ok(()) }
    }

    /// Whether [`Exchange::hint`] can reach the client.
    pub(crate) fn hears_hints(&self) -> bool {
        self.interim.is_heard()
    }

    /// Sends headers ahead of the answer; once that has begun nothing is sent.
    pub(crate) fn hint(&self, headers: HeaderMap) {
        let state = self.state();
        if matches!(state.stage, Stage::Asked) {
            self.interim.early_hints(headers);
            self.wake_connection(state);
            self.turns().touch();
        }
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

    /// Ends what has not ended, as the call did; `None` is a panic.
    fn end(&self, how: Option<Result<(), Error>>) {
        let mut state = self.state();
        state.pieces.end(matches!(how, Some(Ok(()))));
        if matches!(state.stage, Stage::Asked) {
            let error = how.and_then(Result::err);
            let error = error.unwrap_or_else(|| Error::internal("the application gave no answer"));
            state.stage = Stage::Answered(Err(error));
        }
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
            self.turns().wake(connection);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Call for Exchange {
    fn run(self: Arc<Self>) {
        let mut state = self.state();
        let (asked, is_gone) = (state.asked.take(), matches!(state.stage, Stage::Gone));
        drop(state);
        let Some(asked) = asked.filter(|_| !is_gone) else { return };
        self.ident.store(interrupt::ident(), Ordering::Release);
        let (mut end, mark) = (End { exchange: &self, how: None }, forked::mark());
        end.how = Some(self.called.application.call(asked, &self));
        forked::end_copy(mark);
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
            self.end(Some(Err(Error::new(StatusCode::GATEWAY_TIMEOUT, message))));
        }
        interrupt::raise(self.ident.load(Ordering::Acquire));
        interrupt::replace_if_stuck(move || self.ident.load(Ordering::Acquire) != 0);
    }
}

/// Whatever becomes of a call, a panic too, nobody is left waiting for it when this is dropped.
struct End<'e> {
    exchange: &'e Exchange,
    how: Option<Result<(), Error>>,
}

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.exchange.ident.store(0, Ordering::Release);
        self.exchange.end(self.how.take());
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
