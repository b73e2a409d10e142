//! WebSocket (RFC 6455) with permessage-deflate (RFC 7692), for programs that speak to a [`Link`].
//!
//! - `handshake`: a request for a WebSocket, and the answer that accepts it; `reader`: bytes → messages. Both without IO.
//! - `link`: what passes between a program and its connection. `run`: drives that connection.
//!
//! Refused, with the close code that RFC 6455 §7.4.1 gives: frames without a mask or out of order, text that is not UTF-8, messages
//! beyond `--ws-max-size` (also if they only unpack to more).

mod deflate;
mod handshake;
mod link;
mod reader;
mod run;

pub use handshake::Handshake;
pub use link::{Close, Closed, Link, Message, Notify, Received};

use crate::seconds::Seconds;

/// Times and limits of WebSockets.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "cli", derive(clap::Args), group(skip))] // every module has an `Options`
pub struct Options {
    /// The largest WebSocket message from a client, in bytes; a larger one ends the connection
    #[cfg_attr(feature = "cli", arg(long, value_name = "B", default_value_t = Self::default().ws_max_size))]
    pub ws_max_size: usize,

    /// How often a WebSocket's client is asked for a sign of life, in seconds; 0: never
    #[cfg_attr(feature = "cli", arg(long, value_name = "S", default_value_t = Self::default().ws_ping_interval))]
    pub ws_ping_interval: Seconds,

    /// How long that sign may take, in seconds; 0: for ever
    #[cfg_attr(feature = "cli", arg(long, value_name = "S", default_value_t = Self::default().ws_ping_timeout))]
    pub ws_ping_timeout: Seconds,

    /// Compress WebSocket messages for clients that offer it
    #[cfg_attr(feature = "cli", arg(long, value_name = "BOOL", action = clap::ArgAction::Set, num_args = 0..=1,
        require_equals = true, default_value = "true", default_missing_value = "true"))]
    pub ws_per_message_deflate: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            ws_max_size: 16 * 1024 * 1024,
            ws_ping_interval: 20.into(),
            ws_ping_timeout: 20.into(),
            ws_per_message_deflate: true,
        }
    }
}
