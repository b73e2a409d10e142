//! A tower service as a handler.

use std::future::poll_fn;

use bytes::Bytes;
use http::{StatusCode, Uri};
use tower_service::Service;

use crate::body::{Body, BoxError};
use crate::error::Error;
use crate::handler::{Handler, Reply};
use crate::request::{Request, Target};
use crate::rfc::path::{self, SafePath};

/// A handler that passes its requests to a tower service.
///
/// The service sees the path below its mount, as a service that is nested in an axum `Router` does, with the whole of it as
/// [`OriginalUri`] among the extensions. There are the client's address as [`SocketAddr`](std::net::SocketAddr) (not for a
/// Unix socket) and all that is known of the connection as [`Peer`](crate::Peer), too.
///
/// Each request has a clone of the service to itself, which is asked whether it is ready: until it is, the request waits and
/// its body is not read. An error of the service is answered with 500 and logged.
///
/// ```
/// use axum::{Router, routing::get};
/// use salver::{Site, tower::Mounted};
///
/// let api = Router::new().route("/time", get(|| async { "now" }));
/// let site = Site::new().mount("/api", Mounted::new(api))?; // /api/time
/// # Ok::<(), salver::StartError>(())
/// ```
///
/// axum's extractor `ConnectInfo` finds its address when a line puts it there:
///
/// ```
/// use std::net::SocketAddr;
///
/// use axum::extract::{ConnectInfo, Request};
/// use axum::{Router, routing::get};
/// use salver::tower::Mounted;
/// use tower::ServiceExt as _;
///
/// let router = Router::new().route("/", get(|ConnectInfo(client): ConnectInfo<SocketAddr>| async move {
///     client.to_string()
/// }));
/// let handler = Mounted::new(router.map_request(|mut request: http::Request<salver::Body>| {
///     if let Some(client) = request.extensions().get::<SocketAddr>().copied() {
///         request.extensions_mut().insert(ConnectInfo(client));
///     }
///     request
/// }));
/// # salver::Site::new().mount("/", handler)?;
/// # Ok::<(), salver::StartError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Mounted<S> {
    service: S,
    shown: Shown,
}

/// The URI as the client sent it, before a mount or a prefix was taken off: among the extensions of a mounted service's request,
/// and looked for there by a nested [`SiteService`](super::SiteService).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OriginalUri(pub Uri);

/// Which path a service sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shown {
    Below,
    Whole,
}

impl<S> Mounted<S> {
    /// A handler that shows `service` the path below the mount.
    pub fn new(service: S) -> Self {
        Self { service, shown: Shown::Below }
    }

    /// The same handler, but it shows the whole path as sent: for a service that names its mount in its own routes.
    #[must_use]
    pub fn whole_path(mut self) -> Self {
        self.shown = Shown::Whole;
        self
    }
}

impl<S, B> Handler for Mounted<S>
where
    S: Service<http::Request<Body>, Response = http::Response<B>> + Clone + Send + Sync + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    fn handle(&self, request: Request, rest: SafePath) -> Reply<'_> {
        let request = match self.translate(request, &rest) {
            Ok(request) => request,
            Err(error) => return Reply::ready(Err(error)),
        };
        let mut service = self.service.clone();
        Reply::later(async move {
            // What was found ready is what is called: readiness is a clone's own.
            poll_fn(|cx| service.poll_ready(cx)).await.map_err(Error::internal)?;
            let response = service.call(request).await.map_err(Error::internal)?;
            Ok(response.map(|body| if body.is_end_stream() { Body::Empty } else { Body::stream(body) }))
        })
    }
}

impl<S> Mounted<S> {
    fn translate(&self, request: Request, rest: &SafePath) -> Result<http::Request<Body>, Error> {
        let Request { method, target, version, headers, body, peer, .. } = request;
        let original = uri(target.path(), &target)?;
        let mut translated = http::Request::new(body);
        *translated.uri_mut() = match self.shown {
            Shown::Below => uri(&path_below(&target, rest), &target)?,
            Shown::Whole => original.clone(),
        };
        *translated.method_mut() = method;
        *translated.version_mut() = version;
        *translated.headers_mut() = headers;
        let extensions = translated.extensions_mut();
        extensions.insert(OriginalUri(original));
        if let Some(remote) = peer.remote {
            extensions.insert(remote);
        }
        extensions.insert(peer);
        Ok(translated)
    }
}

/// `path` with the query of `target`.
fn uri(path: &[u8], target: &Target) -> Result<Uri, Error> {
    let mut uri = path.to_vec();
    if let Some(query) = target.query() {
        uri.push(b'?');
        uri.extend_from_slice(query);
    }
    Uri::from_maybe_shared(Bytes::from(uri))
        .map_err(|error| Error::new(StatusCode::BAD_REQUEST, "The request target is no URI").because(error))
}

/// The path below the mount: as sent where that means the same, so that `%2F` in a segment survives; otherwise (`//`, `..`)
/// spelled anew.
///
/// SECURITY: decoded it is always what routing saw, so there is no spelling that gets past a mount.
fn path_below(target: &Target, rest: &SafePath) -> Vec<u8> {
    let slash = rest.is_folder() && !rest.is_root();
    let wanted = rest.as_bytes().len() + usize::from(slash);
    let sent = target.path();
    let mut start = sent.len();
    for _ in 0..wanted {
        let coded = matches!(sent.get(..start), Some([.., b'%', a, b]) if a.is_ascii_hexdigit() && b.is_ascii_hexdigit());
        start = start.saturating_sub(if coded { 3 } else { 1 });
    }
    let (before, below) = sent.split_at(start);
    let decoded = path::decode(below);
    let name = if slash { decoded.strip_suffix(b"/") } else { Some(&*decoded) };
    if wanted > 0 && before.ends_with(b"/") && name == Some(rest.as_bytes()) {
        return [b"/", below].concat();
    }
    rest.to_string().into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(mount: &str, target: &'static str) -> Option<String> {
        let target = Target::new(Bytes::from(target));
        let mount = SafePath::parse(mount.as_bytes()).unwrap();
        let rest = SafePath::parse(target.path()).unwrap().below(&mount).unwrap();
        let below = path_below(&target, &rest);
        assert_eq!(SafePath::parse(&below).unwrap().as_bytes(), rest.as_bytes(), "{target:?}");
        uri(&below, &target).ok().map(|uri| uri.to_string())
    }

    #[test]
    fn a_service_sees_the_path_below_its_mount() {
        for (mount, target, below) in [
            ("/api", "/api", "/"),
            ("/api", "/api?a=b", "/?a=b"),
            ("/api", "/api/", "/"),
            ("/api", "/api/x", "/x"),
            ("/api", "/api/x/?q=%20", "/x/?q=%20"),
            ("/api", "/api/a%2Fb", "/a%2Fb"),
            ("/api", "/api/a%2f", "/a%2f"),
            ("/api", "/api/%41%%41", "/%41%%41"),
            ("/api", "/%61pi/x", "/x"),
            ("/api", "/api%2Fx/y", "/x/y"),
            ("/api", "//api//x", "/x"),
            ("/api", "/api/x//y", "/x/y"),
            ("/api", "/api/a/../x%20y//", "/x%20y/"),
            ("/api", "/b/../api/x", "/x"),
            ("/api", "/api/x/.", "/x"),
            ("/a b", "/a%20b/c", "/c"),
            ("/", "/", "/"),
            ("/", "/x/y", "/x/y"),
            ("/", "//x", "/x"),
            ("/x", "/x/y/x", "/y/x"),
        ] {
            assert_eq!(shown(mount, target).as_deref(), Some(below), "{mount} {target}");
        }
    }

    #[test]
    fn what_no_uri_can_hold_is_refused() {
        for target in ["/a b", "/a<b", "/a/../b c"] {
            let target = Target::new(Bytes::from(target));
            let refused = uri(target.path(), &target).map_err(|error| error.status());
            assert_eq!(refused, Err(StatusCode::BAD_REQUEST), "{target:?}");
        }
    }
}
