//! HTTP/1.0 and HTTP/1.1 on the wire (RFC 9112): bytes in, values out. Only `conn` does IO.
//!
//! Strict where leniency lets two readers of one message disagree about where it ends: there is one spelling of a line
//! end, of a length and of a chunk, and anything else is refused, never repaired. Each reader takes time linear in
//! the bytes it is given, however they are cut.

use std::borrow::Cow;

use http::StatusCode;

pub(crate) mod authority;
pub mod body;
pub(crate) mod conn;
#[cfg(test)]
mod corpus;
pub(crate) mod field;
pub mod head;
pub(crate) mod incoming;
mod line;
mod options;
pub mod reply;

pub use options::{Options, Protocol};

/// How large a request head may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The longest request line, in bytes without its line end.
    pub request_line: usize,
    /// The most fields.
    pub fields: usize,
    /// The longest head, request line and all, in bytes.
    pub header_size: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { request_line: 8190, fields: 100, header_size: 65_536 }
    }
}

/// What is wrong with a message, and the status that says so.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {message}", status.as_u16())]
pub struct Fault {
    /// The status to answer.
    pub status: StatusCode,
    /// Words for the client and the log; http.server's own where it has some.
    pub message: Cow<'static, str>,
}

impl From<Fault> for crate::Error {
    fn from(fault: Fault) -> Self {
        Self::new(fault.status, fault.message)
    }
}

impl Fault {
    fn new(status: StatusCode, message: impl Into<Cow<'static, str>>) -> Self {
        Self { status, message: message.into() }
    }

    fn bad(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }
}
