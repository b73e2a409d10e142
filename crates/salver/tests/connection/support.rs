//! A server with a handler for each way an answer can go, and a client that sees bytes.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::HeaderValue;
use http_body::Frame;
use http_body_util::BodyExt as _;
use salver::body::BoxError;
use salver::listen::{Address, Listeners};
use salver::{
    Body, Error, Handler, Local, Reply, Request, Response, Running, SafePath, Server, ServerOptions, Site,
    guard, http1,
};

/// Answers by the name of the path.
pub(crate) struct Ways;

impl Handler for Ways {
    fn handle(&self, request: Request, rest: SafePath) -> Reply<'_> {
        match rest.as_bytes() {
            b"panic" => panic!("at once"),
            b"panic-later" => Reply::later(async { panic!("later") }),
            b"panic-stream" => Reply::ready(Ok(pieces(&["one", "PANIC"], None))),
            b"fail-stream" => Reply::ready(Ok(pieces(&["one", "FAIL"], None))),
            b"stream" => Reply::ready(Ok(pieces(&["one", "", "two"], None))),
            b"short" => Reply::ready(Ok(pieces(&["one"], Some("5")))),
            b"long" => Reply::ready(Ok(pieces(&["one", "two"], Some("4")))),
            b"interim" => Reply::ready(Ok(with_status(103))),
            b"204" => Reply::ready(Ok(with_status(204))),
            b"304" => Reply::ready(Ok(with_status(304))),
            b"never" => Reply::later(std::future::pending()),
            // Leaves the body alone and takes its time to answer.
            b"slow-stream" => Reply::ready(Ok(Response::new(Body::stream(Late(Some(Box::pin(
                tokio::time::sleep(Duration::from_millis(50)),
            ))))))),
            // Answers at once with a stream that is made from the request's.
            b"echo" => Reply::ready(Ok(Response::new(request.body))),
            b"ignore" => Reply::ready(Ok(Response::new("ignored".into()))),
            b"big" => Reply::ready(Ok(Response::new(vec![b'x'; 8_000_000].into()))),
            b"read" => Reply::later(async {
                let body = request.body.collect().await.map_err(Error::internal)?.to_bytes();
                Ok(Response::new(format!("read {}", body.len()).into()))
            }),
            // The body is read by another task than the connection's.
            b"read-elsewhere" => Reply::later(async {
                let task = tokio::spawn(request.body.collect());
                let body = task.await.map_err(Error::internal)?.map_err(Error::internal)?.to_bytes();
                Ok(Response::new(format!("read {}", body.len()).into()))
            }),
            name => Reply::ready(Ok(Response::new(format!("hello {}", name.escape_ascii()).into()))),
        }
    }
}

fn with_status(status: u16) -> Response {
    let mut response = Response::new("no content, please".into());
    *response.status_mut() = http::StatusCode::from_u16(status).unwrap();
    response
}

fn pieces(pieces: &[&'static str], length: Option<&'static str>) -> Response {
    let pieces = pieces.iter().rev().copied().collect();
    let mut response = Response::new(Body::stream(Pieces { pieces, ready: false }));
    if let Some(length) = length {
        response.headers_mut().insert("content-length", HeaderValue::from_static(length));
    }
    response
}

/// One piece that comes after a while.
struct Late(Option<Pin<Box<tokio::time::Sleep>>>);

impl http_body::Body for Late {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let Some(sleep) = &mut self.0 else { return Poll::Ready(None) };
        std::task::ready!(sleep.as_mut().poll(cx));
        self.0 = None;
        Poll::Ready(Some(Ok(Frame::data("late".into()))))
    }
}

/// Each piece comes at the second poll.
struct Pieces {
    pieces: Vec<&'static str>,
    ready: bool,
}

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        self.ready = !self.ready;
        if self.ready {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        match self.pieces.pop() {
            Some("PANIC") => panic!("in the stream"),
            Some("FAIL") => Poll::Ready(Some(Err("in the stream".into()))),
            piece => Poll::Ready(piece.map(|piece| Ok(Frame::data(piece.into())))),
        }
    }
}

/// A running server of [`Ways`].
pub(crate) struct Served {
    pub(crate) running: Option<Running>,
    pub(crate) address: SocketAddr,
}

pub(crate) fn serve() -> Served {
    serve_with(http1::Options::default(), guard::Options::default())
}

pub(crate) fn serve_with(options: http1::Options, limits: guard::Options) -> Served {
    let site = Site::new().mount("/", Ways).unwrap().guard(limits);
    let address: Address = "127.0.0.1:0".parse().unwrap();
    let listeners = Listeners::open(&[address], 1).unwrap();
    let grace = ServerOptions { graceful_timeout: 20.into() };
    let running = Server::new(site).http1(options).options(grace).start(listeners).unwrap();
    let Local::Tcp(address) = running.locals()[0] else { panic!() };
    Served { running: Some(running), address }
}

impl Served {
    pub(crate) fn connect(&self) -> TcpStream {
        let socket = TcpStream::connect(self.address).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        socket
    }

    /// Sends `wire` and reads until the server closes; the client itself closes nothing.
    pub(crate) fn exchange(&self, wire: &str) -> String {
        let mut socket = self.connect();
        socket.write_all(wire.as_bytes()).unwrap();
        read_all(&mut socket)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            running.stop().now();
            running.wait();
        }
    }
}

pub(crate) fn read_all(socket: &mut TcpStream) -> String {
    let mut all = Vec::new();
    socket.read_to_end(&mut all).expect("the server closes, without a reset");
    String::from_utf8(all).unwrap()
}

/// Reads until what was read ends with `end`.
pub(crate) fn read_until(socket: &mut TcpStream, end: &str) -> String {
    let mut all = String::new();
    let mut byte = [0];
    while !all.ends_with(end) {
        assert_eq!(socket.read(&mut byte).unwrap(), 1, "closed after {all:?}");
        all.push(byte[0].into());
    }
    all
}

/// The statuses of all responses in `wire`, whose bodies hold no status line.
pub(crate) fn statuses(wire: &str) -> Vec<u16> {
    let lines = wire.match_indices("HTTP/1.");
    lines.map(|(at, _)| wire[at + 9..at + 12].parse().unwrap()).collect()
}
