//! A folder as a page, or as JSON for whoever asks for it.
//!
//! Rows are gathered and sorted away from the event loop, then rendered as they are sent, a piece at a time: a folder of
//! 100,000 entries takes a few megabytes however slowly its reader reads. Refused: folders that cannot be read. Left out:
//! hidden names, and links that are not followed.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderValue, header};
use http_body::Frame;

use self::rows::Rows;
use super::{Answer, Response};
use crate::body::{Body, BoxError};
use crate::compress::LongText;
use crate::error::Error;
use crate::handler::files::resolver::Root;
use crate::request::{Request, Target};
use crate::rfc::accept;
use crate::rfc::path::{self, SafePath};

mod html;
mod json;
mod rows;
mod sort;
#[cfg(test)]
mod tests;

/// How folders are listed.
#[derive(Clone, Debug, Default)]
#[cfg_attr(feature = "cli", derive(clap::Args), group(skip))] // every module has an `Options`
pub struct Options {}

/// Lists folders.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Listing {}

/// A folder to list.
pub(crate) struct Folder {
    pub(crate) root: Arc<Root>,
    /// Open beneath the root.
    pub(crate) folder: std::os::fd::OwnedFd,
    /// Its place below the root.
    pub(crate) path: SafePath,
    /// Whether names that begin with a dot are listed.
    pub(crate) hidden: bool,
}

/// A listing that can no longer fail for a reason of configuration.
pub(crate) fn open(Options {}: Options) -> Listing {
    Listing {}
}

impl Listing {
    /// Answers a GET or HEAD of `folder`.
    pub(crate) async fn answer(self, request: Request, folder: Folder) -> Answer {
        let format = match accept::prefer(&request.headers, &["text/html", "application/json"]) {
            Some(1) => Format::Json,
            _ => Format::Html,
        };
        let rows = tokio::task::spawn_blocking(move || {
            let mut rows = rows::gather(&folder)?;
            sort::by_name(&mut rows);
            Ok::<_, Error>(rows)
        });
        let rows = rows.await.map_err(Error::internal)??;
        let mut pieces = Pieces { rows, title: title(&request.target), format, next: Next::Start };
        let first = pieces.render();
        let mut response = match pieces.next {
            // What fits one piece has a length, which clients of HTTP/1.0 like.
            Next::End => Response::new(Body::from(first)),
            _ => Response::new(Body::stream(Page { first: Some(first), pieces })),
        };
        if response.body().len().is_none() {
            response.extensions_mut().insert(LongText);
        }
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(format.content_type()));
        headers.insert(header::VARY, HeaderValue::from_static("Accept, Accept-Encoding"));
        Ok(response)
    }
}

#[derive(Clone, Copy, Debug)]
enum Format {
    Html,
    Json,
}

impl Format {
    const fn content_type(self) -> &'static str {
        match self {
            Self::Html => "text/html; charset=utf-8",
            Self::Json => "application/json",
        }
    }
}

/// Rows on their way to text.
struct Pieces {
    rows: Rows,
    title: Vec<u8>,
    format: Format,
    next: Next,
}

/// What is rendered next.
enum Next {
    Start,
    /// The row with this number.
    Row(usize),
    End,
}

impl Pieces {
    /// The next piece, of about [`PIECE`] bytes.
    fn render(&mut self) -> Vec<u8> {
        let mut out = Vec::with_capacity(PIECE + PIECE / 8);
        let mut at = match self.next {
            Next::End => return out,
            Next::Row(at) => at,
            Next::Start => {
                match self.format {
                    Format::Html => html::start(&mut out, &self.title),
                    Format::Json => json::start(&mut out),
                }
                0
            }
        };
        while out.len() < PIECE {
            let Some(row) = self.rows.row(at) else {
                match self.format {
                    Format::Html => html::end(&mut out),
                    Format::Json => json::end(&mut out),
                }
                self.next = Next::End;
                return out;
            };
            match self.format {
                Format::Html => html::row(&mut out, &row),
                Format::Json => json::row(&mut out, &row, at == 0),
            }
            at += 1;
        }
        self.next = Next::Row(at);
        out
    }
}

/// A listing of more than one piece.
struct Page {
    first: Option<Vec<u8>>,
    pieces: Pieces,
}

impl http_body::Body for Page {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let piece = self.first.take().unwrap_or_else(|| self.pieces.render());
        Poll::Ready((!piece.is_empty()).then(|| Ok(Frame::data(piece.into()))))
    }
}

/// The target as sent, for people, as http.server shows it: decoded, its leading slashes one.
fn title(target: &Target) -> Vec<u8> {
    let shown = path::shown(target.as_bytes());
    let start = shown.iter().position(|byte| *byte != b'/').unwrap_or(shown.len());
    [b"/", shown.get(start..).unwrap_or_default()].concat()
}

/// How much is rendered at once, in bytes.
const PIECE: usize = 64 * 1024;
