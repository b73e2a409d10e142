//! Sending: a head and whatever body follows it.

use std::future::poll_fn;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::StatusCode;
use http_body::Frame;
use tokio::task::yield_now;

use super::read::{Gone, Upload};
use super::wire::Wire;
use crate::body::{Body, BoxError, FileRange, Reported, Stream};
use crate::handler::Response;
use crate::handler::gateway::Verbatim;
use crate::http1::reply::{self, Asked, BodyFraming, Reason, Written};
use crate::server::date;

/// What was sent of a response.
#[derive(Debug)]
pub(super) struct Sent {
    /// Bytes of content.
    pub(super) bytes: u64,
    /// Whether that was all of it; a response that was cut ends its connection.
    pub(super) complete: bool,
    /// Whether the response said that the connection stays.
    pub(super) keep_alive: bool,
}

/// Why a response was cut.
#[derive(Debug)]
enum Cut {
    /// The connection failed, or the client left.
    Lost,
    /// What makes the content failed, or made less or more than it had said.
    Failed(BoxError),
}

impl From<io::Error> for Cut {
    fn from(_: io::Error) -> Self {
        Self::Lost
    }
}

impl From<Gone> for Cut {
    fn from(_: Gone) -> Self {
        Self::Lost
    }
}

impl Wire<'_> {
    /// Puts the head of a response into `output`: before there is a future, which then does not hold it. Where the response cannot be one,
    /// it becomes a 500 without a word: even its page may not be one.
    pub(super) fn write_head(&mut self, asked: &Asked, response: &mut Response) -> Written {
        if response.extensions().get::<Verbatim>().is_some() {
            return Written { framing: BodyFraming::UntilClose, keep_alive: false };
        }
        let reason = response.extensions().get::<Reason>();
        let (status, headers) = ((response.status(), reason), response.headers());
        let (prepared, length) = (response.body().prepared(), response.body().len());
        match reply::write_head(&mut self.output, asked, status, headers, prepared, length, &date::now()) {
            Ok(written) => written,
            Err(bad) => {
                tracing::error!("a handler's response cannot be sent: {bad}");
                *response = Response::new(Body::Empty);
                *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
                self.write_head(&Asked { keep_alive: false, ..*asked }, response) // which can be one
            }
        }
    }

    /// Sends one response whose head has been [written](Self::write_head).
    pub(super) async fn respond(&mut self, upload: &mut Upload, written: Written, body: Body) -> Sent {
        let mut sent = Sent { bytes: 0, complete: false, keep_alive: written.keep_alive };
        match self.send_body(upload, written.framing, body, &mut sent.bytes).await {
            Ok(()) => sent.complete = true,
            Err(Cut::Lost) => {}
            Err(Cut::Failed(error)) => {
                if !error.is::<Reported>() {
                    tracing::error!("a response was cut after {} bytes: {error}", sent.bytes);
                }
                // What was made before the fault still reaches the client; that it is cut shows in the framing.
                let _ = self.flush().await;
            }
        }
        sent
    }

    async fn send_body(
        &mut self,
        upload: &mut Upload,
        framing: BodyFraming,
        body: Body,
        sent: &mut u64,
    ) -> Result<(), Cut> {
        match (framing, body) {
            (BodyFraming::None, _) => Ok(self.flush().await?),
            (_, Body::File(range)) if self.io.has_sendfile() && range.suits_sendfile() => {
                self.send_file(range, sent).await
            }
            // Boxed, so that the future of what is short and frequent is small.
            (_, Body::File(range)) if range.in_memory().is_none() => {
                Box::pin(self.read_file(range, sent)).await
            }
            (framing, Body::Stream(stream)) => {
                Box::pin(self.send_stream(upload, framing, stream, sent)).await
            }
            (_, body) => {
                let bytes = body.in_memory().unwrap_or_default(); // it is: the rest went before
                self.send_bytes(bytes).await?;
                *sent = bytes.len() as u64;
                Ok(())
            }
        }
    }

    /// Sends `output` and `bytes` behind it.
    async fn send_bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        if bytes.len() <= COPIED {
            self.output.extend_from_slice(bytes);
            return self.flush().await;
        }
        let most = if self.io.has_sendfile() { CONTENT_PIECE } else { READ_PIECE };
        let mut rest = bytes;
        loop {
            let (mut piece, behind) = rest.split_at(rest.len().min(most));
            poll_fn(|cx| self.poll_send(cx, &mut piece)).await?;
            if behind.is_empty() {
                return Ok(());
            }
            rest = behind;
            yield_now().await; // as for a file
        }
    }

    /// Sends `output` and a file behind it, which never comes into this process.
    async fn send_file(&mut self, mut range: FileRange, sent: &mut u64) -> Result<(), Cut> {
        loop {
            *sent += poll_fn(|cx| self.poll_send_file(cx, &mut range)).await? as u64;
            if range.length() == 0 {
                return Ok(());
            }
            // Others' turn: nobody waits for a long file, and a client reads a piece while it is in the processor's caches, where
            // whatever fills the socket's buffer would drive it out.
            yield_now().await;
        }
    }

    fn poll_send_file(&mut self, cx: &mut Context<'_>, range: &mut FileRange) -> Poll<Result<usize, Cut>> {
        ready!(self.poll_flush_more(cx))?;
        match self.io.poll_sendfile(cx, range, SENDFILE_PIECE) {
            // No failed connection here.
            Poll::Ready(Ok(0)) => {
                Poll::Ready(Err(Cut::Failed("the file became shorter while it was sent".into())))
            }
            written => self.sending(written).map_err(Cut::from),
        }
    }

    /// Sends `output` and what is read of a file behind it: where it is short, or there is no `sendfile`.
    async fn read_file(&mut self, mut range: FileRange, sent: &mut u64) -> Result<(), Cut> {
        loop {
            let piece = range.read_at_most(READ_PIECE).map_err(|error| Cut::Failed(error.into()))?;
            self.send_bytes(&piece).await?;
            *sent += piece.len() as u64;
            if range.length() == 0 {
                return Ok(());
            }
            yield_now().await; // as above
        }
    }

    async fn send_stream(
        &mut self,
        upload: &mut Upload,
        framing: BodyFraming,
        mut stream: Stream,
        sent: &mut u64,
    ) -> Result<(), Cut> {
        let mut framing = framing;
        while let Some(data) = self.next_data(upload, &mut stream).await? {
            *sent += data.len() as u64;
            match &mut framing {
                BodyFraming::Length(left) => match left.checked_sub(data.len() as u64) {
                    Some(rest) => {
                        *left = rest;
                        self.gather(&data).await?;
                    }
                    None => {
                        *sent -= data.len() as u64 - *left;
                        let fits = usize::try_from(*left).unwrap_or(usize::MAX);
                        self.send_bytes(data.get(..fits).unwrap_or(&data)).await?;
                        tracing::error!(
                            "a response has more content than its Content-Length: the rest is cut off"
                        );
                        return Ok(());
                    }
                },
                BodyFraming::Chunked => {
                    self.output.extend_from_slice(&reply::chunk_head(data.len()));
                    self.gather(&data).await?;
                    self.output.extend_from_slice(b"\r\n");
                }
                BodyFraming::UntilClose | BodyFraming::None => self.gather(&data).await?,
            }
        }
        match framing {
            BodyFraming::Length(left) if left > 0 => {
                return Err(Cut::Failed(format!("{left} bytes of its Content-Length are missing").into()));
            }
            BodyFraming::Chunked => self.output.extend_from_slice(reply::LAST_CHUNK),
            _ => {}
        }
        Ok(self.flush().await?)
    }

    /// Puts `data` behind `output`, which is sent once it is worth a system call.
    async fn gather(&mut self, data: &[u8]) -> io::Result<()> {
        if self.output.len() + data.len() <= GATHERED {
            self.output.extend_from_slice(data);
            return Ok(());
        }
        self.send_bytes(data).await
    }

    /// The next data of a response. While there is none, what was gathered leaves and the request's body is fed.
    async fn next_data(&mut self, upload: &mut Upload, stream: &mut Stream) -> Result<Option<Bytes>, Cut> {
        loop {
            let frame = poll_fn(|cx| {
                loop {
                    // A handler's stream may panic; that costs its own response.
                    match catch_unwind(AssertUnwindSafe(|| stream.as_mut().poll_frame(cx))) {
                        Ok(Poll::Pending) => {}
                        Ok(Poll::Ready(frame)) => return Poll::Ready(Ok(frame)),
                        Err(_) => return Poll::Ready(Err(Cut::Failed("its stream panicked".into()))),
                    }
                    match self.poll_flush(cx) {
                        Poll::Ready(Err(error)) => return Poll::Ready(Err(error.into())),
                        Poll::Ready(Ok(())) | Poll::Pending => {}
                    }
                    match self.poll_feed(cx, upload) {
                        Poll::Pending => return Poll::Pending,
                        Poll::Ready(Err(gone)) => return Poll::Ready(Err(gone.into())),
                        Poll::Ready(Ok(())) => {}
                    }
                }
            });
            match frame.await?.transpose().map_err(Cut::Failed)?.map(Frame::into_data) {
                None => return Ok(None),
                Some(Ok(data)) if !data.is_empty() => return Ok(Some(data)),
                Some(_) => {} // an empty chunk would end the response; trailers are not passed on
            }
        }
    }
}

/// Content up to this is copied behind its head: a second piece costs the kernel more, in bytes.
const COPIED: usize = 2 * 1024;
/// How much of a long content is sent before other connections have their turn, in bytes: with 512 KiB 8 MiB cost more, with 128 KiB and
/// less 1 MiB does, too.
const CONTENT_PIECE: usize = 256 * 1024;
/// How much of a file is sent before other connections have their turn, in bytes: files of 1, 8 and 100 MiB cost least with a quarter or a
/// half of a MiB.
const SENDFILE_PIECE: usize = 512 * 1024;
/// The same of whatever is sent where there is no `sendfile`, in bytes: two records of TLS. With 16 KiB, and with 64 and more, files of 1,
/// 8 and 100 MiB all cost more.
const READ_PIECE: usize = 32 * 1024;
/// How much is gathered before it is sent, in bytes.
const GATHERED: usize = 8 * 1024;
