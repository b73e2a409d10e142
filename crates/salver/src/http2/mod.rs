//! HTTP/2 (RFC 9113) over the `h2` crate, which has the frames, HPACK and flow control; here are requests and answers.
//!
//! By ALPN within TLS and by prior knowledge in the clear. A stream's request goes through the same pipeline as one of HTTP/1; it is
//! answered at once, or becomes a task of its own if something has to be waited for. Whoever makes its content is asked for more only
//! when the client has taken what there was. A stream may become a WebSocket (RFC 8441).
//!
//! Refused, with the stream or with the connection: what RFC 9113 §8 calls malformed; more streams than `--http2-streams`; header
//! sections beyond `--limit-header-size`, all fields counted; resets in place of answers; floods of anything.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use h2::server::{Builder, Connection, SendResponse};
use h2::{Reason, RecvStream};

use crate::request::Peer;
use crate::server::Shared;
use crate::server::clock::Deadline;
use crate::server::socket::Io;

mod content;
pub mod gate;
pub(crate) mod head;
mod options;
mod send;
mod stream;
mod tunnel;
mod wire;

pub use options::Options;
use wire::Wire;

/// What a client that knows of HTTP/2 begins with (RFC 9113 §3.4).
pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Serves one connection to its end; `received` is what has been read of it.
pub(crate) async fn run(io: Io, peer: Peer, shared: Arc<Shared>, received: BytesMut) {
    let deadline = shared.clock.deadline();
    deadline.arm(shared.options.header_timeout.into());
    let wire = Wire::new(io, received.freeze());
    // Boxed, as it is soon over and takes more room than all that follows.
    if let Some(connection) = Box::pin(greet(&wire, &shared, &deadline)).await {
        deadline.disarm();
        let tally = Arc::new(Tally::new(&deadline));
        let mut driver = Driver { connection, wire: wire.clone(), tally, peer, shared, age: Age::Serving };
        poll_fn(|cx| driver.poll(cx)).await;
    }
    // What the client still sends must not reset what we said last.
    deadline.arm(LINGER);
    poll_fn(|cx| match wire.poll_drain(cx) {
        Poll::Pending if !deadline.is_over() => Poll::Pending,
        _ => Poll::Ready(()),
    })
    .await;
}

/// Waits for the client's preface; `None` where it does not come, or not in time.
async fn greet(wire: &Wire, shared: &Shared, deadline: &Deadline) -> Option<Connection<Wire, Bytes>> {
    let mut handshake = pin!(builder(shared).handshake::<_, Bytes>(wire.clone()));
    poll_fn(|cx| {
        deadline.belongs_to(cx);
        match handshake.as_mut().poll(cx) {
            Poll::Pending if deadline.is_over() => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
            Poll::Ready(greeted) => Poll::Ready(greeted.ok()),
        }
    })
    .await
}

/// One connection at work.
struct Driver {
    connection: Connection<Wire, Bytes>,
    wire: Wire,
    tally: Arc<Tally>,
    peer: Peer,
    shared: Arc<Shared>,
    age: Age,
}

/// A request and the way of its answer.
type Accepted = (http::Request<RecvStream>, SendResponse<Bytes>);

/// How far a connection has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Age {
    Serving,
    /// The client was told to open no more streams (RFC 9113 §6.8).
    Leaving,
    /// It is to hear why, and nothing else.
    Cut,
}

/// What the streams of a connection have in common.
#[derive(Debug)]
struct Tally {
    /// How many are open.
    open: AtomicUsize,
    /// How many were answered.
    answered: AtomicUsize,
    /// How many the client gave up.
    given_up: AtomicUsize,
    deadline: Arc<Deadline>,
}

impl Driver {
    /// Accepts streams and moves frames until the connection is over.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let (accepted, end) = self.poll_accepted(cx);
            if accepted.is_empty() && end.is_pending() {
                break;
            }
            for (request, respond) in accepted {
                let open = Open::new(&self.tally);
                stream::serve(request, respond, open, self.peer.clone(), Arc::clone(&self.shared));
            }
            if end.is_ready() {
                return Poll::Ready(());
            }
        }
        let abused = || self.tally.is_abused().then_some(Reason::ENHANCE_YOUR_CALM);
        if let Some(reason) = self.wire.refused().or_else(abused).filter(|_| self.age != Age::Cut) {
            self.age = Age::Cut;
            self.tally.deadline.arm(LINGER);
            self.connection.abrupt_shutdown(reason);
            cx.waker().wake_by_ref(); // what that wants to send is sent by the next poll
        }
        self.poll_time(cx)
    }

    /// Requests that have come, some at once: each look for another one sends what was answered before. Ready at the connection's end.
    fn poll_accepted(&mut self, cx: &mut Context<'_>) -> (Vec<Accepted>, Poll<()>) {
        let mut accepted = Vec::new();
        loop {
            match self.connection.poll_accept(cx) {
                Poll::Ready(Some(Ok(request))) => {
                    if accepted.is_empty() {
                        accepted.reserve(AT_ONCE);
                    }
                    accepted.push(request);
                    if accepted.len() == AT_ONCE {
                        return (accepted, Poll::Pending);
                    }
                }
                Poll::Ready(Some(Err(error))) => {
                    tracing::debug!("an HTTP/2 connection ended: {error}");
                    return (accepted, Poll::Ready(()));
                }
                Poll::Ready(None) => return (accepted, Poll::Ready(())),
                Poll::Pending => return (accepted, Poll::Pending),
            }
        }
    }

    /// Ends what is idle for too long, or is to end.
    fn poll_time(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let deadline = Arc::clone(&self.tally.deadline);
        if self.age == Age::Cut {
            return if deadline.is_over() { Poll::Ready(()) } else { Poll::Pending };
        }
        if self.tally.open.load(Ordering::Relaxed) > 0 {
            deadline.disarm();
        } else if deadline.is_armed() && deadline.is_over() {
            if self.age == Age::Leaving {
                return Poll::Ready(());
            }
            deadline.disarm();
            self.leave(cx);
        } else if !deadline.is_armed() {
            let idle = Duration::from(self.shared.options.keep_alive).max(LEAST_IDLE);
            deadline.arm(if self.age == Age::Leaving { LINGER } else { idle });
        }
        if self.age == Age::Serving && self.shared.is_stopping() {
            deadline.disarm();
            self.leave(cx);
        }
        Poll::Pending
    }

    fn leave(&mut self, cx: &Context<'_>) {
        self.age = Age::Leaving;
        self.connection.graceful_shutdown();
        cx.waker().wake_by_ref(); // what that wants to send is sent by the next poll
    }
}

impl Tally {
    fn new(deadline: &Arc<Deadline>) -> Self {
        let zero = || AtomicUsize::new(0);
        Self { open: zero(), answered: zero(), given_up: zero(), deadline: Arc::clone(deadline) }
    }

    /// SECURITY: a stream that is reset at once costs its client two frames, and us a request (CVE-2023-44487). Who leaves
    /// now and then is a browser; who mostly leaves is not.
    fn is_abused(&self) -> bool {
        let given_up = self.given_up.load(Ordering::Relaxed);
        given_up > GIVEN_UP && given_up > self.answered.load(Ordering::Relaxed)
    }
}

/// Counts one stream as long as it lives.
struct Open(Arc<Tally>);

impl Open {
    fn new(tally: &Arc<Tally>) -> Self {
        tally.open.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(tally))
    }

    /// The client got its answer.
    fn answered(&self) {
        self.0.answered.fetch_add(1, Ordering::Relaxed);
    }

    /// The client has left.
    fn given_up(&self) {
        self.0.given_up.fetch_add(1, Ordering::Relaxed);
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
        // The connection looks at its time, and at who has left.
        if let Some(connection) = self.0.deadline.waker() {
            connection.wake_by_ref();
        }
    }
}

fn builder(shared: &Shared) -> Builder {
    let mut builder = Builder::new();
    builder
        .max_concurrent_streams(shared.http2.http2_streams)
        .max_header_list_size(u32::try_from(shared.limits.header_size).unwrap_or(u32::MAX))
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buffer_size(SEND_BUFFER)
        .data_frame_budget(SMALL_FRAMES)
        .max_concurrent_reset_streams(RESETS_REMEMBERED)
        .max_pending_accept_reset_streams(RESETS_UNSEEN)
        .max_local_error_reset_streams(Some(RESETS_PROVOKED))
        .enable_connect_protocol();
    builder
}

/// How much of a stream's content may come before its handler asks for it, in bytes.
const STREAM_WINDOW: u32 = 256 * 1024;
/// The same of all streams of a connection: what bounds its memory.
const CONNECTION_WINDOW: u32 = 1024 * 1024;
/// How much of an answer may wait for the socket, in bytes.
const SEND_BUFFER: usize = 128 * 1024;
/// How much a connection may want in memory for small DATA frames beside what is in them, as `h2` counts: 8,000 of a few bytes, which
/// is what a burst of lines needs that its handler has not asked for yet.
const SMALL_FRAMES: usize = 2 * 1024 * 1024;
/// How many requests are taken before they are answered.
const AT_ONCE: usize = 16;
/// For how many reset streams late frames are told from wrong ones.
const RESETS_REMEMBERED: usize = 64;
/// How many streams a client may reset before we have seen them.
const RESETS_UNSEEN: usize = 32;
/// How many resets of ours a client may provoke (CVE-2025-8671).
const RESETS_PROVOKED: usize = 128;
/// How many streams a client may give up before that has to be the lesser part.
const GIVEN_UP: usize = 200;
/// How long a connection that ends is read on.
const LINGER: Duration = Duration::from_secs(3);
/// What `--keep-alive 0` means here, where a client cannot say that a request is its last.
const LEAST_IDLE: Duration = Duration::from_secs(1);
