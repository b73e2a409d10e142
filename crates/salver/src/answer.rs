//! THE pipeline: from a request to the response that is sent. The one place that orders steps; adding a step means adding a
//! line here.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};

use crate::error::Error;
use crate::finish::log::Seen;
use crate::finish::{compress, page};
use crate::guard::Permit;
use crate::handler::gateway::InternalRedirect;
use crate::handler::{Answer, Handler, Reply, Response};
use crate::http1::Fault;
use crate::http1::head::Malformed;
use crate::request::{Peer, Request};
use crate::rfc::accept::Codings;
use crate::rfc::forwarded::Scheme;
use crate::rfc::path::SafePath;
use crate::route::Found;
use crate::site::Site;

/// A finished response, and what lasts until it has been sent.
pub(crate) struct Answered {
    pub(crate) response: Response,
    /// For the access log, once the response is over.
    pub(crate) seen: Seen,
    /// The request's place among those under way.
    pub(crate) permit: Option<Permit>,
}

/// What the later steps need of a request that its handler has consumed.
pub(crate) struct Asked {
    accept: Option<HeaderValue>,
    codings: Codings,
    scheme: Scheme,
}

/// A request that its handler has; the answer may be there already.
pub(crate) struct Begun<'s> {
    site: &'s Site,
    seen: Seen,
    asked: Asked,
    permit: Option<Permit>,
    reply: Reply<'s>,
}

/// The steps up to the handler; `line` is the request line.
pub(crate) fn begin(site: &Site, mut request: Request, line: Bytes) -> Begun<'_> {
    site.guard.forwarded(&mut request);
    let mut seen = site.log.seen(&request, line).counted(site.meter.begin());
    let asked = Asked::of(&request);
    let passed = site.guard.check(&request).and_then(|()| site.routes.find(&request));
    let (permit, reply) = match passed {
        Ok(Found { handler, rest, place }) => {
            seen.met(place);
            match site.guard.admit() {
                Some(permit) if !permit.is_held() => (
                    Some(permit.clone()),
                    Reply::later(async move {
                        site.guard.wait_for(&permit).await?;
                        wait(handle(handler, request, rest)).await
                    }),
                ),
                permit => (permit, handle(handler, request, rest)),
            }
        }
        Err(error) => (None, Reply::ready(Err(error))),
    };
    Begun { site, seen, asked, permit, reply }
}

impl Begun<'_> {
    /// Ready with the reply when it has come and leads nowhere else: what is left is [`Begun::finish`]. Polled in place: a future that
    /// held all this would be copied more than once on its way to where it is polled.
    pub(crate) fn poll_reply(&mut self, cx: &mut Context<'_>) -> Poll<Answer> {
        let mut reply = ready!(poll_caught(&mut self.reply, cx));
        while let Some(redirect) = taken_redirect(&mut reply) {
            self.reply = Reply::later(redirected(self.site, redirect));
            reply = ready!(poll_caught(&mut self.reply, cx));
        }
        Poll::Ready(reply)
    }

    /// What every reply goes through. What was wrong with the request's content is the request's fault, whatever its handler made of it.
    pub(crate) fn finish(self, reply: Answer, fault: Option<Fault>) -> Answered {
        let reply = fault.map_or(reply, |fault| Err(fault.into()));
        let Self { site, mut seen, asked, permit, .. } = self;
        let response = finish(site, &mut seen, &asked, reply);
        Answered { response, seen, permit }
    }
}

/// The answer to a head that is none: no handler sees it.
pub(crate) fn refuse(site: &Site, peer: &Peer, malformed: Malformed) -> Answered {
    let Malformed { status, message, line } = malformed;
    let mut seen = site.log.seen_malformed(peer, line).counted(site.meter.begin());
    let reply = Err(Error::new(status, message));
    let asked = Asked { accept: None, codings: Codings::parse(&HeaderMap::new()), scheme: peer.scheme };
    let response = finish(site, &mut seen, &asked, reply);
    Answered { response, seen, permit: None }
}

/// What every response goes through.
fn finish(site: &Site, seen: &mut Seen, asked: &Asked, reply: Answer) -> Response {
    let (mut response, message) = match reply {
        Ok(response) => (response, None),
        Err(error) => (page::error(&site.look, asked.accept.as_ref(), &error), Some(error)),
    };
    compress::apply(&asked.codings, &mut response);
    site.headers.apply(asked.scheme, &mut response);
    // A redirect is no error, whoever made it.
    let message = message.as_ref().filter(|error| !error.status().is_redirection()).map(Error::message);
    site.log.started(seen, &response, message);
    response
}

/// Follows a reply that names another path of this site in its stead (RFC 3875 §6.2.2), and those that follow.
async fn redirected(site: &Site, mut redirect: InternalRedirect) -> Answer {
    for _ in 0..MOST_REDIRECTS {
        let request = redirect.into_request();
        let mut reply = match site.routes.find(&request) {
            Ok(Found { handler, rest, .. }) => wait(handle(handler, request, rest)).await,
            Err(error) => return Err(error),
        };
        match taken_redirect(&mut reply) {
            Some(next) => redirect = next,
            None => return reply,
        }
    }
    let message = "The program behind this server sends in circles";
    Err(Error::new(StatusCode::BAD_GATEWAY, message))
}

fn taken_redirect(reply: &mut Answer) -> Option<InternalRedirect> {
    reply.as_mut().ok()?.extensions_mut().remove()
}

/// Calls the handler; if it panics, that costs its own request a 500 and nothing else.
fn handle(handler: &dyn Handler, request: Request, rest: SafePath) -> Reply<'_> {
    let started = catch_unwind(AssertUnwindSafe(|| handler.handle(request, rest)));
    started.unwrap_or_else(|_| Reply::ready(Err(panicked())))
}

async fn wait(mut reply: Reply<'_>) -> Answer {
    poll_fn(|cx| poll_caught(&mut reply, cx)).await
}

/// A reply's future may panic, too.
fn poll_caught(reply: &mut Reply<'_>, cx: &mut Context<'_>) -> Poll<Answer> {
    let polled = catch_unwind(AssertUnwindSafe(|| Pin::new(reply).poll(cx)));
    polled.unwrap_or_else(|_| Poll::Ready(Err(panicked())))
}

/// The panic hook has said what and where; the client learns nothing of it.
fn panicked() -> Error {
    Error::internal("a handler panicked")
}

impl Asked {
    fn of(request: &Request) -> Self {
        Self {
            accept: request.headers.get(header::ACCEPT).cloned(),
            codings: Codings::parse(&request.headers),
            scheme: request.peer.scheme,
        }
    }
}

/// How many internal redirects one request may take.
const MOST_REDIRECTS: usize = 10;
