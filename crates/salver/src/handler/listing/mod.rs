//! A folder as a page, or as JSON for whoever asks for it.
//!
//! Rows are gathered and sorted away from the event loop. The page of an ordinary folder is made there as a whole, once for all
//! who ask for it at the same time; a long one is rendered as it is sent, a piece at a time: a folder of 100,000 entries takes a few
//! megabytes however slowly its reader reads. Refused: folders that cannot be read. Left out: hidden names, and links that are not
//! followed.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use http_body::Frame;
use rustix::fs::fstat;

use self::page::Count;
use self::rows::Rows;
use self::together::Together;
use self::view::{Key, Shape, View};
use super::{Answer, Response};
use crate::body::{Body, BoxError};
use crate::compress::LongText;
use crate::error::Error;
use crate::handler::archive;
use crate::handler::files::place::Identity;
use crate::handler::files::resolver::Root;
use crate::look::{self, END, Look};
use crate::request::{Request, Target};
use crate::rfc::accept;
use crate::rfc::etag::ETag;
use crate::rfc::path::SafePath;
use crate::rfc::precondition::{self, Verdict};
use crate::start_error::StartError;
use crate::workshop;

mod html;
mod icon;
mod json;
mod markdown;
mod page;
mod preview;
mod readme;
pub(crate) mod rows;
mod sort;
#[cfg(test)]
mod tests;
mod together;
mod view;

/// How folders are listed.
#[derive(Clone, Debug, Default)]
#[cfg_attr(feature = "cli", derive(clap::Args), group(skip))] // every module has an `Options`
pub struct Options {
    /// What our pages look like.
    #[cfg_attr(feature = "cli", command(flatten))]
    pub look: look::Options,

    /// Do not send folders as archives (`?archive=zip|tar|tar.zst`)
    #[cfg_attr(feature = "cli", arg(long, value_name = "BOOL", action = clap::ArgAction::Set, num_args = 0..=1,
        require_equals = true, default_value = "false", default_missing_value = "true"))]
    pub no_archive: bool,
}

/// Lists folders.
#[derive(Clone, Debug)]
pub(crate) struct Listing {
    look: Arc<Look>,
    archives: bool,
    pages: Arc<Together<Asked, Option<Bytes>>>,
}

/// What makes one listing another than the next.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Asked {
    /// Another folder may have come to this path meanwhile.
    identity: Identity,
    path: SafePath,
    hidden: bool,
    target: Target,
    format: Format,
}

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
///
/// # Errors
/// A theme that is none.
pub(crate) fn open(options: &Options) -> Result<Listing, StartError> {
    let look = Arc::new(Look::open(&options.look)?);
    Ok(Listing { look, archives: !options.no_archive, pages: Arc::default() })
}

impl Listing {
    /// Whether a folder is asked for as an archive that we send.
    pub(crate) fn packs(&self, target: &Target) -> bool {
        self.archives && matches!(archive::asked(target), Ok(Some(_)))
    }

    /// Answers a GET or HEAD of `folder`: with a page, or as JSON or an archive where that is asked for.
    pub(crate) async fn answer(&self, request: Request, folder: Folder) -> Answer {
        match archive::asked(&request.target) {
            Ok(None) => self.list(request, folder).await,
            _ if !self.archives => Err(archive::refused()),
            Ok(Some(format)) => archive::answer(request, folder, format).await,
            Err(error) => Err(error),
        }
    }

    async fn list(&self, request: Request, folder: Folder) -> Answer {
        let format = match accept::prefer(&request.headers, &["text/html", "application/json"]) {
            Some(1) => Format::Json,
            _ => Format::Html,
        };
        let asked = Asked {
            identity: Identity::of(&fstat(&folder.folder).map_err(Error::internal)?),
            path: folder.path.clone(),
            hidden: folder.hidden,
            target: request.target.clone(),
            format,
        };
        let (mut folder, mut long) = (Some(folder), None);
        let make = async {
            let Some(folder) = folder.take() else { return Ok::<_, Error>(None) };
            match self.make(&request.target, folder, format).await? {
                Page::Whole(page) => Ok(Some(page)),
                page @ Page::Long(..) => {
                    long = Some(page);
                    Ok(None)
                }
            }
        };
        let page = match (self.pages.get(asked, make).await?, long, folder) {
            (Some(page), ..) => Page::Whole(page),
            (None, Some(page), _) => page,
            // Somebody else's was long, and is theirs.
            (None, None, Some(folder)) => self.make(&request.target, folder, format).await?,
            (None, None, None) => {
                return Err(Error::internal("a listing was neither made nor left to be made"));
            }
        };
        let mut response = Response::new(Body::Empty);
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(format.content_type()));
        headers.insert(header::VARY, HeaderValue::from_static("Accept, Accept-Encoding"));
        if matches!(format, Format::Html) {
            self.look.apply(headers);
        }
        *response.body_mut() = match page {
            Page::Whole(page) => Body::from(page),
            Page::Long(first, pieces) => {
                response.extensions_mut().insert(LongText);
                Body::stream(Streamed { first: Some(first), pieces })
            }
        };
        Ok(response)
    }

    /// Makes the listing of `folder`, or its beginning if it is long.
    async fn make(&self, target: &Target, folder: Folder, format: Format) -> Result<Page, Error> {
        let (view, _) = View::parse(target.query());
        let (folder, mut rows) = gather(folder, view).await?;
        let (look, target, archives) = (Arc::clone(&self.look), target.clone(), self.archives);
        let rendered = workshop::run(move || {
            sort::sort(&mut rows, view);
            let (head, foot) = match format {
                Format::Json => Default::default(),
                Format::Html => {
                    let count = Count::of(&rows);
                    let head = page::Head { look: &look, target: &target, view, count, archives };
                    let readme = readme::section(&folder, &rows).map(maud::PreEscaped::into_string);
                    let foot = page::foot().into_string();
                    (page::start(&head), format!("{}</main>{foot}{END}\n", readme.unwrap_or_default()))
                }
            };
            let most = if rows.len() > AT_ONCE { 0 } else { MOST_WHOLE };
            // All at once: pages of memory that a text grows through are new to the process each time.
            let room = (head.len() + foot.len() + rows.len() * ROW).min(most + ROOM);
            let mut pieces =
                Pieces { folder, rows, head, foot, format, shape: view.shape, next: Next::Start };
            let mut page = Vec::with_capacity(room);
            pieces.render(&mut page);
            while !matches!(pieces.next, Next::End) && page.len() < most {
                pieces.render(&mut page);
            }
            match pieces.next {
                Next::End => Page::Whole(page.into()),
                _ => Page::Long(page, pieces),
            }
        });
        rendered.await.map_err(Error::internal)
    }
}

/// A listing.
enum Page {
    Whole(Bytes),
    /// Its beginning and the rest.
    Long(Vec<u8>, Pieces),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
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
    folder: Folder,
    rows: Rows,
    /// What stands before the entries of a page, and behind them.
    head: String,
    foot: String,
    format: Format,
    shape: Shape,
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
    /// Appends the next piece, of about [`PIECE`] bytes.
    fn render(&mut self, out: &mut Vec<u8>) {
        let end = out.len() + PIECE;
        let mut at = match self.next {
            Next::End => return,
            Next::Row(at) => at,
            Next::Start => {
                match self.format {
                    Format::Html => out.append(&mut std::mem::take(&mut self.head).into_bytes()),
                    Format::Json => json::start(out),
                }
                0
            }
        };
        while out.len() < end {
            self.rows.know(&self.folder, at..at + 1);
            let Some(row) = self.rows.row(at) else {
                match self.format {
                    Format::Html => {
                        out.extend_from_slice(page::end(self.shape, at > AT_ONCE).as_bytes());
                        out.append(&mut std::mem::take(&mut self.foot).into_bytes());
                    }
                    Format::Json => json::end(out),
                }
                self.next = Next::End;
                return;
            };
            match self.format {
                Format::Html => {
                    if at == AT_ONCE {
                        out.extend_from_slice(page::rest(self.shape).as_bytes());
                    }
                    html::entry(out, &row, self.shape);
                }
                Format::Json => json::row(out, &row, at == 0),
            }
            at += 1;
        }
        self.next = Next::Row(at);
    }
}

/// A long listing, as it is sent.
struct Streamed {
    first: Option<Vec<u8>>,
    pieces: Pieces,
}

impl http_body::Body for Streamed {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let piece = self.first.take().unwrap_or_else(|| {
            let mut piece = Vec::with_capacity(ROOM);
            self.pieces.render(&mut piece);
            piece
        });
        Poll::Ready((!piece.is_empty()).then(|| Ok(Frame::data(piece.into()))))
    }
}

/// What the preconditions of a request make of something that is known by its tag alone; `None` if it is to be sent.
pub(crate) fn by_tag(request: &Request, etag: &ETag) -> Option<Answer> {
    match precondition::evaluate(&request.method, &request.headers, Some(etag), None) {
        Verdict::Proceed => None,
        Verdict::NotModified => {
            let mut response = Response::new(Body::Empty);
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            response.headers_mut().insert(header::ETAG, etag.header());
            Some(Ok(response))
        }
        Verdict::Failed => {
            let message = "What is there is not what the request expects";
            Some(Err(Error::new(StatusCode::PRECONDITION_FAILED, message)))
        }
    }
}

/// Reads a folder some entries at a time: a small one does not wait for somebody else's large one, and nothing is read on for
/// a client that has left.
///
/// Sizes and times are looked up here only for a small folder, or where they decide the order.
async fn gather(mut folder: Folder, view: View) -> Result<(Folder, Rows), Error> {
    let mut reading = rows::Reading::open(&folder)?;
    loop {
        let step = workshop::run(move || {
            let ended = reading.read(&folder, SLICE);
            (folder, reading, ended)
        });
        let ended;
        (folder, reading, ended) = step.await.map_err(Error::internal)?;
        if ended? {
            break;
        }
    }
    let mut rows = reading.finish();
    let known = if view.key == Key::Name && rows.len() > AT_ONCE { 0 } else { rows.len() };
    for start in (0..known).step_by(SLICE) {
        let step = workshop::run(move || {
            rows.know(&folder, start..start + SLICE);
            (folder, rows)
        });
        (folder, rows) = step.await.map_err(Error::internal)?;
    }
    Ok((folder, rows))
}

/// How many entries are read in one go.
const SLICE: usize = 2000;

/// How much is rendered at once, in bytes.
const PIECE: usize = 64 * 1024;

/// Room for that with the entry that goes beyond it, in bytes.
const ROOM: usize = PIECE + PIECE / 8;

/// What an entry takes on a page, in bytes, if its name has some fifty; only room is made by it.
const ROW: usize = 400;

/// Up to what length a listing is made as a whole, in bytes; what is longer is rendered as it is sent.
const MOST_WHOLE: usize = 512 * 1024;

/// How many entries a browser that runs the page's script gets as elements at once; the others it builds as one scrolls.
const AT_ONCE: usize = 1000;
