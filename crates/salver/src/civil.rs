//! Seconds since 1970 as a date and a time of day, and back: the Gregorian calendar, without a zone and without a clock.

/// A date and a time of day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Civil {
    pub(crate) year: i64,
    /// From 1.
    pub(crate) month: u8,
    /// From 1.
    pub(crate) day: u8,
    pub(crate) hour: u8,
    pub(crate) minute: u8,
    pub(crate) second: u8,
}

/// The names of the months, as every date of HTTP, mail and logs has them.
pub(crate) const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

impl Civil {
    /// The date and time `seconds` after 1970 began.
    pub(crate) fn of(seconds: i64) -> Self {
        let (days, rest) = (seconds.div_euclid(DAY), seconds.rem_euclid(DAY));
        // A year that begins in March has its leap day at its end, and months of 153 days in five: Howard Hinnant,
        // "chrono-Compatible Low-Level Date Algorithms".
        let days = days + DAYS_TO_1970;
        let (era, day_of_era) = (days.div_euclid(DAYS_OF_ERA), days.rem_euclid(DAYS_OF_ERA));
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let from_march = (5 * day_of_year + 2) / 153;
        let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
        let small = |value: i64| u8::try_from(value).expect("a part of a date is below 60");
        Self {
            year: era * 400 + year_of_era + i64::from(month <= 2),
            month: small(month),
            day: small(day_of_year - (153 * from_march + 2) / 5 + 1),
            hour: small(rest / 3600),
            minute: small(rest / 60 % 60),
            second: small(rest % 60),
        }
    }

    /// Seconds since 1970; `None` for what is no date and time, or lies beyond the years 0 to 9999.
    pub(crate) fn seconds(self) -> Option<i64> {
        if !(0..=9999).contains(&self.year) {
            return None;
        }
        let (month, day) = (i64::from(self.month), i64::from(self.day));
        let year = self.year - i64::from(month <= 2);
        let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
        let from_march = if month > 2 { month - 3 } else { month + 9 };
        let day_of_year = (153 * from_march + 2) / 5 + day - 1;
        let day_of_era = 365 * year_of_era + year_of_era / 4 - year_of_era / 100 + day_of_year;
        let days = era * DAYS_OF_ERA + day_of_era - DAYS_TO_1970;
        let time = i64::from(self.hour) * 3600 + i64::from(self.minute) * 60 + i64::from(self.second);
        let seconds = days * DAY + time;
        // The 30th of February, or 25 o'clock, would be another moment's date.
        (Self::of(seconds) == self).then_some(seconds)
    }

    /// `Nov`.
    pub(crate) fn month_name(self) -> &'static str {
        MONTHS.get(usize::from(self.month) - 1).copied().unwrap_or_default()
    }
}

const DAY: i64 = 86_400;

/// Days of 400 years, after which the calendar repeats.
const DAYS_OF_ERA: i64 = 146_097;

/// From the 1st of March of the year 0.
const DAYS_TO_1970: i64 = 719_468;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn civil(parts: [i64; 6]) -> Civil {
        let [year, rest @ ..] = parts;
        let [month, day, hour, minute, second] = rest.map(|part| u8::try_from(part).unwrap());
        Civil { year, month, day, hour, minute, second }
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (seconds, parts) in [
            (0, [1970, 1, 1, 0, 0, 0]),
            (-1, [1969, 12, 31, 23, 59, 59]),
            (784_111_777, [1994, 11, 6, 8, 49, 37]),
            (951_825_600, [2000, 2, 29, 12, 0, 0]),
            (4_107_542_399, [2100, 2, 28, 23, 59, 59]),
            (4_107_542_400, [2100, 3, 1, 0, 0, 0]),
            (253_402_300_799, [9999, 12, 31, 23, 59, 59]),
            (-62_167_219_200, [0, 1, 1, 0, 0, 0]),
        ] {
            assert_eq!(Civil::of(seconds), civil(parts), "{seconds}");
            assert_eq!(civil(parts).seconds(), Some(seconds), "{parts:?}");
        }
        for none in
            [[2100, 2, 29, 0, 0, 0], [2000, 13, 1, 0, 0, 0], [2000, 0, 1, 0, 0, 0], [2000, 1, 1, 24, 0, 0]]
        {
            assert_eq!(civil(none).seconds(), None, "{none:?}");
        }
        Civil::of(i64::MAX);
        Civil::of(i64::MIN);
    }

    proptest! {
        #[test]
        fn it_is_as_jiff_has_it(seconds in -62_167_219_200_i64..=253_402_207_200) {
            let civil = Civil::of(seconds);
            let Civil { year, month, day, hour, minute, second } = civil;
            let text = jiff::Timestamp::from_second(seconds).unwrap().to_string();
            prop_assert_eq!(format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z"), text);
            prop_assert_eq!(civil.seconds(), Some(seconds));
        }
    }
}
