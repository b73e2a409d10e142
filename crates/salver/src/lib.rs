//! salver as a library: files, listings and your own handlers on a strict HTTP/1 engine of its own.

pub mod body;
mod compress;
mod error;
mod finish;
pub mod handler;
mod request;
pub mod rfc;
mod start_error;

pub use body::{Body, FileRange};
pub use error::{Blame, Error};
pub use handler::{Answer, Handler, Methods, Reply, Response};
pub use request::{Local, Peer, Request, Target};
pub use rfc::path::SafePath;
pub use start_error::StartError;
