//! What a handler writes is raw HTTP: its head is read, its content framed anew, both as they come.
//!
//! Dropped: interim heads (`100 Continue` is the connection's to send), fields of the connection and its framing but
//! `Connection: close`. Refused: what is no head, and switching protocols. Content beyond its length is cut off, content that
//! ends before it ends the connection.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, StatusCode};
use salver::finish::log::Logged;
use salver::handler::cgi::head::{Head, HeadReader, Start};
use salver::http1::body::{BodyReader, Step};
use salver::http1::head::Framing;
use salver::http1::reply::is_ours;
use salver::{Body, Response};

use crate::exchange::{Exchange, Gone};

/// The answer of one request, as it is written.
pub(super) struct Wire {
    exchange: Arc<Exchange>,
    head_only: bool,
    /// The class writes its own line into the log.
    logs: bool,
    stage: Stage,
}

/// What the next bytes are.
enum Stage {
    /// A head, and what there is of it.
    Head(HeadReader, Vec<u8>),
    Content(Content),
    /// What was written is no answer, for this reason.
    Broken(String),
}

enum Content {
    /// Nobody wants to see it.
    None,
    /// So many bytes.
    Left(u64),
    /// Chunks that the handler made.
    Chunks(BodyReader),
    /// Whatever comes.
    UntilEnd,
}

/// Why a write fails.
pub(super) enum Fault {
    Broken(String),
    Gone,
}

/// How an answer ended.
pub(super) enum End {
    Well,
    /// It is cut short, for this reason.
    Cut(String),
    /// There was none, for this reason.
    None(String),
}

/// Sends one piece; may wait for the client.
pub(super) type Push<'a> = &'a mut dyn FnMut(Bytes) -> Result<(), Gone>;

impl Wire {
    pub(super) fn new(exchange: Arc<Exchange>, head_only: bool, logs: bool) -> Self {
        Self { exchange, head_only, logs, stage: a_head() }
    }

    /// Takes what was written.
    pub(super) fn write(&mut self, mut data: Bytes, push: Push<'_>) -> Result<(), Fault> {
        while !data.is_empty() {
            match &mut self.stage {
                Stage::Broken(why) => return Err(Fault::Broken(why.clone())),
                Stage::Content(content) => return content.write(data, push),
                Stage::Head(reader, held) => match next_head(reader, held, data) {
                    Ok(None) => break,
                    Ok(Some((head, rest))) => {
                        self.begin(head)?;
                        data = rest;
                    }
                    Err(why) => return self.break_off(why),
                },
            }
        }
        // A head that nobody sees any more is no failure: content that follows it tells.
        Ok(())
    }

    /// Gives the head of the answer.
    fn begin(&mut self, head: Head) -> Result<(), Fault> {
        let Head { status, reason, mut headers } = head;
        let status = status.unwrap_or(StatusCode::OK);
        if status == StatusCode::SWITCHING_PROTOCOLS {
            return self.break_off("a handler class cannot switch protocols here".into());
        }
        if status.is_informational() {
            self.stage = a_head();
            return Ok(());
        }
        let is_bodiless =
            self.head_only || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        let content = if is_bodiless { Content::None } else { Content::of(&headers) };
        strip(&mut headers, matches!(content, Content::Chunks(_)));
        let mut response = Response::new(Body::Empty);
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        if let Some(reason) = reason {
            response.extensions_mut().insert(reason);
        }
        if self.logs {
            response.extensions_mut().insert(Logged);
        }
        match content {
            Content::None | Content::Left(0) => self.exchange.give(Ok(response)),
            _ => self.exchange.begin(response),
        }
        self.stage = Stage::Content(content);
        Ok(())
    }

    fn break_off(&mut self, why: String) -> Result<(), Fault> {
        self.stage = Stage::Broken(why.clone());
        Err(Fault::Broken(why))
    }

    /// How it stands when the handler has ended.
    pub(super) fn end(&self) -> End {
        match &self.stage {
            Stage::Head(_, held) if held.is_empty() => End::None("a handler class gave no answer".into()),
            Stage::Head(..) => End::None("a handler class ended within the head of its answer".into()),
            Stage::Broken(why) => End::None(why.clone()),
            Stage::Content(Content::Left(left)) if *left > 0 => {
                End::Cut(format!("a handler class gave {left} bytes less than its Content-Length"))
            }
            Stage::Content(Content::Chunks(reader)) if !reader.is_done() => {
                End::Cut("a handler class ended before its last chunk".into())
            }
            Stage::Content(_) => End::Well,
        }
    }
}

fn a_head() -> Stage {
    Stage::Head(HeadReader::new(Start::AnyStatusLine), Vec::new())
}

/// The head, once it is whole, and what comes behind it.
fn next_head(
    reader: &mut HeadReader,
    held: &mut Vec<u8>,
    data: Bytes,
) -> Result<Option<(Head, Bytes)>, String> {
    let bad = |error| format!("what a handler class wrote is no answer: {error}");
    if held.is_empty() {
        return match reader.read(&data).map_err(bad)? {
            Some((head, length)) => Ok(Some((head, data.slice(length..)))),
            None => {
                held.extend_from_slice(&data);
                Ok(None)
            }
        };
    }
    held.extend_from_slice(&data);
    let read = reader.read(held).map_err(bad)?;
    Ok(read.map(|(head, length)| (head, Bytes::from(held.split_off(length)))))
}

/// Leaves what is the handler's to say. SECURITY: chunks are taken apart, so a length beside them would be a second one.
fn strip(headers: &mut HeaderMap, chunked: bool) {
    let closes =
        headers.get_all(CONNECTION).iter().any(|value| value.as_bytes().eq_ignore_ascii_case(b"close"));
    let is_dropped = |name: &HeaderName| is_ours(name) && (chunked || name != CONTENT_LENGTH);
    let dropped: Vec<_> = headers.keys().filter(|name| is_dropped(name)).cloned().collect();
    for name in dropped {
        headers.remove(name);
    }
    if closes {
        headers.insert(CONNECTION, http::HeaderValue::from_static("close"));
    }
}

impl Content {
    /// What follows a head with these fields.
    fn of(headers: &HeaderMap) -> Self {
        let is_chunked =
            |value: &http::HeaderValue| value.as_bytes().to_ascii_lowercase().ends_with(b"chunked");
        if headers.get(TRANSFER_ENCODING).is_some_and(is_chunked) {
            return Self::Chunks(BodyReader::new(Framing::Chunked));
        }
        let length = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        length.map_or(Self::UntilEnd, Self::Left)
    }

    fn write(&mut self, mut data: Bytes, push: Push<'_>) -> Result<(), Fault> {
        match self {
            Self::None => Ok(()),
            Self::UntilEnd => Ok(push(data)?),
            Self::Left(left) => {
                let fits = usize::try_from(*left).map_or(data.len(), |left| left.min(data.len()));
                let beyond = data.split_off(fits);
                *left -= fits as u64;
                if !beyond.is_empty() {
                    tracing::error!(
                        "a handler class wrote {} bytes more than its Content-Length; they are cut off",
                        beyond.len()
                    );
                }
                if data.is_empty() { Ok(()) } else { Ok(push(data)?) }
            }
            Self::Chunks(reader) => {
                while !data.is_empty() {
                    let bad = |fault| Fault::Broken(format!("a chunk of a handler class is none: {fault}"));
                    match reader.next(&data).map_err(bad)? {
                        Step::Skip(length) => drop(data.split_to(length)),
                        Step::Data(length) => push(data.split_to(length))?,
                        Step::More => break,
                        Step::End => {
                            tracing::error!("a handler class wrote behind its last chunk; that is cut off");
                            break;
                        }
                    }
                }
                Ok(())
            }
        }
    }
}

impl From<Gone> for Fault {
    fn from(_: Gone) -> Self {
        Self::Gone
    }
}
