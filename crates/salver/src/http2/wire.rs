//! A connection as `h2` wants one, and what is left of it when `h2` is done.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Instant;

use bytes::{Buf as _, Bytes, BytesMut};
use h2::Reason;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::gate::{Gate, Refused};
use crate::server::socket::Io;

/// A handle on a connection: `h2` has one, its driver another. Both are in one task.
#[derive(Clone)]
pub(super) struct Wire(Arc<Mutex<Inner>>);

struct Inner {
    io: Io,
    /// Received before.
    received: Bytes,
    input: Input,
    gate: Gate,
    /// How much was read since the streams had their turn, in bytes.
    taken: usize,
    /// Why nothing more is let in.
    refused: Option<Reason>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Input {
    Open,
    /// The client has closed its half, or is gone.
    Ended,
}

impl Wire {
    pub(super) fn new(io: Io, received: Bytes) -> Self {
        Self(Arc::new(Mutex::new(Inner {
            io,
            received,
            input: Input::Open,
            gate: Gate::new(Instant::now()),
            taken: 0,
            refused: None,
        })))
    }

    /// Why nothing more of the client is let in, if that is so.
    pub(super) fn refused(&self) -> Option<Reason> {
        self.lock().refused
    }

    /// Says that we are done, and reads on until the client is.
    pub(super) fn poll_drain(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut inner = self.lock();
        ready!(inner.io.poll_finish_sending(cx));
        let mut rest = BytesMut::with_capacity(4096);
        while inner.input == Input::Open {
            rest.clear();
            match ready!(inner.io.poll_read(cx, &mut rest)) {
                Ok(count) if count > 0 => {}
                _ => inner.input = Input::Ended,
            }
        }
        Poll::Ready(())
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let inner = &mut *self.lock();
        if inner.refused.is_some() {
            return Poll::Pending; // the driver ends the connection
        }
        // `h2` reads as long as there is something; what it has read waits for the streams all the while.
        if inner.taken >= TURN {
            inner.taken = 0;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let before = buffer.filled().len();
        if inner.received.is_empty() {
            let read = ready!(inner.io.poll_read_buf(cx, buffer));
            if read.is_err() || buffer.filled().len() == before {
                inner.input = Input::Ended;
                return Poll::Ready(read);
            }
        } else {
            let count = inner.received.len().min(buffer.remaining());
            buffer.put_slice(inner.received.get(..count).unwrap_or_default());
            inner.received.advance(count);
            if inner.received.is_empty() {
                inner.received = Bytes::new(); // an empty rest keeps the whole buffer
            }
        }
        let read = buffer.filled().get(before..).unwrap_or_default();
        inner.taken += read.len();
        let Err(Refused { admitted, reason }) = inner.gate.admit(read, Instant::now) else {
            return Poll::Ready(Ok(()));
        };
        inner.refused = Some(reason);
        buffer.set_filled(before + admitted);
        // Nothing read would be the end.
        if admitted > 0 { Poll::Ready(Ok(())) } else { Poll::Pending }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.lock().io.poll_write(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.lock().io.poll_write(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.lock().io.poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.lock().io.poll_finish_sending(cx).map(Ok)
    }
}

/// How much is read before the streams have their turn, in bytes.
const TURN: usize = 64 * 1024;
