//! THE pipeline: from a request to the response that is sent. The one place that orders steps; adding a step means adding a
//! line here.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
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
use crate::rfc::list;
use crate::rfc::path::SafePath;
use crate::route::Found;
use crate::site::Site;

/// What the later steps need of a request that its handler has consumed.
pub(crate) struct Asked {
    accept: Option<HeaderValue>,
    codings: Codings,
    scheme: Scheme,
}

/// A request that its handler has; the answer may be there already.
pub(crate) struct Begun<'s> {
    site: &'s Site,
    /// For the access log, once the response is over.
    pub(crate) seen: Seen,
    asked: Asked,
    /// The request's place among those under way, until the response has been sent.
    pub(crate) permit: Option<Permit>,
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
    /// Ready when the reply is there and leads nowhere else: what is left is [`Begun::finish`]. Polled where it lies, and the reply stays
    /// there: it is some hundred and fifty bytes, which every hand that it went through would copy.
    pub(crate) fn poll_reply(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while let Some(redirect) = taken_redirect(ready!(poll_caught(&mut self.reply, cx))) {
            self.reply = Reply::later(redirected(self.site, redirect));
        }
        Poll::Ready(())
    }

    /// What every reply goes through, once it is there; the response stays where the reply was. What was wrong with the request's
    /// content is the request's fault, whatever its handler made of it.
    pub(crate) fn finish(&mut self, fault: Option<Fault>) -> &mut Response {
        let Self { site, seen, asked, reply, .. } = self;
        let error = match (fault, &mut *reply) {
            (Some(fault), _) => Some(fault.into()),
            (None, Reply::Ready(Some(Ok(_)))) => None,
            (None, reply) => there(std::mem::replace(reply, Reply::Ready(None))).err(),
        };
        if let Some(error) = &error {
            *reply = Reply::ready(Ok(asked.page(site, error)));
        }
        let Reply::Ready(Some(Ok(response))) = reply else {
            unreachable!("what is no response became a page")
        };
        finish(site, seen, asked, error.as_ref(), response);
        response
    }
}

/// The answer to a head that is none: no handler sees it.
pub(crate) fn refuse(site: &Site, peer: &Peer, malformed: Malformed) -> (Response, Seen) {
    let Malformed { status, message, line } = malformed;
    let mut seen = site.log.seen_malformed(peer, line).counted(site.meter.begin());
    let error = Error::new(status, message);
    let asked = Asked { accept: None, codings: Codings::parse(&HeaderMap::new()), scheme: peer.scheme };
    let mut response = asked.page(site, &error);
    finish(site, &mut seen, &asked, Some(&error), &mut response);
    (response, seen)
}

/// What every response goes through; `error` is what it tells of.
fn finish(site: &Site, seen: &mut Seen, asked: &Asked, error: Option<&Error>, response: &mut Response) {
    compress::apply(&asked.codings, response);
    site.headers.apply(asked.scheme, response);
    // A redirect is no error, whoever made it.
    let message = error.filter(|error| !error.status().is_redirection()).map(Error::message);
    site.log.started(seen, response, message);
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
    poll_fn(|cx| poll_caught(&mut reply, cx).map(|_| ())).await;
    there(reply)
}

/// The answer of a reply that is there.
fn there(reply: Reply<'_>) -> Answer {
    match reply {
        Reply::Ready(Some(answer)) => answer,
        _ => Err(Error::internal("an answer was asked for before it was there")),
    }
}

/// The answer, where it lies. A reply's future may panic, too.
fn poll_caught<'r>(reply: &'r mut Reply<'_>, cx: &mut Context<'_>) -> Poll<&'r mut Answer> {
    if let Reply::Later(answer) = reply {
        let polled = catch_unwind(AssertUnwindSafe(|| answer.as_mut().poll(cx)));
        let answer = ready!(polled.unwrap_or_else(|_| Poll::Ready(Err(panicked()))));
        *reply = Reply::ready(answer);
    }
    match reply {
        Reply::Ready(Some(answer)) => Poll::Ready(answer),
        _ => Poll::Pending, // polled after its end: a caller's fault that must not panic
    }
}

/// The panic hook has said what and where; the client learns nothing of it.
fn panicked() -> Error {
    Error::internal("a handler panicked")
}

impl Asked {
    fn of(request: &Request) -> Self {
        Self {
            accept: list::lines(&request.headers, &header::ACCEPT).next().cloned(),
            codings: Codings::parse(&request.headers),
            scheme: request.peer.scheme,
        }
    }

    /// The page that tells of `error`.
    fn page(&self, site: &Site, error: &Error) -> Response {
        page::error(&site.look, self.accept.as_ref(), error)
    }
}

/// How many internal redirects one request may take.
const MOST_REDIRECTS: usize = 10;
