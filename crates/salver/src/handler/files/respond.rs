//! Acts on a [`Plan`]: the one place where a representation of a file becomes a response.

use std::collections::VecDeque;
use std::hash::{BuildHasher as _, RandomState};
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use http_body::{Frame, SizeHint};

use super::plan::{Plan, plan};
use super::stored::Head;
use crate::body::{Body, BoxError, FileRange};
use crate::compress;
use crate::error::Error;
use crate::handler::{Answer, Response};
use crate::rfc::accept::Coding;
use crate::rfc::range;

/// Where the bytes of a representation come from.
pub(crate) enum Source {
    /// A file, whole.
    File(FileRange),
    /// Such a file, compressed as it is sent.
    Encoded(FileRange, Coding),
}

/// Answers a GET or HEAD with what the preconditions and ranges in its `headers` ask of this representation.
pub(crate) fn respond(method: &Method, headers: &HeaderMap, head: &Head, source: Source) -> Answer {
    let length = match &source {
        Source::File(file) => Some(file.length()),
        Source::Encoded(..) => None,
    };
    let length_or_zero = length.unwrap_or(0); // where it counts, it is known
    match plan(method, headers, &head.etag, head.modified, length) {
        Plan::Whole => Ok(with_head(StatusCode::OK, head, source.whole())),
        Plan::Part(range) => {
            let content_range = range::content_range(&range, length_or_zero);
            let mut response = with_head(StatusCode::PARTIAL_CONTENT, head, source.part(range));
            response.headers_mut().insert(header::CONTENT_RANGE, content_range);
            Ok(response)
        }
        Plan::Parts(ranges) => Ok(parts(head, &source, &ranges, length_or_zero)),
        Plan::NotModified => Ok(not_modified(head)),
        Plan::PreconditionFailed => Err(varying(
            head,
            Error::new(StatusCode::PRECONDITION_FAILED, "The file is not as the request expects it"),
        )),
        Plan::Unsatisfiable => {
            let error = Error::new(StatusCode::RANGE_NOT_SATISFIABLE, "The file has no such range");
            let content_range = range::unsatisfied(length_or_zero);
            Err(varying(head, error.with_header(header::CONTENT_RANGE, content_range)))
        }
    }
}

impl Source {
    fn whole(self) -> Body {
        match self {
            Self::File(file) if file.length() == 0 => Body::Empty,
            Self::File(file) => Body::File(file),
            Self::Encoded(file, coding) => compress::encode(Body::File(file), coding),
        }
    }

    /// A range that lies within.
    fn part(&self, range: Range<u64>) -> Body {
        match self {
            Self::File(file) | Self::Encoded(file, _) => Body::File(file.part(range)),
        }
    }
}

fn with_head(status: StatusCode, head: &Head, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = head.headers.clone();
    say_if_empty(&mut response);
    response
}

/// Says that there is no content: to HEAD, an empty body alone says nothing about the length.
pub(crate) fn say_if_empty(response: &mut Response) {
    if response.body().is_empty() {
        response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
    }
}

/// An error that depends on the representation varies as it does (RFC 9110 §12.5.5).
fn varying(head: &Head, error: Error) -> Error {
    match head.headers.get(header::VARY) {
        Some(vary) => error.with_header(header::VARY, vary.clone()),
        None => error,
    }
}

fn not_modified(head: &Head) -> Response {
    let mut response = Response::new(Body::Empty);
    *response.status_mut() = StatusCode::NOT_MODIFIED;
    *response.headers_mut() = head.not_modified.clone();
    response
}

/// 206 in several parts (RFC 9110 §14.6), in the order asked for.
fn parts(head: &Head, source: &Source, ranges: &[Range<u64>], length: u64) -> Response {
    // Random, so that nobody can put it into a file.
    let random = || RandomState::new().hash_one(length);
    let boundary = format!("{:016x}{:016x}", random(), random());
    let mut bodies = VecDeque::with_capacity(2 * ranges.len() + 1);
    for range in ranges {
        bodies.push_back(range::part_head(&boundary, &head.content_type, range, length).into());
        bodies.push_back(source.part(range.clone()));
    }
    bodies.push_back(range::parts_end(&boundary).into());
    let mut response = with_head(StatusCode::PARTIAL_CONTENT, head, Body::stream(Chain(bodies)));
    response.headers_mut().insert(header::CONTENT_TYPE, range::parts_type(&boundary));
    response
}

/// Bodies one after the other; the length of each is known.
struct Chain(VecDeque<Body>);

impl http_body::Body for Chain {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        while let Some(body) = self.0.front_mut() {
            match ready!(Pin::new(body).poll_frame(cx)) {
                Some(frame) => return Poll::Ready(Some(frame)),
                None => drop(self.0.pop_front()),
            }
        }
        Poll::Ready(None)
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.iter().filter_map(Body::len).sum())
    }
}
