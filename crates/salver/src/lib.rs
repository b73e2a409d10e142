//! salver as a library: files, listings and your own handlers on a strict HTTP/1 engine of its own.
//!
//! # A server in five lines
//!
//! ```no_run
//! use salver::handler::files::{Files, Options};
//! use salver::listen::{Address, Listeners};
//! use salver::{Server, Site};
//!
//! # fn main() -> Result<(), salver::StartError> {
//! let site = Site::new().mount("/", Files::open("public".as_ref(), Options::default())?)?;
//! let listeners = Listeners::open(&["127.0.0.1:8000".parse::<Address>()?], 1)?;
//! Server::new(site).start(listeners)?.wait();
//! # Ok(())
//! # }
//! ```
//!
//! A handler of one's own, tried without a socket and with one:
//!
//! ```
//! use salver::{Body, Handler, Reply, Request, Response, SafePath, Site, testing};
//!
//! struct Greeting;
//!
//! impl Handler for Greeting {
//!     fn handle(&self, _request: Request, rest: SafePath) -> Reply<'_> {
//!         Reply::ready(Ok(Response::new(format!("hello {rest}\n").into())))
//!     }
//! }
//!
//! let rest = SafePath::parse(b"/you").expect("no NUL in it");
//! let Reply::Ready(Some(Ok(response))) = Greeting.handle(Request::get("/you"), rest) else { panic!() };
//! assert_eq!(response.body().len(), Some(11));
//!
//! let server = testing::serve(Site::new().mount("/", Greeting)?)?;
//! println!("{}", server.url("/you"));
//! # Ok::<(), salver::StartError>(())
//! ```
//!
//! # The life of a request
//!
//! 1. **Accepted.** [`Listeners`](listen::Listeners) hold bound sockets, a queue for each loop, or a
//!    [`Listener`](listen::Listener) of your own. [`Server::start`] gives each loop a thread and returns a [`Running`], whose
//!    [`Stop`] ends it, at once or with grace.
//! 2. **Read.** [`http1`] makes a [`Request`] of bytes, strictly: what two readers could understand in two ways is refused with
//!    400. [`http1::Options`] bounds its size and its time. The [body](Body) is a stream that is received only as it is read,
//!    which is back-pressure, and sends `100 Continue` at the right moment.
//! 3. **Let in.** [`guard::Options`] limit bodies and concurrency, and say which proxies are believed about their clients.
//! 4. **Routed.** The path is decoded once into a [`SafePath`], which cannot leave its root, and the [`Site`] finds the mount
//!    with the longest prefix.
//! 5. **Handled.** A [`Handler`] gets the request and the path below its mount, and gives a [`Reply`]: an [`Answer`] that is
//!    there, or a future of one. [`Files`](handler::files::Files) are a handler, and so is whatever implements
//!    [`Methods`], or a tower service. A handler that panics costs its own request a 500.
//! 6. **Finished.** An [`Error`] becomes a page, in HTML, JSON or text, that says no more than the client may know. Text
//!    is compressed if that pays, [headers](finish::headers) are added, and the [log](finish::log) hears of it.
//! 7. **Sent.** Head and content leave together; a piece of a file by `sendfile`. Then the next request of the connection is
//!    read, or it waits without holding memory.
//!
//! What can be wrong with a configuration is said before anything is served, as a [`StartError`]: one line for the person who
//! starts the program.
//!
//! # With tower, axum and hyper
//!
//! With the feature `tower`, `salver::tower::Mounted` makes a handler of any tower service of `http::Request`, an axum `Router`
//! for one; and `Site::into_service` makes a tower service of a site.
//!
//! # Features
//!
//! `listing` and `compress` are on by default: listings of folders, and the three content codings made while serving. `tls`,
//! `http2`, `tower` and `websocket` are the modules of those names: HTTPS by rustls, HTTP/2 by ALPN or prior knowledge, tower
//! services, WebSockets. `cli` derives `clap::Args` on every `Options`, as the command needs them. None changes what the others do.
//!
//! # Where things are
//!
//! [`rfc`] and the parsers of [`http1`] are a toolbox of pure functions: bytes in, values out, without IO or a clock. They are
//! public because they are useful by themselves, and fuzzed by themselves. The rest of the public items is what a
//! program needs to configure a server and to answer requests; [`testing`] is for its tests.
#![warn(missing_debug_implementations)]

mod answer;
pub mod body;
mod civil;
#[cfg_attr(not(feature = "compress"), path = "no_compress.rs")]
mod compress;
mod error;
pub mod finish;
pub mod guard;
pub mod handler;
pub mod http1;
#[cfg_attr(not(feature = "http2"), path = "no_http2.rs")]
pub mod http2;
mod interim;
mod json;
pub mod listen;
pub mod look;
pub mod meter;
#[cfg(feature = "cli")]
pub mod number;
mod request;
pub mod rfc;
mod route;
mod seconds;
mod server;
mod site;
mod start_error;
pub mod testing;
#[cfg_attr(not(feature = "tls"), path = "no_tls.rs")]
pub mod tls;
#[cfg(feature = "tower")]
pub mod tower;
pub mod turns;
// Whoever else wants a connection for itself finds it here; without this feature nobody does.
#[cfg_attr(not(feature = "websocket"), expect(dead_code, reason = "only WebSockets take a connection over"))]
mod upgrade;
#[cfg(feature = "websocket")]
pub mod websocket;
mod workshop;

pub use body::{Body, FileRange};
pub use error::{Blame, Error};
pub use handler::{Answer, Handler, Methods, Reply, Response};
pub use interim::Interim;
pub use request::{Local, Peer, Request, Target};
pub use rfc::forwarded::Scheme;
pub use rfc::path::SafePath;
pub use seconds::Seconds;
pub use server::{Driven, Options as ServerOptions, Origin, Running, Server, Stop};
pub use site::Site;
pub use start_error::StartError;
