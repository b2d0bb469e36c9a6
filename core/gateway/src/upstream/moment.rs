//! When a provider says that it may be asked again: as a span of time, or as a moment. A moment is measured from the
//! reply's own `Date`, so that nobody's clock has to be right.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A longer wait is none that anybody means.
const LONGEST_MS: f64 = 86_400_000.0;
/// From here on a bare number is seconds since 1970, and from there on milliseconds.
const SECONDS_SINCE: f64 = 1e9;
const MILLIS_SINCE: f64 = 1e12;
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// How long to wait by `retry-after-ms` or `retry-after`, which is a number of seconds or a date.
pub fn retry_after_ms<'h>(header: impl Fn(&'static str) -> Option<&'h str>) -> Option<u32> {
    if let Some(ms) = header("retry-after-ms").and_then(|text| text.trim().parse::<f64>().ok()) {
        return millis(ms);
    }
    let text = header("retry-after")?.trim();
    match text.parse::<f64>() {
        Ok(seconds) => millis(seconds * 1000.0),
        Err(_) => until(moment(text)?, &header),
    }
}

/// How long until a limit is full again, as rate-limit headers say it: `1s`, `6m0s`, `20ms`; a date; seconds; seconds or
/// milliseconds since 1970. `None`: it is full already, or that is no time.
pub fn reset_ms<'h>(text: &str, header: impl Fn(&'static str) -> Option<&'h str>) -> Option<u32> {
    let text = text.trim();
    let since = |seconds: f64| {
        let span = Duration::try_from_secs_f64(seconds).ok()?;
        until(UNIX_EPOCH.checked_add(span)?, &header)
    };
    let ms = match text.parse::<f64>() {
        Ok(ms) if ms >= MILLIS_SINCE => since(ms / 1000.0),
        Ok(seconds) if seconds >= SECONDS_SINCE => since(seconds),
        Ok(seconds) => millis(seconds * 1000.0),
        Err(_) => match moment(text) {
            Some(at) => until(at, &header),
            None => span(text),
        },
    };
    ms.filter(|ms| *ms > 0)
}

/// From the reply's own date, or from now if it has none, to a moment; nothing if that is past: then a clock is wrong, and
/// whoever waits waits as long as if nothing had been said.
fn until<'h>(at: SystemTime, header: impl Fn(&'static str) -> Option<&'h str>) -> Option<u32> {
    let now = header("date").and_then(|text| moment(text.trim())).unwrap_or_else(SystemTime::now);
    millis(at.duration_since(now).ok()?.as_secs_f64() * 1000.0)
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range is checked first")]
fn millis(ms: f64) -> Option<u32> {
    (ms.is_finite() && (0.0..=LONGEST_MS).contains(&ms)).then_some(ms as u32)
}

/// Go's way to write a span of time.
fn span(text: &str) -> Option<u32> {
    let mut ms = 0.0;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, after) = rest.split_at(digits);
        let unit = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, after) = after.split_at(unit);
        ms += number.parse::<f64>().ok()?
            * match unit {
                "ms" => 1.0,
                "s" | "" => 1_000.0,
                "m" => 60_000.0,
                "h" => 3_600_000.0,
                _ => return None,
            };
        rest = after;
    }
    millis(ms)
}

/// A date of HTTP (`Sun, 06 Nov 1994 08:49:37 GMT`, the one form that is still written) or of RFC 3339.
fn moment(text: &str) -> Option<SystemTime> {
    if text.as_bytes().first()?.is_ascii_digit() { rfc3339(text) } else { http_date(text) }
}

fn http_date(text: &str) -> Option<SystemTime> {
    let (_, rest) = text.split_once(", ")?;
    let mut words = rest.split(' ');
    let mut next = || words.next();
    let (day, month, year, time, zone) = (next()?, next()?, next()?, next()?, next()?);
    let month = MONTHS.iter().position(|name| *name == month)? + 1;
    if zone != "GMT" || words.next().is_some() {
        return None;
    }
    let date = (digits(year, 4)?, u32::try_from(month).ok()?, digits(day, 2)?);
    instant(date, clock(time)?, 0)
}

fn rfc3339(text: &str) -> Option<SystemTime> {
    let date = (digits(text.get(..4)?, 4)?, digits(text.get(5..7)?, 2)?, digits(text.get(8..10)?, 2)?);
    let marks = (text.get(4..5)?, text.get(7..8)?, text.get(10..11)?);
    if !matches!(marks, ("-", "-", "T" | "t" | " ")) {
        return None;
    }
    let time = clock(text.get(11..19)?)?;
    let rest = text.get(19..)?;
    let fraction =
        rest.strip_prefix('.').map_or(0, |digits| digits.bytes().take_while(u8::is_ascii_digit).count());
    // Less than a second of patience more: the fraction is left out, its end is looked for.
    let zone = if rest.starts_with('.') && fraction > 0 { rest.get(1 + fraction..)? } else { rest };
    instant(date, time, offset(zone)?)
}

/// `Z`, or hours and minutes east of Greenwich; in seconds.
fn offset(zone: &str) -> Option<i64> {
    if matches!(zone, "Z" | "z") {
        return Some(0);
    }
    let sign = match zone.get(..1)? {
        "+" => 1,
        "-" => -1,
        _ => return None,
    };
    let (hours, minutes) = zone.get(1..)?.split_once(':')?;
    let (hours, minutes) = (digits(hours, 2)?, digits(minutes, 2)?);
    (hours < 24 && minutes < 60).then(|| sign * i64::from(hours * 3600 + minutes * 60))
}

/// `hh:mm:ss` as seconds; a leap second is the one before it.
fn clock(text: &str) -> Option<u32> {
    let mut parts = text.split(':').map(|part| digits(part, 2));
    let (hours, minutes, seconds) = (parts.next()??, parts.next()??, parts.next()??);
    let sound = hours < 24 && minutes < 60 && seconds <= 60 && parts.next().is_none();
    sound.then(|| hours * 3600 + minutes * 60 + seconds.min(59))
}

/// A number of exactly so many digits.
fn digits(text: &str, count: usize) -> Option<u32> {
    let plain = text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| text.parse().ok()).flatten()
}

/// Year, month and day with seconds of the day and of the offset; none before 1970.
fn instant((year, month, day): (u32, u32, u32), time: u32, offset: i64) -> Option<SystemTime> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let last = match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if !(1..=last).contains(&day) {
        return None;
    }
    // Howard Hinnant's `days_from_civil`.
    let y = i64::from(if month <= 2 { year.checked_sub(1)? } else { year });
    let (era, month) = (y / 400, i64::from(month));
    let doy = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + i64::from(day) - 1;
    let yoe = y - era * 400;
    let doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
    let seconds = (era * 146_097 + doe - 719_468) * 86_400 + i64::from(time) - offset;
    UNIX_EPOCH.checked_add(Duration::from_secs(u64::try_from(seconds).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: &str = "Sat, 28 Nov 2026 14:00:00 GMT";

    fn headers<'h>(list: &'h [(&'static str, &'h str)]) -> impl Fn(&'static str) -> Option<&'h str> {
        move |name| list.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
    }

    #[test]
    fn a_wait_is_said_in_many_ways() {
        for (name, value, ms) in [
            ("retry-after", "7", Some(7_000)),
            ("retry-after", " 0.5 ", Some(500)),
            ("retry-after-ms", "20.7", Some(20)),
            ("retry-after", "Sat, 28 Nov 2026 14:00:07 GMT", Some(7_000)),
            ("retry-after", "Sun, 29 Nov 2026 14:00:00 GMT", Some(86_400_000)),
            ("retry-after", "Sat, 28 Nov 2026 13:00:00 GMT", None),
            ("retry-after", "Sun, 29 Nov 2026 14:00:01 GMT", None),
            ("retry-after", "-1", None),
            ("retry-after", "NaN", None),
            ("retry-after", "tomorrow", None),
            ("retry-after", "Sat, 31 Nov 2026 14:00:07 GMT", None),
            ("retry-after", "Sat, 28 Nov 2026 14:00:07 CET", None),
        ] {
            assert_eq!(retry_after_ms(headers(&[(name, value), ("date", NOW)])), ms, "{name}: {value}");
        }
        assert_eq!(retry_after_ms(headers(&[])), None);
    }

    #[test]
    fn a_reset_is_a_span_or_a_moment() {
        for (text, ms) in [
            ("1s", 1_000),
            ("6m0s", 360_000),
            ("20ms", 20),
            ("1.5s", 1_500),
            ("7", 7_000),
            ("2026-11-28T14:00:30Z", 30_000),
            ("2026-11-28T15:00:30.123456+01:00", 30_000),
            ("2026-11-28 08:30:30-05:30", 30_000),
            ("1795874430", 30_000),
            ("1795874430000", 30_000),
        ] {
            assert_eq!(reset_ms(text, headers(&[("date", NOW)])), Some(ms), "{text}");
        }
        for bad in
            ["", "s", "1d", "-1s", "1e9h", "2026-11-28", "2026-13-28T00:00:00Z", "2026-11-28T14:00:30", "x"]
        {
            assert_eq!(reset_ms(bad, headers(&[("date", NOW)])), None, "{bad}");
        }
        assert_eq!(reset_ms("2026-11-28T13:59:59Z", headers(&[("date", NOW)])), None, "past");
        assert_eq!(
            reset_ms("2036-01-01T00:00:00Z", headers(&[("date", NOW)])),
            None,
            "nobody waits for that"
        );
    }

    #[test]
    fn without_a_date_of_its_own_the_clock_here_counts() {
        assert_eq!(retry_after_ms(headers(&[("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT")])), None);
        assert_eq!(retry_after_ms(headers(&[("retry-after", "Sun, 06 Nov 2094 08:49:37 GMT")])), None);
    }

    proptest! {
        #[test]
        fn no_text_is_too_odd_and_no_wait_longer_than_a_day(text in any::<String>(), date in any::<String>()) {
            let list = [("retry-after", text.as_str()), ("date", date.as_str())];
            prop_assert!(retry_after_ms(headers(&list)).is_none_or(|ms| ms <= 86_400_000));
            prop_assert!(reset_ms(&text, headers(&list)).is_none_or(|ms| ms <= 86_400_000));
        }

        #[test]
        fn any_second_is_read_back(seconds in 0u64..4_102_444_800, hours in 0i64..14) {
            let at = UNIX_EPOCH + Duration::from_secs(seconds);
            let shifted = seconds.cast_signed() + hours * 3600;
            // Days to a date, year by year: slow, and nobody's algorithm.
            let (mut days, mut year) = (shifted / 86_400, 1970);
            let length = |year: i64| if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) { 366 } else { 365 };
            while days >= length(year) {
                days -= length(year);
                year += 1;
            }
            let february = length(year) - 337;
            let mut month = 0;
            let months = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
            while days >= months[month] {
                days -= months[month];
                month += 1;
            }
            let (day, time) = (days + 1, shifted % 86_400);
            let clock = format!("{:02}:{:02}:{:02}", time / 3600, time / 60 % 60, time % 60);
            let text = format!("{year:04}-{:02}-{day:02}T{clock}+{hours:02}:00", month + 1);
            prop_assert_eq!(moment(&text), Some(at), "{}", text);
            if hours == 0 {
                let text = format!("Mon, {day:02} {} {year:04} {clock} GMT", MONTHS[month]);
                prop_assert_eq!(moment(&text), Some(at), "{}", text);
            }
        }
    }
}
