//! The socket of a connection that is being served, with its buffers.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, BytesMut};

use super::{Age, Connection};
use crate::interim::Way;
use crate::request::Peer;
use crate::server::Shared;
use crate::server::buffers::Buffers;
use crate::server::clock::Deadline;
use crate::server::socket::Io;

/// What serving needs of the connection, and the buffers it holds meanwhile.
pub(super) struct Wire<'c> {
    pub(super) io: &'c mut Io,
    pub(super) peer: &'c Peer,
    pub(super) shared: &'c Arc<Shared>,
    pub(super) deadline: &'c Arc<Deadline>,
    pub(super) client: Client,
    pub(super) interim: &'c Arc<Way>,
    /// Received and not yet used.
    pub(super) input: BytesMut,
    /// To be sent; what is before `sent` has been.
    pub(super) output: Vec<u8>,
    pub(super) sent: usize,
}

/// Whether the client can be expected to send more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Client {
    /// It may send further requests.
    Open,
    /// Its connection ends with the request at hand.
    OnLast,
    /// Its connection ends with the request at hand, and it has closed its half.
    Finished,
}

impl<'c> Wire<'c> {
    pub(super) fn new(connection: &'c mut Connection) -> Self {
        let Buffers { input, output } = connection.shared.buffers.take();
        if connection.age == Age::Kept {
            connection.deadline.disarm(); // the idle time is over; that of a first head goes on
        }
        Self {
            io: &mut connection.io,
            peer: &connection.peer,
            shared: &connection.shared,
            deadline: &connection.deadline,
            client: Client::Open,
            interim: connection.interim.get_or_insert_default(),
            input,
            output,
            sent: 0,
        }
    }

    pub(super) fn has_input(&self) -> bool {
        !self.input.is_empty()
    }

    /// Reads more into `input`, which grows if it is full; `Ready(Ok(0))` is the end.
    pub(super) fn poll_fill(&mut self, cx: &mut Context<'_>, room: usize) -> Poll<io::Result<usize>> {
        if self.input.capacity() - self.input.len() < room.min(MIN_ROOM) {
            self.input.reserve(room);
        }
        self.io.poll_read(cx, &mut self.input)
    }

    /// Sends what `output` holds.
    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_send(cx, &mut &[][..])
    }

    /// Sends what `output` holds, then `tail`, which shrinks as it goes.
    pub(super) fn poll_send(&mut self, cx: &mut Context<'_>, tail: &mut &[u8]) -> Poll<io::Result<()>> {
        loop {
            let head = self.output.get(self.sent..).unwrap_or_default();
            if head.is_empty() && tail.is_empty() {
                if self.io.holds_back() {
                    let flushed = self.io.poll_flush(cx).map_ok(|()| 1);
                    ready!(self.sending(flushed))?;
                }
                self.output.clear();
                self.sent = 0;
                return Poll::Ready(Ok(()));
            }
            let head_length = head.len();
            let (slices, both) = ([IoSlice::new(head)], [IoSlice::new(head), IoSlice::new(tail)]);
            let written = self.io.poll_write(cx, if tail.is_empty() { &slices } else { &both });
            let count = ready!(self.sending(written))?;
            self.sent += count.min(head_length);
            tail.advance(count.saturating_sub(head_length));
        }
    }

    /// Sends what `output` holds; more follows at once.
    pub(super) fn poll_flush_more(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(head) = self.output.get(self.sent..).filter(|head| !head.is_empty()) {
            let written = self.io.poll_write_more(cx, head);
            self.sent += ready!(self.sending(written))?;
        }
        self.output.clear();
        self.sent = 0;
        Poll::Ready(Ok(()))
    }

    pub(super) async fn flush(&mut self) -> io::Result<()> {
        poll_fn(|cx| self.poll_flush(cx)).await
    }

    /// Watches over sending: nothing written in `--send-timeout` is an error, and any progress starts it anew.
    pub(super) fn sending(&mut self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match written {
            Poll::Pending if !self.deadline.is_armed() => {
                self.deadline.arm(self.shared.options.send_timeout.into());
                Poll::Pending
            }
            Poll::Pending if self.deadline.is_over() => {
                self.io.abort();
                Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
            }
            Poll::Pending => Poll::Pending,
            Poll::Ready(Ok(0)) => Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
            done => {
                self.deadline.disarm();
                done
            }
        }
    }
}

impl Drop for Wire<'_> {
    fn drop(&mut self) {
        let buffers =
            Buffers { input: std::mem::take(&mut self.input), output: std::mem::take(&mut self.output) };
        self.shared.buffers.give_back(buffers);
    }
}

/// With less room than this a read is not worth its system call.
const MIN_ROOM: usize = 1024;
