//! What answers a request: one trait with one method, and a kind a file or folder.
//!
//! Each kind exports the same two names: `Options` (plain values, a field an option) and `open` (options → something that
//! can no longer fail for a reason of configuration).

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::body::Body;
use crate::error::Error;
use crate::request::Request;
use crate::rfc::path::SafePath;

#[cfg(feature = "listing")]
mod archive;
pub mod cgi;
pub mod files;
pub mod gateway;
#[cfg_attr(not(feature = "listing"), path = "no_listing.rs")]
pub mod listing;
mod methods;
pub mod redirect;

pub use methods::Methods;

/// A response on its way out; `answer` adds what every response carries.
pub type Response = http::Response<Body>;

/// What a handler makes of a request.
pub type Answer = Result<Response, Error>;

/// Something that answers requests.
///
/// A handler that panics costs its own request a 500 and nothing else.
///
/// ```
/// use salver::{Handler, Reply, Request, Response, SafePath};
///
/// struct Hello;
///
/// impl Handler for Hello {
///     fn handle(&self, _request: Request, _rest: SafePath) -> Reply<'_> {
///         Reply::ready(Ok(Response::new("hello\n".into())))
///     }
/// }
/// ```
pub trait Handler: Send + Sync + 'static {
    /// Answers one request; `rest` is the path below the mount, decoded once and unable to leave it.
    ///
    /// When the client leaves, the future is dropped.
    fn handle(&self, request: Request, rest: SafePath) -> Reply<'_>;
}

/// An answer that is there, or one that comes: the first costs no allocation.
///
/// ```
/// use salver::{Error, Reply, Response};
///
/// let there = Reply::ready(Err(Error::not_found()));
/// let comes = Reply::later(async {
///     // Whatever takes its time: a database, the request's body.
///     Ok(Response::new("done".into()))
/// });
/// ```
pub enum Reply<'a> {
    /// The answer is there.
    Ready(Option<Answer>),
    /// The answer comes.
    Later(Pin<Box<dyn Future<Output = Answer> + Send + 'a>>),
}

impl<'a> Reply<'a> {
    /// An answer that is there.
    pub fn ready(answer: Answer) -> Self {
        Self::Ready(Some(answer))
    }

    /// An answer that comes.
    pub fn later(answer: impl Future<Output = Answer> + Send + 'a) -> Self {
        Self::Later(Box::pin(answer))
    }
}

impl std::fmt::Debug for Reply<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Ready(answer) => f.debug_tuple("Ready").field(answer).finish(),
            Self::Later(_) => f.write_str("Later"),
        }
    }
}

impl Future for Reply<'_> {
    type Output = Answer;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Answer> {
        match self.get_mut() {
            Self::Ready(answer) => match answer.take() {
                Some(answer) => Poll::Ready(answer),
                None => Poll::Pending, // polled after its end: a caller's fault that must not panic
            },
            Self::Later(answer) => answer.as_mut().poll(cx),
        }
    }
}
