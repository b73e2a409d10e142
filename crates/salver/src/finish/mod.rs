//! What happens to every response on its way out, and when it has left; `answer` says in which order.

pub(crate) mod compress;
pub mod headers;
pub mod log;
pub(crate) mod page;
