//! A message from JSON, by descriptor: what is accepted, and what is refused.
//!
//! ```text
//!  {"key":"Zm9v", "prevKv":true, "other":[…], "lease":null}      and what follows does not matter
//!    field by its  camel case     unknown:      as if it
//!    own name      is the same    ignored       were not there
//! ```
//!
//! Invariants: a known field is there once at most, whatever its spelling, and so is a oneof with a value; the depth is
//! bounded by the parser.

use std::fmt;

use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, ReflectMessage, Value};
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::scalar::{self, Scalar};

/// The message that the first value of a text is.
///
/// # Errors
/// When it is no object, or no such message.
pub(super) fn message(descriptor: &MessageDescriptor, text: &[u8]) -> Result<DynamicMessage, serde_json::Error> {
    Message(descriptor.clone()).deserialize(&mut serde_json::Deserializer::from_slice(text))
}

struct Message(MessageDescriptor);

impl<'text> DeserializeSeed<'text> for Message {
    type Value = DynamicMessage;

    fn deserialize<D: Deserializer<'text>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'text> Visitor<'text> for Message {
    type Value = DynamicMessage;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'text>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut message = DynamicMessage::new(self.0);
        let mut seen = Seen::default();
        while let Some(name) = map.next_key::<String>()? {
            let descriptor = message.descriptor();
            let field = descriptor.get_field_by_json_name(&name).or_else(|| descriptor.get_field_by_name(&name));
            let Some(field) = field else {
                map.next_value::<&RawValue>()?;
                continue;
            };
            seen.field(&field).map_err(A::Error::custom)?;
            if let Some(value) = map.next_value_seed(Field(&field))? {
                seen.value(&field).map_err(A::Error::custom)?;
                message.set_field(&field, value);
            }
        }
        Ok(message)
    }
}

/// The fields and oneofs of an object so far; both lists are short.
#[derive(Default)]
struct Seen {
    fields: Vec<u32>,
    oneofs: Vec<String>,
}

impl Seen {
    fn field(&mut self, field: &FieldDescriptor) -> Result<(), String> {
        if self.fields.contains(&field.number()) {
            return Err(format!("duplicate field {:?}", field.name()));
        }
        self.fields.push(field.number());
        Ok(())
    }

    fn value(&mut self, field: &FieldDescriptor) -> Result<(), String> {
        let Some(oneof) = field.containing_oneof() else { return Ok(()) };
        if self.oneofs.iter().any(|name| name == oneof.name()) {
            return Err(format!("oneof {:?} is already set", oneof.name()));
        }
        self.oneofs.push(oneof.name().to_owned());
        Ok(())
    }
}

/// A field's value; `None` where the field counts as absent.
struct Field<'field>(&'field FieldDescriptor);

impl<'text> DeserializeSeed<'text> for Field<'_> {
    type Value = Option<Value>;

    fn deserialize<D: Deserializer<'text>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_option(self)
    }
}

impl<'text> Visitor<'text> for Field<'_> {
    type Value = Option<Value>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "a value for the field {:?}", self.0.name())
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_none<E: serde::de::Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_some<D: Deserializer<'text>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        if self.0.is_list() {
            deserializer.deserialize_seq(List(self.0)).map(|values| Some(Value::List(values)))
        } else {
            Element(self.0).deserialize(deserializer)
        }
    }
}

struct List<'field>(&'field FieldDescriptor);

impl<'text> Visitor<'text> for List<'_> {
    type Value = Vec<Value>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "an array for the field {:?}", self.0.name())
    }

    fn visit_seq<A: SeqAccess<'text>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = items.next_element_seed(Element(self.0))? {
            values.extend(value);
        }
        Ok(values)
    }
}

/// One value of a field, also of one that has many.
struct Element<'field>(&'field FieldDescriptor);

impl<'text> DeserializeSeed<'text> for Element<'_> {
    type Value = Option<Value>;

    fn deserialize<D: Deserializer<'text>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        let kind = self.0.kind();
        if let Kind::Message(descriptor) = kind {
            return Message(descriptor).deserialize(deserializer).map(|message| Some(Value::Message(message)));
        }
        let text = <&RawValue as serde::Deserialize>::deserialize(deserializer)?.get();
        match scalar::read(&kind, text) {
            Scalar::Value(value) => Ok(Some(value)),
            Scalar::Ignored => Ok(None),
            Scalar::Invalid => Err(D::Error::custom(format!("invalid value for the field {:?}", self.0.name()))),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn read(name: &str, text: &str) -> Result<String, String> {
        let descriptor = proto::descriptors().get_message_by_name(name).unwrap();
        let message = message(&descriptor, text.as_bytes()).map_err(|problem| problem.to_string())?;
        Ok(serde_json::to_string(&message).unwrap())
    }

    #[test]
    fn fields_are_there_once_whatever_their_spelling() {
        let range = |text| read("etcdserverpb.RangeRequest", text);
        assert_eq!(range(r#"{"key":"Zm9v","limit":"1e2","sort_target":1.0,"x":1,"x":[2]} y"#).unwrap(), {
            r#"{"key":"Zm9v","limit":"100","sortTarget":"VERSION"}"#
        });
        assert_eq!(range(r#"{"key":null,"sort_order":"no such order"}"#).unwrap(), "{}");
        let twice =
            [r#"{"key":"Zm9v","key":"Zm9v"}"#, r#"{"key":null,"key":"Zm9v"}"#, r#"{"range_end":"","rangeEnd":""}"#];
        for text in twice {
            assert!(range(text).unwrap_err().starts_with("duplicate field"), "{text}");
        }
        for text in ["[]", "1", "null", r#"{"key":["a"]}"#, r#"{"sort_order":1.5}"#, r#"{"limit":" 1"}"#] {
            range(text).unwrap_err();
        }
    }

    #[test]
    fn a_oneof_has_one_value() {
        let txn = |text| read("etcdserverpb.TxnRequest", text);
        let one = r#"{"success":[{"requestRange":{"key":"Zg=="}}]}"#;
        assert_eq!(txn(r#"{"success":[{"request_range":{"key":"Zg=="},"request_put":null}]}"#).unwrap(), one);
        let two = r#"{"success":[{"request_range":{},"request_put":{}}]}"#;
        assert!(txn(two).unwrap_err().starts_with("oneof \"request\" is already set"));
        txn(r#"{"success":[null]}"#).unwrap_err();
        txn(r#"{"success":{}}"#).unwrap_err();
    }

    /// What `scalar` leaves out, no request has.
    #[test]
    fn no_request_has_maps_or_fractions() {
        let pool = proto::descriptors();
        let mut requests: Vec<_> = pool
            .services()
            .flat_map(|service| service.methods().map(|method| method.input()).collect::<Vec<_>>())
            .collect();
        let mut known = Vec::new();
        while let Some(request) = requests.pop() {
            if known.contains(&request) {
                continue;
            }
            for field in request.fields() {
                assert!(!field.is_map() && !matches!(field.kind(), Kind::Float | Kind::Double), "{field:?}");
                requests.extend(field.kind().as_message().cloned());
            }
            known.push(request);
        }
        assert!(known.len() > 40);
    }
}
