//! Time as seconds, and its two texts: RFC 3339 here, RFC 5280 in DER.

use minicbor::{Decode, Encode};

/// Seconds since 1970-01-01T00:00:00Z. Where it is written as text or DER it stays inside the years 0000 to 9999.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(transparent)]
pub struct UnixTime(#[n(0)] pub i64);

/// 0000-01-01T00:00:00Z
const FIRST: i64 = -62_167_219_200;
/// 9999-12-31T23:59:59Z
const LAST: i64 = 253_402_300_799;
const DAY_SECS: i64 = 86_400;
/// Date, `T`, time, nine digits of fraction, and an offset, with room to spare.
const RFC3339_BYTES_MAX: usize = 48;

/// A text is not a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TimeError {
    /// Not the form or not a date that exists.
    #[error("the time is not an RFC 3339 date and time such as 2026-01-31T12:00:00Z")]
    Malformed,
}

impl UnixTime {
    /// The time `secs` seconds later, or the last one there is.
    #[must_use]
    pub fn plus(self, secs: u64) -> Self {
        Self(self.0.saturating_add_unsigned(secs))
    }

    /// The time `secs` seconds earlier, or the first one there is.
    #[must_use]
    pub fn minus(self, secs: u64) -> Self {
        Self(self.0.saturating_sub_unsigned(secs))
    }

    /// Seconds from here until `later`; negative when that is in the past.
    #[must_use]
    pub fn seconds_until(self, later: Self) -> i64 {
        later.0.saturating_sub(self.0)
    }

    /// The time as RFC 3339 in UTC with whole seconds: `2026-01-31T12:00:00Z`.
    #[must_use]
    pub fn to_rfc3339(self) -> String {
        let Civil {
            year,
            month,
            day,
            hour,
            minute,
            second,
        } = self.civil();
        format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
    }

    /// Reads RFC 3339 §5.6 with any offset. A fraction of a second is dropped; a leap second is refused.
    ///
    /// # Errors
    /// [`TimeError::Malformed`].
    pub fn parse_rfc3339(text: &str) -> Result<Self, TimeError> {
        if text.len() > RFC3339_BYTES_MAX {
            return Err(TimeError::Malformed);
        }
        read_rfc3339(text.as_bytes()).ok_or(TimeError::Malformed)
    }

    /// The calendar's view; a time outside the years 0000 to 9999 becomes the nearest one inside.
    #[expect(
        clippy::arithmetic_side_effects,
        reason = "the clamp keeps every number far from the ends of i64"
    )]
    pub(crate) fn civil(self) -> Civil {
        let secs = self.0.clamp(FIRST, LAST);
        let (days, of_day) = (secs.div_euclid(DAY_SECS), secs.rem_euclid(DAY_SECS));
        // The year is counted from 1 March, so that the leap day is the last of its year. Day 0 is 0000-03-01,
        // 400 years ahead of need so that no number is negative.
        let day = days + 719_468 + DAYS_IN_400_YEARS;
        let (era, of_era) = (day / DAYS_IN_400_YEARS, day % DAYS_IN_400_YEARS);
        let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_from_march = (5 * of_year + 2) / 153;
        let day_of_month = of_year - (153 * month_from_march + 2) / 5 + 1;
        let month = if month_from_march < 10 {
            month_from_march + 3
        } else {
            month_from_march - 9
        };
        let year = era * 400 - 400 + year_of_era + i64::from(month <= 2);
        let small = |number: i64| u8::try_from(number).expect("days, hours and so on are below 60");
        Civil {
            year: u16::try_from(year).expect("the clamp leaves the years 0 to 9999"),
            month: small(month),
            day: small(day_of_month),
            hour: small(of_day / 3_600),
            minute: small(of_day / 60 % 60),
            second: small(of_day % 60),
        }
    }
}

const DAYS_IN_400_YEARS: i64 = 146_097;

/// A date and time of the proleptic Gregorian calendar, in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Civil {
    pub(crate) year: u16,
    pub(crate) month: u8,
    pub(crate) day: u8,
    pub(crate) hour: u8,
    pub(crate) minute: u8,
    pub(crate) second: u8,
}

impl Civil {
    /// The time, if the year is at most 9999 and there is such a day, hour, minute and second.
    #[expect(
        clippy::arithmetic_side_effects,
        reason = "every number is checked to be small first"
    )]
    pub(crate) fn to_unix(self) -> Option<UnixTime> {
        let Self {
            year,
            month,
            day,
            hour,
            minute,
            second,
        } = self;
        let real = year <= 9999
            && (1..=12).contains(&month)
            && (1..=days_in_month(year, month)).contains(&day)
            && hour < 24
            && minute < 60
            && second < 60;
        if !real {
            return None;
        }
        let (year, month) = (i64::from(year), i64::from(month));
        let year_from_march = year + 400 - i64::from(month <= 2);
        let (era, year_of_era) = (year_from_march / 400, year_from_march % 400);
        let month_from_march = if month > 2 { month - 3 } else { month + 9 };
        let of_year = (153 * month_from_march + 2) / 5 + i64::from(day) - 1;
        let of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + of_year;
        let days = (era - 1) * DAYS_IN_400_YEARS + of_era - 719_468;
        let of_day = i64::from(hour) * 3_600 + i64::from(minute) * 60 + i64::from(second);
        Some(UnixTime(days * DAY_SECS + of_day))
    }
}

fn days_in_month(year: u16, month: u8) -> u8 {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => 31,
    }
}

fn read_rfc3339(text: &[u8]) -> Option<UnixTime> {
    let (date_time, rest) = text.split_at_checked(19)?;
    let [
        y,
        e,
        a,
        r,
        b'-',
        mo,
        n,
        b'-',
        d,
        f,
        b'T' | b't',
        h,
        o,
        b':',
        mi,
        p,
        b':',
        s,
        t,
    ] = date_time
    else {
        return None;
    };
    let century = number(*y, *e)?;
    let year = u16::from(century)
        .checked_mul(100)?
        .checked_add(u16::from(number(*a, *r)?))?;
    let local = Civil {
        year,
        month: number(*mo, *n)?,
        day: number(*d, *f)?,
        hour: number(*h, *o)?,
        minute: number(*mi, *p)?,
        second: number(*s, *t)?,
    };
    let zone = match rest {
        [b'.', fraction @ ..] => {
            let digits = fraction
                .iter()
                .take_while(|byte| byte.is_ascii_digit())
                .count();
            if digits == 0 {
                return None;
            }
            fraction.get(digits..)?
        }
        whole => whole,
    };
    let local = local.to_unix()?;
    match zone {
        b"Z" | b"z" => Some(local),
        [b'+', offset @ ..] => Some(local.minus(offset_secs(offset)?)),
        [b'-', offset @ ..] => Some(local.plus(offset_secs(offset)?)),
        _ => None,
    }
}

fn offset_secs(offset: &[u8]) -> Option<u64> {
    let [h, o, b':', m, p] = offset else {
        return None;
    };
    let (hours, minutes) = (number(*h, *o)?, number(*m, *p)?);
    if hours > 23 || minutes > 59 {
        return None;
    }
    u64::from(hours)
        .checked_mul(3_600)?
        .checked_add(u64::from(minutes).checked_mul(60)?)
}

/// The value of two decimal digits.
fn number(tens: u8, ones: u8) -> Option<u8> {
    let digit = |byte: u8| byte.is_ascii_digit().then_some(byte & 0x0f);
    digit(tens)?.checked_mul(10)?.checked_add(digit(ones)?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(text: &str, expected: Result<i64, TimeError>) {
        assert_eq!(
            UnixTime::parse_rfc3339(text),
            expected.map(UnixTime),
            "{text}"
        );
    }

    #[test]
    fn known_dates_have_their_known_seconds() {
        check("1970-01-01T00:00:00Z", Ok(0));
        check("2020-01-01T00:00:00Z", Ok(1_577_836_800));
        check("2000-02-29T23:59:59Z", Ok(951_868_799));
        check("1969-12-31T23:59:59Z", Ok(-1));
        check("0000-01-01T00:00:00Z", Ok(FIRST));
        check("9999-12-31T23:59:59Z", Ok(LAST));
    }

    #[test]
    fn offsets_and_fractions_are_understood() {
        check("1970-01-01t01:30:00+01:30", Ok(0));
        check("1969-12-31T19:00:00.999999999-05:00", Ok(0));
        check("1970-01-01T00:00:00-00:00", Ok(0));
    }

    #[test]
    fn texts_that_are_no_time_are_refused() {
        for text in [
            "",
            "1970-01-01",
            "1970-01-01T00:00:00",
            "1970-01-01 00:00:00Z",
            "1970-1-01T00:00:00Z",
            "1970-13-01T00:00:00Z",
            "1970-00-01T00:00:00Z",
            "1970-02-29T00:00:00Z",
            "1900-02-29T00:00:00Z",
            "1970-04-31T00:00:00Z",
            "1970-01-01T24:00:00Z",
            "1970-01-01T00:60:00Z",
            "2016-12-31T23:59:60Z",
            "1970-01-01T00:00:00.Z",
            "1970-01-01T00:00:00+24:00",
            "1970-01-01T00:00:00+0100",
            "1970-01-01T00:00:00Zx",
            "+970-01-01T00:00:00Z",
            "１970-01-01T00:00:00Z",
            "1970-01-01T00:00:00.000000000000000000000000000000000Z",
        ] {
            check(text, Err(TimeError::Malformed));
        }
    }

    #[test]
    fn times_beyond_the_calendar_are_written_as_its_ends() {
        assert_eq!(UnixTime(i64::MIN).to_rfc3339(), "0000-01-01T00:00:00Z");
        assert_eq!(UnixTime(i64::MAX).to_rfc3339(), "9999-12-31T23:59:59Z");
        assert_eq!(UnixTime(i64::MAX).plus(1), UnixTime(i64::MAX));
        assert_eq!(UnixTime(i64::MIN).minus(u64::MAX), UnixTime(i64::MIN));
    }

    #[test]
    fn differences_have_a_sign() {
        assert_eq!(UnixTime(10).seconds_until(UnixTime(15)), 5);
        assert_eq!(UnixTime(15).seconds_until(UnixTime(10)), -5);
        assert_eq!(
            UnixTime(i64::MIN).seconds_until(UnixTime(i64::MAX)),
            i64::MAX
        );
    }

    proptest! {
        #[test]
        fn every_time_of_the_calendar_comes_back(secs in FIRST..=LAST) {
            let time = UnixTime(secs);
            prop_assert_eq!(time.civil().to_unix(), Some(time));
            prop_assert_eq!(UnixTime::parse_rfc3339(&time.to_rfc3339()), Ok(time));
            let stored = minicbor::to_vec(time).expect("encodes");
            prop_assert_eq!(minicbor::decode::<UnixTime>(&stored).expect("decodes"), time);
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,60}") {
            let _ = UnixTime::parse_rfc3339(&text);
        }

        #[test]
        fn text_of_the_right_shape_never_panics(text in "[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}(Z|[+-][0-9]{2}:[0-9]{2})") {
            let _ = UnixTime::parse_rfc3339(&text);
        }
    }
}
