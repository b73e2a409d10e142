//! The allocator of the command, and how it gives memory back.
//!
//! Connections come and go by the thousand. glibc's allocator keeps what they leave; mimalloc gives it back when asked, and costs
//! less where they come. Huge pages are not asked for (feature `no_thp`): each thread's first one would be 2 MiB of which it uses a few KiB.
#![allow(unsafe_code)] // mimalloc's own call has no safe wrapper

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Has the allocator give freed memory back at once, and not after a second: what one large listing took is not there beside the
/// next one's. Connections have buffers of their own, so that files cost nothing more. `MIMALLOC_PURGE_DELAY` in the environment wins.
pub(crate) fn start() {
    set_purge_delay(0);
}

/// Has the allocator keep freed memory for a tenth of a second: what a request to an application leaves is what the next one takes,
/// and with less every third request paid for a page that had just been given back.
pub(crate) fn start_applications() {
    set_purge_delay(100);
}

fn set_purge_delay(milliseconds: std::ffi::c_long) {
    // SAFETY: sets a number that mimalloc reads whenever it needs it.
    unsafe { libmimalloc_sys::mi_option_set_default(PURGE_DELAY, milliseconds) }
}

/// Gives the system what nobody uses any more.
pub(crate) fn give_back() {
    // SAFETY: may be called at any time from any thread; it touches only what is free.
    unsafe { libmimalloc_sys::mi_collect(true) }
}

/// `mi_option_purge_delay`, in milliseconds, which the crate does not name: its place in mimalloc's list of options.
const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;
