//! A socket of the kernel's, without TLS: TCP or Unix.
//!
//! tokio says when it is ready; what is then done are system calls of `rustix` and not the C library's, which in a process of
//! many threads make each `recv` and `send` a point where a thread can be cancelled.
#![allow(unsafe_code)] // to say how much of a buffer's spare room the kernel has filled

use std::fs::File;
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{BufMut as _, BytesMut};
use rustix::net::{RecvFlags, SendFlags};
use tokio::io::{AsyncRead as _, Interest, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

use super::socket::More;

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
    pub(super) fn poll_read(&self, cx: &mut Context<'_>, buffer: &mut BytesMut) -> Poll<io::Result<usize>> {
        buffer.reserve(1); // to read nothing would look like the end
        loop {
            ready!(self.poll_readable(cx))?;
            let room = buffer.spare_capacity_mut();
            let whole = room.len();
            let receive = || Ok(rustix::net::recv(self, &mut *room, RecvFlags::empty())?.1);
            let read = self.attempt(Interest::READABLE, whole, receive);
            if let Poll::Ready(Ok(count)) = read {
                // SAFETY: `recv` has written so many bytes to the beginning of the room.
                unsafe { buffer.advance_mut(count) };
            }
            if read.is_ready() {
                return read;
            }
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
        // A `send` of one piece costs less than a `writev` of it.
        if let [bytes] = slices {
            return self.poll_send(cx, bytes, More::No);
        }
        let whole = slices.iter().map(|slice| slice.len()).sum();
        self.poll_out(cx, whole, || Ok(rustix::io::writev(self, slices)?))
    }

    /// Writes some of `bytes`.
    pub(super) fn poll_send(
        &self,
        cx: &mut Context<'_>,
        bytes: &[u8],
        more: More,
    ) -> Poll<io::Result<usize>> {
        let flags = match (more, self) {
            (More::Follows, Self::Tcp(_)) => SendFlags::MORE | SendFlags::NOSIGNAL,
            _ => SendFlags::NOSIGNAL,
        };
        self.poll_out(cx, bytes.len(), || Ok(rustix::net::send(self, bytes, flags)?))
    }

    /// Sends at most `count` bytes of `file` from `offset` on, and moves `offset`; `Ready(Ok(0))` is the end of the file.
    pub(super) fn poll_sendfile(
        &self,
        cx: &mut Context<'_>,
        file: &File,
        offset: &mut u64,
        count: usize,
    ) -> Poll<io::Result<usize>> {
        // It may send less where there would be room for more.
        self.poll_out(cx, 0, || Ok(rustix::fs::sendfile(self, file, Some(offset), count)?))
    }

    fn poll_out(
        &self,
        cx: &mut Context<'_>,
        whole: usize,
        mut act: impl FnMut() -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.poll_writable(cx))?;
            if let Poll::Ready(done) = self.attempt(Interest::WRITABLE, whole, &mut act) {
                return Poll::Ready(done);
            }
        }
    }

    /// Does what the socket was ready for; `Pending` where it was not. After less than `whole` it is known not to be ready
    /// again, which spares the system call that would find out.
    fn attempt(
        &self,
        interest: Interest,
        whole: usize,
        act: impl FnOnce() -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        let mut partly = None;
        let act = || match act() {
            Ok(count) if 0 < count && count < whole => {
                partly = Some(count);
                Err(io::ErrorKind::WouldBlock.into())
            }
            done => done,
        };
        let done = match self {
            Self::Tcp(socket) => socket.try_io(interest, act),
            Self::Unix(socket) => socket.try_io(interest, act),
        };
        match (partly, done) {
            (Some(count), _) => Poll::Ready(Ok(count)),
            (None, Err(error)) if error.kind() == io::ErrorKind::WouldBlock => Poll::Pending,
            (None, done) => Poll::Ready(done),
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

    async fn read_all(socket: Plain) -> Vec<u8> {
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
        for (from, to) in pairs().await {
            let file = &file;
            let send = async move {
                assert_eq!(poll_fn(|cx| from.poll_send(cx, b"head", More::Follows)).await.unwrap(), 4);
                let mut offset = 0;
                while poll_fn(|cx| from.poll_sendfile(cx, file, &mut offset, 1 << 20)).await.unwrap() > 0 {}
                offset
            };
            let both = async { tokio::join!(send, read_all(to)) };
            let (offset, read) = timeout(LIMIT, both).await.expect("it goes on");
            assert_eq!(offset, LONG as u64);
            assert!(read.strip_prefix(b"head").is_some_and(|read| read == content));
        }
    }
}
