//! The content of a request: what the client has sent, as the handler asks for it.
//!
//! A client may send on only when a chunk has been used (RFC 9113 §5.2): that is the back-pressure.

use std::borrow::Cow;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use h2::RecvStream;
use http::StatusCode;
use http_body::{Frame, SizeHint};

use super::stream::Responder;
use crate::body::BoxError;
use crate::http1::Fault;
use crate::server::clock::Deadline;

/// The handler's end.
pub(super) struct Content {
    pub(super) receive: RecvStream,
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
        let _ = self.receive.flow_control().release_capacity(lent);
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
    fn poll_gathered(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, h2::Error>>> {
        let (mut first, mut all) = (Bytes::new(), BytesMut::new());
        while first.len().max(all.len()) < GATHERED {
            match self.receive.poll_data(cx) {
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
        self.receive.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.left.map(SizeHint::with_exact).unwrap_or_default()
    }
}

impl Drop for Content {
    fn drop(&mut self) {
        self.deadline.disarm();
        let _ = self.receive.flow_control().release_capacity(self.lent);
    }
}

/// From how many bytes on content is not waited for in the company of more: a frame of the usual size is passed on as it is.
const GATHERED: usize = 16 * 1024;
