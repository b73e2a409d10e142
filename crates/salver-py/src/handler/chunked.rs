//! A body of unknown length in chunks (RFC 9112 §7.1), as handlers that know about them read it.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http_body::Frame;
use salver::Body;
use salver::body::{BoxError, Stream};
use salver::http1::reply::{CHUNK_END, LAST_CHUNK, chunk_head};

/// The same body, in chunks.
pub(super) fn framed(body: Body) -> Body {
    match body {
        Body::Stream(stream) => Body::Stream(Box::pin(Framed(Some(stream)))),
        other => other,
    }
}

/// A stream, until it has ended.
struct Framed(Option<Stream>);

impl http_body::Body for Framed {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        loop {
            let Some(stream) = &mut self.0 else { return Poll::Ready(None) };
            return match stream.as_mut().poll_frame(cx) {
                Poll::Pending => Poll::Pending,
                Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(error))),
                Poll::Ready(None) => {
                    self.0 = None;
                    Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(LAST_CHUNK)))))
                }
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) if !data.is_empty() => {
                        let mut chunk = BytesMut::with_capacity(data.len() + 20);
                        chunk.extend_from_slice(&chunk_head(data.len()));
                        chunk.extend_from_slice(&data);
                        chunk.extend_from_slice(CHUNK_END);
                        Poll::Ready(Some(Ok(Frame::data(chunk.freeze()))))
                    }
                    _ => continue,
                },
            };
        }
    }
}
