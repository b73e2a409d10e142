//! A handler with a method for each HTTP method: the Rust `do_GET`.

use http::{Method, StatusCode};

use super::{Handler, Reply};
use crate::error::Error;
use crate::request::Request;
use crate::rfc::path::SafePath;

/// A handler written as http.server's are: a method of the trait for each method of HTTP (RFC 9110 §9.3, RFC 5789).
///
/// What is not overridden answers 501, as http.server does for a class without that `do_…`. HEAD is answered as GET is,
/// and the server leaves the content out. Whatever implements `Methods` is a [`Handler`].
///
/// ```
/// use http_body_util::BodyExt as _;
/// use salver::{Error, Methods, Reply, Request, Response, SafePath, Site};
///
/// struct Greeting;
///
/// impl Methods for Greeting {
///     fn get(&self, _request: Request, _rest: SafePath) -> Reply<'_> {
///         Reply::ready(Ok(Response::new("hello\n".into())))
///     }
///
///     fn post(&self, request: Request, _rest: SafePath) -> Reply<'_> {
///         Reply::later(async move {
///             // Reading fails as the request does: 408 if it comes too slowly, 413 if it is too large.
///             let body = request.body.collect().await.map_err(Error::internal)?;
///             Ok(Response::new(body.to_bytes().into()))
///         })
///     }
/// }
///
/// let site = Site::new().mount("/greeting", Greeting)?;
/// # Ok::<(), salver::StartError>(())
/// ```
pub trait Methods: Send + Sync + 'static {
    /// Answers GET.
    fn get(&self, request: Request, _rest: SafePath) -> Reply<'_> {
        unsupported(&request)
    }

    /// Answers HEAD: as GET, unless overridden.
    fn head(&self, request: Request, rest: SafePath) -> Reply<'_> {
        self.get(request, rest)
    }

    /// Answers POST.
    fn post(&self, request: Request, _rest: SafePath) -> Reply<'_> {
        unsupported(&request)
    }

    /// Answers PUT.
    fn put(&self, request: Request, _rest: SafePath) -> Reply<'_> {
        unsupported(&request)
    }

    /// Answers DELETE.
    fn delete(&self, request: Request, _rest: SafePath) -> Reply<'_> {
        unsupported(&request)
    }

    /// Answers PATCH.
    fn patch(&self, request: Request, _rest: SafePath) -> Reply<'_> {
        unsupported(&request)
    }

    /// Answers OPTIONS.
    fn options(&self, request: Request, _rest: SafePath) -> Reply<'_> {
        unsupported(&request)
    }

    /// Answers every other method.
    fn other(&self, request: Request, _rest: SafePath) -> Reply<'_> {
        unsupported(&request)
    }
}

impl<M: Methods> Handler for M {
    fn handle(&self, request: Request, rest: SafePath) -> Reply<'_> {
        match request.method {
            Method::GET => self.get(request, rest),
            Method::HEAD => self.head(request, rest),
            Method::POST => self.post(request, rest),
            Method::PUT => self.put(request, rest),
            Method::DELETE => self.delete(request, rest),
            Method::PATCH => self.patch(request, rest),
            Method::OPTIONS => self.options(request, rest),
            _ => self.other(request, rest),
        }
    }
}

fn unsupported(request: &Request) -> Reply<'static> {
    Reply::ready(Err(Error::unsupported_method(&request.method)))
}

impl Error {
    /// 501 for a method that nothing here knows, in http.server's words.
    pub fn unsupported_method(method: &Method) -> Self {
        Self::new(StatusCode::NOT_IMPLEMENTED, format!("Unsupported method ('{method}')"))
    }
}
