//! Times as options give them.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::start_error::StartError;

/// A time in seconds, with a fraction if need be (`0.5`); 0 means never where an option says so.
///
/// ```
/// use std::time::Duration;
/// use salver::Seconds;
///
/// assert_eq!(Duration::from(Seconds::from(75)), Duration::from_secs(75));
/// assert_eq!("0.5".parse::<Seconds>()?.to_string(), "0.5");
/// # Ok::<(), salver::StartError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Seconds(Duration);

impl Seconds {
    /// A whole number of seconds.
    pub const fn whole(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }
}

impl From<u64> for Seconds {
    fn from(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }
}

impl From<Duration> for Seconds {
    fn from(duration: Duration) -> Self {
        Self(duration)
    }
}

impl From<Seconds> for Duration {
    fn from(seconds: Seconds) -> Self {
        seconds.0
    }
}

impl FromStr for Seconds {
    type Err = StartError;

    fn from_str(text: &str) -> Result<Self, StartError> {
        let seconds = text.parse::<f64>().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        match seconds {
            Some(seconds) if seconds <= MOST => Ok(Self(seconds)),
            _ => Err(StartError::new(format!(
                "'{text}' is no time in seconds; give a number such as 30 or 0.5"
            ))),
        }
    }
}

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_secs_f64().fmt(f)
    }
}

/// A year: more is a slip of the finger.
const MOST: Duration = Duration::from_secs(366 * 24 * 60 * 60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_taken_and_anything_else_refused() {
        for (text, millis) in [("0", 0), ("30", 30_000), ("0.25", 250), ("1e1", 10_000)] {
            assert_eq!(text.parse::<Seconds>().map(|seconds| seconds.0.as_millis()), Ok(millis), "{text}");
        }
        for text in ["", "-1", "x", "10s", "nan", "inf", "1e300"] {
            assert!(text.parse::<Seconds>().is_err(), "{text}");
        }
    }
}
