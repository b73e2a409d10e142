//! No HTTP/2: in the place of `http2` where the crate is built without that feature. A client that begins with it gets 400.

use std::sync::Arc;

use bytes::BytesMut;

use crate::request::Peer;
use crate::server::Shared;
use crate::server::socket::Io;

/// HTTP/2: not at all.
#[derive(Clone, Debug, Default)]
#[cfg_attr(feature = "cli", derive(clap::Args), group(skip))] // every module has an `Options`
pub struct Options {}

impl Options {
    /// Whether it is spoken at all.
    #[expect(clippy::unused_self, reason = "as one of HTTP/2 does")]
    pub(crate) fn is_spoken(&self) -> bool {
        false
    }
}

/// What a client that knows of HTTP/2 begins with (RFC 9113 §3.4).
pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Ends a connection; nobody comes so far where HTTP/2 is not spoken.
pub(crate) async fn run(_: Io, _: Peer, _: Arc<Shared>, _: BytesMut) {}
