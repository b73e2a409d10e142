//! One stream: a request and its answer, or what it becomes by an extended CONNECT (RFC 8441).

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use http::{HeaderMap, Method, StatusCode, Version};

use super::Open;
use super::content::{self, Content, Faults, Received};
use super::head::Head;
use super::send::{self, Sender, Sent};
use super::tunnel::Tunnel;
use crate::answer;
use crate::body::Body;
use crate::finish::log::Outcome;
use crate::handler::Response;
use crate::http1::reply;
use crate::interim::Way;
use crate::request::{Peer, Request};
use crate::server::Shared;
use crate::server::clock::Deadline;
use crate::server::nobody;
use crate::server::socket::Io;
use crate::upgrade::{Upgrade, Upgraded};

/// The way an answer takes, until its head has been sent.
#[derive(Clone)]
pub(super) struct Responder(Arc<Mutex<Option<SendResponse<Bytes>>>>);

/// The client has given the stream up.
pub(super) struct Gone;

/// Answers one request; at once, if that can be: what takes no time takes no task.
pub(super) fn serve(
    request: http::Request<RecvStream>,
    respond: SendResponse<Bytes>,
    open: Open,
    peer: Peer,
    shared: Arc<Shared>,
) {
    let mut stream = Box::pin(run(request, respond, open, peer, shared));
    // In nobody's context: what has to wait says so again in a task of its own.
    let polled = catch_unwind(AssertUnwindSafe(|| stream.as_mut().poll(&mut nobody::context())));
    if let Ok(Poll::Pending) = polled {
        tokio::spawn(stream);
    }
}

async fn run(
    request: http::Request<RecvStream>,
    respond: SendResponse<Bytes>,
    open: Open,
    peer: Peer,
    shared: Arc<Shared>,
) {
    let (parts, receive) = request.into_parts();
    let receive = Arc::new(Mutex::new(receive));
    let responder = Responder(Arc::new(Mutex::new(Some(respond))));
    let deadline = shared.clock.unlisted_deadline();
    let (head_only, is_connect) = (parts.method == Method::HEAD, parts.method == Method::CONNECT);
    let (mut response, seen, permit) = match Head::parse(parts, &shared.limits) {
        Err(malformed) => {
            let (response, seen) = answer::refuse(&shared.site, &peer, malformed);
            (response, seen, None)
        }
        Ok(head) => {
            let (faults, way) = (Faults::default(), Arc::new(Way::default()));
            let line = head.line.clone();
            let request = Request {
                body: content(&head, &receive, &responder, &deadline, &faults, &shared).unwrap_or_default(),
                method: head.method,
                target: head.target,
                version: Version::HTTP_2,
                headers: head.headers,
                peer,
                interim: way.open(),
            };
            let mut begun = answer::begin(&shared.site, request, line);
            let until = |cx: &mut Context<'_>| begun.poll_reply(cx);
            match drive(until, &responder, &way, &deadline).await {
                Ok(()) => (std::mem::take(begun.finish(faults.found())), begun.seen, begun.permit),
                Err(Gone) => return open.given_up(),
            }
        }
    };
    if let Some(upgrade) = response.extensions_mut().remove::<Upgrade>() {
        drop(permit);
        open.answered();
        let send = responder.start(send::head_of(response.status(), response.headers(), None), false);
        let outcome = Outcome { status: response.status(), bytes_sent: 0, complete: send.is_some() };
        shared.site.log.done(seen, outcome);
        if let (Some(send), Some(receive)) = (send, Arc::into_inner(receive)) {
            let receive = receive.into_inner().unwrap_or_else(PoisonError::into_inner);
            hand_over(upgrade, Tunnel::new(receive, send), deadline, shared).await;
        }
        return;
    }
    if is_connect && response.status().is_success() {
        // RFC 8441 §4: that would open the stream for a protocol which its handler does not speak.
        response = Response::new(Body::Empty);
        *response.status_mut() = StatusCode::NOT_IMPLEMENTED;
    }
    let status = response.status();
    // What is on its way during a longer answer must not hold up other streams.
    let rest = response.body().in_memory().is_some().then_some(receive);
    let sender = Sender { responder, deadline, shared: &shared };
    let Sent { bytes, complete } = sender.respond(response, head_only).await;
    drop(permit);
    if complete {
        open.answered()
    } else {
        open.given_up()
    }
    shared.site.log.done(seen, Outcome { status, bytes_sent: bytes, complete });
    if let Some(rest) = rest.filter(|_| complete) {
        content::linger(rest, &shared).await;
    }
}

/// Runs the protocol that a stream becomes, to its end.
async fn hand_over(upgrade: Upgrade, tunnel: Tunnel, deadline: Arc<Deadline>, shared: Arc<Shared>) {
    if let Some(protocol) = upgrade.take() {
        let io = Io::own(Box::new(tunnel));
        protocol.run(Upgraded { io, shared, deadline, received: BytesMut::new() }).await;
    }
}

/// The way a request's content takes to its handler; `None` where there is none.
fn content(
    head: &Head,
    receive: &Received,
    responder: &Responder,
    deadline: &Arc<Deadline>,
    faults: &Faults,
    shared: &Shared,
) -> Option<Body> {
    // What follows a CONNECT belongs to the protocol that it asks for.
    let is_connect = head.method == Method::CONNECT;
    if is_connect || receive.lock().unwrap_or_else(PoisonError::into_inner).is_end_stream() {
        return None;
    }
    Some(Body::Stream(Box::pin(Content {
        receive: Arc::clone(receive),
        left: head.length,
        allowed: shared.site.guard.limit_body(),
        lent: 0,
        held_back: head.expect_continue.then(|| responder.clone()),
        deadline: Arc::clone(deadline),
        timeout: shared.options.body_timeout.into(),
        fault: faults.clone(),
    })))
}

/// Polls `until` it is ready, unless the client leaves first.
async fn drive<T>(
    mut until: impl FnMut(&mut Context<'_>) -> Poll<T>,
    responder: &Responder,
    way: &Way,
    deadline: &Deadline,
) -> Result<T, Gone> {
    poll_fn(|cx| {
        deadline.belongs_to(cx);
        let polled = until(cx);
        way.take().iter().for_each(|hints| responder.send_hints(hints));
        if let Poll::Ready(answered) = polled {
            way.close();
            return Poll::Ready(Ok(answered));
        }
        if deadline.is_armed() && deadline.is_over() {
            // Whoever reads the content is another task, which does not hear of time.
            responder.reset(Reason::CANCEL);
        }
        responder.poll_reset(cx).map(|()| Err(Gone))
    })
    .await
}

impl Responder {
    /// Tells the client to send what it holds back, unless the answer has begun.
    pub(super) fn send_continue(&self) {
        self.send_interim(StatusCode::CONTINUE, HeaderMap::new());
    }

    /// Tells the client early what it will need (RFC 8297).
    fn send_hints(&self, hints: &HeaderMap) {
        let ours = hints.iter().filter(|(name, _)| !reply::is_ours(name));
        let fields = ours.map(|(name, value)| (name.clone(), value.clone())).collect();
        self.send_interim(StatusCode::EARLY_HINTS, fields);
    }

    fn send_interim(&self, status: StatusCode, fields: HeaderMap) {
        if let Some(respond) = &mut *self.lock() {
            let mut interim = http::Response::new(());
            *interim.status_mut() = status;
            *interim.headers_mut() = fields;
            // Refused only where the stream is gone, which others tell.
            let _ = respond.send_informational(interim);
        }
    }

    /// Sends the head of the answer; the content goes where this returns, unless there is none.
    pub(super) fn start(&self, head: http::Response<()>, ends: bool) -> Option<SendStream<Bytes>> {
        self.lock().take()?.send_response(head, ends).ok()
    }

    fn reset(&self, reason: Reason) {
        if let Some(respond) = &mut *self.lock() {
            respond.send_reset(reason);
        }
    }

    /// Ready when the client has left.
    fn poll_reset(&self, cx: &mut Context<'_>) -> Poll<()> {
        match &mut *self.lock() {
            Some(respond) => respond.poll_reset(cx).map(drop),
            None => Poll::Ready(()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<SendResponse<Bytes>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
