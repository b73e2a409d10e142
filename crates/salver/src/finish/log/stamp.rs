//! The time in log lines, formatted once a second and thread.

use std::cell::RefCell;
use std::time::{SystemTime, UNIX_EPOCH};

use super::Zone;
use crate::civil::Civil;

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
pub(super) fn now<R>(stamp: Stamp, zone: Zone, use_it: impl FnOnce(&str) -> R) -> R {
    let second = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    LAST.with_borrow_mut(|last| {
        // Two functions at one address do the same.
        let key = (second, stamp, zone as usize);
        if last.key != key {
            let second = i64::try_from(second).unwrap_or_default();
            *last = Cached { key, text: stamp.text(second, zone(second)) };
        }
        use_it(&last.text)
    })
}

impl Stamp {
    /// The moment `second`, in a zone `ahead` seconds ahead of UTC.
    fn text(self, second: i64, ahead: i32) -> String {
        let time = Civil::of(second.saturating_add(i64::from(ahead)));
        let Civil { year, month, day, hour, minute, second } = time;
        let name = time.month_name();
        let sign = if ahead < 0 { '-' } else { '+' };
        let (hours, minutes) = (ahead.unsigned_abs() / 3600, ahead.unsigned_abs() / 60 % 60);
        match self {
            Self::Common => format!(
                "[{day:02}/{name}/{year:04}:{hour:02}:{minute:02}:{second:02} {sign}{hours:02}{minutes:02}]"
            ),
            Self::Iso => format!(
                "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{sign}{hours:02}:{minutes:02}"
            ),
            Self::Python => format!("{day:02}/{name}/{year:04} {hour:02}:{minute:02}:{second:02}"),
        }
    }
}

struct Cached {
    /// The second, how it is spelled, and the function that knows the zone.
    key: (u64, Stamp, usize),
    text: String,
}

thread_local! {
    static LAST: RefCell<Cached> =
        const { RefCell::new(Cached { key: (u64::MAX, Stamp::Iso, 0), text: String::new() }) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_spelled_in_its_zone() {
        for (stamp, ahead, want) in [
            (Stamp::Common, 7200, "[23/Nov/2026:06:27:00 +0200]"),
            (Stamp::Common, -12_600, "[23/Nov/2026:00:57:00 -0330]"),
            (Stamp::Iso, 7200, "2026-11-23T06:27:00+02:00"),
            (Stamp::Iso, 0, "2026-11-23T04:27:00+00:00"),
            (Stamp::Python, 7200, "23/Nov/2026 06:27:00"),
        ] {
            assert_eq!(stamp.text(1_795_408_020, ahead), want);
        }
    }

    #[test]
    fn the_cache_gives_each_spelling_and_each_zone_its_own() {
        assert!(now(Stamp::Common, |_| 0, |text| text.ends_with("+0000]")));
        assert!(now(Stamp::Python, |_| 0, |text| !text.starts_with('[')));
        assert!(now(Stamp::Common, |_| 60, |text| text.ends_with("+0001]")));
    }
}
