//! Integers as the JSON form of protobuf knows them: any number whose value is whole, however it is written.
//!
//! ```text
//!  1e2  1.50e1  10e-1 ─► digits and a decimal point ─► 100  15  1      0.5  1e30 ─► none
//! ```
//!
//! Invariant: no detour by floating point, which would lose digits.

/// Digits of the longest 64-bit number; more zeros need not be written out to know that they do not fit.
const DIGITS_MAX: usize = 20;

/// The integer that a JSON number is, normalised: a sign and digits. `None` for fractions and what is no number.
pub(super) fn whole(number: &str) -> Option<String> {
    let (sign, rest) = number.strip_prefix('-').map_or(("", number), |rest| ("-", rest));
    let (integer, rest) = digits(rest);
    if integer.is_empty() || (integer.len() > 1 && integer.starts_with('0')) {
        return None;
    }
    let (fraction, rest) = match rest.strip_prefix('.') {
        Some(rest) => Some(digits(rest)).filter(|(fraction, _)| !fraction.is_empty())?,
        None => ("", rest),
    };
    let exponent = match rest.strip_prefix(['e', 'E']) {
        Some(text) if text.ends_with(|last: char| last.is_ascii_digit()) => text.parse::<i32>().ok()?,
        None if rest.is_empty() => 0,
        _ => return None,
    };
    let (integer, fraction) = (integer.trim_start_matches('0'), fraction.trim_end_matches('0'));
    if integer.is_empty() && fraction.is_empty() {
        return Some("0".to_owned());
    }
    let digits = shift(integer, fraction, exponent)?;
    Some(format!("{sign}{digits}"))
}

/// The digits with the decimal point moved by `exponent`; `None` if some are left behind it.
fn shift(integer: &str, fraction: &str, exponent: i32) -> Option<String> {
    let places = usize::try_from(exponent.unsigned_abs()).ok()?;
    if exponent < 0 {
        let point = integer.len().checked_sub(places)?;
        let (kept, dropped) = integer.split_at(point);
        return (fraction.is_empty() && dropped.bytes().all(|digit| digit == b'0')).then(|| kept.to_owned());
    }
    if fraction.len() > places || integer.len() + places > DIGITS_MAX {
        return None;
    }
    let zeros = "0".repeat(places - fraction.len());
    Some(format!("{integer}{fraction}{zeros}"))
}

/// The number at the beginning of a string. What follows it does not matter, unless it could belong to a number.
pub(super) fn leading(text: &str) -> &str {
    let belongs = |character: char| character.is_ascii_alphanumeric() || "-+._".contains(character);
    let end = text.find(|character| !belongs(character)).unwrap_or(text.len());
    text.split_at(end).0
}

fn digits(text: &str) -> (&str, &str) {
    let end = text.find(|character: char| !character.is_ascii_digit()).unwrap_or(text.len());
    text.split_at(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_have_many_spellings() {
        let spellings = [
            ("0", "0"),
            ("-0", "0"),
            ("0.0e5", "0"),
            ("1e2", "100"),
            ("1E+2", "100"),
            ("1.50e1", "15"),
            ("0.1e1", "1"),
            ("10e-1", "1"),
            ("-1.0", "-1"),
            ("9.223372036854775807e18", "9223372036854775807"),
        ];
        for (number, expected) in spellings {
            assert_eq!(whole(number).as_deref(), Some(expected), "{number}");
        }
    }

    #[test]
    fn fractions_and_other_texts_are_none() {
        for text in ["", "-", "+1", "01", "1.", ".5", "1e", "1e+", "1.5", "1e-1", "15e-1", "1e30", "1e99999999999", "x"]
        {
            assert_eq!(whole(text), None, "{text}");
        }
    }

    #[test]
    fn a_string_may_go_on_after_its_number() {
        for (text, number) in [("1 foo", "1"), ("1,2", "1"), ("1a", "1a"), ("1e2", "1e2"), ("\"1\"", "")] {
            assert_eq!(leading(text), number);
        }
    }
}
