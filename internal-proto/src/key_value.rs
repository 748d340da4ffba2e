//! Key-values and events, kept in etcd's wire form from the moment they are applied.
//!
//! ```text
//!  apply ──encode once──► KeyValue (one reference-counted allocation, one thin pointer)
//!                            ├─► engine       holds the pointer
//!                            ├─► range reply  copies the bytes out
//!                            └─► watch event  copies the bytes out, however many watchers
//! ```
//!
//! Invariant: the bytes of a [`KeyValue`] are always a canonical `mvccpb.KeyValue`: its fields in the order of their
//! numbers, zero fields absent.

use std::fmt;

use prost::DecodeError;
use prost::bytes::{Buf, BufMut};
use prost::encoding::{self, DecodeContext, WireType};
use triomphe::ThinArc;

use crate::{LeaseId, Revision};

const KEY: u32 = 1;
const CREATE_REVISION: u32 = 2;
const MOD_REVISION: u32 = 3;
const VERSION: u32 = 4;
const VALUE: u32 = 5;
const LEASE: u32 = 6;

/// One version of one key, encoded as etcd's `mvccpb.KeyValue`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct KeyValue(ThinArc<(), u8>);

/// What a [`KeyValue`] says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeyValueFields<'a> {
    /// Never empty, except in a message that a client left empty.
    pub key: &'a [u8],
    /// The revision that created the key, 0 in a delete event.
    pub create_revision: Revision,
    /// The revision that wrote this version.
    pub mod_revision: Revision,
    /// Writes since the creation, from 1; 0 in a delete event.
    pub version: i64,
    /// May be empty.
    pub value: &'a [u8],
    /// 0 means none.
    pub lease: LeaseId,
}

/// Bytes that are no canonical `mvccpb.KeyValue`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed key-value record")]
pub struct MalformedKeyValue;

impl KeyValue {
    /// Encodes the fields into an allocation of their own size.
    #[must_use]
    pub fn new(fields: &KeyValueFields<'_>) -> Self {
        let mut buffer = Vec::with_capacity(fields.encoded_len());
        fields.encode(&mut buffer);
        Self(ThinArc::from_header_and_slice((), &buffer))
    }

    /// Takes over bytes that [`KeyValue::encoded`] gave.
    ///
    /// # Errors
    /// [`MalformedKeyValue`] when the bytes are anything else.
    pub fn from_encoded(encoded: &[u8]) -> Result<Self, MalformedKeyValue> {
        let fields = decode(encoded).ok_or(MalformedKeyValue)?;
        if fields.encoded_len() != encoded.len() {
            return Err(MalformedKeyValue);
        }
        Ok(Self(ThinArc::from_header_and_slice((), encoded)))
    }

    /// The encoded message.
    #[must_use]
    pub fn encoded(&self) -> &[u8] {
        &self.0.slice
    }

    /// The decoded fields.
    #[must_use]
    pub fn fields(&self) -> KeyValueFields<'_> {
        decode(self.encoded()).expect("a KeyValue holds a canonical message")
    }

    /// The key alone: the first field, so nothing else is decoded.
    #[must_use]
    pub fn key(&self) -> &[u8] {
        let mut rest = self.encoded();
        if rest.first() != Some(&tag(KEY, WireType::LengthDelimited)) {
            return &[];
        }
        rest = &rest[1..];
        take_slice(&mut rest).expect("a KeyValue holds a canonical message")
    }

    /// The revision that wrote this version.
    #[must_use]
    pub fn mod_revision(&self) -> Revision {
        self.fields().mod_revision
    }

    /// The same version without its value, as `keys_only` answers it.
    #[must_use]
    pub fn without_value(&self) -> Self {
        Self::new(&KeyValueFields { value: &[], ..self.fields() })
    }
}

impl Default for KeyValue {
    fn default() -> Self {
        Self(ThinArc::from_header_and_slice((), &[]))
    }
}

impl fmt::Debug for KeyValue {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fields().fmt(formatter)
    }
}

impl KeyValueFields<'_> {
    fn encoded_len(&self) -> usize {
        bytes_len(self.key)
            + varint_len(self.create_revision.0)
            + varint_len(self.mod_revision.0)
            + varint_len(self.version)
            + bytes_len(self.value)
            + varint_len(self.lease.0)
    }

    fn encode(&self, buffer: &mut Vec<u8>) {
        put_bytes(KEY, self.key, buffer);
        put_varint(CREATE_REVISION, self.create_revision.0, buffer);
        put_varint(MOD_REVISION, self.mod_revision.0, buffer);
        put_varint(VERSION, self.version, buffer);
        put_bytes(VALUE, self.value, buffer);
        put_varint(LEASE, self.lease.0, buffer);
    }
}

/// A tag fits one byte because every field number here is below 16.
#[allow(clippy::cast_possible_truncation)]
const fn tag(field: u32, wire_type: WireType) -> u8 {
    ((field << 3) | wire_type as u32) as u8
}

fn bytes_len(value: &[u8]) -> usize {
    if value.is_empty() { 0 } else { 1 + encoding::encoded_len_varint(value.len() as u64) + value.len() }
}

fn varint_len(value: i64) -> usize {
    if value == 0 { 0 } else { 1 + encoding::encoded_len_varint(value.cast_unsigned()) }
}

fn put_bytes(field: u32, value: &[u8], buffer: &mut Vec<u8>) {
    if !value.is_empty() {
        buffer.push(tag(field, WireType::LengthDelimited));
        encoding::encode_varint(value.len() as u64, buffer);
        buffer.extend_from_slice(value);
    }
}

fn put_varint(field: u32, value: i64, buffer: &mut Vec<u8>) {
    if value != 0 {
        buffer.push(tag(field, WireType::Varint));
        encoding::encode_varint(value.cast_unsigned(), buffer);
    }
}

fn take_varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

fn take_slice<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = usize::try_from(take_varint(bytes)?).ok()?;
    let (slice, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(slice)
}

fn decode(mut bytes: &[u8]) -> Option<KeyValueFields<'_>> {
    let mut fields = KeyValueFields::default();
    let mut last = 0;
    while let Some((&key, rest)) = bytes.split_first() {
        bytes = rest;
        let field = u32::from(key >> 3);
        if field <= last {
            return None;
        }
        last = field;
        if key == tag(KEY, WireType::LengthDelimited) {
            fields.key = take_slice(&mut bytes)?;
        } else if key == tag(VALUE, WireType::LengthDelimited) {
            fields.value = take_slice(&mut bytes)?;
        } else {
            let target = match (field, key & 7) {
                (CREATE_REVISION, 0) => &mut fields.create_revision.0,
                (MOD_REVISION, 0) => &mut fields.mod_revision.0,
                (VERSION, 0) => &mut fields.version,
                (LEASE, 0) => &mut fields.lease.0,
                _ => return None,
            };
            *target = take_varint(&mut bytes)?.cast_signed();
        }
    }
    Some(fields)
}

impl prost::Message for KeyValue {
    fn encode_raw(&self, buffer: &mut impl BufMut) {
        buffer.put_slice(self.encoded());
    }

    fn encoded_len(&self) -> usize {
        self.encoded().len()
    }

    /// Only clients decode key-values, so rebuilding the allocation for every field is acceptable.
    fn merge_field(
        &mut self,
        field: u32,
        wire_type: WireType,
        buffer: &mut impl Buf,
        context: DecodeContext,
    ) -> Result<(), DecodeError> {
        let mut fields = self.fields();
        let mut bytes = Vec::new();
        let mut number = 0_i64;
        match field {
            KEY | VALUE => encoding::bytes::merge(wire_type, &mut bytes, buffer, context)?,
            CREATE_REVISION | MOD_REVISION | VERSION | LEASE => {
                encoding::int64::merge(wire_type, &mut number, buffer, context)?;
            }
            _ => return encoding::skip_field(wire_type, field, buffer, context),
        }
        match field {
            KEY => fields.key = &bytes,
            VALUE => fields.value = &bytes,
            CREATE_REVISION => fields.create_revision = Revision(number),
            MOD_REVISION => fields.mod_revision = Revision(number),
            VERSION => fields.version = number,
            _ => fields.lease = LeaseId(number),
        }
        *self = Self::new(&fields);
        Ok(())
    }

    fn clear(&mut self) {
        *self = Self::default();
    }
}

/// What happened to a key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum EventKind {
    /// The key got a new version.
    #[default]
    Put,
    /// The key was deleted, by a request or by its lease's end.
    Delete,
}

/// One key's change, in etcd's terms `mvccpb.Event`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Event {
    /// What happened.
    pub kind: EventKind,
    /// The new version; of a deletion only the key and the revision that deleted it.
    pub kv: KeyValue,
    /// The version before, where there was one and it was asked for.
    pub prev_kv: Option<KeyValue>,
}

const EVENT_TYPE: u32 = 1;
const EVENT_KV: u32 = 2;
const EVENT_PREV_KV: u32 = 3;

impl prost::Message for Event {
    fn encode_raw(&self, buffer: &mut impl BufMut) {
        if self.kind == EventKind::Delete {
            encoding::int32::encode(EVENT_TYPE, &1, buffer);
        }
        encoding::message::encode(EVENT_KV, &self.kv, buffer);
        if let Some(previous) = &self.prev_kv {
            encoding::message::encode(EVENT_PREV_KV, previous, buffer);
        }
    }

    fn encoded_len(&self) -> usize {
        let kind = if self.kind == EventKind::Delete { 2 } else { 0 };
        let previous = self.prev_kv.as_ref().map_or(0, |kv| encoding::message::encoded_len(EVENT_PREV_KV, kv));
        kind + encoding::message::encoded_len(EVENT_KV, &self.kv) + previous
    }

    fn merge_field(
        &mut self,
        field: u32,
        wire_type: WireType,
        buffer: &mut impl Buf,
        context: DecodeContext,
    ) -> Result<(), DecodeError> {
        match field {
            EVENT_TYPE => {
                let mut number = 0;
                encoding::int32::merge(wire_type, &mut number, buffer, context)?;
                self.kind = if number == 1 { EventKind::Delete } else { EventKind::Put };
                Ok(())
            }
            EVENT_KV => encoding::message::merge(wire_type, &mut self.kv, buffer, context),
            EVENT_PREV_KV => {
                let previous = self.prev_kv.get_or_insert_with(KeyValue::default);
                encoding::message::merge(wire_type, previous, buffer, context)
            }
            _ => encoding::skip_field(wire_type, field, buffer, context),
        }
    }

    fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use prost::Message;

    proptest! {
        #[test]
        fn fields_survive_encoding(
            key: Vec<u8>, value: Vec<u8>, create: i64, modified: i64, version: i64, lease: i64,
        ) {
            let fields = KeyValueFields {
                key: &key,
                create_revision: Revision(create),
                mod_revision: Revision(modified),
                version,
                value: &value,
                lease: LeaseId(lease),
            };
            let kv = KeyValue::new(&fields);
            prop_assert_eq!(kv.fields(), fields);
            prop_assert_eq!(kv.key(), &key[..]);
            prop_assert_eq!(&KeyValue::from_encoded(kv.encoded()).unwrap(), &kv);
            prop_assert_eq!(&KeyValue::decode(kv.encoded()).unwrap(), &kv);
            let event = Event { kind: EventKind::Delete, kv: kv.clone(), prev_kv: Some(kv) };
            prop_assert_eq!(Event::decode(&event.encode_to_vec()[..]).unwrap(), event);
        }

        #[test]
        fn arbitrary_bytes_are_refused_or_canonical(bytes: Vec<u8>) {
            if let Ok(kv) = KeyValue::from_encoded(&bytes) {
                let again = KeyValue::new(&kv.fields());
                prop_assert_eq!(again.encoded(), &bytes[..]);
            }
        }
    }
}
