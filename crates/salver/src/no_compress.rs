//! No content codings: in the place of `compress` where the crate is built without that feature.

use std::io;

use bytes::Bytes;

use crate::body::Body;
use crate::rfc::accept::Coding;

/// Nothing is worth it.
pub(crate) const WORTH_IT: Option<u64> = None;

/// Put among a response's extensions: its content is text of unknown length that is there as fast as it can be sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LongText;

/// The body as it is: what is worth nothing is never to be encoded.
pub(crate) fn encode(body: Body, _: Coding) -> Body {
    body
}

/// The content as it is.
///
/// # Errors
/// None.
pub(crate) fn encode_all(content: &[u8], _: Coding) -> io::Result<Bytes> {
    Ok(Bytes::copy_from_slice(content))
}
