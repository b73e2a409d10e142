//! A socket of the kernel's, without TLS: TCP or Unix.
//!
//! tokio reads and writes; what it has no function for (`MSG_MORE`, `sendfile`) is done when it says that there is room.

use std::future::Future as _;
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use bytes::BytesMut;
use rustix::net::SendFlags;
use tokio::io::{AsyncRead as _, AsyncReadExt as _, Interest, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

use crate::body::FileRange;

/// Such a socket.
#[derive(Debug)]
pub(crate) enum Plain {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl AsFd for Plain {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(socket) => socket.as_fd(),
            Self::Unix(socket) => socket.as_fd(),
        }
    }
}

impl Plain {
    /// Ready when reading will not wait: data, the end, or an error.
    pub(super) fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(socket) => socket.poll_read_ready(cx),
            Self::Unix(socket) => socket.poll_read_ready(cx),
        }
    }

    fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(socket) => socket.poll_write_ready(cx),
            Self::Unix(socket) => socket.poll_write_ready(cx),
        }
    }

    /// Appends what there is to `buffer`, at most its spare capacity; `Ready(Ok(0))` is the end.
    pub(super) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut BytesMut,
    ) -> Poll<io::Result<usize>> {
        // `read_buf` keeps no state of its own, so a future made for each poll loses nothing.
        match self {
            Self::Tcp(socket) => pin!(socket.read_buf(buffer)).poll(cx),
            Self::Unix(socket) => pin!(socket.read_buf(buffer)).poll(cx),
        }
    }

    /// The same into a buffer that somebody else keeps; nothing read is the end.
    pub(super) fn poll_read_buf(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(socket) => Pin::new(socket).poll_read(cx, buffer),
            Self::Unix(socket) => Pin::new(socket).poll_read(cx, buffer),
        }
    }

    /// Writes some of `slices`.
    pub(super) fn poll_write(&self, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        // The system calls themselves: the C library's functions are points where a thread can be cancelled, which takes two atomic
        // operations each. And a `send` of one piece costs less than a `writev` of it.
        self.poll_out(cx, || match slices {
            [bytes] => Ok(rustix::net::send(self, bytes, SendFlags::NOSIGNAL)?),
            _ => Ok(rustix::io::writev(self, slices)?),
        })
    }

    /// Writes some of `bytes`, of which more follows at once.
    pub(super) fn poll_write_more(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self {
            Self::Tcp(_) => {
                let flags = SendFlags::MORE | SendFlags::NOSIGNAL;
                self.poll_out(cx, || Ok(rustix::net::send(&*self, bytes, flags)?))
            }
            Self::Unix(_) => self.poll_write(cx, &[IoSlice::new(bytes)]),
        }
    }

    /// Sends at most `most` bytes of `range` and moves past them; `Ready(Ok(0))` is the end of the file.
    pub(super) fn poll_sendfile(
        &self,
        cx: &mut Context<'_>,
        range: &mut FileRange,
        most: usize,
    ) -> Poll<io::Result<usize>> {
        let Some(file) = range.file() else { return Poll::Ready(Err(io::ErrorKind::Unsupported.into())) };
        let count = usize::try_from(range.length()).unwrap_or(usize::MAX).min(most);
        let mut offset = range.offset();
        let sent =
            ready!(self.poll_out(cx, || Ok(rustix::fs::sendfile(self, file, Some(&mut offset), count)?)));
        range.advance(*sent.as_ref().unwrap_or(&0) as u64);
        Poll::Ready(sent)
    }

    /// Does `act` as soon as there is room.
    fn poll_out(
        &self,
        cx: &mut Context<'_>,
        mut act: impl FnMut() -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.poll_writable(cx))?;
            let done = match self {
                Self::Tcp(socket) => socket.try_io(Interest::WRITABLE, &mut act),
                Self::Unix(socket) => socket.try_io(Interest::WRITABLE, &mut act),
            };
            match done {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                done => return Poll::Ready(done),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::io::{Seek as _, Write as _};
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    const LONG: usize = 4 << 20; // more than the kernel has room for
    const LIMIT: Duration = Duration::from_secs(30);

    fn content() -> Vec<u8> {
        (0..LONG).map(|at| (at / 7 % 251) as u8).collect()
    }

    async fn pairs() -> [(Plain, Plain); 2] {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let tcp = (Plain::Tcp(listener.accept().await.unwrap().0), Plain::Tcp(client));
        let (one, other) = UnixStream::pair().unwrap();
        [tcp, (Plain::Unix(one), Plain::Unix(other))]
    }

    async fn read_all(mut socket: Plain) -> Vec<u8> {
        let mut all = Vec::new();
        // Reads that fill their room and reads that do not: only after the latter nothing is left.
        for room in [1, 100, 64 << 10].into_iter().cycle() {
            let mut buffer = BytesMut::with_capacity(room);
            match poll_fn(|cx| socket.poll_read(cx, &mut buffer)).await.unwrap() {
                0 => break,
                count => assert_eq!(count, buffer.len()),
            }
            all.extend_from_slice(&buffer);
        }
        all
    }

    async fn write_all(socket: Plain, content: &[u8], pieces: usize) {
        let mut rest = content;
        while !rest.is_empty() {
            let (head, tail) = rest.split_at(rest.len().min(if pieces == 1 { rest.len() } else { 100 }));
            let slices = [IoSlice::new(head), IoSlice::new(tail)];
            let sent = poll_fn(|cx| socket.poll_write(cx, slices.get(..pieces).unwrap())).await.unwrap();
            rest = rest.get(sent..).unwrap();
        }
    }

    #[tokio::test]
    async fn what_is_longer_than_the_kernels_room_arrives_whole() {
        let content = content();
        for pieces in [1, 2] {
            for (from, to) in pairs().await {
                let both = async { tokio::join!(write_all(from, &content, pieces), read_all(to)) };
                let ((), read) = timeout(LIMIT, both).await.expect("it goes on");
                assert!(read == content, "{pieces}: {} bytes", read.len());
            }
        }
    }

    #[tokio::test]
    async fn files_and_what_goes_before_them_arrive_whole() {
        let content = content();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&content).unwrap();
        file.rewind().unwrap();
        let whole = FileRange::new(file, 0, LONG as u64);
        for (mut from, to) in pairs().await {
            let mut range = whole.clone();
            let send = async move {
                assert_eq!(poll_fn(|cx| from.poll_write_more(cx, b"head")).await.unwrap(), 4);
                while poll_fn(|cx| from.poll_sendfile(cx, &mut range, 1 << 20)).await.unwrap() > 0 {}
                (range.offset(), range.length())
            };
            let both = async { tokio::join!(send, read_all(to)) };
            let (ends, read) = timeout(LIMIT, both).await.expect("it goes on");
            assert_eq!(ends, (LONG as u64, 0));
            assert!(read.strip_prefix(b"head").is_some_and(|read| read == content));
        }
    }
}
