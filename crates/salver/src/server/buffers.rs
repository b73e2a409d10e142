//! The buffers of a loop: lent to connections while they are served.
//!
//! A busy connection holds them for some microseconds, so a few serve thousands, and stay in the processor's cache.

use std::cell::RefCell;

use bytes::BytesMut;

/// What a connection needs while it is served.
#[derive(Debug, Default)]
pub(crate) struct Buffers {
    /// Received bytes.
    pub(crate) input: BytesMut,
    /// Heads and small pieces on their way out.
    pub(crate) output: Vec<u8>,
}

/// Buffers to serve with.
pub(crate) fn take() -> Buffers {
    // A loop that ends may have lost its pool by now.
    let pooled = POOL.try_with(|pool| pool.borrow_mut().pop()).ok().flatten();
    pooled.unwrap_or_else(|| Buffers {
        input: BytesMut::with_capacity(INPUT),
        output: Vec::with_capacity(OUTPUT),
    })
}

/// Takes buffers back, if they have the usual size: what grew is given back to the system.
pub(crate) fn give_back(mut buffers: Buffers) {
    buffers.input.clear();
    buffers.output.clear();
    let usual = buffers.output.capacity() <= OUTPUT * 2 && buffers.input.try_reclaim(INPUT);
    if usual && buffers.input.capacity() <= INPUT * 2 {
        let _ = POOL.try_with(|pool| {
            let mut pool = pool.borrow_mut();
            if pool.len() < KEPT {
                pool.push(buffers);
            }
        });
    }
}

thread_local! {
    /// The buffers that nobody uses at the moment. A loop is one thread, so they want no lock.
    static POOL: RefCell<Vec<Buffers>> = const { RefCell::new(Vec::new()) };
}

/// Holds the head of nearly every request, and a small form's content with it.
pub(crate) const INPUT: usize = 16 * 1024;
/// Holds a response head and small chunks.
pub(crate) const OUTPUT: usize = 8 * 1024;
/// How many unused buffers a loop keeps.
const KEPT: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_come_back_as_they_were_and_what_grew_does_not() {
        let mut first = take();
        first.input.extend_from_slice(b"GET");
        let (input, output) = (first.input.as_ptr(), first.output.as_ptr());
        give_back(first);
        let mut again = take();
        assert!(again.input.is_empty() && again.input.as_ptr() == input && again.output.as_ptr() == output);
        again.output.reserve(OUTPUT * 4);
        give_back(again);
        assert!(POOL.with_borrow(Vec::is_empty));
        (0..2 * KEPT).map(|_| take()).collect::<Vec<_>>().into_iter().for_each(give_back);
        assert_eq!(POOL.with_borrow(Vec::len), KEPT);
    }
}
