//! A script at work: its three pipes, its end, and the time it may be silent.
//!
//! Everything moves only while somebody asks for output, which is the back-pressure: a client that reads slowly holds back the
//! script, and a script that reads slowly holds back the client.

use std::future::poll_fn;
use std::os::unix::process::ExitStatusExt as _;
use std::pin::Pin;
use std::process::ExitStatus;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf as _, Bytes, BytesMut};
use http_body::{Body as _, Frame};
use rustix::buffer::spare_capacity;
use tokio::io::AsyncWrite as _;
use tokio::net::unix::pipe;
use tokio::time::{Instant, Sleep};

use super::child::{Process, Started};
use super::errors::Errors;
use crate::body::{Body, BoxError};

/// A script at work; dropped, it is ended.
#[derive(Debug)]
pub(super) struct Script {
    name: Arc<str>,
    input: Input,
    /// `None` once it has ended.
    output: Option<pipe::Receiver>,
    buffer: BytesMut,
    errors: Errors,
    process: Process,
    silence: Silence,
    /// Between the end of its output and that of the script.
    parting: Option<Pin<Box<Sleep>>>,
}

/// Why there is no more output.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// It said nothing for `--timeout`.
    #[error("CGI {0}: silent for longer than --timeout; ended")]
    Silent(Arc<str>),
    /// A signal ended it.
    #[error("CGI {0}: ended by signal {1}")]
    Killed(Arc<str>, i32),
    /// The request's content could not be read.
    #[error("{0}")]
    Request(BoxError),
    /// The system failed.
    #[error("CGI {0}: {1}")]
    System(Arc<str>, std::io::Error),
}

/// What a script reads.
#[derive(Debug)]
enum Input {
    Closed,
    Open { pipe: pipe::Sender, body: Body, chunk: Bytes },
}

/// Who has to act for the input to move on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fed {
    /// The client: the script cannot be blamed for its silence.
    ByClient,
    /// The script, and it has just taken something.
    Moved,
    /// The script, or nobody.
    Still,
}

/// How long a script has said nothing.
#[derive(Debug)]
struct Silence {
    limit: Option<Duration>,
    /// Running since `heard`, if it does.
    sleep: Option<Pin<Box<Sleep>>>,
    heard: bool,
}

impl Script {
    /// Watches over what was started; `body` is fed to it, and it may be silent for `limit`.
    pub(super) fn new(started: Started, name: Arc<str>, body: Body, limit: Option<Duration>) -> Self {
        let input = match started.input {
            Some(pipe) => Input::Open { pipe, body, chunk: Bytes::new() },
            None => Input::Closed,
        };
        Self {
            input,
            output: Some(started.output),
            buffer: BytesMut::new(),
            errors: Errors::new(started.errors, Arc::clone(&name)),
            process: started.process,
            silence: Silence { limit, sleep: None, heard: true },
            parting: None,
            name,
        }
    }

    /// The next piece of its output; `None` at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, Failure> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Failure>> {
        self.errors.poll_log(cx);
        let fed = self.input.poll_feed(cx).map_err(Failure::Request)?;
        if let Poll::Ready(piece) = self.poll_read(cx) {
            self.silence.heard = true;
            return Poll::Ready(Ok(Some(piece)));
        }
        if let Poll::Ready(status) = self.process.poll_exit(cx) {
            let status = status.map_err(|error| Failure::System(Arc::clone(&self.name), error))?;
            return Poll::Ready(self.remains(status));
        }
        if self.output.is_none() {
            // The end of the process comes right behind that of its output, unless it works on.
            let parting = self.parting.get_or_insert_with(|| Box::pin(tokio::time::sleep(PARTING)));
            ready!(parting.as_mut().poll(cx));
            return Poll::Ready(Ok(None));
        }
        if fed != Fed::Still {
            self.silence.heard = true;
        }
        if fed != Fed::ByClient {
            ready!(self.silence.poll_over(cx));
            return Poll::Ready(Err(Failure::Silent(Arc::clone(&self.name))));
        }
        Poll::Pending
    }

    /// Whatever has come; pending also at the end, which the process itself announces.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Bytes> {
        let Some(pipe) = &mut self.output else { return Poll::Pending };
        loop {
            let readable = ready!(pipe.poll_read_ready(cx));
            self.buffer.reserve(PIECE);
            match readable.and_then(|()| pipe.try_read_buf(&mut self.buffer)) {
                Ok(count) if count > 0 => return Poll::Ready(self.buffer.split().freeze()),
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                _ => {
                    self.output = None;
                    return Poll::Pending;
                }
            }
        }
    }

    /// What is still in the pipe of a script that has ended. Something that it left behind may hold the pipe open, so there is
    /// no waiting for its end.
    fn remains(&mut self, status: ExitStatus) -> Result<Option<Bytes>, Failure> {
        self.input = Input::Closed;
        let mut last = Vec::with_capacity(PIECE);
        // Not by way of the event loop, which may not have been told yet of what came last.
        match self.output.as_ref().map(|pipe| rustix::io::read(pipe, spare_capacity(&mut last))) {
            Some(Ok(count)) if count > 0 => return Ok(Some(last.into())),
            _ => self.output = None,
        }
        self.errors.finish();
        match (status.signal(), status.code()) {
            (Some(signal), _) => return Err(Failure::Killed(Arc::clone(&self.name), signal)),
            (None, Some(0) | None) => {}
            (None, Some(code)) => tracing::warn!("CGI {}: exit status {code}", self.name),
        }
        Ok(None)
    }

    /// Lets it work to its end without anybody to read its output; a silent one is ended as ever.
    pub(super) fn finish_alone(mut self) {
        self.input = Input::Closed;
        if !self.process.has_ended() {
            tokio::spawn(self.run_alone());
        }
    }

    async fn run_alone(mut self) {
        loop {
            match self.next().await {
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(failure) => {
                    tracing::warn!("{failure}");
                    return;
                }
            }
        }
        let limit = self.silence.limit;
        let exit = poll_fn(|cx| {
            self.errors.poll_log(cx);
            self.process.poll_exit(cx)
        });
        match limit {
            Some(limit) => drop(tokio::time::timeout(limit, exit).await),
            None => drop(exit.await),
        }
        self.errors.finish();
    }
}

impl Input {
    /// Writes as much as the script takes.
    fn poll_feed(&mut self, cx: &mut Context<'_>) -> Result<Fed, BoxError> {
        let mut fed = Fed::Still;
        loop {
            let Self::Open { pipe, body, chunk } = self else { return Ok(fed) };
            if chunk.is_empty() {
                match Pin::new(body).poll_frame(cx) {
                    Poll::Pending => return Ok(Fed::ByClient),
                    Poll::Ready(Some(frame)) => *chunk = frame?.into_data().unwrap_or_default(),
                    Poll::Ready(None) => *self = Self::Closed,
                }
                continue;
            }
            match Pin::new(pipe).poll_write(cx, chunk) {
                Poll::Pending => return Ok(fed),
                Poll::Ready(Ok(count)) => {
                    chunk.advance(count);
                    fed = Fed::Moved;
                }
                Poll::Ready(Err(_)) => *self = Self::Closed, // it does not want more
            }
        }
    }
}

impl Silence {
    fn poll_over(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(limit) = self.limit else { return Poll::Pending };
        let until = Instant::now() + limit;
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(until)));
        if std::mem::take(&mut self.heard) {
            sleep.as_mut().reset(until);
        }
        sleep.as_mut().poll(cx)
    }
}

/// The rest of a script's output, as the content of a response.
#[derive(Debug)]
pub(super) struct Output {
    first: Bytes,
    /// `None` once it has ended.
    script: Option<Script>,
}

impl Output {
    /// `first`, then what `script` has to say.
    pub(super) fn new(first: Bytes, script: Script) -> Self {
        Self { first, script: Some(script) }
    }
}

impl http_body::Body for Output {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if !self.first.is_empty() {
            return Poll::Ready(Some(Ok(Frame::data(std::mem::take(&mut self.first)))));
        }
        let Some(script) = &mut self.script else { return Poll::Ready(None) };
        let next = ready!(script.poll_next(cx));
        if let Ok(Some(piece)) = next {
            return Poll::Ready(Some(Ok(Frame::data(piece))));
        }
        if let Some(script) = self.script.take().filter(|_| next.is_ok()) {
            script.finish_alone();
        }
        Poll::Ready(next.err().map(|failure| Err(failure.into())))
    }
}

/// How much output is read at once, in bytes: what a pipe holds.
const PIECE: usize = 64 * 1024;
/// How long the end of a script is waited for behind that of its output.
const PARTING: Duration = Duration::from_millis(100);
