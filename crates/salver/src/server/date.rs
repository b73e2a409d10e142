//! The `Date` of responses (RFC 9110 §6.6.1), made once a second.

use std::cell::Cell;
use std::time::{Duration, SystemTime};

/// An IMF-fixdate: always 29 bytes.
pub(crate) type Date = [u8; 29];

/// The date of now.
pub(crate) fn now() -> Date {
    // By the C library, not past it: what sets the clock for one program alone (faketime) is to be believed.
    let second = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    LAST.with(|last| match last.get() {
        (at, date) if at == second => date,
        _ => {
            let date = format(SystemTime::UNIX_EPOCH + Duration::from_secs(second));
            last.set((second, date));
            date
        }
    })
}

fn format(time: SystemTime) -> Date {
    let mut date = *b"Thu, 01 Jan 1970 00:00:00 GMT";
    let text = httpdate::fmt_http_date(time);
    if text.len() == date.len() {
        date.copy_from_slice(text.as_bytes());
    }
    date
}

thread_local! {
    static LAST: Cell<(u64, Date)> = const { Cell::new((u64::MAX, [0; 29])) };
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
