//! What happens to an answer before it leaves and when it has left.

pub mod headers;
pub mod log;
pub(crate) mod page;
