//! Sending an answer: its head, and its content as far as the client's windows allow.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use h2::{Reason, SendStream};
use http::header::{CONTENT_LENGTH, DATE};
use http::{HeaderMap, HeaderValue, StatusCode, Version};
use http_body::Frame;

use super::stream::Responder;
use crate::body::{Body, BoxError, FileRange, Stream};
use crate::handler::Response;
use crate::http1::reply::{self, Asked, BodyFraming, Marks, Plan};
use crate::server::Shared;
use crate::server::clock::Deadline;

/// What was sent of a response.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sent {
    /// Bytes of content.
    pub(super) bytes: u64,
    /// Whether that was all of it.
    pub(super) complete: bool,
}

/// Why a response was cut.
enum Cut {
    /// The client left, or does not take it.
    Lost,
    /// What makes the content failed.
    Failed(BoxError),
}

/// One answer on its way.
pub(super) struct Sender<'s> {
    pub(super) responder: Responder,
    pub(super) deadline: Arc<Deadline>,
    pub(super) shared: &'s Shared,
}

impl Sender<'_> {
    /// Sends it.
    pub(super) async fn respond(self, response: Response, head_only: bool) -> Sent {
        let (head, body) = response.into_parts();
        let asked =
            Asked { version: Version::HTTP_2, protocol: Version::HTTP_2, head_only, keep_alive: true };
        let planned = match head.status {
            // RFC 9113 §8.6: there is nothing to switch to.
            StatusCode::SWITCHING_PROTOCOLS => Err(reply::BadReply::Interim(101)),
            status => Plan::of(&asked, status, &head.headers, Marks::of(&head.headers), body.len()),
        };
        let (status, headers, plan) = match planned {
            Ok(plan) => (head.status, head.headers, plan),
            Err(bad) => {
                tracing::error!("a handler's response cannot be sent: {bad}");
                let bare = http::Response::builder().status(StatusCode::INTERNAL_SERVER_ERROR).body(());
                let complete = bare.is_ok_and(|bare| self.responder.start(bare, true).is_some());
                return Sent { bytes: 0, complete };
            }
        };
        let framing = plan.written.framing;
        let is_empty =
            matches!(framing, BodyFraming::None | BodyFraming::Length(0)) || matches!(body, Body::Empty);
        let mut sent = Sent { bytes: 0, complete: false };
        let head = head_of(status, &headers, plan.content_length);
        let Some(mut stream) = self.responder.start(head, is_empty) else { return sent };
        if is_empty {
            sent.complete = true;
            return sent;
        }
        match self.send_body(&mut stream, framing, body, &mut sent.bytes).await {
            Ok(()) => sent.complete = true,
            Err(Cut::Lost) => stream.send_reset(Reason::CANCEL),
            Err(Cut::Failed(error)) => {
                tracing::error!("a response was cut after {} bytes: {error}", sent.bytes);
                stream.send_reset(Reason::INTERNAL_ERROR);
            }
        }
        sent
    }

    async fn send_body(
        &self,
        stream: &mut SendStream<Bytes>,
        framing: BodyFraming,
        body: Body,
        sent: &mut u64,
    ) -> Result<(), Cut> {
        match body {
            Body::Empty => Ok(()),
            Body::Bytes(bytes) => self.send_bytes(stream, bytes, End::Stream, sent).await,
            Body::File(range) => self.send_file(stream, range, sent).await,
            Body::Stream(source) => self.send_stream(stream, framing, source, sent).await,
        }
    }

    /// Sends `bytes` as the client lets us.
    async fn send_bytes(
        &self,
        stream: &mut SendStream<Bytes>,
        mut bytes: Bytes,
        end: End,
        sent: &mut u64,
    ) -> Result<(), Cut> {
        while !bytes.is_empty() {
            let room = self.room(stream, bytes.len()).await?;
            let piece = bytes.split_to(room.min(bytes.len()));
            *sent += piece.len() as u64;
            let is_last = bytes.is_empty() && end == End::Stream;
            stream.send_data(piece, is_last).map_err(|_| Cut::Lost)?;
        }
        Ok(())
    }

    /// Reads only what the client has room for: a window that stays shut costs no memory.
    async fn send_file(
        &self,
        stream: &mut SendStream<Bytes>,
        mut range: FileRange,
        sent: &mut u64,
    ) -> Result<(), Cut> {
        while range.length() > 0 {
            let wanted = usize::try_from(range.length()).unwrap_or(usize::MAX);
            let room = self.room(stream, wanted).await?;
            let piece = range.read_at_most(room).map_err(|error| Cut::Failed(error.into()))?;
            *sent += piece.len() as u64;
            stream.send_data(piece, range.length() == 0).map_err(|_| Cut::Lost)?;
        }
        Ok(())
    }

    async fn send_stream(
        &self,
        stream: &mut SendStream<Bytes>,
        framing: BodyFraming,
        mut source: Stream,
        sent: &mut u64,
    ) -> Result<(), Cut> {
        let mut left = match framing {
            BodyFraming::Length(length) => length,
            _ => u64::MAX,
        };
        while let Some(mut data) = self.next_data(stream, &mut source).await? {
            if data.len() as u64 > left {
                tracing::error!("a response has more content than its Content-Length: the rest is cut off");
                data.truncate(usize::try_from(left).unwrap_or(usize::MAX));
            }
            left -= data.len() as u64;
            let end = if left == 0 { End::Stream } else { End::Piece };
            self.send_bytes(stream, data, end, sent).await?;
            if left == 0 {
                return Ok(());
            }
        }
        match framing {
            BodyFraming::Length(_) => {
                Err(Cut::Failed(format!("{left} bytes of its Content-Length are missing").into()))
            }
            _ => stream.send_data(Bytes::new(), true).map_err(|_| Cut::Lost),
        }
    }

    /// Waits until some of `wanted` bytes may be sent, and says how many; not longer than `--send-timeout`.
    async fn room(&self, stream: &mut SendStream<Bytes>, wanted: usize) -> Result<usize, Cut> {
        stream.reserve_capacity(wanted.min(PIECE));
        let room = poll_fn(|cx| {
            self.deadline.belongs_to(cx);
            match stream.poll_capacity(cx) {
                Poll::Ready(Some(Ok(room))) => Poll::Ready(Ok(room)),
                Poll::Ready(_) => Poll::Ready(Err(Cut::Lost)),
                Poll::Pending if !self.deadline.is_armed() => {
                    self.deadline.arm(self.shared.options.send_timeout.into());
                    Poll::Pending
                }
                Poll::Pending if self.deadline.is_over() => Poll::Ready(Err(Cut::Lost)),
                Poll::Pending => Poll::Pending,
            }
        });
        let room = room.await?;
        self.deadline.disarm();
        Ok(room.min(PIECE))
    }

    /// The next data of a response; `Cut::Lost` when its client leaves first.
    async fn next_data(
        &self,
        stream: &mut SendStream<Bytes>,
        source: &mut Stream,
    ) -> Result<Option<Bytes>, Cut> {
        loop {
            let frame = poll_fn(|cx| {
                self.deadline.belongs_to(cx);
                match poll_source(source, cx) {
                    Poll::Pending => stream.poll_reset(cx).map(|_| Err(Cut::Lost)),
                    ready => ready,
                }
            });
            match frame.await?.transpose().map_err(Cut::Failed)?.map(Frame::into_data) {
                None => return Ok(None),
                Some(Ok(data)) if !data.is_empty() => return Ok(Some(data)),
                Some(_) => {} // trailers are not passed on
            }
        }
    }
}

/// A frame of a response, or that there is none.
type Polled = Option<Result<Frame<Bytes>, BoxError>>;

/// A handler's stream may panic; that costs its own response.
fn poll_source(source: &mut Stream, cx: &mut Context<'_>) -> Poll<Result<Polled, Cut>> {
    match catch_unwind(AssertUnwindSafe(|| source.as_mut().poll_frame(cx))) {
        Ok(polled) => polled.map(Ok),
        Err(_) => Poll::Ready(Err(Cut::Failed("its stream panicked".into()))),
    }
}

/// What follows a piece of content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// More of it.
    Piece,
    /// Nothing.
    Stream,
}

/// The head of an answer, without what a handler says of a connection it does not know (RFC 9113 §8.2.2).
pub(super) fn head_of(status: StatusCode, headers: &HeaderMap, length: Option<u64>) -> http::Response<()> {
    let mut head = http::Response::new(());
    *head.status_mut() = status;
    let fields = head.headers_mut();
    fields.reserve(headers.len() + 2);
    if !headers.contains_key(DATE)
        && let Ok(date) = HeaderValue::from_bytes(&crate::server::date::now())
    {
        fields.insert(DATE, date);
    }
    for (name, value) in headers.iter().filter(|(name, _)| !reply::is_ours(name)) {
        fields.append(name.clone(), value.clone());
    }
    if let Some(length) = length {
        fields.insert(CONTENT_LENGTH, length.into());
    }
    head
}

/// How much is sent at once, in bytes: others of the connection have their turn in between.
const PIECE: usize = 64 * 1024;
