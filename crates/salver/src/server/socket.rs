//! One connection's socket, whatever its transport.
//!
//! An enum rather than a type parameter: one connection driver serves them all, and a plain socket can still be asked for
//! what only it can do (`sendfile`).

use std::io::{self, IoSlice};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::task::{Context, Poll};

use bytes::BytesMut;
use tokio::io::ReadBuf;
use tokio::net::{TcpStream, UnixStream};

use super::plain::Plain;
use super::transport::{Own, Transport};
use crate::body::FileRange;
use crate::tls;

/// A socket of a connection.
#[derive(Debug)]
pub(crate) enum Io {
    Plain(Plain),
    Tls(Box<Own<tls::Stream>>),
    Own(Box<Own<Box<dyn Transport>>>),
}

impl Io {
    /// A connection of a listener of one's own, or a stream within another one.
    pub(crate) fn own(io: Box<dyn Transport>) -> Self {
        Self::Own(Box::new(Own::new(io)))
    }

    /// Ready when reading will not wait: data, the end, or an error.
    pub(crate) fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(socket) => socket.poll_readable(cx),
            Self::Tls(tls) => tls.poll_readable(cx),
            Self::Own(own) => own.poll_readable(cx),
        }
    }

    /// Whether something can be read now, asked of the kernel itself: a stop must not miss what the loop has not seen yet.
    pub(crate) fn has_data(&self) -> bool {
        let Some(socket) = self.descriptor() else { return false }; // it has just been asked itself
        let mut byte = [0];
        let flags = rustix::net::RecvFlags::PEEK | rustix::net::RecvFlags::DONTWAIT;
        matches!(rustix::net::recv(socket, &mut byte, flags), Ok((count, _)) if count > 0)
    }

    /// Appends what there is to `buffer`, at most its spare capacity; `Ready(Ok(0))` is the end.
    pub(crate) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut BytesMut,
    ) -> Poll<io::Result<usize>> {
        match self {
            Self::Plain(socket) => socket.poll_read(cx, buffer),
            Self::Tls(tls) => tls.poll_read(cx, buffer),
            Self::Own(own) => own.poll_read(cx, buffer),
        }
    }

    /// The same into a buffer that somebody else keeps; nothing read is the end.
    #[cfg_attr(not(feature = "http2"), expect(dead_code, reason = "h2 alone brings its own buffer"))]
    pub(crate) fn poll_read_buf(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(socket) => socket.poll_read_buf(cx, buffer),
            Self::Tls(tls) => tls.poll_read_buf(cx, buffer),
            Self::Own(own) => own.poll_read_buf(cx, buffer),
        }
    }

    /// Writes some of `slices`.
    pub(crate) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self {
            Self::Plain(socket) => socket.poll_write(cx, slices),
            Self::Tls(tls) => tls.poll_write(cx, slices),
            Self::Own(own) => own.poll_write(cx, slices),
        }
    }

    /// Whether something that was written waits for [`Io::poll_flush`]; never so for a socket.
    pub(crate) fn holds_back(&self) -> bool {
        match self {
            Self::Plain(_) => false,
            Self::Tls(tls) => tls.holds_back(),
            Self::Own(own) => own.holds_back(),
        }
    }

    /// Sends what is held back.
    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(_) => Poll::Ready(Ok(())),
            Self::Tls(tls) => tls.poll_flush(cx),
            Self::Own(own) => own.poll_flush(cx),
        }
    }

    /// Writes some of `bytes`, of which more follows at once: the kernel waits with a segment that is not full.
    pub(crate) fn poll_write_more(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self {
            Self::Plain(socket) => socket.poll_write_more(cx, bytes),
            Self::Tls(_) | Self::Own(_) => self.poll_write(cx, &[IoSlice::new(bytes)]),
        }
    }

    /// Whether [`Io::poll_sendfile`] can serve.
    pub(crate) fn has_sendfile(&self) -> bool {
        matches!(self, Self::Plain(_))
    }

    /// Sends at most `most` bytes of `range` and moves past them; `Ready(Ok(0))` is the end of the file.
    pub(crate) fn poll_sendfile(
        &mut self,
        cx: &mut Context<'_>,
        range: &mut FileRange,
        most: usize,
    ) -> Poll<io::Result<usize>> {
        match self {
            Self::Plain(socket) => socket.poll_sendfile(cx, range, most),
            Self::Tls(_) | Self::Own(_) => Poll::Ready(Err(io::ErrorKind::Unsupported.into())),
        }
    }

    /// Says that nothing more will be sent; the client may still send.
    pub(crate) fn poll_finish_sending(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match self {
            Self::Tls(tls) => return tls.poll_finish_sending(cx),
            Self::Own(own) => return own.poll_finish_sending(cx),
            Self::Plain(_) => {}
        }
        if let Some(socket) = self.descriptor() {
            // The client may have gone: then there is nobody to tell.
            let _ = rustix::net::shutdown(socket, rustix::net::Shutdown::Write);
        }
        Poll::Ready(())
    }

    /// Whether closing takes a [`Io::poll_finish_sending`] first; the kernel does that for a socket.
    pub(crate) fn has_farewell(&self) -> bool {
        matches!(self, Self::Tls(_) | Self::Own(_))
    }

    /// Makes the coming close a reset: for a client that does not read, an orderly one would keep what is unsent in the
    /// kernel's memory for minutes.
    pub(crate) fn abort(&mut self) {
        match self {
            Self::Tls(tls) => tls.abort(),
            Self::Own(own) => own.abort(),
            Self::Plain(_) => {}
        }
        if let Some(socket) = self.descriptor() {
            // Without it the connection just closes later.
            let _ = rustix::net::sockopt::set_socket_linger(socket, Some(std::time::Duration::ZERO));
        }
    }

    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Self::Plain(socket) => Some(socket.as_fd()),
            Self::Tls(tls) => Some(tls.inner().get_ref().0.as_fd()),
            Self::Own(_) => None,
        }
    }
}

/// A connection whose handshake is over.
impl From<tls::Stream> for Io {
    fn from(stream: tls::Stream) -> Self {
        Self::Tls(Box::new(Own::new(stream)))
    }
}

impl From<TcpStream> for Io {
    fn from(socket: TcpStream) -> Self {
        Self::Plain(Plain::Tcp(socket))
    }
}

impl From<UnixStream> for Io {
    fn from(socket: UnixStream) -> Self {
        Self::Plain(Plain::Unix(socket))
    }
}
