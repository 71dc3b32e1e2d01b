//! Dates and times of tables as text, in the form of ISO 8601 that Python's `isoformat` gives.

use crate::flaw::{Said, damaged};

const SECONDS_A_DAY: i64 = 86_400;

/// `YYYY-MM-DD`, from days since 1970-01-01.
///
/// # Errors
/// A year that is not of four digits.
pub fn date(days: i64) -> Said<String> {
    // Python's dates, and four digits, end here.
    const FIRST: i64 = -719_162;
    const LAST: i64 = 2_932_896;
    if !(FIRST..=LAST).contains(&days) {
        return Err(damaged(format!("a date {days} days from 1970, outside of the years 1 to 9999")));
    }
    // Days since 0000-03-01: years begin in March, so that a leap day is the last of its year; 400 years repeat.
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day = shifted.rem_euclid(146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let of_month = day - (153 * month + 2) / 5 + 1;
    let (year, month) = if month < 10 { (year, month + 3) } else { (year + 1, month - 9) };
    Ok(format!("{:04}-{month:02}-{of_month:02}", year + era * 400))
}

/// `YYYY-MM-DDTHH:MM:SS`, then the fraction if there is one, from units since 1970 of which `per_second` make a second.
///
/// # Errors
/// A year that is not of four digits.
pub fn timestamp(units: i64, per_second: i64) -> Said<String> {
    let seconds = units.div_euclid(per_second);
    let fraction = units.rem_euclid(per_second);
    let day = date(seconds.div_euclid(SECONDS_A_DAY))?;
    let of_day = seconds.rem_euclid(SECONDS_A_DAY);
    let clock = format!("{:02}:{:02}:{:02}", of_day / 3_600, of_day / 60 % 60, of_day % 60);
    Ok(match (fraction, per_second) {
        (0, _) => format!("{day}T{clock}"),
        (_, 1_000) => format!("{day}T{clock}.{:06}", fraction * 1_000),
        (_, 1_000_000) => format!("{day}T{clock}.{fraction:06}"),
        _ => format!("{day}T{clock}.{fraction:09}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_the_calendar() {
        for (days, wanted) in [
            (0, "1970-01-01"),
            (-1, "1969-12-31"),
            (59, "1970-03-01"),
            (11_016, "2000-02-29"),
            (11_017, "2000-03-01"),
            (19_782, "2024-02-29"),
            (47_540, "2100-02-28"),
            (47_541, "2100-03-01"),
            (-719_162, "0001-01-01"),
            (2_932_896, "9999-12-31"),
        ] {
            assert_eq!(date(days).unwrap(), wanted, "{days}");
        }
        assert!(date(-719_163).is_err() && date(2_932_897).is_err() && date(i64::MIN).is_err());
    }

    #[test]
    fn shows_fractions_only_where_there_are_some() {
        for (units, per_second, wanted) in [
            (0, 1, "1970-01-01T00:00:00"),
            (-1, 1_000, "1969-12-31T23:59:59.999000"),
            (1_600_000_000_123_456, 1_000_000, "2020-09-13T12:26:40.123456"),
            (1_600_000_000_000_000_001, 1_000_000_000, "2020-09-13T12:26:40.000000001"),
        ] {
            assert_eq!(timestamp(units, per_second).unwrap(), wanted);
        }
        assert!(timestamp(i64::MAX, 1).is_err());
    }
}
