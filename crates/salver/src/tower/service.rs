//! A site as a tower service.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HOST};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, StatusCode, Version};
use http_body::{Body as _, Frame, SizeHint};
use tower_service::Service;

use super::OriginalUri;
use crate::answer;
use crate::body::{Body, BoxError};
use crate::error::Error;
use crate::finish::log::{Outcome, Seen};
use crate::guard::Permit;
use crate::handler::Response;
use crate::http1::Fault;
use crate::http1::reply::{self, Asked, BodyFraming, Marks, Plan};
use crate::request::{Local, Peer, Request, Target};
use crate::rfc::forwarded::Scheme;
use crate::site::Site;
use crate::start_error::StartError;

/// A [`Site`] as a tower service: for axum's `fallback_service`, for hyper, for whatever else serves `http::Request`.
///
/// Requests go the whole way of the site: limits, routing, handlers, compression, headers and access log. What is not here is
/// what salver's own engine does for connections: timeouts, `sendfile`, the strict reading of heads. Needs a tokio runtime; a
/// piece of a file is read where the body is polled.
///
/// The client's address is taken from the extensions of the request: a [`Peer`], or a [`SocketAddr`]. Under axum, a line puts
/// it there:
///
/// ```
/// use std::net::SocketAddr;
///
/// use axum::Router;
/// use axum::extract::{ConnectInfo, Request};
/// use axum::middleware::map_request;
/// use salver::Site;
/// use salver::handler::files::{Files, Options};
///
/// async fn address(ConnectInfo(client): ConnectInfo<SocketAddr>, mut request: Request) -> Request {
///     request.extensions_mut().insert(client);
///     request
/// }
///
/// # fn main() -> Result<(), salver::StartError> {
/// let site = Site::new().mount("/static", Files::open(".".as_ref(), Options::default())?)?;
/// let app: Router = Router::new().fallback_service(site.into_service()).layer(map_request(address));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct SiteService {
    site: Arc<Site>,
    /// Taken off the path by whoever calls; empty if nothing was.
    nested: Arc<str>,
    nowhere: Arc<Local>,
}

impl Site {
    /// The site as a tower service; only with the feature `tower`.
    pub fn into_service(self) -> SiteService {
        let nowhere = Arc::new(Local::Unix(PathBuf::new()));
        SiteService { site: Arc::new(self), nested: "".into(), nowhere }
    }
}

impl SiteService {
    /// The same service behind a router that takes `prefix` off the path (axum's `nest_service`): it is put back, so that
    /// mounts, redirects and the log name whole paths, as everywhere else.
    ///
    /// ```
    /// use salver::{Site, handler};
    ///
    /// let site = Site::new().mount("/old/docs", handler::redirect::open("/docs/")?)?;
    /// let app: axum::Router = axum::Router::new().nest_service("/old", site.into_service().nested("/old")?);
    /// # Ok::<(), salver::StartError>(())
    /// ```
    ///
    /// A router takes `/old` and `/old/` for the same, so a folder at the very prefix would not be redirected to its slash, and what
    /// is relative on its page would lead nowhere. An [`OriginalUri`] among the extensions of a request says which it was:
    ///
    /// ```
    /// use axum::Router;
    /// use axum::extract::Request;
    /// use axum::middleware::map_request;
    /// use salver::Site;
    /// use salver::handler::files::{Files, Options};
    /// use salver::tower::OriginalUri;
    ///
    /// async fn original(mut request: Request) -> Request {
    ///     let uri = request.uri().clone();
    ///     request.extensions_mut().insert(OriginalUri(uri));
    ///     request
    /// }
    ///
    /// # fn main() -> Result<(), salver::StartError> {
    /// let site = Site::new().mount("/static", Files::open(".".as_ref(), Options::default())?)?;
    /// let app: Router = Router::new()
    ///     .nest_service("/static", site.into_service().nested("/static")?)
    ///     .layer(map_request(original));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// A prefix that does not begin with `/`, or that no URI can hold.
    pub fn nested(mut self, prefix: &str) -> Result<Self, StartError> {
        let prefix = prefix.trim_end_matches('/');
        if !prefix.is_empty()
            && (!prefix.starts_with('/') || prefix.parse::<http::uri::PathAndQuery>().is_err())
        {
            let wrong = "no path of a URI; give /path as the router has it";
            return Err(StartError::new(format!("nested below '{prefix}': {wrong}")));
        }
        self.nested = prefix.into();
        Ok(self)
    }

    async fn answer<B>(self, request: http::Request<B>) -> Response
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let (head, body) = request.into_parts();
        let asked = Asked {
            version: Version::HTTP_11,
            protocol: Version::HTTP_11,
            head_only: head.method == Method::HEAD,
            keep_alive: true,
        };
        let fault = Arc::new(OnceLock::new());
        let allowed = self.site.guard.limit_body();
        let body = match body.is_end_stream() {
            true => Body::Empty,
            false => Body::stream(Received { body: Box::pin(body), allowed, fault: Arc::clone(&fault) }),
        };
        let request = self.translate(head, body);
        let line =
            format!("{} {} {:?}", request.method, request.target.as_bytes().escape_ascii(), request.version);
        let (response, seen, permit) = {
            let mut begun = answer::begin(&self.site, request, line.into());
            poll_fn(|cx| begun.poll_reply(cx)).await;
            (std::mem::take(begun.finish(fault.get().cloned())), begun.seen, begun.permit)
        };
        let response = framed(&asked, response);
        let (status, length) = (response.status(), response.body().len());
        let end = Some(End { site: self.site, seen, status, _permit: permit });
        response.map(|body| Body::stream(Sending { body, length, sent: 0, end }))
    }

    fn translate(&self, head: Parts, body: Body) -> Request {
        let Parts { method, uri, version, headers, extensions, .. } = head;
        let path = uri.path_and_query().map_or("", |path| path.as_str());
        let has_slash =
            extensions.get::<OriginalUri>().is_none_or(|OriginalUri(whole)| whole.path().ends_with('/'));
        let path = match path {
            "*" => path.to_owned(),
            // Routers take `/prefix` and `/prefix/` for the same.
            _ if uri.path() == "/" && !has_slash && !self.nested.is_empty() => {
                format!("{}{}", self.nested, path.trim_start_matches('/'))
            }
            _ => format!("{}{path}", self.nested),
        };
        let peer = extensions.get::<Peer>().cloned().unwrap_or_else(|| Peer {
            remote: extensions.get::<SocketAddr>().copied(),
            local: Arc::clone(&self.nowhere),
            scheme: if uri.scheme_str() == Some("https") { Scheme::Https } else { Scheme::Http },
            tls: None,
        });
        let mut headers = checked(headers);
        // The authority of the target is the host (RFC 9112 §3.2.2, RFC 9113 §8.3.1).
        if let Some(host) = uri.authority().and_then(|host| HeaderValue::from_str(host.as_str()).ok()) {
            headers.insert(HOST, host);
        }
        Request {
            method,
            target: Target::new(path.into()),
            version,
            headers,
            body,
            peer,
            interim: crate::Interim::default(),
        }
    }
}

impl<B> Service<http::Request<B>> for SiteService
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    /// Always ready: what is too much is answered with 503.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let service = self.clone();
        Box::pin(async move { Ok(service.answer(request).await) })
    }
}

/// SECURITY: gateways spell `X-A` and `X_A` the same, so as from our own engine no name with `_` gets to a handler.
fn checked(headers: HeaderMap) -> HeaderMap {
    if !headers.keys().any(|name| name.as_str().contains('_')) {
        return headers;
    }
    let mut checked = HeaderMap::with_capacity(headers.len());
    for (name, value) in headers.iter().filter(|(name, _)| !name.as_str().contains('_')) {
        checked.append(name, value.clone());
    }
    checked
}

/// The response with what our own engine would say of its length, and without what it would not send: the connection's own
/// headers, and content where there is none.
fn framed(asked: &Asked, mut response: Response) -> Response {
    let headers = response.headers();
    let plan = Plan::of(asked, response.status(), headers, Marks::of(headers), response.body().len());
    let plan = match plan {
        Ok(plan) if !response.status().is_informational() => plan,
        _ => {
            let status = response.status();
            tracing::error!("a handler's response cannot be sent: {status} needs a connection of our own");
            let mut response = Response::default();
            *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
            return response;
        }
    };
    let headers = response.headers_mut();
    let ours: Vec<_> = headers.keys().filter(|name| reply::is_ours(name)).cloned().collect();
    for name in ours {
        headers.remove(name);
    }
    if let Some(length) = plan.content_length {
        headers.insert(CONTENT_LENGTH, length.into());
    }
    if plan.written.framing == BodyFraming::None {
        *response.body_mut() = Body::Empty;
    }
    response
}

/// A request body, held to the limit; what is wrong with it is the request's fault.
struct Received<B> {
    body: Pin<Box<B>>,
    allowed: u64,
    fault: Arc<OnceLock<Fault>>,
}

impl<B> http_body::Body for Received<B>
where
    B: http_body::Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let Some(frame) = ready!(self.body.as_mut().poll_frame(cx)) else { return Poll::Ready(None) };
        let (status, message) = match frame {
            Err(error) => {
                let error: BoxError = error.into();
                tracing::debug!("a request body failed: {error}");
                (StatusCode::BAD_REQUEST, "The request body could not be read to its end")
            }
            Ok(frame) => {
                let length = frame.data_ref().map_or(0, Bytes::len) as u64;
                if let Some(allowed) = self.allowed.checked_sub(length) {
                    self.allowed = allowed;
                    return Poll::Ready(Some(Ok(frame)));
                }
                (StatusCode::PAYLOAD_TOO_LARGE, "The request body is larger than this server takes")
            }
        };
        let fault = self.fault.get_or_init(|| Fault { status, message: message.into() });
        Poll::Ready(Some(Err(Error::from(fault.clone()).into())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A response body on its way; the access log hears of its end.
struct Sending {
    body: Body,
    length: Option<u64>,
    sent: u64,
    end: Option<End>,
}

/// What lasts until a response is over.
struct End {
    site: Arc<Site>,
    seen: Seen,
    status: StatusCode,
    _permit: Option<Permit>,
}

impl Sending {
    fn end(&mut self, complete: bool) {
        if let Some(End { site, seen, status, _permit }) = self.end.take() {
            site.log.done(seen, Outcome { status, bytes_sent: self.sent, complete });
        }
    }
}

impl http_body::Body for Sending {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        match &frame {
            None => self.end(true),
            Some(Err(_)) => self.end(false),
            Some(Ok(frame)) => self.sent += frame.data_ref().map_or(0, Bytes::len) as u64,
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        // Who knows the length need not ask for an end that says nothing more.
        let complete = self.body.is_end_stream() || self.length == Some(self.sent);
        self.end(complete);
    }
}
