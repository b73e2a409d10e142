//! Receiving: request heads, and bodies as far as their handlers ask for them.

use std::borrow::Cow;
use std::future::poll_fn;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::{Buf as _, Bytes};
use http::StatusCode;

use super::wire::{Client, Wire};
use super::{Fault, HeadReader};
use crate::http1::body::{BodyReader, Step};
use crate::http1::head::{Head, Malformed};
use crate::http1::incoming::Incoming;
use crate::http1::reply::{self, CONTINUE};
use crate::http2::PREFACE;

/// What a connection begins with.
pub(super) enum Start {
    Request(Box<Head>),
    Refused(Malformed),
    /// Nothing has come.
    Idle,
    /// The client has left.
    Gone,
}

/// The body of one request, as seen by the connection.
#[derive(Debug)]
pub(super) struct Upload {
    /// The way to the handler; `None` where the request has no body.
    pub(super) incoming: Option<Incoming>,
    pub(super) reader: BodyReader,
    pub(super) state: UploadState,
    /// How many bytes may still come (`--limit-body`).
    pub(super) allowed: u64,
    /// How many bytes that nobody wanted may still be read.
    pub(super) drainable: usize,
    /// Until when an answer waits for what nobody wanted.
    pub(super) settle_by: Option<Instant>,
}

/// How far a request body has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum UploadState {
    /// The client waits for `100 Continue`.
    HeldBack,
    /// The client waited for `100 Continue` and got its answer instead; it may send its content all the same.
    Unasked,
    /// It comes, or may come.
    Open,
    /// It is complete, or there is none.
    Complete,
    /// It will never be complete; what follows on the connection means nothing.
    Broken,
}

/// The client has closed the connection while its answer was made.
#[derive(Debug)]
pub(super) struct Gone;

impl Wire<'_> {
    /// Whether the client begins with the preface of HTTP/2. What is neither that nor its beginning is left to the reader of
    /// heads, and so is a beginning that is not gone on with.
    pub(super) async fn is_http2(&mut self) -> bool {
        poll_fn(|cx| {
            loop {
                let known = self.input.len().min(PREFACE.len());
                if self.input.get(..known) != PREFACE.get(..known) {
                    return Poll::Ready(false);
                }
                if known == PREFACE.len() {
                    return Poll::Ready(true);
                }
                match self.poll_fill(cx, 4096) {
                    Poll::Ready(Ok(count)) if count > 0 => {}
                    Poll::Pending if self.has_input() && !self.deadline.is_over() => return Poll::Pending,
                    _ => return Poll::Ready(false),
                }
            }
        })
        .await
    }

    /// Reads the head of the next request.
    pub(super) async fn read_head(&mut self) -> Start {
        let mut reader = HeadReader::default();
        let mut waited = self.deadline.is_armed();
        loop {
            if self.has_input() {
                match reader.read(&self.input, &self.shared.limits) {
                    Ok(Some((head, used))) => {
                        self.input.advance(used);
                        self.deadline.disarm();
                        return Start::Request(head);
                    }
                    Ok(None) => {}
                    Err(malformed) => return Start::Refused(malformed),
                }
            }
            let read = poll_fn(|cx| {
                match self.poll_fill(cx, 4096) {
                    Poll::Pending if !self.has_input() => Poll::Ready(None),
                    // `--header-timeout` is for the whole head, from its first byte on (from accept for the first head).
                    Poll::Pending if !waited => {
                        waited = true;
                        self.deadline.arm(self.shared.options.header_timeout.into());
                        Poll::Pending
                    }
                    Poll::Pending if self.deadline.is_over() => Poll::Ready(Some(Err(Slow))),
                    Poll::Pending => Poll::Pending,
                    Poll::Ready(read) => Poll::Ready(Some(Ok(read.unwrap_or(0)))),
                }
            });
            match read.await {
                None => return Start::Idle,
                Some(Ok(0)) => return Start::Gone,
                Some(Ok(_)) => {}
                Some(Err(Slow)) => return Start::Refused(self.slow_head()),
            }
        }
    }

    fn slow_head(&self) -> Malformed {
        let line = self.input[..].split(|byte: &u8| *byte == b'\r').next().unwrap_or_default();
        let line = line.get(..self.shared.limits.request_line).unwrap_or(line);
        Malformed {
            status: StatusCode::REQUEST_TIMEOUT,
            message: Cow::Borrowed("The request head came too slowly"),
            line: Bytes::copy_from_slice(line),
        }
    }

    /// Polls `until` it is ready, while the request's body is fed to whoever reads it.
    ///
    /// # Errors
    /// [`Gone`] when the client leaves first.
    pub(super) async fn drive<T>(
        &mut self,
        upload: &mut Upload,
        mut until: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Result<T, Gone> {
        poll_fn(|cx| {
            loop {
                if let Poll::Ready(done) = until(cx) {
                    return Poll::Ready(Ok(done));
                }
                for hints in self.interim.take() {
                    reply::write_early_hints(&mut self.output, &hints);
                }
                if !self.output.is_empty() && matches!(self.poll_flush(cx), Poll::Ready(Err(_))) {
                    return Poll::Ready(Err(Gone));
                }
                match self.poll_feed(cx, upload) {
                    Poll::Ready(Ok(())) => {}
                    Poll::Ready(Err(gone)) => return Poll::Ready(Err(gone)),
                    Poll::Pending if self.client == Client::Finished => return self.poll_patience(),
                    Poll::Pending => return Poll::Pending,
                }
            }
        })
        .await
    }

    /// Ready when a client that has closed its half has had its time. One that has left altogether looks the same until something
    /// is sent to it, and behind a proxy of HTTP/1.0 every one that leaves does: its handler is told, though not at once.
    fn poll_patience<T>(&self) -> Poll<Result<T, Gone>> {
        if self.deadline.is_over() {
            return Poll::Ready(Err(Gone));
        }
        if !self.deadline.is_armed() {
            self.deadline.arm(PATIENCE);
        }
        Poll::Pending
    }

    /// Brings the handler the chunk it waits for. `Ready(Ok)`: something changed for the handler.
    pub(super) fn poll_feed(&mut self, cx: &mut Context<'_>, upload: &mut Upload) -> Poll<Result<(), Gone>> {
        let Some(incoming) = &upload.incoming else { return self.poll_left(cx) };
        if matches!(upload.state, UploadState::Complete | UploadState::Broken) {
            return self.poll_left(cx);
        }
        if incoming.is_settling() {
            return self.poll_settle(cx, upload).map(Ok);
        }
        if !incoming.is_wanted() {
            return Poll::Pending;
        }
        if upload.state == UploadState::Unasked {
            upload.state = UploadState::Open;
        }
        if upload.state == UploadState::HeldBack {
            upload.state = UploadState::Open;
            self.output.extend_from_slice(CONTINUE); // RFC 9110 §10.1.1: only now that somebody reads
        }
        if ready!(self.poll_flush(cx)).is_err() {
            return Poll::Ready(Err(Gone));
        }
        match ready!(self.poll_chunk(cx, upload)) {
            Ok(Some(chunk)) => self.hand_over(upload, chunk),
            Ok(None) => {
                upload.state = UploadState::Complete;
                if let Some(incoming) = &upload.incoming {
                    incoming.end();
                }
            }
            Err(fault) => {
                upload.state = UploadState::Broken;
                if let Some(incoming) = &upload.incoming {
                    incoming.fail(fault);
                }
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Reads and drops what the handler left, if it is short: so a broken body gets its 400, and the connection can be kept. A
    /// long one is given up, as is one that the client holds back or is slow with: it has to have its answer.
    fn poll_settle(&mut self, cx: &mut Context<'_>, upload: &mut Upload) -> Poll<()> {
        let Some(incoming) = upload.incoming.clone() else { return Poll::Ready(()) };
        let long = upload.reader.left().is_some_and(|left| left > upload.drainable as u64);
        let by = *upload.settle_by.get_or_insert_with(|| Instant::now() + SETTLED);
        while upload.state == UploadState::Open && !long {
            let left = by.saturating_duration_since(Instant::now());
            if left.is_zero() {
                self.deadline.disarm();
                break;
            }
            let Poll::Ready(chunk) = self.poll_chunk(cx, upload) else {
                let gap = Duration::from(self.shared.options.body_timeout);
                if gap.is_zero() || gap >= SETTLED {
                    self.deadline.arm(left);
                }
                return Poll::Pending;
            };
            match chunk {
                Ok(Some(chunk)) => match upload.drainable.checked_sub(chunk.len()) {
                    Some(rest) => upload.drainable = rest,
                    None => break,
                },
                Ok(None) => upload.state = UploadState::Complete,
                Err(fault) => {
                    upload.state = UploadState::Broken;
                    incoming.fail(fault);
                    return Poll::Ready(());
                }
            }
        }
        incoming.end();
        Poll::Ready(())
    }

    fn hand_over(&self, upload: &mut Upload, chunk: Bytes) {
        let Some(incoming) = &upload.incoming else { return };
        match upload.allowed.checked_sub(chunk.len() as u64) {
            Some(allowed) => {
                upload.allowed = allowed;
                incoming.put(chunk);
            }
            None => {
                upload.state = UploadState::Broken;
                incoming.fail(too_large_body());
            }
        }
    }

    /// The next piece of the body, or `None` at its end.
    fn poll_chunk(
        &mut self,
        cx: &mut Context<'_>,
        upload: &mut Upload,
    ) -> Poll<Result<Option<Bytes>, Fault>> {
        loop {
            match upload.reader.next(&self.input) {
                Ok(Step::Skip(count)) => self.input.advance(count),
                Ok(Step::Data(count)) if count < COPIED => {
                    // A small chunk is copied: kept by the handler, it would keep the whole buffer.
                    let chunk = Bytes::copy_from_slice(self.input.get(..count).unwrap_or_default());
                    self.input.advance(count);
                    return Poll::Ready(Ok(Some(chunk)));
                }
                Ok(Step::Data(count)) => return Poll::Ready(Ok(Some(self.input.split_to(count).freeze()))),
                Ok(Step::End) => return Poll::Ready(Ok(None)),
                Ok(Step::More) => ready!(self.poll_more(cx))?,
                Err(fault) => return Poll::Ready(Err(fault)),
            }
        }
    }

    /// Receives more of a body; a gap of `--body-timeout` is a fault.
    fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        match self.poll_fill(cx, BODY_ROOM) {
            Poll::Ready(Ok(count)) if count > 0 => {
                self.deadline.disarm();
                Poll::Ready(Ok(()))
            }
            Poll::Ready(_) => Poll::Ready(Err(Fault {
                status: StatusCode::BAD_REQUEST,
                message: Cow::Borrowed("The client left in the middle of its request"),
            })),
            Poll::Pending if !self.deadline.is_armed() => {
                self.deadline.arm(self.shared.options.body_timeout.into());
                Poll::Pending
            }
            Poll::Pending if self.deadline.is_over() => Poll::Ready(Err(Fault {
                status: StatusCode::REQUEST_TIMEOUT,
                message: Cow::Borrowed("The request body came too slowly"),
            })),
            Poll::Pending => Poll::Pending,
        }
    }

    /// Ready when the client has left. What it sends ahead is kept, up to a buffer.
    ///
    /// A client that closes its half of a connection that was to be kept has left; on one that ends after this answer it may
    /// just say that it has no more requests (`nc -N`), and gets its answer if that comes soon.
    fn poll_left(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Gone>> {
        while self.client != Client::Finished && self.input.len() < AHEAD {
            match ready!(self.poll_fill(cx, 4096)) {
                Ok(0) if self.client == Client::OnLast => self.client = Client::Finished,
                Ok(0) | Err(_) => return Poll::Ready(Err(Gone)),
                Ok(_) => {}
            }
        }
        Poll::Pending
    }

    /// Reads and drops what was left of a body when its answer was over, if it is short.
    pub(super) async fn drain(&mut self, upload: &mut Upload) {
        while upload.state == UploadState::Open {
            upload.state = match poll_fn(|cx| self.poll_chunk(cx, upload)).await {
                Ok(None) => UploadState::Complete,
                Ok(Some(chunk)) if chunk.len() <= upload.drainable => {
                    upload.drainable -= chunk.len();
                    UploadState::Open
                }
                Ok(Some(_)) | Err(_) => UploadState::Broken,
            };
        }
    }
}

fn too_large_body() -> Fault {
    Fault {
        status: StatusCode::PAYLOAD_TOO_LARGE,
        message: Cow::Borrowed("The request body is larger than this server takes"),
    }
}

/// The head came too slowly.
struct Slow;

/// Chunks of a body below this are copied out of the buffer, in bytes.
const COPIED: usize = 4 * 1024;
/// How much of a body is received at once, in bytes.
const BODY_ROOM: usize = 64 * 1024;
/// How long an answer waits for a body that nobody wanted, so that its connection can be kept.
const SETTLED: Duration = Duration::from_secs(1);
/// How long a client that has closed its half, and may have left, is waited with for an answer to begin.
const PATIENCE: Duration = Duration::from_secs(5);
/// How much of later requests is received while one is answered, in bytes.
const AHEAD: usize = 16 * 1024;
