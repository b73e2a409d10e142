//! One HTTP/1 connection over a socket: the only part of `http1` that does IO.
//!
//! What is idle is small: a connection between two requests is this task and its socket, without a buffer, a boxed future or
//! a timer of its own. When something arrives it borrows buffers from its loop, boxes the future that serves requests, and
//! gives both back when it has nothing left to do.
//!
//! Refused: everything `head` and `body` refuse, and to act on anything that follows a refused request.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::BytesMut;

use super::Fault;
use super::head::HeadReader;
use crate::http2;
use crate::interim::Way;
use crate::request::Peer;
use crate::server::Shared;
use crate::server::clock::Deadline;
use crate::server::socket::Io;
use crate::upgrade::{Protocol, Upgraded};

mod exchange;
mod read;
mod send;
mod wire;

use wire::Wire;

/// One connection.
#[derive(Debug)]
pub(crate) struct Connection {
    io: Io,
    peer: Peer,
    shared: Arc<Shared>,
    deadline: Arc<Deadline>,
    /// Made for the first request.
    interim: Option<Arc<Way>>,
    age: Age,
}

/// How far a connection has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Age {
    /// Its first request has not come.
    Fresh,
    /// Its first request has not come, and the server stops: it has a moment left to send one.
    Hurried,
    /// It had an answer.
    Kept,
    /// It had an answer, and somebody else takes over: it has a moment left for one more.
    Leaving,
}

/// What becomes of a connection after it was served.
#[derive(Debug)]
enum Next {
    /// It is one of HTTP/2, and this was received of it (RFC 9113 §3.3).
    Http2(BytesMut),
    /// It is another protocol's, and this was received of it.
    Upgraded(Box<dyn Protocol>, BytesMut),
    /// It may have another request.
    Keep,
    /// It ends; all that was received has been read.
    Close,
    /// It ends, and something may still be on its way to us: a bare close would reset the connection and take the answer with
    /// it (RFC 9112 §9.6).
    Linger,
}

impl Connection {
    pub(crate) fn new(io: Io, peer: Peer, shared: Arc<Shared>) -> Self {
        let deadline = shared.clock.deadline();
        Self { io, peer, shared, deadline, interim: None, age: Age::Fresh }
    }

    /// Serves the connection until it ends; `counted` lives as long.
    #[expect(
        clippy::manual_async_fn,
        reason = "an `async fn` would hold `self` twice, as long as the connection lives"
    )]
    pub(crate) fn run(mut self, counted: impl Send) -> impl Future<Output = ()> + Send {
        async move {
            let _counted = &counted;
            while self.readable().await {
                // Made where it lies: a future that is moved into its box is copied, with all the room it will ever need.
                match Box::into_pin(Box::write(Box::new_uninit(), self.serve())).await {
                    Next::Keep => {}
                    Next::Close => break,
                    Next::Http2(received) => {
                        drop(self.deadline);
                        return Box::pin(http2::run(self.io, self.peer, self.shared, received)).await;
                    }
                    Next::Upgraded(protocol, received) => {
                        let Self { io, shared, deadline, .. } = self;
                        return protocol.run(Upgraded { io, shared, deadline, received }).await;
                    }
                    Next::Linger => return Box::pin(self.linger()).await,
                }
            }
            if self.io.has_farewell() {
                Box::pin(self.say_farewell()).await;
            }
        }
    }

    /// Waits, holding nothing, until there is something to read; `false` when the connection is over.
    async fn readable(&mut self) -> bool {
        let options = &self.shared.options;
        self.deadline.arm(match self.age {
            Age::Kept | Age::Leaving => options.keep_alive.into(),
            Age::Fresh | Age::Hurried => options.header_timeout.into(),
        });
        poll_fn(|cx| {
            self.deadline.belongs_to(cx);
            if let Poll::Ready(ready) = self.io.poll_readable(cx) {
                return Poll::Ready(ready.is_ok());
            }
            if self.deadline.is_over() {
                return Poll::Ready(false);
            }
            if !self.shared.is_stopping() {
                return Poll::Pending;
            }
            match self.age {
                // A stop: what the kernel has is still answered, once the loop has seen it too.
                _ if self.io.has_data() => Poll::Pending,
                Age::Kept if self.shared.is_draining() => {
                    self.age = Age::Leaving;
                    self.deadline.arm(LEAVE.min(options.keep_alive.into()));
                    Poll::Pending
                }
                Age::Leaving if self.shared.is_draining() => Poll::Pending,
                Age::Kept | Age::Leaving => Poll::Ready(false),
                Age::Hurried => Poll::Pending,
                Age::Fresh => {
                    self.age = Age::Hurried;
                    self.deadline.arm(HURRY);
                    Poll::Pending
                }
            }
        })
        .await
    }

    /// Answers requests as long as there are bytes of one.
    async fn serve(&mut self) -> Next {
        let may_be_http2 = self.age != Age::Kept && self.shared.speaks_http2();
        let mut wire = Wire::new(self);
        if may_be_http2 && wire.is_http2().await {
            return Next::Http2(std::mem::take(&mut wire.input));
        }
        loop {
            match wire.read_head().await {
                read::Start::Request(head) => match wire.exchange(head).await {
                    Next::Keep if wire.has_input() => {}
                    next => {
                        drop(wire);
                        self.age = Age::Kept;
                        return next;
                    }
                },
                read::Start::Refused(malformed) => return Box::pin(wire.refuse(malformed)).await,
                read::Start::Idle => return Next::Keep,
                read::Start::Gone => return Next::Close,
            }
        }
    }

    /// Ends a connection whose transport has something to say at its end (TLS), without waiting long for its client.
    async fn say_farewell(mut self) {
        self.deadline.arm(LINGER);
        poll_fn(|cx| match self.io.poll_finish_sending(cx) {
            Poll::Pending if !self.deadline.is_over() => Poll::Pending,
            _ => Poll::Ready(()),
        })
        .await;
    }

    /// Says that we are done, and reads on until the client is, or for a few seconds.
    async fn linger(mut self) {
        self.deadline.arm(LINGER);
        let mut rest = self.shared.buffers.take();
        let mut finished = false;
        poll_fn(|cx| {
            finished = finished || self.io.poll_finish_sending(cx).is_ready();
            loop {
                rest.input.clear();
                match self.io.poll_read(cx, &mut rest.input) {
                    Poll::Ready(Ok(count)) if count > 0 => {}
                    Poll::Pending if !self.deadline.is_over() => return Poll::Pending,
                    _ => return Poll::Ready(()),
                }
                if self.deadline.is_over() {
                    return Poll::Ready(());
                }
            }
        })
        .await;
        self.shared.buffers.give_back(rest);
    }
}

/// How long a closed connection is read on.
const LINGER: Duration = Duration::from_secs(3);
/// How long a kept connection waits for one more request when somebody else takes over.
const LEAVE: Duration = Duration::from_secs(5);
/// How long a connection that has sent nothing yet may hold up a stop.
const HURRY: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use super::*;

    /// Beyond a KiB the allocator of our programs (mimalloc) takes a longer way, for each time that something arrives.
    #[test]
    fn what_serves_a_connection_is_quick_to_allocate() {
        fn size<F>(_: impl FnOnce(&'static mut Connection) -> F) -> usize {
            size_of::<F>()
        }
        assert!(size(Connection::serve) <= 1024, "{} bytes", size(Connection::serve));
    }
}
