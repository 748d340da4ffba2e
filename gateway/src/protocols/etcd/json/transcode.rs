//! One message: JSON to bytes and back, by descriptor.
//!
//! The dialect: fields by their names in the .proto files, zero fields left out, 64-bit numbers as strings, enums by
//! name, bytes in base64. What is accepted beyond that, `read` says.

use axum::body::Body;
use bytes::{BufMut, Bytes, BytesMut};
use internal_proto::aside::aside_if_long;
use prost::Message;
use prost_reflect::{DynamicMessage, MessageDescriptor, SerializeOptions};
use serde_json::json;
use tonic::Status;

use super::super::error;
use super::read;

/// A gRPC frame's flag and length.
const FRAME_HEADER: usize = 5;

/// The frame of the message that the JSON stands for; of an empty message for no JSON.
pub(super) fn frame(descriptor: &MessageDescriptor, json: &[u8]) -> Result<Bytes, Status> {
    let message = if json.trim_ascii().is_empty() {
        DynamicMessage::new(descriptor.clone())
    } else {
        read::message(descriptor, json).map_err(|problem| {
            let text = if problem.is_eof() { "unexpected EOF".to_owned() } else { problem.to_string() };
            error::invalid_json(text)
        })?
    };
    let length = message.encoded_len();
    let mut frame = BytesMut::with_capacity(FRAME_HEADER + length);
    frame.put_u8(0);
    frame.put_u32(u32::try_from(length).map_err(|_| error::message_too_large(length, u32::MAX as usize))?);
    message.encode(&mut frame).map_err(error::unreadable_answer)?;
    Ok(frame.freeze())
}

/// The JSON of a message.
pub(super) fn json(descriptor: MessageDescriptor, message: &[u8]) -> Result<Bytes, Status> {
    let mut text = Vec::with_capacity(2 * message.len() + 64);
    write(descriptor, message, &mut text)?;
    Ok(text.into())
}

/// A line of a stream.
pub(super) fn result_line(descriptor: MessageDescriptor, message: &[u8]) -> Result<Bytes, Status> {
    let mut line = Vec::with_capacity(2 * message.len() + 64);
    line.extend_from_slice(br#"{"result":"#);
    write(descriptor, message, &mut line)?;
    line.extend_from_slice(b"}\n");
    Ok(line.into())
}

fn write(descriptor: MessageDescriptor, message: &[u8], text: &mut Vec<u8>) -> Result<(), Status> {
    aside_if_long(message.len(), || write_now(descriptor, message, text))
}

fn write_now(descriptor: MessageDescriptor, message: &[u8], text: &mut Vec<u8>) -> Result<(), Status> {
    let message = DynamicMessage::decode(descriptor, message).map_err(error::unreadable_answer)?;
    let options = SerializeOptions::new()
        .stringify_64_bit_integers(true)
        .use_enum_numbers(false)
        .use_proto_field_name(true)
        .skip_default_fields(true);
    message.serialize_with_options(&mut serde_json::Serializer::new(text), &options).map_err(error::unreadable_answer)
}

/// The last line of a stream that failed.
pub(super) fn error_line(status: &Status) -> Bytes {
    format!("{}\n", json!({ "error": describe(status) })).into()
}

/// The body of a stream that failed before it began.
pub(super) fn stream_error(status: &Status) -> Body {
    Body::from(error_line(status))
}

/// The body of a request that failed.
pub(super) fn error(status: &Status) -> Body {
    Body::from(describe(status).to_string())
}

fn describe(status: &Status) -> serde_json::Value {
    json!({ "code": status.code() as i32, "message": status.message() })
}
