//! The parts a program of one's own uses, from outside: a listener, the server for tests, a stop with grace.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // a test fails by panicking

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use http_body_util::BodyExt as _;
use salver::handler::files::{Files, Options};
use salver::listen::{Listener, Listeners};
use salver::testing::serve;
use salver::{
    Body, Error, Handler, Local, Methods, Peer, Reply, Request, Response, Running, SafePath, Scheme, Server,
    Site, http1,
};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, DuplexStream, ReadBuf};
use tokio::sync::mpsc;

/// Holds back what is written until it is flushed, in an odd place of its own: as TLS may.
struct Reluctant {
    pipe: DuplexStream,
    held: Vec<u8>,
    shutdowns: Arc<AtomicUsize>,
}

impl AsyncRead for Reluctant {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.pipe).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Reluctant {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        if self.held.len() > 1000 {
            ready!(self.as_mut().poll_flush(cx))?;
        }
        self.held.extend_from_slice(data);
        Poll::Ready(Ok(data.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.held.is_empty() {
            let this = &mut *self;
            let count = ready!(Pin::new(&mut this.pipe).poll_write(cx, &this.held))?;
            this.held.drain(..count);
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.as_mut().poll_flush(cx))?;
        self.shutdowns.fetch_add(1, Ordering::SeqCst);
        Pin::new(&mut self.pipe).poll_shutdown(cx)
    }
}

struct Pipes(mpsc::Receiver<Reluctant>);

impl Listener for Pipes {
    type Io = Reluctant;

    fn local(&self) -> Local {
        Local::Unix("pipes".into())
    }

    async fn accept(&mut self) -> (Reluctant, Peer) {
        let remote = Some("192.0.2.7:7".parse().unwrap());
        match self.0.recv().await {
            Some(io) => (io, Peer { remote, local: self.local().into(), scheme: Scheme::Https, tls: None }),
            None => std::future::pending().await,
        }
    }
}

/// GET says who asks, POST sends back what it is sent, as it comes.
struct Ways;

impl Methods for Ways {
    fn get(&self, request: Request, _: SafePath) -> Reply<'_> {
        let Peer { remote, local, scheme, .. } = request.peer;
        Reply::ready(Ok(Response::new(format!("{} {local} {scheme:?}", remote.unwrap()).into())))
    }

    fn post(&self, request: Request, _: SafePath) -> Reply<'_> {
        Reply::ready(Ok(Response::new(Body::stream(request.body))))
    }
}

struct Served {
    running: Running,
    connections: mpsc::Sender<Reluctant>,
    shutdowns: Arc<AtomicUsize>,
}

impl Served {
    fn start(site: Site) -> Self {
        let (connections, pipes) = mpsc::channel(16);
        let mut listeners = Listeners::open(&[], 1).unwrap();
        listeners.push(Pipes(pipes));
        let running = Server::new(site).start(listeners).unwrap();
        assert_eq!(running.locals(), [Local::Unix("pipes".into())]);
        Self { running, connections, shutdowns: Arc::default() }
    }

    async fn connect(&self) -> DuplexStream {
        let (ours, pipe) = tokio::io::duplex(777);
        let io = Reluctant { pipe, held: Vec::new(), shutdowns: Arc::clone(&self.shutdowns) };
        assert!(self.connections.send(io).await.is_ok());
        ours
    }

    async fn exchange(&self, wire: &str) -> String {
        let (mut read, mut write) = tokio::io::split(self.connect().await);
        let mut answer = String::new();
        let (sent, received) =
            tokio::join!(write.write_all(wire.as_bytes()), read.read_to_string(&mut answer));
        sent.unwrap();
        received.unwrap();
        answer
    }
}

const CLOSE: &str = "GET /last HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

#[tokio::test]
async fn a_listener_of_ones_own_is_served_as_a_socket_is() {
    let served = Served::start(Site::new().mount("/", Ways).unwrap());
    let answer = served.exchange(CLOSE).await;
    assert!(answer.ends_with("\r\n\r\n192.0.2.7:7 unix:pipes Https"), "{answer}");
    let many = "GET / HTTP/1.1\r\nHost: x\r\n\r\n".repeat(100) + CLOSE;
    assert_eq!(served.exchange(&many).await.matches("HTTP/1.1 200 ").count(), 101);
    let content = "x".repeat(100_000);
    let post =
        format!("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{content}{CLOSE}", content.len());
    assert!(served.exchange(&post).await.contains(&content));
    assert!(served.exchange("nonsense\r\n\r\n").await.starts_with("HTTP/1.1 400 "));
    assert_eq!(served.shutdowns.load(Ordering::SeqCst), 4, "each connection is said farewell once");
}

#[tokio::test]
async fn an_interactive_exchange_is_flushed_piece_by_piece() {
    let served = Served::start(Site::new().mount("/", Ways).unwrap());
    let mut client = served.connect().await;
    for _ in 0..3 {
        client.write_all(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n").await.unwrap();
        for piece in ["one", "two"] {
            client.write_all(format!("3\r\n{piece}\r\n").as_bytes()).await.unwrap();
            let mut answer = Vec::new();
            while !answer.ends_with(format!("3\r\n{piece}\r\n").as_bytes()) {
                assert_ne!(client.read_buf(&mut answer).await.unwrap(), 0);
            }
        }
        client.write_all(b"0\r\n\r\n").await.unwrap();
        let mut end = [0; 5];
        client.read_exact(&mut end).await.unwrap();
        assert_eq!(&end, b"0\r\n\r\n");
    }
}

#[tokio::test]
async fn files_leave_without_sendfile() {
    let folder = tempfile::tempdir().unwrap();
    let content: String = (0..100_000).map(|number| format!("{number},")).collect();
    std::fs::write(folder.path().join("big.bin"), &content).unwrap();
    let files = Files::open(folder.path(), Options::default()).unwrap();
    let served = Served::start(Site::new().mount("/", files).unwrap());
    let answer = served.exchange("GET /big.bin HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
    assert!(answer.ends_with(&format!("\r\n\r\n{content}")));
}

#[tokio::test]
async fn a_stop_ends_idle_connections_and_answers_queued_ones() {
    let served = Served::start(Site::new().mount("/", Ways).unwrap());
    let mut idle = served.connect().await;
    idle.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"Https") {
        assert_ne!(idle.read_buf(&mut answer).await.unwrap(), 0);
    }
    let mut queued = served.connect().await;
    queued.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    served.running.stop().graceful();
    let (mut rest, mut answer) = (String::new(), String::new());
    idle.read_to_string(&mut rest).await.unwrap();
    queued.read_to_string(&mut answer).await.unwrap();
    assert_eq!(rest, "");
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    tokio::task::spawn_blocking(|| served.running.wait()).await.unwrap();
}

#[test]
fn listeners_are_dealt_out_among_the_loops() {
    let mut listeners = Listeners::open(&["127.0.0.1:0".parse().unwrap()], 2).unwrap();
    let (_first, pipes) = mpsc::channel(1);
    listeners.push(Pipes(pipes));
    let (second, pipes) = mpsc::channel(1);
    listeners.push(Pipes(pipes));
    assert_eq!(listeners.locals().count(), 3);
    let running = Server::new(Site::new().mount("/", Ways).unwrap()).start(listeners).unwrap();
    assert_eq!(running.locals().len(), 3);
    let (mut ours, pipe) = tokio::io::duplex(100);
    second.blocking_send(Reluctant { pipe, held: Vec::new(), shutdowns: Arc::default() }).ok().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let answer = runtime.block_on(async {
        ours.write_all(CLOSE.as_bytes()).await.unwrap();
        let mut answer = String::new();
        ours.read_to_string(&mut answer).await.unwrap();
        answer
    });
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}

/// Waits for the body, so that a test can hold it.
struct Patient;

impl Handler for Patient {
    fn handle(&self, request: Request, _: SafePath) -> Reply<'_> {
        Reply::later(async {
            let body = request.body.collect().await.map_err(Error::internal)?;
            Ok(Response::new(body.to_bytes().into()))
        })
    }
}

#[test]
fn the_server_for_tests_takes_options_and_ends_with_its_value() {
    let options = http1::Options { limit_request_fields: 1, ..Default::default() };
    let server = serve(Server::new(Site::new().mount("/", Patient).unwrap()).http1(options)).unwrap();
    let address = server.address();
    let exchange = |wire: &str| {
        let mut socket = TcpStream::connect(address).unwrap();
        socket.write_all(wire.as_bytes()).unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).unwrap();
        answer
    };
    assert!(exchange("GET / HTTP/1.0\r\n\r\n").starts_with("HTTP/1.1 200 "));
    assert!(exchange("GET / HTTP/1.0\r\nA: b\r\nC: d\r\n\r\n").starts_with("HTTP/1.1 431 "));

    let mut held = TcpStream::connect(address).unwrap();
    held.write_all(b"POST / HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    drop(held);
    drop(server);
    assert_eq!(TcpStream::connect(address).unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
}

#[test]
fn a_stop_with_grace_lets_a_request_end() {
    let server = serve(Site::new().mount("/", Patient).unwrap()).unwrap();
    let mut socket = TcpStream::connect(server.address()).unwrap();
    let head = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n";
    socket.write_all(head.as_bytes()).unwrap();
    let mut asked = [0; 25];
    socket.read_exact(&mut asked).unwrap(); // the handler has the request now
    assert_eq!(&asked, b"HTTP/1.1 100 Continue\r\n\r\n");
    std::thread::scope(|scope| {
        scope.spawn(|| server.finish());
        socket.write_all(b"text").unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("text"), "{answer}");
    });
}
