//! What happens to every response on its way out; `answer` says in which order.

pub(crate) mod compress;
