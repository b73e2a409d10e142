//! The content of a request: what the client has sent, as the handler asks for it.
//!
//! A client may send on only when a chunk has been used (RFC 9113 §5.2): that is the back-pressure.

use std::borrow::Cow;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use h2::RecvStream;
use http::StatusCode;
use http_body::{Frame, SizeHint};

use super::LINGER;
use super::stream::Responder;
use crate::body::BoxError;
use crate::http1::Fault;
use crate::server::Shared;
use crate::server::clock::Deadline;

/// What a client sends, shared by who reads it and who answers.
pub(super) type Received = Arc<Mutex<RecvStream>>;

/// The handler's end.
pub(super) struct Content {
    pub(super) receive: Received,
    /// What is left, if the length was declared.
    pub(super) left: Option<u64>,
    /// How many bytes may still come (`--limit-body`).
    pub(super) allowed: u64,
    /// How many bytes the handler has and the client may not send again yet.
    pub(super) lent: usize,
    /// For a `100 Continue`, once; `None` where the client does not wait for one.
    pub(super) held_back: Option<Responder>,
    pub(super) deadline: Arc<Deadline>,
    pub(super) timeout: Duration,
    pub(super) fault: Faults,
}

/// What was wrong with a request's content: the connection's end.
#[derive(Clone, Debug, Default)]
pub(super) struct Faults(Arc<Mutex<Option<Fault>>>);

impl Faults {
    /// What was wrong, if something was.
    pub(super) fn found(&self) -> Option<Fault> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Content {
    fn fail(&self, status: StatusCode, message: &'static str) -> BoxError {
        let fault = Fault { status, message: Cow::Borrowed(message) };
        *self.fault.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(fault.clone());
        fault.into()
    }

    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BoxError>>> {
        if let Some(responder) = self.held_back.take() {
            responder.send_continue();
        }
        let lent = std::mem::take(&mut self.lent);
        // Refused only where the stream is gone, which the next line tells.
        let _ = self.received().flow_control().release_capacity(lent);
        match self.poll_gathered(cx) {
            Poll::Ready(Some(Ok(data))) => {
                self.deadline.disarm();
                self.lent = data.len();
                let length = data.len() as u64;
                self.left = self.left.map(|left| left.saturating_sub(length));
                Poll::Ready(Some(match self.allowed.checked_sub(length) {
                    Some(allowed) => {
                        self.allowed = allowed;
                        Ok(data)
                    }
                    None => {
                        let message = "The request body is larger than this server takes";
                        Err(self.fail(StatusCode::PAYLOAD_TOO_LARGE, message))
                    }
                }))
            }
            Poll::Ready(Some(Err(_))) => {
                let message = "The client left in the middle of its request";
                Poll::Ready(Some(Err(self.fail(StatusCode::BAD_REQUEST, message))))
            }
            Poll::Ready(None) => {
                self.deadline.disarm();
                Poll::Ready(None)
            }
            Poll::Pending if !self.deadline.is_armed() => {
                self.deadline.arm(self.timeout);
                Poll::Pending
            }
            Poll::Pending if self.deadline.is_over() => {
                self.deadline.disarm();
                let message = "The request body came too slowly";
                Poll::Ready(Some(Err(self.fail(StatusCode::REQUEST_TIMEOUT, message))))
            }
            Poll::Pending => Poll::Pending,
        }
    }
}

impl Content {
    /// What has come, in one piece: a small frame costs more, here and in `h2`, than what is in it.
    fn poll_gathered(&self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, h2::Error>>> {
        let (mut first, mut all) = (Bytes::new(), BytesMut::new());
        let mut receive = self.received();
        while first.len().max(all.len()) < GATHERED {
            match receive.poll_data(cx) {
                Poll::Ready(Some(Ok(data))) if first.is_empty() => first = data,
                Poll::Ready(Some(Ok(data))) => {
                    if all.is_empty() {
                        all.extend_from_slice(&first);
                    }
                    all.extend_from_slice(&data);
                }
                nothing if first.is_empty() => return nothing,
                _ => break, // it says so again when what there is has been used
            }
        }
        Poll::Ready(Some(Ok(if all.is_empty() { first } else { all.freeze() })))
    }

    fn received(&self) -> MutexGuard<'_, RecvStream> {
        self.receive.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl http_body::Body for Content {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        self.poll_data(cx).map_ok(Frame::data)
    }

    fn is_end_stream(&self) -> bool {
        self.received().is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.left.map(SizeHint::with_exact).unwrap_or_default()
    }
}

impl Drop for Content {
    fn drop(&mut self) {
        self.deadline.disarm();
        let _ = self.received().flow_control().release_capacity(self.lent);
    }
}

/// Reads on behind an answer that came before its request was whole, until the client is done, though not for long. A reset at once
/// would be as right (RFC 9113 §8.1), but there are clients that forget the answer over it, curl 7.88 for one.
pub(super) async fn linger(receive: Received, shared: &Shared) {
    let Some(receive) = Arc::into_inner(receive) else { return }; // its handler has not done with it
    let mut receive = receive.into_inner().unwrap_or_else(PoisonError::into_inner);
    if receive.is_end_stream() {
        return;
    }
    let deadline = shared.clock.deadline();
    deadline.arm(LINGER);
    poll_fn(|cx| {
        deadline.belongs_to(cx);
        while !deadline.is_over() {
            match ready!(receive.poll_data(cx)) {
                // Refused only where the stream is gone, which the next turn tells.
                Some(Ok(data)) => drop(receive.flow_control().release_capacity(data.len())),
                _ => break,
            }
        }
        Poll::Ready(())
    })
    .await;
    deadline.disarm();
}

/// From how many bytes on content is not waited for in the company of more: a frame of the usual size is passed on as it is.
const GATHERED: usize = 16 * 1024;
