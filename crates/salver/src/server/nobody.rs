//! A poll in nobody's task, to see whether something takes a task at all.
//!
//! Whoever is polled so, and has to wait, is polled again in its own task right after, and says there what is to wake it.

use std::sync::{Arc, LazyLock};
use std::task::{Context, Wake, Waker};

struct Nobody;

impl Wake for Nobody {
    fn wake(self: Arc<Self>) {}
}

/// One for all, unlike [`Waker::noop`], which two places may have at two addresses: it has to be known again.
static NOBODY: LazyLock<Waker> = LazyLock::new(|| Waker::from(Arc::new(Nobody)));

/// The context of such a poll.
#[cfg_attr(not(any(feature = "http2", test)), expect(dead_code, reason = "only streams are polled so"))]
pub(crate) fn context() -> Context<'static> {
    Context::from_waker(&NOBODY)
}

/// Whether this is such a poll.
pub(crate) fn is_here(cx: &Context<'_>) -> bool {
    cx.waker().will_wake(&NOBODY)
}
