//! Go's way to write a duration: `300ms`, `1h30m`, `1.5s`, `0`.
//!
//! Invariant: negative durations, which no option allows, are not read.

use std::time::Duration;

const UNITS: &[(&str, f64)] = &[
    // Longest suffix first where one ends in the other.
    ("ns", 1.0),
    ("us", 1e3),
    ("µs", 1e3),
    ("μs", 1e3),
    ("ms", 1e6),
    ("s", 1e9),
    ("m", 60e9),
    ("h", 3600e9),
];

/// Reads a duration.
pub fn parse(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest.is_empty() {
        return None;
    }
    let mut nanoseconds = 0.0;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..end].parse().ok()?;
        rest = &rest[end..];
        let end = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
        let (_, unit) = UNITS.iter().find(|(name, _)| *name == &rest[..end])?;
        nanoseconds += number * unit;
        rest = &rest[end..];
    }
    // Go counts nanoseconds in 63 bits.
    let bounded = nanoseconds < i64::MAX as f64;
    bounded.then(|| Duration::from_nanos(nanoseconds.round() as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn go_durations() {
        for (text, millis) in [
            ("0", Some(0)),
            ("0s", Some(0)),
            ("300ms", Some(300)),
            ("1.5s", Some(1_500)),
            ("1h30m", Some(5_400_000)),
            ("2h", Some(7_200_000)),
            ("+5s", Some(5_000)),
            ("1000us", Some(1)),
            ("5", None),
            ("5q", None),
            ("", None),
            ("-5s", None),
            ("s", None),
            ("9999999999999h", None),
        ] {
            assert_eq!(parse(text), millis.map(Duration::from_millis), "{text}");
        }
    }
}
