//! One request and its answer.

use std::task::{Context, Poll, ready};

use http::response::Parts;
use http::{Method, StatusCode};

use super::Next;
use super::read::{Gone, Upload, UploadState};
use super::send::Sent;
use super::wire::{Client, Wire};
use crate::answer::{self, Begun};
use crate::body::Body;
use crate::finish::log::{Outcome, Seen};
use crate::guard::Permit;
use crate::http1::Fault;
use crate::http1::body::BodyReader;
use crate::http1::head::{Framing, Head, Malformed};
use crate::http1::incoming;
use crate::http1::reply::{self, Asked, Written};
use crate::interim::Interim;
use crate::request::Request;
use crate::upgrade::Upgrade;

/// An answer whose head is written.
struct Made {
    status: StatusCode,
    written: Written,
    content: Body,
    /// For the access log, once it is sent.
    seen: Seen,
    /// The request's place among those under way, until it is sent.
    permit: Option<Permit>,
}

impl Wire<'_> {
    /// Answers one request; what is left of its body is read, so that it is never taken for the next one.
    pub(super) async fn exchange(&mut self, head: Box<Head>) -> Next {
        let shared = &**self.shared;
        let mut asked = Asked {
            protocol: shared.options.protocol.into(),
            version: head.version,
            head_only: head.method == Method::HEAD,
            keep_alive: shared.keeps_alive(&head),
        };
        self.client = if asked.keep_alive { Client::Open } else { Client::OnLast };
        let (mut upload, body) = self.upload(&head);
        let Made { status, written, content, seen, permit } =
            match self.make(&mut upload, &mut asked, head, body).await {
                Ok(made) => made,
                Err(next) => return next,
            };
        upload.answered();
        let sent = self.respond(&mut upload, written, content).await;
        drop(permit);
        let Sent { bytes, complete, keep_alive } = sent;
        shared.site.log.done(seen, Outcome { status, bytes_sent: bytes, complete });
        if !complete {
            return Next::Close;
        }
        if upload.state == UploadState::Open && keep_alive {
            self.drain(&mut upload).await;
        }
        if upload.state != UploadState::Complete {
            return Next::Linger;
        }
        match keep_alive {
            true => Next::Keep,
            false if self.has_input() => Next::Linger,
            false => Next::Close,
        }
    }

    /// Has the answer made, and writes its head. A future of its own: what is needed while it is made lies where what is needed while it
    /// is sent does, and both together stay below what the allocator gives quickest (1 KiB). An error is what becomes of the
    /// connection in place of an answer.
    async fn make(
        &mut self,
        upload: &mut Upload,
        asked: &mut Asked,
        mut head: Box<Head>,
        body: Body,
    ) -> Result<Made, Next> {
        let shared = &**self.shared;
        let line = std::mem::take(&mut head.line);
        let mut begun = answer::begin(&shared.site, self.request(head, body), line);
        let response = match self.wait_for(upload, &mut begun).await {
            Ok(fault) => begun.finish(fault),
            Err(Gone) => return Err(Next::Close),
        };
        if let Some(upgrade) = response.extensions_mut().remove::<Upgrade>() {
            let head = std::mem::take(response).into_parts().0;
            let seen = begun.seen;
            drop(begun.permit);
            return Err(Box::pin(self.upgrade(upgrade, head, seen)).await);
        }
        asked.keep_alive = asked.keep_alive && !shared.is_stopping() && upload.may_end_well();
        self.interim.close();
        let written = self.write_head(asked, response);
        let (status, content) = (response.status(), std::mem::take(response.body_mut()));
        Ok(Made { status, written, content, seen: begun.seen, permit: begun.permit })
    }

    fn request(&self, head: Box<Head>, body: Body) -> Request {
        let is_heard = head.version == http::Version::HTTP_11;
        Request {
            method: head.method,
            target: head.target,
            version: head.version,
            headers: head.headers,
            body,
            peer: self.peer.clone(),
            interim: if is_heard { self.interim.open() } else { Interim::default() },
        }
    }

    /// Waits for the reply, and until what its handler left of the request's body is read or given up: the fault is
    /// that body's.
    async fn wait_for(&mut self, upload: &mut Upload, begun: &mut Begun<'_>) -> Result<Option<Fault>, Gone> {
        let incoming = upload.incoming.clone();
        let until = |cx: &mut Context<'_>| {
            ready!(begun.poll_reply(cx));
            incoming.as_ref().map_or(Poll::Ready(None), |incoming| incoming.poll_settled(cx))
        };
        self.drive(upload, until).await
    }

    /// Hands the connection over to another protocol.
    async fn upgrade(&mut self, upgrade: Upgrade, head: Parts, seen: Seen) -> Next {
        reply::write_switching(&mut self.output, &head.headers, &crate::server::date::now());
        let complete = self.flush().await.is_ok();
        let status = head.status;
        self.shared.site.log.done(seen, Outcome { status, bytes_sent: 0, complete });
        match upgrade.take().filter(|_| complete) {
            Some(protocol) => Next::Upgraded(protocol, std::mem::take(&mut self.input)),
            None => Next::Close,
        }
    }

    /// Answers a head that is none; nothing that follows it is acted upon.
    pub(super) async fn refuse(&mut self, malformed: Malformed) -> Next {
        let shared = &**self.shared;
        let asked = Asked {
            protocol: shared.options.protocol.into(),
            version: http::Version::HTTP_11,
            head_only: malformed.line.starts_with(b"HEAD "),
            keep_alive: false,
        };
        let (mut response, seen) = answer::refuse(&shared.site, self.peer, malformed);
        let written = self.write_head(&asked, &mut response);
        let status = response.status();
        let sent = self.respond(&mut Upload::none(), written, response.into_body()).await;
        let Sent { bytes, complete, .. } = sent;
        shared.site.log.done(seen, Outcome { status, bytes_sent: bytes, complete });
        Next::Linger
    }

    /// The way a request's body takes to its handler.
    fn upload(&self, head: &Head) -> (Upload, Body) {
        let length = match head.framing {
            Framing::None => return (Upload::none(), Body::Empty),
            Framing::Length(length) => Some(length),
            Framing::Chunked => None,
        };
        let (incoming, content) = incoming::incoming(length, self.deadline.waker().cloned());
        let state = if head.expect_continue { UploadState::HeldBack } else { UploadState::Open };
        let upload = Upload {
            incoming: Some(incoming),
            reader: BodyReader::new(head.framing),
            state,
            allowed: self.shared.site.guard.limit_body(),
            drainable: DRAINED,
            settle_by: None,
        };
        (upload, Body::Stream(Box::pin(content)))
    }
}

impl Upload {
    /// Whether the connection can go on behind this body: it is complete, or the response is made from it.
    fn may_end_well(&self) -> bool {
        match self.state {
            UploadState::Complete => true,
            UploadState::HeldBack | UploadState::Unasked | UploadState::Broken => false,
            UploadState::Open => self.incoming.as_ref().is_some_and(|incoming| !incoming.is_unwanted()),
        }
    }

    /// The answer begins: `100 Continue` would come too late (RFC 9110 §15.2), whoever reads now.
    fn answered(&mut self) {
        if self.state == UploadState::HeldBack {
            self.state = UploadState::Unasked;
        }
    }

    /// That of a request without a body.
    pub(super) fn none() -> Self {
        Self {
            incoming: None,
            reader: BodyReader::new(Framing::None),
            state: UploadState::Complete,
            allowed: 0,
            drainable: 0,
            settle_by: None,
        }
    }
}

/// How much of a body that nobody wanted is read to keep the connection, in bytes.
const DRAINED: usize = 64 * 1024;
