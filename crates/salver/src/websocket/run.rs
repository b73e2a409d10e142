//! The connection of an open WebSocket: reads, answers pings, sends what its program sends, closes (RFC 6455 §5.5, §7).
//!
//! While nothing is under way it holds no buffer; its one deadline is the connection's.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{Control, Data, OpCode};

use super::link::Outgoing;
use super::reader::{Event, Reader, Violation};
use super::{Close, Link, Message, Options, deflate};
use crate::upgrade::{Protocol, Upgraded};

/// A WebSocket that was accepted.
pub(super) struct Socket {
    link: Arc<Link>,
    deflate: bool,
    most: usize,
    ping_interval: Duration,
    ping_timeout: Duration,
}

impl Socket {
    pub(super) fn new(link: Arc<Link>, deflate: bool, options: &Options) -> Self {
        Self {
            link,
            deflate,
            most: options.ws_max_size,
            ping_interval: options.ws_ping_interval.into(),
            ping_timeout: options.ws_ping_timeout.into(),
        }
    }
}

impl Protocol for Socket {
    fn run(self: Box<Self>, mut wire: Upgraded) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let input = std::mem::take(&mut wire.received);
        let reader = Reader::new(self.most, self.deflate);
        let mut driver = Driver {
            socket: *self,
            wire,
            reader,
            input,
            output: Vec::new(),
            sent: 0,
            stuck: None,
            stage: Stage::Open,
            asked: false,
        };
        Box::pin(async move {
            driver.await_life();
            poll_fn(|cx| driver.poll(cx)).await;
        })
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.link.finish(Close::new(1006));
    }
}

struct Driver {
    socket: Socket,
    wire: Upgraded,
    reader: Reader,
    input: BytesMut,
    /// To be sent; what is before `sent` has been.
    output: Vec<u8>,
    sent: usize,
    /// Since when the connection takes nothing, if it does not.
    stuck: Option<Instant>,
    stage: Stage,
    /// Whether a sign of life was asked for and has not come.
    asked: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Open,
    /// The client has said that it closes, with this code, and the program may answer what came before.
    Leaving(u16),
    /// We have said that it closes, with this code, and wait for the client to say so, too.
    Closing(u16),
    /// Both have, or nothing more is wanted: what is left is sent, and then our half is closed.
    Over,
    /// Our half is closed; what still comes is dropped.
    Lingering,
}

impl Driver {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.wire.deadline.belongs_to(cx);
        if self.stage == Stage::Open && self.wire.shared.is_stopping() {
            self.fail(Close { code: 1012, reason: "the server restarts".into() });
        }
        if self.is_stuck() || self.wire.deadline.is_over() && self.overdue(cx) {
            return Poll::Ready(());
        }
        loop {
            let drained = self.encode(cx);
            let flushed = match self.poll_flush(cx) {
                Poll::Ready(Err(_)) => return Poll::Ready(()),
                flushed => flushed.is_ready(),
            };
            if self.stage == Stage::Over {
                if !flushed {
                    return Poll::Pending;
                }
                ready!(self.wire.io.poll_finish_sending(cx));
                self.stage = Stage::Lingering;
            }
            match self.poll_input(cx) {
                Poll::Ready(Ok(true)) => {}
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending if !flushed => return Poll::Pending,
                // There is more to encode, or an answer to a ping or to a close has been put there.
                Poll::Pending if !drained || !self.output.is_empty() => {}
                Poll::Pending => {
                    self.rest();
                    return Poll::Pending;
                }
            }
        }
    }

    /// Nothing is to be done: gives its buffers back, unless they hold something.
    fn rest(&mut self) {
        if self.input.is_empty() {
            self.input = BytesMut::new();
        }
        if self.output.capacity() > KEPT {
            self.output = Vec::new();
        }
    }

    fn may_encode(&self) -> bool {
        self.output.len() - self.sent < GATHERED
    }

    /// Puts what the program sends into frames; whether that is all of it, so that more wakes the task of `cx`.
    fn encode(&mut self, cx: &Context<'_>) -> bool {
        while matches!(self.stage, Stage::Open | Stage::Leaving(_)) {
            if !self.may_encode() {
                return false;
            }
            match self.socket.link.next(cx) {
                None => return true,
                Some(Outgoing::Message(Message::Text(text))) => self.put(Data::Text, text.as_bytes()),
                Some(Outgoing::Message(Message::Binary(bytes))) => self.put(Data::Binary, &bytes),
                Some(Outgoing::Close(close)) => {
                    self.put_close(&close);
                    if matches!(self.stage, Stage::Leaving(_)) {
                        self.socket.link.finish(close);
                        self.end();
                    } else {
                        self.stage = Stage::Closing(close.code);
                        self.wire.deadline.arm(CLOSING);
                    }
                }
            }
        }
        true
    }

    fn put(&mut self, kind: Data, payload: &[u8]) {
        let packed = (self.socket.deflate && payload.len() >= PACKED).then(|| deflate::deflate(payload));
        let rsv1 = packed.is_some();
        self.frame(OpCode::Data(kind), rsv1, packed.as_deref().unwrap_or(payload));
    }

    fn put_close(&mut self, close: &Close) {
        let mut payload = Vec::new();
        if close.code != 1005 {
            payload.extend_from_slice(&close.code.to_be_bytes());
            let mut end = close.reason.len().min(MOST_REASON);
            while !close.reason.is_char_boundary(end) {
                end -= 1;
            }
            payload.extend_from_slice(close.reason.get(..end).unwrap_or_default().as_bytes());
        }
        self.frame(OpCode::Control(Control::Close), false, &payload);
    }

    fn frame(&mut self, opcode: OpCode, rsv1: bool, payload: &[u8]) {
        let header = FrameHeader { rsv1, opcode, ..FrameHeader::default() };
        // Writing to memory does not fail.
        let _ = header.format(payload.len() as u64, &mut self.output);
        self.output.extend_from_slice(payload);
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(rest) = self.output.get(self.sent..).filter(|rest| !rest.is_empty()) {
            let written = self.wire.io.poll_write(cx, &[IoSlice::new(rest)]);
            match ready!(self.sending(written))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                count => self.sent += count,
            }
        }
        self.output.clear();
        self.sent = 0;
        let flushed =
            if self.wire.io.holds_back() { self.wire.io.poll_flush(cx) } else { Poll::Ready(Ok(())) };
        self.sending(flushed)
    }

    /// Watches over sending: notes since when the client takes nothing, and has somebody look in time.
    fn sending<T>(&mut self, sent: Poll<T>) -> Poll<T> {
        if sent.is_ready() {
            self.stuck = None;
        } else {
            self.stuck.get_or_insert_with(Instant::now);
            if !self.wire.deadline.is_armed() {
                self.wire.deadline.arm(self.send_timeout());
            }
        }
        sent
    }

    fn send_timeout(&self) -> Duration {
        self.wire.shared.options.send_timeout.into()
    }

    /// Whether the client takes nothing for longer than it may: its program would wait for ever, whatever it sends itself.
    fn is_stuck(&mut self) -> bool {
        let timeout = self.send_timeout();
        let is_stuck = !timeout.is_zero() && self.stuck.is_some_and(|since| since.elapsed() >= timeout);
        if is_stuck {
            self.wire.io.abort();
        }
        is_stuck
    }

    /// Acts on what has come; `false` when the connection is over.
    fn poll_input(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        if matches!(self.stage, Stage::Leaving(_) | Stage::Lingering) {
            self.input.clear();
        } else if let Some(progress) = self.act(cx) {
            return progress;
        }
        // Waiting takes no buffer.
        ready!(self.wire.io.poll_readable(cx))?;
        self.input.reserve(if self.reader.is_at_rest() { ROOM } else { MORE_ROOM });
        let count = ready!(self.wire.io.poll_read(cx, &mut self.input))?;
        if count > 0 && self.stage == Stage::Open {
            self.await_life();
        }
        Poll::Ready(Ok(count > 0))
    }

    /// Acts on what was read already; `None` if more has to be read.
    fn act(&mut self, cx: &mut Context<'_>) -> Option<Poll<io::Result<bool>>> {
        loop {
            if self.socket.link.is_full(cx) || !self.may_encode() {
                return Some(Poll::Pending);
            }
            match self.reader.read(&mut self.input) {
                Ok(Some(event)) => self.heard(event),
                Ok(None) => return None,
                Err(Violation { code, reason }) => {
                    self.fail(Close { code, reason: reason.into_owned() });
                }
            }
            if matches!(self.stage, Stage::Leaving(_) | Stage::Over) {
                return Some(Poll::Ready(Ok(true)));
            }
        }
    }

    fn heard(&mut self, event: Event) {
        match event {
            Event::Pong => {}
            Event::Ping(payload) if self.stage == Stage::Open => {
                self.frame(OpCode::Control(Control::Pong), false, &payload);
            }
            Event::Close(close) => {
                let close = close.map_or(Close::new(1005), |(code, reason)| Close { code, reason });
                if let Stage::Closing(code) = self.stage {
                    self.socket.link.finish(Close { code, reason: close.reason });
                    self.end();
                } else {
                    self.stage = Stage::Leaving(close.code);
                    self.wire.deadline.arm(LEAVING);
                    self.socket.link.leave(close);
                }
            }
            // RFC 6455 §1.4: what comes behind our close frame is not looked at.
            _ if self.stage != Stage::Open => {}
            Event::Text(text) => self.socket.link.put(Message::Text(text)),
            Event::Binary(bytes) => self.socket.link.put(Message::Binary(bytes)),
            Event::Ping(_) => {}
        }
    }

    /// Closes it from our side, without waiting for the client.
    fn fail(&mut self, close: Close) {
        if self.stage == Stage::Open {
            self.put_close(&close);
        }
        self.socket.link.finish(close);
        self.end();
    }

    fn end(&mut self) {
        self.stage = Stage::Over;
        self.wire.deadline.arm(LINGER);
    }

    /// The client has shown that it lives: it is asked anew after a while.
    fn await_life(&mut self) {
        self.asked = false;
        self.wire.deadline.arm(self.socket.ping_interval); // never, where that is 0
    }

    /// The deadline is over; whether the connection is, too.
    fn overdue(&mut self, cx: &Context<'_>) -> bool {
        if let Stage::Leaving(code) = self.stage {
            self.put_close(&Close::new(code));
            self.socket.link.finish(Close::new(code));
            self.end();
            return false;
        }
        if self.stage != Stage::Open {
            return true;
        }
        if self.asked && !self.socket.link.is_full(cx) {
            self.socket.link.finish(Close::new(1006));
            self.fail(Close { code: 1011, reason: "no answer to a ping".into() });
            return false;
        }
        if self.socket.ping_interval.is_zero() {
            // It was armed for a client that took nothing, and has been slow again since.
            self.wire.deadline.arm(if self.stuck.is_some() { self.send_timeout() } else { Duration::ZERO });
            return false;
        }
        self.frame(OpCode::Control(Control::Ping), false, b"alive");
        let timeout = self.socket.ping_timeout;
        self.asked = !timeout.is_zero();
        self.wire.deadline.arm(if self.asked { timeout } else { self.socket.ping_interval });
        false
    }
}

/// How long a program may take to answer what came before the client's close frame.
const LEAVING: Duration = Duration::from_secs(1);
/// How long a client may take to answer a close frame.
const CLOSING: Duration = Duration::from_secs(10);
/// How long what is left may take when all was said.
const LINGER: Duration = Duration::from_secs(3);
/// How much is gathered before it has to leave, in bytes.
const GATHERED: usize = 64 * 1024;
/// A buffer up to this is kept while nothing is to be sent, in bytes.
const KEPT: usize = 512;
/// Messages from this on are packed, in bytes: shorter ones hardly shrink.
const PACKED: usize = 64;
/// How much is read at once, in bytes: what waits usually, and amid a message.
const ROOM: usize = 4 * 1024;
const MORE_ROOM: usize = 64 * 1024;
/// The longest reason of a close frame, in bytes (RFC 6455 §5.5).
const MOST_REASON: usize = 123;
