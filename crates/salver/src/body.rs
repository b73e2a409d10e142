//! What a message carries: nothing, bytes, a piece of a file, or a stream.
//!
//! A piece of a file stays one down to the connection, which sends it with `sendfile` on plain HTTP/1 and
//! reads it in pieces elsewhere. A body refuses nothing and knows nothing of framing: `http1::reply` does.

use std::fmt;
use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};

use crate::http1::reply::Prepared;

/// Any error of a foreign body or handler: it reaches the log, never the wire.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The error of a body whose cause stands in the log already: that it was cut is then no second entry.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("see the log")]
pub struct Reported;

/// How much of a file is read at once where `sendfile` cannot serve (TLS, HTTP/2, compression), in bytes.
pub const FILE_PIECE: usize = 256 * 1024;

/// Up to so many bytes of a file, reading and copying them costs less than `sendfile` and its segment of their own: 2 and 6 KiB
/// cost 10 and 5 % less so, 12 and 32 KiB 4 and 30 % more.
pub(crate) const COPIED_FILE: u64 = 8 * 1024;

/// The content of a request or response (RFC 9110 §6.4).
///
/// ```
/// use salver::Body;
/// assert_eq!(Body::from("hello").len(), Some(5));
/// assert_eq!(Body::Empty.len(), Some(0));
/// ```
#[derive(Default)]
pub enum Body {
    /// No content.
    #[default]
    Empty,
    /// Content that is in memory.
    Bytes(Bytes),
    /// A piece of a file, read only when it is sent.
    File(FileRange),
    /// Content that comes as it is made.
    Stream(Stream),
}

/// A boxed stream of data; trailers of a foreign body are dropped by the connection.
pub type Stream = Pin<Box<dyn http_body::Body<Data = Bytes, Error = BoxError> + Send>>;

/// Some bytes of a file.
///
/// A file that turns out shorter when sent is an error of the connection: it is cut and closed, never padded.
#[derive(Clone, Debug)]
pub struct FileRange {
    opened: Arc<Opened>,
    offset: u64,
    length: u64,
}

#[derive(Debug)]
struct Opened {
    /// None while all of it is in memory, and not worth a descriptor.
    file: OnceLock<File>,
    /// All that the file holds, to be sent where `sendfile` cannot serve; empty if it has to be read.
    content: Bytes,
    /// The fields of a response with it.
    prepared: Option<Prepared>,
}

impl Body {
    /// A body that streams from any [`http_body::Body`].
    ///
    /// ```
    /// use salver::Body;
    /// let body = Body::stream(http_body_util::Full::new(bytes::Bytes::from("hello")));
    /// assert_eq!(body.len(), Some(5));
    /// ```
    pub fn stream<B>(body: B) -> Self
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        use http_body_util::BodyExt as _;
        Self::Stream(Box::pin(body.map_err(Into::into)))
    }

    /// The length in bytes, if it is known before the content is read.
    pub fn len(&self) -> Option<u64> {
        match self {
            Self::Empty => Some(0),
            Self::Bytes(bytes) => Some(bytes.len() as u64),
            Self::File(range) => Some(range.length),
            Self::Stream(stream) => stream.size_hint().exact(),
        }
    }

    /// All of it, if it is in memory.
    pub(crate) fn in_memory(&self) -> Option<&[u8]> {
        match self {
            Self::Empty => Some(&[]),
            Self::Bytes(bytes) => Some(bytes),
            Self::File(range) => range.in_memory(),
            Self::Stream(_) => None,
        }
    }

    /// The fields of a response with it, if they were written before.
    pub(crate) fn prepared(&self) -> Option<&Prepared> {
        match self {
            Self::File(range) => range.opened.prepared.as_ref(),
            _ => None,
        }
    }

    /// Whether it is known that there is no content.
    pub fn is_empty(&self) -> bool {
        self.len() == Some(0)
    }
}

impl FileRange {
    /// `length` bytes of `file` from `offset` on; the position of the file itself is never used.
    ///
    /// ```
    /// use salver::{Body, FileRange};
    /// let file = std::fs::File::open("Cargo.toml")?;
    /// assert_eq!(Body::File(FileRange::new(file, 2, 10)).len(), Some(10));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn new(file: File, offset: u64, length: u64) -> Self {
        let opened = Opened { file: file.into(), content: Bytes::new(), prepared: None };
        Self { opened: Arc::new(opened), offset, length }
    }

    /// All of a file that holds `content`, and whose responses say what was `prepared`.
    pub(crate) fn stored(content: Bytes, prepared: Prepared) -> Self {
        let length = content.len() as u64;
        let opened = Opened { file: OnceLock::new(), content, prepared: Some(prepared) };
        Self { opened: Arc::new(opened), offset: 0, length }
    }

    /// Keeps `file`, which holds the same, open for this and all its clones; whoever was first stays.
    pub(crate) fn keep_open(&self, file: File) -> bool {
        self.opened.file.set(file).is_ok()
    }

    /// The open file; `None` if its bytes are in memory alone.
    pub fn file(&self) -> Option<&File> {
        self.opened.file.get()
    }

    /// Where the next byte lies.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// How many bytes are left.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Leaves at most `length` bytes, the first ones.
    pub fn truncate(&mut self, length: u64) {
        self.length = self.length.min(length);
    }

    /// What is left, if it is in memory or nothing.
    pub(crate) fn in_memory(&self) -> Option<&[u8]> {
        if self.length == 0 {
            return Some(&[]);
        }
        let start = usize::try_from(self.offset).ok()?;
        let end = start.checked_add(usize::try_from(self.length).ok()?)?;
        self.opened.content.get(start..end)
    }

    /// The same, to be kept.
    pub(crate) fn content(&self) -> Option<Bytes> {
        self.in_memory().map(|bytes| self.opened.content.slice_ref(bytes))
    }

    /// Whether `sendfile` is cheaper than a copy.
    pub(crate) fn suits_sendfile(&self) -> bool {
        self.length > COPIED_FILE && self.file().is_some()
    }

    /// The bytes of `part`, counted as the file's and not after its end.
    pub(crate) fn part(&self, part: Range<u64>) -> Self {
        Self { opened: self.opened.clone(), offset: part.start, length: part.end - part.start }
    }

    /// Moves past `count` bytes, which have been sent.
    pub(crate) fn advance(&mut self, count: u64) {
        self.offset += count;
        self.length = self.length.saturating_sub(count);
    }

    /// Reads the next piece (at most [`FILE_PIECE`] bytes) and moves past it; `None` at the end.
    ///
    /// # Errors
    /// What reading gives, and `UnexpectedEof` when the file is shorter than it was.
    pub fn read_piece(&mut self) -> std::io::Result<Option<Bytes>> {
        if self.length == 0 {
            return Ok(None);
        }
        self.read_at_most(FILE_PIECE).map(Some)
    }

    /// Reads at most `most` bytes of what is left, which is not nothing, and moves past them.
    pub(crate) fn read_at_most(&mut self, most: usize) -> std::io::Result<Bytes> {
        let want = usize::try_from(self.length).unwrap_or(usize::MAX).min(most);
        let piece = match self.content() {
            Some(mut content) => content.split_to(want),
            None => {
                let mut piece = vec![0; want];
                let file = self.file().ok_or(std::io::ErrorKind::UnexpectedEof)?;
                let got = file.read_at(&mut piece, self.offset)?;
                if got == 0 {
                    return Err(std::io::ErrorKind::UnexpectedEof.into());
                }
                piece.truncate(got);
                piece.into()
            }
        };
        self.advance(piece.len() as u64);
        Ok(piece)
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match &mut *self {
            Self::Empty => Poll::Ready(None),
            Self::Bytes(bytes) => {
                let bytes = std::mem::take(bytes);
                *self = Self::Empty;
                Poll::Ready((!bytes.is_empty()).then(|| Ok(Frame::data(bytes))))
            }
            Self::File(range) => Poll::Ready(match range.read_piece() {
                Ok(piece) => piece.map(|piece| Ok(Frame::data(piece))),
                Err(error) => Some(Err(error.into())),
            }),
            Self::Stream(stream) => stream.as_mut().poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Stream(stream) => stream.is_end_stream(),
            known => known.is_empty(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Stream(stream) => stream.size_hint(),
            known => SizeHint::with_exact(known.len().unwrap_or(0)),
        }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("Empty"),
            Self::Bytes(bytes) => write!(f, "Bytes({})", bytes.len()),
            Self::File(range) => range.fmt(f),
            Self::Stream(_) => f.write_str("Stream"),
        }
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        if bytes.is_empty() { Self::Empty } else { Self::Bytes(bytes) }
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        Bytes::from(bytes).into()
    }
}

impl From<String> for Body {
    fn from(text: String) -> Self {
        text.into_bytes().into()
    }
}

impl From<&'static str> for Body {
    fn from(text: &'static str) -> Self {
        Bytes::from_static(text.as_bytes()).into()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use http::HeaderMap;

    use super::*;

    fn file(content: &[u8]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(content).unwrap();
        file
    }

    fn read(mut range: FileRange) -> Vec<u8> {
        std::iter::from_fn(|| range.read_piece().unwrap()).collect::<Vec<_>>().concat()
    }

    #[test]
    fn what_is_in_memory_is_not_read() {
        let content = Bytes::from_static(b"in memory ");
        let range = FileRange::stored(content, Prepared::new(HeaderMap::new()));
        assert!(range.keep_open(file(b"on disk...")) && !range.keep_open(file(b"another")));
        assert_eq!(read(range.clone()), b"in memory ");
        assert_eq!(read(range.part(3..6)), b"mem");
        let mut moved = range.part(3..9);
        moved.advance(2);
        moved.truncate(3);
        assert_eq!((moved.offset(), moved.length(), read(moved)), (5, 3, b"mor".to_vec()));
        assert_eq!(read(range.part(10..10)), b"");
        // Beyond what is in memory there may be more in the file by now.
        assert_eq!(range.part(8..12).content(), None);
        let whole = FileRange::new(file(b"on disk..."), 0, 10);
        assert_eq!((read(whole.part(3..7)), whole.content()), (b"disk".to_vec(), None));
    }
}
