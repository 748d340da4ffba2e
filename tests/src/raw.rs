//! gRPC by hand, for messages that no generated client would send.

use std::io;
use std::net::SocketAddr;

use bytes::{BufMut, Bytes, BytesMut};
use h2::client::{self, SendRequest};
use http::{HeaderMap, Request};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

/// One HTTP/2 connection.
pub struct RawConnection {
    sender: SendRequest<Bytes>,
    driver: JoinHandle<()>,
}

/// A call's end: `grpc-status` and `grpc-message`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawStatus {
    /// `grpc-status`
    pub code: i32,
    /// `grpc-message`, still percent-encoded
    pub message: String,
}

impl RawConnection {
    /// Connects.
    ///
    /// # Errors
    /// When nobody listens or the handshake fails.
    pub async fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        let (sender, connection) = client::handshake(stream).await.map_err(io::Error::other)?;
        let driver = tokio::spawn(async move {
            // The end of the connection shows in the next call's error.
            let _ = connection.await;
        });
        Ok(Self { sender, driver })
    }

    /// Sends `body` as it is and ends the request.
    ///
    /// # Errors
    /// When the server resets the stream or ends the connection.
    pub async fn call(&mut self, path: &str, headers: HeaderMap, body: Bytes) -> io::Result<RawStatus> {
        let mut request = Request::post(format!("http://localhost{path}"))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(())
            .map_err(io::Error::other)?;
        request.headers_mut().extend(headers);
        let mut sender = self.sender.clone().ready().await.map_err(io::Error::other)?;
        let (response, mut stream) = sender.send_request(request, false).map_err(io::Error::other)?;
        stream.send_data(body, true).map_err(io::Error::other)?;
        let mut response = response.await.map_err(io::Error::other)?;
        while let Some(data) = response.body_mut().data().await {
            let length = data.map_err(io::Error::other)?.len();
            response.body_mut().flow_control().release_capacity(length).map_err(io::Error::other)?;
        }
        let trailers = response.body_mut().trailers().await.map_err(io::Error::other)?;
        status(trailers.as_ref().unwrap_or(response.headers()))
    }
}

impl Drop for RawConnection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

fn status(headers: &HeaderMap) -> io::Result<RawStatus> {
    let text = |name: &str| headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    let code = text("grpc-status").and_then(|code| code.parse().ok());
    let code = code.ok_or_else(|| io::Error::other(format!("no grpc-status in {headers:?}")))?;
    Ok(RawStatus { code, message: text("grpc-message").unwrap_or_default() })
}

/// gRPC's frame around a message: a flag and a length, which may be a lie.
#[must_use]
pub fn frame(compressed: u8, length: u32, message: &[u8]) -> Bytes {
    let mut frame = BytesMut::new();
    frame.put_u8(compressed);
    frame.put_u32(length);
    frame.put_slice(message);
    frame.freeze()
}
