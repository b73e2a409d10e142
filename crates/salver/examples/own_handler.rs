//! A handler of one's own: `cargo run --example own_handler`, then `curl http://127.0.0.1:8000/echo -d hello`.
//!
//! Takes the address to listen on as its argument (127.0.0.1:8000 without one).
#![allow(clippy::print_stdout)] // an example may

use http::{HeaderValue, header};
use http_body_util::BodyExt as _;
use salver::listen::{Address, Listeners};
use salver::{Error, Methods, Reply, Request, Response, Running, SafePath, Server, Site, StartError};

/// Answers GET with a greeting and POST with what it was sent; everything else is 501 by itself.
struct Echo;

impl Methods for Echo {
    fn get(&self, request: Request, rest: SafePath) -> Reply<'_> {
        let name = String::from_utf8_lossy(rest.as_bytes()).into_owned();
        let client = request.peer.remote.map(|address| address.ip().to_string()).unwrap_or_default();
        Reply::ready(Ok(text(format!("hello {name} at {client}\n"))))
    }

    fn post(&self, request: Request, _rest: SafePath) -> Reply<'_> {
        // Reading takes time, so the answer comes later; a fault of the body has its own status (408, 413).
        Reply::later(async move {
            let body = request.body.collect().await.map_err(Error::internal)?;
            Ok(text(body.to_bytes()))
        })
    }
}

fn text(body: impl Into<salver::Body>) -> Response {
    let mut response = Response::new(body.into());
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

pub(crate) fn start(address: &str) -> Result<Running, StartError> {
    let site = Site::new().mount("/echo", Echo)?;
    let listeners = Listeners::open(&[address.parse::<Address>()?], 1)?;
    Server::new(site).start(listeners)
}

fn main() -> Result<(), StartError> {
    let running = start(&std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8000".into()))?;
    for local in running.locals() {
        println!("Serving {local}echo/");
    }
    running.wait();
    Ok(())
}
