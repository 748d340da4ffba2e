//! The wire form of watch streams: responses whose events are encoded already.
//!
//! ```text
//!  Frame = head (encoded for each watch) + events (copied, one allocation for all watches)
//! ```

use std::collections::VecDeque;

use bytes::{BufMut, Bytes};
use prost::Message;
use proto::etcdserverpb::{WatchRequest, WatchResponse};
use tonic::Status;
use tonic::codec::{BufferSettings, Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};

/// What a stream's buffers begin with: a response or request without large values fits, and an idle stream keeps it.
const BUFFER_BYTES: usize = 512;
/// Encoded bytes gathered before they go to the connection, so that many small responses share a frame.
const YIELD_BYTES: usize = 32 * 1024;

/// One response.
#[derive(Clone, Debug, PartialEq)]
pub struct Frame {
    /// Everything but the events.
    pub(super) response: WatchResponse,
    /// The field `events`, which is the last one, as it is encoded.
    pub(super) events: Bytes,
}

impl Frame {
    fn encoded_len(&self) -> usize {
        self.response.encoded_len() + self.events.len()
    }
}

/// Cuts a response of at least `limit` bytes into fragments below it, of one event at least, as etcd does.
pub(super) fn fragments(frame: Frame, limit: usize) -> VecDeque<Frame> {
    if frame.encoded_len() < limit {
        return VecDeque::from([frame]);
    }
    let mut events = crate::watch::split(&frame.events).peekable();
    let mut parts = VecDeque::new();
    let mut head = frame.response.clone();
    head.fragment = true;
    let head_len = head.encoded_len();
    let mut start = 0;
    while events.peek().is_some() {
        let mut end = start;
        while let Some(event) = events.peek()
            && (end == start || head_len + end + event.len() - start < limit)
        {
            end += event.len();
            events.next();
        }
        parts.push_back(Frame { response: head.clone(), events: frame.events.slice(start..end) });
        start = end;
    }
    if let Some(last) = parts.back_mut() {
        last.response.fragment = false;
    }
    parts
}

/// Frames out, etcd's requests in.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct WatchCodec;

impl Codec for WatchCodec {
    type Encode = Frame;
    type Decode = WatchRequest;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        *self
    }

    fn decoder(&mut self) -> Self {
        *self
    }
}

impl Encoder for WatchCodec {
    type Item = Frame;
    type Error = Status;

    fn encode(&mut self, frame: Frame, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.reserve(frame.encoded_len());
        frame.response.encode_raw(buffer);
        buffer.put_slice(&frame.events);
        Ok(())
    }

    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::new(BUFFER_BYTES, YIELD_BYTES)
    }
}

impl Decoder for WatchCodec {
    type Item = WatchRequest;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<WatchRequest>, Status> {
        // In the words of tonic's own codec.
        WatchRequest::decode(buffer).map(Some).map_err(|error| Status::internal(error.to_string()))
    }

    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::new(BUFFER_BYTES, YIELD_BYTES)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An encoded event of so many bytes in all.
    fn event(size: usize) -> Vec<u8> {
        let mut event = vec![(11 << 3) | 2, u8::try_from(size - 2).unwrap_or(0)];
        event.resize(size, 0);
        event
    }

    fn cut(sizes: &[usize], limit: usize) -> Vec<(usize, bool)> {
        let events = Bytes::from(sizes.iter().flat_map(|size| event(*size)).collect::<Vec<u8>>());
        let parts = fragments(Frame { response: WatchResponse::default(), events }, limit);
        parts.into_iter().map(|part| (part.events.len(), part.response.fragment)).collect()
    }

    #[test]
    fn fragments_stay_below_the_limit_unless_one_event_does_not() {
        assert_eq!(cut(&[40, 40], 81), [(80, false)], "below the limit nothing is cut");
        // The mark of a fragment takes two bytes.
        assert_eq!(cut(&[20, 20, 20, 20], 63), [(60, true), (20, false)]);
        assert_eq!(cut(&[20, 20, 20, 20], 62), [(40, true), (40, false)]);
        assert_eq!(cut(&[100, 20, 100], 50), [(100, true), (20, true), (100, false)]);
        assert_eq!(cut(&[100], 50), [(100, false)]);
    }
}
