//! salver as a library: files, listings and your own handlers on a strict HTTP/1 engine of its own.

mod answer;
pub mod body;
mod compress;
mod error;
pub mod finish;
pub mod guard;
pub mod handler;
pub mod http1;
pub mod listen;
#[cfg(feature = "cli")]
mod number;
mod request;
pub mod rfc;
mod route;
mod seconds;
mod server;
mod site;
mod start_error;

pub use body::{Body, FileRange};
pub use error::{Blame, Error};
pub use handler::{Answer, Handler, Methods, Reply, Response};
pub use request::{Local, Peer, Request, Target};
pub use rfc::forwarded::Scheme;
pub use rfc::path::SafePath;
pub use seconds::Seconds;
pub use server::{Options as ServerOptions, Running, Server, Stop};
pub use site::Site;
pub use start_error::StartError;
