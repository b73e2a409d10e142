//! The allocator of the command, and how it gives memory back.
//!
//! Connections come and go by the thousand. glibc's allocator keeps what they leave; mimalloc gives it back when asked, and costs
//! less where they come.
#![allow(unsafe_code)] // mimalloc's own call has no safe wrapper

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Gives the system what nobody uses any more.
pub(crate) fn give_back() {
    // SAFETY: may be called at any time from any thread; it touches only what is free.
    unsafe { libmimalloc_sys::mi_collect(true) }
}
