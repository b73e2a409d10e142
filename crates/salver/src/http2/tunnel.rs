//! A stream that became another protocol's (RFC 8441): its DATA frames as bytes, both ways.
//!
//! The client may send on when what it sent has been read, and we when it lets us (RFC 9113 §5.2).

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use h2::{RecvStream, SendStream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Such a stream.
pub(super) struct Tunnel {
    receive: RecvStream,
    send: SendStream<Bytes>,
    /// What has come and is not read yet.
    unread: Bytes,
}

impl Tunnel {
    pub(super) fn new(receive: RecvStream, send: SendStream<Bytes>) -> Self {
        Self { receive, send, unread: Bytes::new() }
    }
}

impl AsyncRead for Tunnel {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while self.unread.is_empty() {
            match ready!(self.receive.poll_data(cx)) {
                Some(data) => self.unread = data.map_err(lost)?,
                None => return Poll::Ready(Ok(())),
            }
        }
        let count = self.unread.len().min(buffer.remaining());
        buffer.put_slice(self.unread.get(..count).unwrap_or_default());
        self.unread.advance(count);
        // Refused only where the stream is gone, which the next read tells.
        let _ = self.receive.flow_control().release_capacity(count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Tunnel {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if bytes.is_empty() {
            return Poll::Ready(Ok(0));
        }
        self.send.reserve_capacity(bytes.len());
        loop {
            let room = match ready!(self.send.poll_capacity(cx)) {
                Some(room) => room.map_err(lost)?.min(bytes.len()),
                None => return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
            };
            if let Some(piece) = bytes.get(..room).filter(|piece| !piece.is_empty()) {
                self.send.send_data(Bytes::copy_from_slice(piece), false).map_err(lost)?;
                return Poll::Ready(Ok(room));
            }
        }
    }

    /// The connection's task sends what it has been given.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.send.send_data(Bytes::new(), true).map_err(lost))
    }
}

/// The stream was reset, or its connection is gone.
fn lost(error: h2::Error) -> io::Error {
    error.into_io().unwrap_or_else(|| io::ErrorKind::ConnectionReset.into())
}
