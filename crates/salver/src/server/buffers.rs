//! The buffers of a loop: lent to connections while they are served.
//!
//! A busy connection holds them for some microseconds, so a few serve thousands, and stay in the processor's cache.

use std::sync::{Mutex, PoisonError};

use bytes::BytesMut;

/// What a connection needs while it is served.
#[derive(Debug, Default)]
pub(crate) struct Buffers {
    /// Received bytes.
    pub(crate) input: BytesMut,
    /// Heads and small pieces on their way out.
    pub(crate) output: Vec<u8>,
}

/// The buffers that nobody uses at the moment.
#[derive(Debug, Default)]
pub(crate) struct Pool(Mutex<Vec<Buffers>>);

impl Pool {
    pub(crate) fn take(&self) -> Buffers {
        let pooled = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        pooled.unwrap_or_else(|| Buffers {
            input: BytesMut::with_capacity(INPUT),
            output: Vec::with_capacity(OUTPUT),
        })
    }

    /// Takes buffers back, if they have the usual size: what grew is given back to the system.
    pub(crate) fn give_back(&self, mut buffers: Buffers) {
        buffers.input.clear();
        buffers.output.clear();
        let usual = buffers.output.capacity() <= OUTPUT * 2 && buffers.input.try_reclaim(INPUT);
        if usual && buffers.input.capacity() <= INPUT * 2 {
            let mut pool = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if pool.len() < KEPT {
                pool.push(buffers);
            }
        }
    }
}

/// Holds the head of nearly every request, and a small form's content with it.
pub(crate) const INPUT: usize = 16 * 1024;
/// Holds a response head and small chunks.
pub(crate) const OUTPUT: usize = 8 * 1024;
/// How many unused buffers a loop keeps.
const KEPT: usize = 64;
