//! Sends back what it is sent, while it is still coming: `cargo run --example upload_echo`, then
//! `curl -T FILE http://127.0.0.1:8000/`.
//!
//! However long the content is, a piece of it is in memory: the server receives the next one when the last has been sent.
#![allow(clippy::print_stdout)] // an example may

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::Frame;
use salver::body::BoxError;
use salver::listen::{Address, Listeners};
use salver::{Body, Methods, Reply, Request, Response, Running, SafePath, Server, Site, StartError};

struct Upload;

impl Methods for Upload {
    fn put(&self, request: Request, rest: SafePath) -> Reply<'_> {
        self.post(request, rest)
    }

    fn post(&self, request: Request, _rest: SafePath) -> Reply<'_> {
        Reply::ready(Ok(Response::new(Body::stream(Upper(request.body)))))
    }
}

/// A body in capitals, piece by piece.
struct Upper(Body);

impl http_body::Body for Upper {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let frame = ready!(Pin::new(&mut self.0).poll_frame(cx));
        Poll::Ready(frame.map(|frame| Ok(frame?.map_data(|data| data.to_ascii_uppercase().into()))))
    }
}

pub(crate) fn start(address: &str) -> Result<Running, StartError> {
    let listeners = Listeners::open(&[address.parse::<Address>()?], 1)?;
    Server::new(Site::new().mount("/", Upload)?).start(listeners)
}

fn main() -> Result<(), StartError> {
    let running = start(&std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8000".into()))?;
    for local in running.locals() {
        println!("Serving {local}");
    }
    running.wait();
    Ok(())
}
