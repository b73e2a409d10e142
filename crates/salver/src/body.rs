//! What a message carries: nothing, bytes, a piece of a file, or a stream.
//!
//! A piece of a file stays one down to the connection, which sends it with `sendfile` on plain HTTP/1 and
//! reads it in pieces elsewhere. A body refuses nothing and knows nothing of framing: `http1::reply` does.

use std::fmt;
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};

/// Any error of a foreign body or handler: it reaches the log, never the wire.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The error of a body whose cause stands in the log already: that it was cut is then no second entry.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("see the log")]
pub struct Reported;

/// How much of a file is read at once where `sendfile` cannot serve (TLS, HTTP/2, compression), in bytes.
pub const FILE_PIECE: usize = 256 * 1024;

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

/// `length` bytes of `file` from `offset` on.
///
/// A file that turns out shorter when sent is an error of the connection: it is cut and closed, never padded.
#[derive(Clone, Debug)]
pub struct FileRange {
    /// The open file; its own position is never used.
    pub file: Arc<File>,
    /// First byte to send.
    pub offset: u64,
    /// How many bytes to send.
    pub length: u64,
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

    /// Whether it is known that there is no content.
    pub fn is_empty(&self) -> bool {
        self.len() == Some(0)
    }
}

impl FileRange {
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
        let mut piece = vec![0; want];
        let got = self.file.read_at(&mut piece, self.offset)?;
        if got == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        piece.truncate(got);
        self.offset += got as u64;
        self.length -= got as u64;
        Ok(piece.into())
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
