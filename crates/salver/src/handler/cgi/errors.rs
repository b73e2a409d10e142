//! What a script writes to standard error: it reaches the log line by line, at most 64 KiB of a request. The rest is read and
//! counted, so that no script waits for it.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead as _, ReadBuf};
use tokio::net::unix::pipe;

/// The standard error of one script.
#[derive(Debug)]
pub(super) struct Errors {
    pipe: Option<pipe::Receiver>,
    lines: Lines,
}

/// Bytes on their way to the log.
#[derive(Debug)]
struct Lines {
    /// Who wrote them.
    script: Arc<str>,
    /// The line that is not complete.
    partial: Vec<u8>,
    /// How many bytes may still be logged.
    left: usize,
    dropped: u64,
}

impl Errors {
    pub(super) fn new(pipe: pipe::Receiver, script: Arc<str>) -> Self {
        Self { pipe: Some(pipe), lines: Lines { script, partial: Vec::new(), left: MOST_LOGGED, dropped: 0 } }
    }

    /// Logs what has come.
    pub(super) fn poll_log(&mut self, cx: &mut Context<'_>) {
        let mut buffer = [0; 8192];
        while let Some(pipe) = &mut self.pipe {
            let mut read = ReadBuf::new(&mut buffer);
            match Pin::new(pipe).poll_read(cx, &mut read) {
                Poll::Pending => return,
                Poll::Ready(Ok(())) if !read.filled().is_empty() => self.lines.log(read.filled()),
                Poll::Ready(_) => self.pipe = None,
            }
        }
    }

    /// Logs what is there: the script has ended, whoever else may hold the pipe.
    pub(super) fn finish(&mut self) {
        let mut buffer = [0; 8192];
        // No more than a pipe holds: something else may go on writing.
        for _ in 0..PIPE / buffer.len() {
            match self.pipe.as_ref().map(|pipe| rustix::io::read(pipe, &mut buffer)) {
                Some(Ok(count)) if count > 0 => self.lines.log(buffer.get(..count).unwrap_or_default()),
                _ => break,
            }
        }
        self.pipe = None;
    }
}

impl Lines {
    fn log(&mut self, bytes: &[u8]) {
        let (logged, dropped) = bytes.split_at(bytes.len().min(self.left));
        self.left -= logged.len();
        self.dropped += dropped.len() as u64;
        for part in logged.split_inclusive(|byte| *byte == b'\n') {
            self.partial.extend_from_slice(part);
            if part.ends_with(b"\n") {
                self.end_line();
            }
        }
    }

    fn end_line(&mut self) {
        let line = String::from_utf8_lossy(self.partial.trim_ascii_end());
        tracing::warn!("CGI {}: {line}", self.script);
        self.partial.clear();
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        if !self.partial.is_empty() {
            self.end_line();
        }
        if self.dropped > 0 {
            tracing::warn!("CGI {}: {} more bytes of standard error were dropped", self.script, self.dropped);
        }
    }
}

/// How much of a request is logged, in bytes.
const MOST_LOGGED: usize = 64 * 1024;
/// How much a pipe holds, in bytes.
const PIPE: usize = 64 * 1024;
