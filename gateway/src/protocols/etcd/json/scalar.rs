//! One JSON value that is neither an object nor an array, as the value of a field.
//!
//! Numbers may be strings, names of enums may be numbers, and bytes may be in either alphabet of base64, with and
//! without padding. An enum's unknown name is as if the field were not there.

use std::borrow::Cow;

use base64::Engine as _;
use base64::alphabet::{self, Alphabet};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;
use prost_reflect::{EnumDescriptor, Kind, Value};

use super::integer;

/// What a value was read as.
pub(super) enum Scalar {
    Value(Value),
    /// As if the field were not there.
    Ignored,
    /// Not of the field's type.
    Invalid,
}

/// Reads a value by its text.
pub(super) fn read(kind: &Kind, text: &str) -> Scalar {
    let value = match kind {
        Kind::Bool => text.parse().ok().map(Value::Bool),
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => number(text).and_then(|text| text.parse().ok()).map(Value::I32),
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => number(text).and_then(|text| text.parse().ok()).map(Value::I64),
        Kind::Uint32 | Kind::Fixed32 => number(text).and_then(|text| text.parse().ok()).map(Value::U32),
        Kind::Uint64 | Kind::Fixed64 => number(text).and_then(|text| text.parse().ok()).map(Value::U64),
        Kind::String => string(text).map(|text| Value::String(text.into_owned())),
        Kind::Bytes => string(text).and_then(|text| bytes(&text)).map(Value::Bytes),
        Kind::Enum(descriptor) => return enumeration(descriptor, text),
        // No request of etcd's has such a field; messages are no scalars.
        Kind::Float | Kind::Double | Kind::Message(_) => None,
    };
    value.map_or(Scalar::Invalid, Scalar::Value)
}

fn string(text: &str) -> Option<Cow<'_, str>> {
    if !text.starts_with('"') {
        return None;
    }
    let plain = text.get(1..text.len() - 1).filter(|plain| !plain.contains('\\'));
    plain.map(Cow::Borrowed).or_else(|| serde_json::from_str(text).ok().map(Cow::Owned))
}

/// The normalised integer that a number or a string is.
fn number(text: &str) -> Option<String> {
    match string(text) {
        Some(string) if string.trim().len() == string.len() => integer::whole(integer::leading(&string)),
        Some(_) => None,
        None => integer::whole(text),
    }
}

fn enumeration(descriptor: &EnumDescriptor, text: &str) -> Scalar {
    let number = match string(text) {
        Some(name) => match descriptor.get_value_by_name(&name) {
            Some(value) => Some(value.number()),
            None => return Scalar::Ignored,
        },
        None => integer::whole(text).and_then(|text| text.parse().ok()),
    };
    number.map_or(Scalar::Invalid, |number| Scalar::Value(Value::EnumNumber(number)))
}

/// Padding is wanted where the length says so, line breaks are skipped, and spare bits do not matter.
fn bytes(text: &str) -> Option<Bytes> {
    let alphabet = if text.contains(['-', '_']) { &alphabet::URL_SAFE } else { &alphabet::STANDARD };
    let padding =
        if text.len().is_multiple_of(4) { DecodePaddingMode::RequireCanonical } else { DecodePaddingMode::RequireNone };
    let decoded = if text.contains(['\r', '\n']) {
        engine(alphabet, padding).decode(text.replace(['\r', '\n'], ""))
    } else {
        engine(alphabet, padding).decode(text)
    };
    decoded.ok().map(Bytes::from)
}

const fn engine(alphabet: &Alphabet, padding: DecodePaddingMode) -> GeneralPurpose {
    let config = GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true).with_decode_padding_mode(padding);
    GeneralPurpose::new(alphabet, config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_comes_in_two_alphabets_and_with_or_without_padding() {
        for text in ["/+8=", "_-8=", "/+8", "_-8", "/+9"] {
            assert_eq!(bytes(text).as_deref(), Some(&b"\xff\xef"[..]), "{text}");
        }
        assert_eq!(bytes("Zm\n9v").as_deref(), Some(&b"foo"[..]));
        for text in ["_/8=", "Z", "!!", "Zm=", "Zm9v=", " Zm8"] {
            assert_eq!(bytes(text), None, "{text}");
        }
    }
}
