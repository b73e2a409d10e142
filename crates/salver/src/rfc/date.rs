//! Times as HTTP tells them, to the second: RFC 9110 §5.6.7.
//!
//! All three forms are read, and those of RFC 2822 in UTC, which http.server takes; the first is written. A year of two digits is 1970 to 2069. No clock is read here.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::HeaderValue;
use jiff::fmt::rfc2822::DateTimeParser;

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

/// A date as in mail: `Sun, 06 Nov 1994 08:49:37 +0000`. One without a zone is in UTC; one of another zone is not taken.
fn rfc2822(value: &str) -> Option<Stamp> {
    if value.len() > LONGEST {
        return None;
    }
    let parse = |value: &str| PARSER.parse_zoned_datetime(value).ok();
    let zoned = parse(value).or_else(|| parse(&format!("{value} +0000")))?;
    let seconds = zoned.timestamp().as_second();
    (zoned.offset().is_zero() && seconds >= 0).then(|| Stamp::from_unix(seconds))
}

const PARSER: DateTimeParser = DateTimeParser::new();

/// No date of mail without comments is longer, in bytes.
const LONGEST: usize = 40;

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
