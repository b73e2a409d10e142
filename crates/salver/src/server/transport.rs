//! A connection of a listener that is not ours, as the driver needs one.
//!
//! [`AsyncRead`] knows no readiness, so waiting for input reads some; it is kept until it is asked for. What was written may be
//! held back until it is flushed; a socket holds nothing back.

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};

/// What [`Listener::Io`](crate::listen::Listener::Io) is.
pub(crate) trait Transport: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Transport for T {}

/// Such a connection.
pub(crate) struct Own<T> {
    io: T,
    /// Read while waiting for something to read. Empty, and without memory, between two requests.
    ahead: BytesMut,
    input: Input,
    output: Output,
}

#[derive(Debug, PartialEq, Eq)]
enum Input {
    Open,
    Ended,
}

#[derive(Debug, PartialEq, Eq)]
enum Output {
    Flushed,
    /// Written, and not flushed yet.
    Held,
    /// Nothing more is sent.
    Finished,
}

impl<T: Transport> Own<T> {
    pub(super) fn new(io: T) -> Self {
        Self { io, ahead: BytesMut::new(), input: Input::Open, output: Output::Flushed }
    }

    pub(super) fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.input == Input::Ended || !self.ahead.is_empty() {
            return Poll::Ready(Ok(()));
        }
        let mut room = [MaybeUninit::uninit(); AHEAD];
        let mut read = ReadBuf::uninit(&mut room);
        ready!(Pin::new(&mut self.io).poll_read(cx, &mut read))?;
        match read.filled() {
            [] => self.input = Input::Ended,
            bytes => self.ahead.extend_from_slice(bytes),
        }
        Poll::Ready(Ok(()))
    }

    pub(super) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut BytesMut,
    ) -> Poll<io::Result<usize>> {
        if !self.ahead.is_empty() {
            let room = (buffer.capacity() - buffer.len()).max(1);
            let count = self.ahead.len().min(room);
            buffer.extend_from_slice(&self.ahead.split_to(count));
            if self.ahead.is_empty() {
                self.ahead = BytesMut::new();
            }
            return Poll::Ready(Ok(count));
        }
        match self.input {
            Input::Ended => Poll::Ready(Ok(0)),
            Input::Open => pin!(self.io.read_buf(buffer)).poll(cx),
        }
    }

    pub(super) fn poll_read_buf(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.ahead.is_empty() {
            let count = self.ahead.len().min(buffer.remaining());
            buffer.put_slice(&self.ahead.split_to(count));
            return Poll::Ready(Ok(()));
        }
        match self.input {
            Input::Ended => Poll::Ready(Ok(())),
            Input::Open => Pin::new(&mut self.io).poll_read(cx, buffer),
        }
    }

    pub(super) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let count = ready!(Pin::new(&mut self.io).poll_write_vectored(cx, slices))?;
        self.output = Output::Held;
        Poll::Ready(Ok(count))
    }

    pub(super) fn holds_back(&self) -> bool {
        self.output == Output::Held
    }

    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.io).poll_flush(cx))?;
        self.output = Output::Flushed;
        Poll::Ready(Ok(()))
    }

    pub(super) fn poll_finish_sending(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.output != Output::Finished {
            // The client may have gone: then there is nobody to tell.
            let _ = ready!(Pin::new(&mut self.io).poll_shutdown(cx));
            self.output = Output::Finished;
        }
        Poll::Ready(())
    }

    pub(super) fn abort(&mut self) {
        self.output = Output::Finished;
    }

    /// The connection itself.
    pub(super) fn inner(&self) -> &T {
        &self.io
    }
}

impl<T> std::fmt::Debug for Own<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Own")
            .field("input", &self.input)
            .field("output", &self.output)
            .finish_non_exhaustive()
    }
}

/// How much is read at once while waiting, in bytes: on the stack, so that waiting holds no memory.
const AHEAD: usize = 4096;
