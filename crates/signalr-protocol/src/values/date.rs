//! ISO 8601 text of the years 0001 to 9999, as System.Text.Json writes and reads it.
//!
//! Owns calendar arithmetic and nothing else. Times are seconds and nanoseconds since 1970; the clock is never read.

use std::fmt;

/// Writes `2017-04-11T10:20:30.1234567` without a zone; the fraction has as many digits as it needs. Nothing outside
/// the years 0001 to 9999.
pub(super) fn write(out: &mut impl fmt::Write, seconds: i64, nanos: u32) -> fmt::Result {
    if !(MIN_SECONDS..=MAX_SECONDS).contains(&seconds) {
        return Err(fmt::Error);
    }
    let (year, month, day) = civil(seconds.div_euclid(DAY));
    let clock = seconds.rem_euclid(DAY);
    let (hour, minute, second) = (clock / 3600, clock / 60 % 60, clock % 60);
    write!(out, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")?;
    fraction(out, nanos)
}

fn fraction(out: &mut impl fmt::Write, nanos: u32) -> fmt::Result {
    if nanos == 0 {
        return Ok(());
    }
    let digits = format!("{nanos:09}");
    write!(out, ".{}", digits.trim_end_matches('0'))
}

/// A read date: local clock as if it were UTC, and the zone's minutes if there is a zone.
pub(super) struct Read {
    pub(super) seconds: i64,
    pub(super) nanos: u32,
    pub(super) offset: Option<i16>,
}

/// Reads a date, or a date and a time, with or without fraction and zone.
pub(super) fn read(text: &str) -> Option<Read> {
    let mut rest = text.as_bytes();
    let year = number(&mut rest, 4)?;
    literal(&mut rest, b'-')?;
    let month = number(&mut rest, 2)?;
    literal(&mut rest, b'-')?;
    let day = number(&mut rest, 2)?;
    if year < 1 || !(1..=12).contains(&month) || day < 1 || day > days_in(year, month) {
        return None;
    }
    let midnight = days(year, month, day) * DAY;
    if rest.is_empty() {
        return Some(Read { seconds: midnight, nanos: 0, offset: None });
    }
    literal(&mut rest, b'T')?;
    let hour = number(&mut rest, 2)?;
    literal(&mut rest, b':')?;
    let minute = number(&mut rest, 2)?;
    let mut second = 0;
    let mut nanos = 0;
    if rest.first() == Some(&b':') {
        rest = &rest[1..];
        second = number(&mut rest, 2)?;
        nanos = read_fraction(&mut rest)?;
    }
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let offset = read_zone(rest)?;
    Some(Read { seconds: midnight + hour * 3600 + minute * 60 + second, nanos, offset })
}

fn read_fraction(rest: &mut &[u8]) -> Option<u32> {
    if rest.first() != Some(&b'.') {
        return Some(0);
    }
    let digits = rest[1..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    if digits == 0 || digits > 16 {
        return None;
    }
    let nanos = (1..=9).fold(0, |sum, at| {
        let digit = rest.get(at).filter(|_| at <= digits).map_or(0, |byte| u32::from(byte - b'0'));
        sum * 10 + digit
    });
    *rest = &rest[1 + digits..];
    Some(nanos)
}

fn read_zone(mut rest: &[u8]) -> Option<Option<i16>> {
    let sign = match rest {
        [] => return Some(None),
        b"Z" => return Some(Some(0)),
        [b'+', ..] => 1,
        [b'-', ..] => -1,
        _ => return None,
    };
    rest = &rest[1..];
    let hours = number(&mut rest, 2)?;
    literal(&mut rest, b':')?;
    let minutes = number(&mut rest, 2)?;
    if !rest.is_empty() || minutes > 59 || hours * 60 + minutes > MAX_OFFSET {
        return None;
    }
    i16::try_from(sign * (hours * 60 + minutes)).ok().map(Some)
}

fn number(rest: &mut &[u8], digits: usize) -> Option<i64> {
    let (head, tail) = rest.split_at_checked(digits)?;
    *rest = tail;
    head.iter().try_fold(0, |sum, byte| byte.is_ascii_digit().then(|| sum * 10 + i64::from(byte - b'0')))
}

fn literal(rest: &mut &[u8], expected: u8) -> Option<()> {
    let (first, tail) = rest.split_first()?;
    *rest = tail;
    (*first == expected).then_some(())
}

/// Days since 1970-01-01 of a date of the Gregorian calendar. Years begin in March here, so that the leap day is
/// the last day of a year.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let month = (month + 9) % 12;
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    year * 365 + leap_days + (month * 153 + 2) / 5 + day - 1 - DAYS_TO_1970
}

/// The date of a day counted from 1970-01-01; the inverse of [`days`].
fn civil(day: i64) -> (i64, i64, i64) {
    let day = day + DAYS_TO_1970;
    let era = day.div_euclid(146_097);
    let of_era = day.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let month = (from_march + 2) % 12 + 1;
    (era * 400 + year_of_era + i64::from(month <= 2), month, of_year - (153 * from_march + 2) / 5 + 1)
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

/// The first second of the year 0001.
pub(super) const MIN_SECONDS: i64 = -62_135_596_800;
/// The last second of the year 9999.
pub(super) const MAX_SECONDS: i64 = 253_402_300_799;
/// .NET's largest offset: fourteen hours.
pub(super) const MAX_OFFSET: i64 = 14 * 60;
const DAY: i64 = 86_400;
/// From 1 March of the year 0 to 1 January 1970.
const DAYS_TO_1970: i64 = 719_468;

#[cfg(test)]
mod tests {
    use super::*;

    fn text(seconds: i64) -> String {
        let mut out = String::new();
        write(&mut out, seconds, 0).expect("in range");
        out
    }

    #[test]
    fn known_days() {
        assert_eq!(text(0), "1970-01-01T00:00:00");
        assert_eq!(text(-1), "1969-12-31T23:59:59");
        assert_eq!(text(951_782_400), "2000-02-29T00:00:00");
        assert_eq!(text(MIN_SECONDS), "0001-01-01T00:00:00");
        assert_eq!(text(MAX_SECONDS), "9999-12-31T23:59:59");
        assert!(write(&mut String::new(), MAX_SECONDS + 1, 0).is_err());
    }

    #[test]
    fn every_day_comes_back() {
        for day in (MIN_SECONDS / DAY..MAX_SECONDS / DAY).step_by(97) {
            let written = text(day * DAY + 3_723);
            assert_eq!(read(&written).expect("reads").seconds, day * DAY + 3_723, "{written}");
        }
    }

    #[test]
    fn what_is_no_date_is_refused() {
        for bad in [
            "",
            "2017",
            "2017-13-01",
            "2017-02-29",
            "2017-04-11T",
            "2017-04-11T24:00:00",
            "2017-04-11 10:00:00",
            "2017-04-11T10:00:00.",
            "2017-04-11T10:00:00+15:00",
            "2017-04-11T10:00:00z",
            "11.04.2017",
            "2017-04-11T10:00:00Zx",
            "0000-01-01",
            "２017-01-01",
        ] {
            assert!(read(bad).is_none(), "{bad}");
        }
    }
}
