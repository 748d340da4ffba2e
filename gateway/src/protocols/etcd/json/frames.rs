//! The messages of a gRPC answer, and the status at its end.

use bytes::{Buf, Bytes, BytesMut};
use http_body_util::BodyExt;
use tonic::body::Body;
use tonic::{Code, Status};

use super::super::error;

/// A frame's flag and length.
const HEADER: usize = 5;

/// Reads an answer's messages one by one.
pub(super) struct Frames {
    body: Body,
    buffer: BytesMut,
}

impl Frames {
    pub(super) fn new(body: Body) -> Self {
        Self { body, buffer: BytesMut::new() }
    }

    /// The next message; `None` after the last.
    ///
    /// # Errors
    /// The status with which the answer ended.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, Status> {
        loop {
            if let Some(message) = self.take() {
                return Ok(Some(message));
            }
            let Some(frame) = self.body.frame().await.transpose()? else { return Ok(None) };
            match frame.into_data() {
                Ok(data) => self.buffer.extend_from_slice(&data),
                Err(trailers) => {
                    let trailers = trailers.into_trailers().unwrap_or_default();
                    let status = Status::from_header_map(&trailers).filter(|status| status.code() != Code::Ok);
                    return status.map_or(Ok(None), Err);
                }
            }
        }
    }

    /// The message of an answer that does not stream.
    ///
    /// # Errors
    /// The status with which the answer ended.
    pub(super) async fn only(mut self) -> Result<Bytes, Status> {
        let message = self.next().await?.ok_or_else(|| error::unreadable_answer("it is empty"))?;
        self.next().await?;
        Ok(message)
    }

    fn take(&mut self) -> Option<Bytes> {
        let header = self.buffer.first_chunk::<HEADER>()?;
        let [_, length @ ..] = *header;
        let length = u32::from_be_bytes(length) as usize;
        if self.buffer.len() < HEADER + length {
            return None;
        }
        self.buffer.advance(HEADER);
        Some(self.buffer.split_to(length).freeze())
    }
}
