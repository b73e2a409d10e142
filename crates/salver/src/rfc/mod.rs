//! The pure rules of HTTP, a file a rule: bytes in, values out. No IO, no clock, no allocation a client could make large.
//!
//! Each file cites the section it obeys and has a table of cases; what parses foreign bytes has a fuzz target too.

pub mod accept;
pub mod content_type;
pub mod date;
pub mod etag;
pub mod forwarded;
pub(crate) mod list;
pub mod ows;
pub mod path;
pub mod precondition;
pub mod range;
