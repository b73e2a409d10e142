//! The time in log lines: local, formatted once a second and thread.

use std::cell::RefCell;
use std::time::{SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// How a line spells its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stamp {
    /// `[23/Nov/2026:06:27:00 +0000]`, as Apache, nginx and gunicorn do.
    Common,
    /// `2026-11-23T06:27:00+00:00` (RFC 3339).
    Iso,
    /// `23/Nov/2026 06:27:00`, as http.server does.
    Python,
}

/// Gives `use_it` the time of now.
pub(super) fn now<R>(stamp: Stamp, use_it: impl FnOnce(&str) -> R) -> R {
    let second = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    LAST.with_borrow_mut(|last| {
        if last.second != second || last.stamp != stamp {
            *last = Cached { second, stamp, text: stamp.text(second, TimeZone::system()) };
        }
        use_it(&last.text)
    })
}

impl Stamp {
    fn text(self, second: u64, zone: TimeZone) -> String {
        let format = match self {
            Self::Common => "[%d/%b/%Y:%H:%M:%S %z]",
            Self::Iso => "%Y-%m-%dT%H:%M:%S%:z",
            Self::Python => "%d/%b/%Y %H:%M:%S",
        };
        let second = i64::try_from(second).unwrap_or_default();
        let time = Timestamp::from_second(second).unwrap_or(Timestamp::UNIX_EPOCH);
        time.to_zoned_datetime(zone).strftime(format).to_string()
    }
}

struct Cached {
    second: u64,
    stamp: Stamp,
    text: String,
}

thread_local! {
    static LAST: RefCell<Cached> =
        const { RefCell::new(Cached { second: u64::MAX, stamp: Stamp::Iso, text: String::new() }) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_spelled_in_its_zone() {
        let zone = TimeZone::fixed(jiff::tz::offset(2));
        for (stamp, want) in [
            (Stamp::Common, "[23/Nov/2026:06:27:00 +0200]"),
            (Stamp::Iso, "2026-11-23T06:27:00+02:00"),
            (Stamp::Python, "23/Nov/2026 06:27:00"),
        ] {
            assert_eq!(stamp.text(1_795_408_020, zone.clone()), want);
        }
    }

    #[test]
    fn the_cache_gives_each_spelling_its_own() {
        assert!(now(Stamp::Common, |text| text.starts_with('[')));
        assert!(now(Stamp::Python, |text| !text.starts_with('[')));
    }
}
