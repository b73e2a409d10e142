//! A folder as an archive: `?archive=zip|tar|tar.zst`.
//!
//! Only a list of what is in the folder is held; content is read as it is sent, a piece at a time on the blocking pool. What a
//! request for a file would be refused is not in the archive: hidden names, links that are not followed, FIFOs. A file that
//! is another by the time it is to be sent ends the connection, as a file that gets shorter does: an archive is whole or cut,
//! never wrong.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use http_body::{Frame, SizeHint};

use self::tar::Tar;
use self::tree::{Item, Tree};
use self::zip::Zip;
use super::files::resolver::{Entry, Root};
use super::listing::{self, Folder};
use super::{Answer, Response};
use crate::body::{Body, BoxError};
use crate::compress;
use crate::error::Error;
use crate::request::{Request, Target};
use crate::rfc::accept::Coding;
use crate::rfc::path::{self, SafePath};
use crate::rfc::precondition;
use crate::rfc::range::{self, Ranges};
use crate::workshop::{self, Made};

mod tar;
#[cfg(test)]
mod tests;
mod tree;
mod zip;

/// What a folder is packed as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Zip,
    Tar,
    TarZst,
}

/// The format that a query asks for, if it asks for an archive.
///
/// # Errors
/// 400 for a format that there is not.
pub(crate) fn asked(target: &Target) -> Result<Option<Format>, Error> {
    let mut pairs = target.query().unwrap_or_default().split(|byte| *byte == b'&');
    let asked = pairs.find_map(|pair| match pair {
        b"archive" => Some(&b""[..]),
        pair => pair.strip_prefix(b"archive="),
    });
    let Some(asked) = asked else { return Ok(None) };
    match Format::all().find(|format| format.ending().as_bytes() == asked) {
        Some(format) => Ok(Some(format)),
        None => {
            let endings: Vec<_> = Format::all().map(Format::ending).collect();
            let message = format!("There is no such archive; ask for {}", endings.join(", "));
            Err(Error::new(StatusCode::BAD_REQUEST, message))
        }
    }
}

/// What `--no-archive` answers.
pub(crate) fn refused() -> Error {
    Error::new(StatusCode::FORBIDDEN, "This server sends no archives")
}

/// Answers a GET or HEAD of `folder` as an archive.
pub(crate) async fn answer(request: Request, folder: Folder, format: Format) -> Answer {
    let root = folder.root.clone();
    let name = format.file_name(&folder.path);
    let tree = workshop::run(move || Tree::gather(folder));
    let tree = tree.await.map_err(Error::internal)??;
    let mut response = Response::new(Body::Empty);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(format.content_type()));
    headers.insert(header::CONTENT_DISPOSITION, name);
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    let tar = |tree| Body::stream(Pump::new(Tar::new(root.clone(), tree), None));
    *response.body_mut() = match format {
        Format::Tar => tar(tree),
        Format::TarZst => compress::encode(tar(tree), Coding::Zstd),
        Format::Zip => return zip(&request, root, tree, response),
    };
    Ok(response)
}

/// A zip's length is known before its content, so parts of it can be asked for: a download that was cut goes on.
fn zip(request: &Request, root: Arc<Root>, tree: Tree, mut response: Response) -> Answer {
    let etag = tree.etag();
    if let Some(answer) = listing::by_tag(request, &etag) {
        return answer;
    }
    let length = Zip::length(&tree);
    let mut ranges = request.headers.get_all(header::RANGE).iter();
    let asked = match (ranges.next(), ranges.next()) {
        (Some(range), None)
            if request.method == http::Method::GET
                && precondition::range_applies(&request.headers, Some(&etag), None) =>
        {
            range::parse(range.as_bytes(), length)
        }
        _ => Ranges::Ignored,
    };
    let headers = response.headers_mut();
    headers.insert(header::ETAG, etag.header());
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    let wanted = match asked {
        Ranges::Unsatisfiable => {
            return Err(Error::new(StatusCode::RANGE_NOT_SATISFIABLE, "The archive has no such range")
                .with_header(header::CONTENT_RANGE, range::unsatisfied(length)));
        }
        Ranges::One(wanted) => {
            headers.insert(header::CONTENT_RANGE, range::content_range(&wanted, length));
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
            wanted
        }
        // Several parts at once would each read what lies before them.
        Ranges::Ignored | Ranges::Many(_) => 0..length,
    };
    let left = wanted.end - wanted.start;
    *response.body_mut() = Body::stream(Pump::new(Zip::new(root, tree, wanted), Some(left)));
    Ok(response)
}

impl Format {
    /// Those that there are.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        let packed = compress::WORTH_IT.map(|_| Self::TarZst);
        [Self::Zip, Self::Tar].into_iter().chain(packed)
    }

    /// What it is called in a query and at the end of a file's name.
    pub(crate) const fn ending(self) -> &'static str {
        match self {
            Self::Zip => "zip",
            Self::Tar => "tar",
            Self::TarZst => "tar.zst",
        }
    }

    const fn content_type(self) -> &'static str {
        match self {
            Self::Zip => "application/zip",
            Self::Tar => "application/x-tar",
            Self::TarZst => "application/zstd",
        }
    }

    /// `attachment`, and the folder's name with our ending (RFC 6266 §4.3).
    fn file_name(self, folder: &SafePath) -> HeaderValue {
        let ending = self.ending();
        let name = String::from_utf8_lossy(folder.file_name().unwrap_or(b"files"));
        let name = path::encode(name.as_bytes());
        HeaderValue::try_from(format!("attachment; filename*=UTF-8''{name}.{ending}"))
            .expect("what is percent-encoded is visible ASCII")
    }
}

/// An archive that is made as it is sent. Each step may wait for a disk.
trait Source: Send + 'static {
    /// The next bytes; none yet is empty, `None` the end.
    fn next(&mut self) -> io::Result<Option<Vec<u8>>>;
}

/// Asks a source for its next piece on the blocking pool when the connection wants one: it moves there and back, so no thread
/// is held by a client that does not read, and one that leaves ends the work.
struct Pump<S> {
    state: State<S>,
    /// How many bytes are still to come, if that is known.
    left: Option<u64>,
}

/// Where the source is.
enum State<S> {
    Here(Box<S>),
    Working(Made<Stepped<S>>),
    Ended,
}

/// A source that comes back, and what it made.
type Stepped<S> = (Box<S>, io::Result<Option<Vec<u8>>>);

impl<S: Source> Pump<S> {
    fn new(source: S, left: Option<u64>) -> Self {
        Self { state: State::Here(Box::new(source)), left }
    }
}

impl<S: Source> http_body::Body for Pump<S> {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        loop {
            match std::mem::replace(&mut self.state, State::Ended) {
                State::Ended => return Poll::Ready(None),
                State::Here(mut source) => {
                    self.state = State::Working(workshop::run(|| {
                        let next = source.next();
                        (source, next)
                    }));
                }
                State::Working(mut job) => {
                    let Poll::Ready(done) = Pin::new(&mut job).poll(cx) else {
                        self.state = State::Working(job);
                        return Poll::Pending;
                    };
                    let (source, next) = done?;
                    let Some(piece) = next? else { return Poll::Ready(None) };
                    self.state = State::Here(source);
                    if !piece.is_empty() {
                        self.left = self.left.map(|left| left.saturating_sub(piece.len() as u64));
                        return Poll::Ready(Some(Ok(Frame::data(piece.into()))));
                    }
                }
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        self.left.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

/// Opens a file of a tree, by the resolver.
///
/// # Errors
/// When it is not what it was when the tree was gathered.
fn open(root: &Root, tree: &Tree, item: &Item) -> io::Result<File> {
    let name = tree.name(item);
    let shown = OsStr::from_bytes(name).display();
    match tree.path(item).map(|path| root.open_entry(&path)) {
        Some(Ok(Entry::File(file, facts))) if Some(facts) == item.facts => Ok(file),
        _ => Err(io::Error::other(format!("{shown} changed while it was being packed"))),
    }
}

/// How much is made at once, in bytes.
const PIECE: usize = 256 * 1024;
