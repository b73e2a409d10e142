//! Connections of one loop take turns, also where nobody ever makes one wait.

use std::io;
use std::pin::Pin;
use std::sync::mpsc::{Sender, channel};
use std::task::{Context, Poll};
use std::time::Duration;

use salver::handler::files::{Files, Options};
use salver::listen::{Listener, Listeners};
use salver::{Local, Peer, Scheme, Server, Site};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::support::Ways;

/// A client that takes whatever it is given at once.
struct Greedy {
    name: &'static str,
    request: &'static [u8],
    taken: Sender<(&'static str, usize)>,
}

impl AsyncRead for Greedy {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        buffer.put_slice(std::mem::take(&mut self.request)); // then it has closed its half
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Greedy {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.taken.send((self.name, bytes.len())).unwrap();
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// These clients, and no more.
struct Clients(std::vec::IntoIter<Greedy>);

impl Listener for Clients {
    type Io = Greedy;

    fn local(&self) -> Local {
        Local::Unix(Default::default())
    }

    async fn accept(&mut self) -> (Greedy, Peer) {
        match self.0.next() {
            Some(client) => {
                (client, Peer { remote: None, local: self.local().into(), scheme: Scheme::Http, tls: None })
            }
            None => std::future::pending().await,
        }
    }
}

#[test]
fn long_content_leaves_others_their_turn() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    io::Write::write_all(&mut file, &[b'x'; 1_000_000]).unwrap();
    for (long, length) in [
        (&b"GET /big HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"[..], 8_000_000),
        (b"GET /file/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 1_000_000),
    ] {
        let (taken, takes) = channel();
        let client = |name, request| Greedy { name, request, taken: taken.clone() };
        let clients = vec![
            client("long", long),
            client("short", b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"),
        ];
        drop(taken);
        let files = Files::open_file(file.path(), Options::default()).unwrap();
        let site = Site::new().mount("/", Ways).unwrap().mount("/file", files).unwrap();
        let mut listeners = Listeners::open(&[], 1).unwrap();
        listeners.push(Clients(clients.into_iter()));
        let running = Server::new(site).start(listeners).unwrap();
        let (mut before, mut sent) = (None, 0);
        // Until both connections are over, and with them whoever tells.
        while let Ok((name, count)) = takes.recv_timeout(Duration::from_secs(30)) {
            match name {
                "short" => before = before.or(Some(sent)),
                _ => sent += count,
            }
        }
        assert!(sent > length, "{sent} bytes of head and content of {length}");
        let before = before.expect("both are answered");
        assert!(before < length / 2, "{before} of {length} bytes went before another's answer");
        running.stop().now();
        running.wait();
    }
}
