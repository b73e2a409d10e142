//! Why a request gets no good answer.
//!
//! An [`Error`] says a status and what the client may know; its cause reaches the log, never the wire. It becomes
//! a response in one place only, `finish::page`.

use std::borrow::Cow;
use std::fmt;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use crate::body::BoxError;

/// A failed request: the status to answer, words for people, and the cause for the log.
///
/// ```
/// use http::StatusCode;
/// use salver::Error;
///
/// let error = Error::new(StatusCode::NOT_FOUND, "File not found").because("no such row");
/// assert_eq!(error.status(), StatusCode::NOT_FOUND);
/// assert_eq!(error.blame(), salver::Blame::Client);
/// ```
#[derive(Debug)]
pub struct Error(Box<Inner>);

#[derive(Debug)]
struct Inner {
    status: StatusCode,
    message: Cow<'static, str>,
    headers: HeaderMap,
    link: Option<String>,
    cause: Option<BoxError>,
}

/// Who has to mend something for the request to succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// The client: a 4xx status.
    Client,
    /// The program or server behind this one: 502 and 504.
    Upstream,
    /// This server: any other 5xx status.
    Us,
}

impl Error {
    /// An error that is answered with `status`; `message` is shown to the client and logged, so it holds no secret
    /// and no path of the file system.
    pub fn new(status: StatusCode, message: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Inner {
            status,
            message: message.into(),
            headers: HeaderMap::new(),
            link: None,
            cause: None,
        }))
    }

    /// 404, in http.server's words.
    ///
    /// ```
    /// assert_eq!(salver::Error::not_found().to_string(), "404: File not found");
    /// ```
    pub fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "File not found")
    }

    /// 500 for a fault of ours; only the log learns the cause.
    pub fn internal(cause: impl Into<BoxError>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "The server met a fault of its own").because(cause)
    }

    /// The same error with a cause for the log.
    #[must_use]
    pub fn because(mut self, cause: impl Into<BoxError>) -> Self {
        self.0.cause = Some(cause.into());
        self
    }

    /// The same error with a header for the response (`Allow`, `Retry-After`, `Content-Range`).
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers.append(name, value);
        self
    }

    /// The same error with the URL of where to go instead, for its page.
    #[must_use]
    pub fn with_link(mut self, url: impl Into<String>) -> Self {
        self.0.link = Some(url.into());
        self
    }

    /// Where to go instead.
    pub fn link(&self) -> Option<&str> {
        self.0.link.as_deref()
    }

    /// The status of the response.
    pub fn status(&self) -> StatusCode {
        self.0.status
    }

    /// What the client may know.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Headers the response carries beside those of every response.
    pub fn headers(&self) -> &HeaderMap {
        &self.0.headers
    }

    /// What the log is told beside the status.
    pub fn cause(&self) -> Option<&BoxError> {
        self.0.cause.as_ref()
    }

    /// Who is to blame, by the status (RFC 9110 §15).
    pub fn blame(&self) -> Blame {
        match self.0.status {
            StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT => Blame::Upstream,
            status if status.is_server_error() => Blame::Us,
            _ => Blame::Client,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.status.as_u16(), self.0.message)?;
        match &self.0.cause {
            Some(cause) => write!(f, " ({cause})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {}
