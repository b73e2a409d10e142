//! The `Date` of responses (RFC 9110 §6.6.1), made once a second.

use std::cell::Cell;
use std::time::{Duration, SystemTime};

use rustix::time::{ClockId, Timespec, clock_gettime};

/// An IMF-fixdate: always 29 bytes.
pub(crate) type Date = [u8; 29];

/// The date of now.
pub(crate) fn now() -> Date {
    LAST.with(|last| {
        let Last { tick, second, date } = last.get();
        // Which tick of the kernel's (1 to 10 ms) it is costs a fifth of what the time does.
        let now = clock_gettime(ClockId::MonotonicCoarse);
        if tick == now {
            return date;
        }
        // By the C library, not past it: what sets the clock for one program alone (faketime) is to be believed.
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let date = match since.as_secs() == second {
            true => date,
            false => format(SystemTime::UNIX_EPOCH + Duration::from_secs(since.as_secs())),
        };
        last.set(Last { tick: now, second: since.as_secs(), date });
        date
    })
}

/// The date that was made last.
#[derive(Clone, Copy)]
struct Last {
    /// When it was last found good, by the coarse clock.
    tick: Timespec,
    /// What it says, in seconds since 1970.
    second: u64,
    date: Date,
}

fn format(time: SystemTime) -> Date {
    let mut date = *b"Thu, 01 Jan 1970 00:00:00 GMT";
    let text = httpdate::fmt_http_date(time);
    if text.len() == date.len() {
        date.copy_from_slice(text.as_bytes());
    }
    date
}

const NONE: Last = Last { tick: Timespec { tv_sec: -1, tv_nsec: 0 }, second: u64::MAX, date: [0; 29] };

thread_local! {
    static LAST: Cell<Last> = const { Cell::new(NONE) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_an_imf_fixdate() {
        let time = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(784_111_777);
        assert_eq!(&format(time), b"Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(now(), now());
    }
}
