//! Refuses a message that is larger than the server receives, before any of it is stored.
//!
//! ```text
//!  body ─► [flag, length u32] message [flag, length u32] message …
//!                 └── too long? ResourceExhausted, in grpc-go's words
//! ```
//!
//! tonic has a limit of its own, with another code and text; it is set out of reach.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::error;

/// What a body fails with.
type BoxError = Box<dyn std::error::Error + Send + Sync>;

pin_project! {
    /// A request's body whose messages are measured as they arrive.
    pub struct Limited<B> {
        #[pin]
        inner: B,
        framing: Framing,
    }
}

impl<B> Limited<B> {
    /// Messages may have `limit` bytes.
    pub(super) const fn new(inner: B, limit: usize) -> Self {
        Self { inner, framing: Framing { header: [0; HEADER], header_filled: 0, message_left: 0, limit } }
    }
}

impl<B> Body for Limited<B>
where
    B: Body<Data = Bytes, Error: Into<BoxError>>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.project();
        let frame = match ready!(this.inner.poll_frame(context)) {
            Some(Ok(frame)) => frame,
            Some(Err(error)) => return Poll::Ready(Some(Err(error.into()))),
            None => return Poll::Ready(None),
        };
        let measured = frame.data_ref().map_or(Ok(()), |data| this.framing.pass(data));
        Poll::Ready(Some(match measured {
            Ok(()) => Ok(frame),
            Err(size) => Err(Box::new(error::message_too_large(size, this.framing.limit))),
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// A flag and a length.
const HEADER: usize = 5;

/// Where in the sequence of messages the body is.
struct Framing {
    header: [u8; HEADER],
    header_filled: usize,
    message_left: usize,
    limit: usize,
}

impl Framing {
    /// Follows the next bytes of the body; the error is the size of a message over the limit.
    fn pass(&mut self, mut data: &[u8]) -> Result<(), usize> {
        while !data.is_empty() {
            if self.message_left > 0 {
                let passed = self.message_left.min(data.len());
                self.message_left -= passed;
                data = &data[passed..];
                continue;
            }
            let taken = (HEADER - self.header_filled).min(data.len());
            self.header[self.header_filled..self.header_filled + taken].copy_from_slice(&data[..taken]);
            self.header_filled += taken;
            data = &data[taken..];
            if self.header_filled == HEADER {
                self.header_filled = 0;
                let [_, length @ ..] = self.header;
                self.message_left = u32::from_be_bytes(length) as usize;
                if self.message_left > self.limit {
                    return Err(self.message_left);
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(sizes: &[u32]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for size in sizes {
            bytes.push(0);
            bytes.extend(size.to_be_bytes());
            bytes.extend(vec![0xff; *size as usize]);
        }
        bytes
    }

    #[test]
    fn the_limit_holds_however_the_bytes_are_cut() {
        for (sizes, expected) in [(&[10, 0, 7][..], Ok(())), (&[3, 11, 2][..], Err(11))] {
            for cut in 1..30 {
                let mut framing = Framing { header: [0; HEADER], header_filled: 0, message_left: 0, limit: 10 };
                let outcome = body(sizes).chunks(cut).try_for_each(|chunk| framing.pass(chunk));
                assert_eq!(outcome, expected, "cut into pieces of {cut}");
            }
        }
    }
}
