//! The wire form of all messages: prost's, with long ones made aside.

use internal_proto::aside::aside_if_long;
use prost::Message;
use tonic::Status;
use tonic::codec::{BufferSettings, Codec, EncodeBuf, Encoder};
use tonic_prost::{ProstCodec, ProstDecoder, ProstEncoder};

/// The codec of every service of this crate.
#[derive(Clone, Debug)]
pub(crate) struct LongCodec<T, U>(ProstCodec<T, U>);

impl<T, U> Default for LongCodec<T, U> {
    fn default() -> Self {
        Self(ProstCodec::default())
    }
}

impl<T, U> Codec for LongCodec<T, U>
where
    T: Message + Send + 'static,
    U: Message + Default + Send + 'static,
{
    type Encode = T;
    type Decode = U;
    type Encoder = LongEncoder<T>;
    type Decoder = ProstDecoder<U>;

    fn encoder(&mut self) -> Self::Encoder {
        LongEncoder(self.0.encoder())
    }

    fn decoder(&mut self) -> Self::Decoder {
        self.0.decoder()
    }
}

/// Encodes whole messages.
#[derive(Clone, Debug)]
pub(crate) struct LongEncoder<T>(ProstEncoder<T>);

impl<T: Message> Encoder for LongEncoder<T> {
    type Item = T;
    type Error = Status;

    fn encode(&mut self, message: T, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        let bytes = message.encoded_len();
        buffer.reserve(bytes);
        aside_if_long(bytes, || self.0.encode(message, buffer))
    }

    fn buffer_settings(&self) -> BufferSettings {
        self.0.buffer_settings()
    }
}
