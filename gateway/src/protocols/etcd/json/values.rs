//! A request that streams: JSON objects one after the other, however the network cut them.
//!
//! Invariants: at most one object is in memory; every object goes on as soon as its last brace is there; what is no
//! object ends the request's stream, while answers go on.

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use futures_util::{Stream, stream};
use http_body::Frame;
use http_body_util::BodyExt;
use prost_reflect::MessageDescriptor;
use tonic::Status;

use super::super::error;
use super::transcode;

/// The gRPC frames of the objects that a body holds. An object may have `limit` bytes.
pub(super) fn frames(
    body: Body,
    descriptor: MessageDescriptor,
    limit: usize,
) -> impl Stream<Item = Result<Frame<Bytes>, Status>> {
    let values = Values { body, buffer: BytesMut::new(), scanner: Scanner::default(), limit };
    stream::unfold(Some((values, descriptor)), |state| async {
        let (mut values, descriptor) = state?;
        let value = match values.next().await {
            Ok(Some(value)) => transcode::frame(&descriptor, &value),
            Ok(None) => return None,
            Err(status) => Err(status),
        };
        match value {
            Ok(frame) => Some((Ok(Frame::data(frame)), Some((values, descriptor)))),
            Err(status) => {
                // As in etcd, the stream of requests just ends.
                tracing::debug!(error = status.message(), "a streamed request is no JSON object");
                None
            }
        }
    })
}

struct Values {
    body: Body,
    buffer: BytesMut,
    scanner: Scanner,
    limit: usize,
}

impl Values {
    async fn next(&mut self) -> Result<Option<Bytes>, Status> {
        loop {
            if let Some(end) = self.scanner.find_end(&self.buffer)? {
                return Ok(Some(self.buffer.split_to(end).freeze()));
            }
            if self.buffer.len() > self.limit {
                return Err(error::message_too_large(self.buffer.len(), self.limit));
            }
            match self.body.frame().await {
                None => return Ok(None),
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        self.buffer.extend_from_slice(&data);
                    }
                }
                Some(Err(failure)) => return Err(error::invalid_json(failure.to_string())),
            }
        }
    }
}

/// Where in an object the scan is.
#[derive(Default)]
struct Scanner {
    scanned: usize,
    depth: usize,
    in_string: bool,
    escaped: bool,
}

impl Scanner {
    /// The end of the object that begins the buffer, once it is there; then the next object can be looked for.
    fn find_end(&mut self, buffer: &[u8]) -> Result<Option<usize>, Status> {
        while let Some(&byte) = buffer.get(self.scanned) {
            self.scanned += 1;
            if self.in_string {
                match byte {
                    _ if self.escaped => self.escaped = false,
                    b'\\' => self.escaped = true,
                    b'"' => self.in_string = false,
                    _ => {}
                }
                continue;
            }
            match byte {
                b'"' if self.depth > 0 => self.in_string = true,
                b'{' => self.depth += 1,
                b'}' if self.depth == 1 => {
                    let end = self.scanned;
                    *self = Self::default();
                    return Ok(Some(end));
                }
                b'}' if self.depth > 0 => self.depth -= 1,
                byte if self.depth > 0 || byte.is_ascii_whitespace() => {}
                byte => return Err(error::invalid_json(format!("unexpected token {}", char::from(byte)))),
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn objects_are_found_however_they_are_cut() {
        let text = r#" {"a":{"b":"}{\"\\"}} {"c":[1,2]}{}x"#;
        for cut in 1..text.len() {
            let pieces: Vec<_> = text.as_bytes().chunks(cut).map(Bytes::copy_from_slice).collect();
            let pieces = pieces.into_iter().map(Ok::<_, std::io::Error>);
            let body = Body::from_stream(stream::iter(pieces));
            let mut values = Values { body, buffer: BytesMut::new(), scanner: Scanner::default(), limit: 1000 };
            for expected in [r#"{"a":{"b":"}{\"\\"}}"#, r#"{"c":[1,2]}"#, "{}"] {
                let value = values.next().await.unwrap().unwrap();
                assert_eq!(value.trim_ascii(), expected.as_bytes());
            }
            values.next().await.unwrap_err();
        }
    }
}
