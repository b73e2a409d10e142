//! An application as a handler: what is done before and after its call, on the loop.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::EXPECT;
use salver::body::BoxError;
use salver::rfc::path;
use salver::turns::Turns;
use salver::{Body, Error, Handler, Reply, Request, SafePath};

use crate::exchange::{Application, Asked, Called, Exchange};

/// An application below its mount.
pub(crate) struct Hosted {
    called: Arc<Called>,
    /// The mount, empty for the root.
    prefix: String,
}

impl Hosted {
    pub(crate) fn new(application: Box<dyn Application>, turns: Turns, prefix: &str) -> Self {
        let prefix = if prefix == "/" { String::new() } else { prefix.to_owned() };
        Self { called: Arc::new(Called { application, turns }), prefix }
    }
}

impl Hosted {
    fn ask(&self, mut request: Request, start: Bytes, path_info: Vec<u8>) -> Arc<Exchange> {
        let interim = std::mem::take(&mut request.interim);
        // Made where it lies.
        let asked = Box::write(Box::new_uninit(), Asked { request, start, path_info });
        Exchange::new(Arc::clone(&self.called), interim, asked)
    }
}

impl Handler for Hosted {
    fn handle(&self, mut request: Request, rest: SafePath) -> Reply<'_> {
        let path_info = path_info(&request, &self.prefix, &rest);
        if !is_short(&request) {
            return Reply::later(self.ask(request, Bytes::new(), path_info).answer());
        }
        Reply::later(async move {
            let start = beginning(&mut request.body, self.called.turns.threads() == 1).await?;
            self.ask(request, start, path_info).answer().await
        })
    }
}

/// The path below the mount, percent-decoded once. `//` and `;` are the application's to understand; a mount that was spelled
/// by detours (`/x/../api`) is told from its normalised path.
pub(crate) fn path_info(request: &Request, prefix: &str, rest: &SafePath) -> Vec<u8> {
    let raw = request.target.path();
    if raw == b"*" {
        return raw.to_vec();
    }
    let decoded = path::decode(raw);
    match decoded.strip_prefix(prefix.as_bytes()) {
        Some(below) if below.is_empty() || below.starts_with(b"/") => below.to_vec(),
        _ => {
            let slash: &[u8] = if rest.is_folder() && !rest.is_root() { b"/" } else { b"" };
            [b"/", rest.as_bytes(), slash].concat()
        }
    }
}

/// Whether the body is read before the call. Not where the client waits to be told to send it, nor where its end is not known:
/// what comes may depend on what is answered.
pub(crate) fn is_short(request: &Request) -> bool {
    let is_short = request.body.len().is_some_and(|length| length > 0 && length <= SHORT);
    is_short && !request.headers.contains_key(EXPECT)
}

/// What comes of a short body within a moment: usually all of it, and reading it in the call costs no wait. A client that
/// is slower is waited for in the call, as it reads; but for ever here (`patient`), where a wait in the call would keep everybody out.
pub(crate) async fn beginning(body: &mut Body, patient: bool) -> Result<Bytes, Error> {
    let mut beginning = Beginning::default();
    let read = read(body, &mut beginning);
    if patient {
        read.await?;
    } else if let Ok(read) = tokio::time::timeout(MOMENT, read).await {
        read?;
    }
    Ok(beginning.done())
}

/// What has been read of a body.
#[derive(Default)]
struct Beginning {
    first: Bytes,
    /// The first piece and more, once there is more.
    all: BytesMut,
}

impl Beginning {
    fn add(&mut self, data: Bytes) {
        if self.first.is_empty() {
            self.first = data;
            return;
        }
        if self.all.is_empty() {
            self.all.extend_from_slice(&self.first);
        }
        self.all.extend_from_slice(&data);
    }

    fn done(self) -> Bytes {
        if self.all.is_empty() { self.first } else { self.all.freeze() }
    }
}

/// Reads `body` to its end, which leaves an empty one.
async fn read(body: &mut Body, read: &mut Beginning) -> Result<(), Error> {
    match body {
        Body::Stream(stream) => {
            while let Some(frame) = poll_fn(|cx| stream.as_mut().poll_frame(cx)).await {
                if let Ok(data) = frame.map_err(fault)?.into_data() {
                    read.add(data);
                }
            }
        }
        Body::Bytes(bytes) => read.add(std::mem::take(bytes)),
        Body::Empty | Body::File(_) => {}
    }
    *body = Body::Empty;
    Ok(())
}

/// What was wrong with the request's body is the request's fault, if it says so.
pub(crate) fn fault(error: BoxError) -> Error {
    match error.downcast::<salver::http1::Fault>() {
        Ok(fault) => (*fault).into(),
        Err(error) => Error::new(http::StatusCode::BAD_REQUEST, "The request body is broken").because(error),
    }
}

/// How long the call waits for a short body.
const MOMENT: Duration = Duration::from_millis(50);
/// Bodies up to this are read before the call, in bytes.
const SHORT: u64 = 64 * 1024;
