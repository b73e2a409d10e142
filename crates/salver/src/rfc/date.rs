//! Times as HTTP tells them, to the second: RFC 9110 §5.6.7.
//!
//! All three forms are read, and those of RFC 2822 in UTC, which http.server takes; the first is written. A year of two digits is 1970 to 2069. No clock is read here.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::HeaderValue;

use crate::civil::{Civil, MONTHS};

/// A moment in whole seconds since 1970, as `Last-Modified` and `If-Modified-Since` compare them.
///
/// Invariant: between the start of 1970 and the end of 9999, what an HTTP-date can say.
///
/// ```
/// use salver::rfc::date::Stamp;
///
/// let stamp = Stamp::parse(b"Sun, 06 Nov 1994 08:49:37 GMT").ok_or("no date")?;
/// assert_eq!(stamp.unix(), 784_111_777);
/// assert_eq!(stamp.to_string(), "Sun, 06 Nov 1994 08:49:37 GMT");
/// # Ok::<(), &str>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stamp(u64);

impl Stamp {
    /// The moment `seconds` after 1970 began; what an HTTP-date cannot say becomes the nearest it can.
    #[must_use]
    pub fn from_unix(seconds: i64) -> Self {
        Self(u64::try_from(seconds).unwrap_or(0).min(LAST))
    }

    /// Reads an HTTP-date in any of its three forms, or one of RFC 2822 in UTC; `None` if it is none, and the field is then
    /// ignored (RFC 9110 §13.1.3).
    #[must_use]
    pub fn parse(value: &[u8]) -> Option<Self> {
        let value = std::str::from_utf8(value).ok()?.trim_ascii();
        httpdate::parse_http_date(value).ok().map(Self::from).or_else(|| rfc2822(value))
    }

    /// Seconds since 1970.
    #[must_use]
    pub const fn unix(self) -> u64 {
        self.0
    }

    /// The value of a `Date` or `Last-Modified` header.
    #[must_use]
    pub fn header(self) -> HeaderValue {
        HeaderValue::try_from(self.to_string()).expect("an HTTP-date is visible ASCII and spaces")
    }
}

impl From<SystemTime> for Stamp {
    /// Cuts what is below a second off, as http.server does.
    fn from(time: SystemTime) -> Self {
        Self(time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()).min(LAST))
    }
}

/// As an IMF-fixdate: `Sun, 06 Nov 1994 08:49:37 GMT`.
impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        httpdate::HttpDate::from(UNIX_EPOCH + Duration::from_secs(self.0)).fmt(f)
    }
}

/// A date as in mail: `Sun, 06 Nov 1994 08:49:37 +0000` (RFC 2822 §3.3). The day of the week, the seconds and the zone may be left
/// out, and a zone other than UTC is not taken.
fn rfc2822(value: &str) -> Option<Stamp> {
    let mut words = value.split_ascii_whitespace().peekable();
    if let Some(weekday) = words.next_if(|word| word.ends_with(',')) {
        let weekday = weekday.trim_end_matches(',');
        WEEKDAYS.iter().find(|name| name.eq_ignore_ascii_case(weekday))?;
    }
    let digits = |text: &str, most: usize| {
        let are_digits = (1..=most).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        are_digits.then(|| text.parse::<u16>().ok()).flatten()
    };
    let two = |text: &str| digits(text, 2).and_then(|number| u8::try_from(number).ok());
    let day = two(words.next()?)?;
    let month = words.next()?;
    let month = MONTHS.iter().position(|name| name.eq_ignore_ascii_case(month))?;
    let year = words.next().filter(|year| year.len() == 4).and_then(|year| digits(year, 4))?;
    let mut time = words.next()?.split(':');
    let (hour, minute) = (two(time.next()?)?, two(time.next()?)?);
    let second = time.next().map_or(Some(0), two)?;
    let zone = words.next().unwrap_or("UT");
    if time.next().is_some() || words.next().is_some() || !UTC.contains(&zone) {
        return None;
    }
    let month = u8::try_from(month + 1).ok()?;
    let seconds = Civil { year: year.into(), month, day, hour, minute, second }.seconds()?;
    (seconds >= 0).then(|| Stamp::from_unix(seconds))
}

const WEEKDAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

/// The ways to say UTC.
const UTC: [&str; 5] = ["+0000", "-0000", "UT", "GMT", "Z"];

/// The last second of the year 9999.
const LAST: u64 = 253_402_300_799;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn dates_are_read_in_three_forms() {
        for (text, unix) in [
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(784_111_777)),
            ("Sunday, 06-Nov-94 08:49:37 GMT", Some(784_111_777)),
            ("Sun Nov  6 08:49:37 1994", Some(784_111_777)),
            ("Thu, 01 Jan 1970 00:00:00 GMT", Some(0)),
            ("Fri, 31 Dec 9999 23:59:59 GMT", Some(LAST)),
            ("Tue, 29 Feb 2000 12:00:00 GMT", Some(951_825_600)),
            ("Mon, 29 Feb 2100 12:00:00 GMT", None),
            ("Sun, 06 Nov 1994 08:49:37 +0000", Some(784_111_777)),
            ("Sun, 06 Nov 1994 08:49:37 -0000", Some(784_111_777)),
            ("Sun, 06 Nov 1994 08:49:37 UT", Some(784_111_777)),
            ("Sun, 06 Nov 1994 08:49:37", Some(784_111_777)),
            ("6 Nov 1994 08:49:37 GMT", Some(784_111_777)),
            ("Sun, 6 Nov 1994 08:49 Z", Some(784_111_740)),
            ("Sun, 06 Nov 94 08:49:37 +0000", None),
            ("Sun, 06 Nov 1994 08:49:37:00 +0000", None),
            ("Sun, 06 Nov 1994 +8:49:37 +0000", None),
            ("Sun, 31 Nov 1994 08:49:37 +0000", None),
            ("Sun, 06 Nov 1994 09:49:37 +0100", None),
            ("Wed, 31 Dec 1969 23:59:59 +0000", None),
            (&format!("Sun, 06 Nov 1994 08:49:37 +0000 ({})", "x".repeat(64)), None),
            ("Sun, 06 Nov 1994 24:49:37 GMT", None),
            ("Sun, 06 Nov 1994 08:49:37 GMT, Sun, 06 Nov 1994 08:49:37 GMT", None),
            ("784111777", None),
            ("Sün, 06 Nov 1994 08:49:37 GMT", None),
            ("", None),
        ] {
            assert_eq!(Stamp::parse(text.as_bytes()).map(Stamp::unix), unix, "{text}");
        }
        assert_eq!(Stamp::parse(b"\xFF"), None);
    }

    #[test]
    fn what_no_date_can_say_is_the_nearest() {
        assert_eq!(Stamp::from_unix(-1).unix(), 0);
        assert_eq!(Stamp::from_unix(i64::MAX).header(), "Fri, 31 Dec 9999 23:59:59 GMT");
        assert_eq!(Stamp::from(UNIX_EPOCH - Duration::from_secs(1)).unix(), 0);
        assert_eq!(Stamp::from(UNIX_EPOCH + Duration::from_millis(1_999)).unix(), 1);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(seconds in any::<i64>(), in_range in 0..=LAST) {
            for stamp in [Stamp::from_unix(seconds), Stamp(in_range)] {
                prop_assert_eq!(Stamp::parse(stamp.header().as_bytes()), Some(stamp));
            }
        }

        #[test]
        fn nothing_panics(value in "[A-Za-z]{3,9}[, ]{0,2}[0-9 :GMTnov-]{0,30}", bytes in any::<Vec<u8>>()) {
            for value in [value.as_bytes(), &bytes] {
                prop_assert!(Stamp::parse(value).is_none_or(|stamp| stamp.unix() <= LAST));
            }
        }
    }
}
