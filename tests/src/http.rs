//! A plain HTTP/1 client, for the JSON API and the health pages.

use std::io;
use std::net::SocketAddr;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

/// A whole answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The headers that belong to the API, sorted: the type of the content, CORS, allowed methods.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Bytes,
}

impl Reply {
    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// One connection that is kept open between requests.
pub struct Connection {
    sender: SendRequest<Full<Bytes>>,
    driver: JoinHandle<()>,
}

impl Connection {
    /// Connects.
    ///
    /// # Errors
    /// When nobody listens.
    pub async fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
        let driver = tokio::spawn(async move {
            // The end of the connection shows in the next request's error.
            let _ = connection.await;
        });
        Ok(Self { sender, driver })
    }

    /// Sends one request and reads the whole answer.
    ///
    /// # Errors
    /// When the connection breaks.
    pub async fn call(&mut self, method: &str, path: &str, body: impl Into<Bytes>) -> io::Result<Reply> {
        let response = self.send(method, path, body.into()).await?;
        let (status, headers) = (response.status().as_u16(), api_headers(response.headers()));
        let body = response.into_body().collect().await.map_err(io::Error::other)?.to_bytes();
        Ok(Reply { status, headers, body })
    }

    /// Posts one request and reads the first lines of an answer that may never end; fewer if it ends.
    ///
    /// # Errors
    /// When the connection breaks.
    pub async fn first_lines(&mut self, path: &str, body: impl Into<Bytes>, count: usize) -> io::Result<Vec<String>> {
        let mut answer = self.send("POST", path, body.into()).await?.into_body();
        let mut received = Vec::new();
        while received.iter().filter(|&&byte| byte == b'\n').count() < count {
            let Some(frame) = answer.frame().await else { break };
            received.extend_from_slice(frame.map_err(io::Error::other)?.data_ref().unwrap_or(&Bytes::new()));
        }
        Ok(String::from_utf8_lossy(&received).lines().take(count).map(str::to_owned).collect())
    }

    async fn send(&mut self, method: &str, path: &str, body: Bytes) -> io::Result<http::Response<Incoming>> {
        let request = http::Request::builder()
            .method(method)
            .uri(path)
            .header("host", "localhost")
            .header("content-type", "application/json")
            .body(Full::new(body))
            .map_err(io::Error::other)?;
        self.sender.ready().await.map_err(io::Error::other)?;
        self.sender.send_request(request).await.map_err(io::Error::other)
    }
}

fn api_headers(headers: &http::HeaderMap) -> Vec<(String, String)> {
    let of_api = |name: &str| {
        matches!(name, "content-type" | "allow" | "grpc-metadata-content-type") || name.starts_with("access-control-")
    };
    let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let named = headers.iter().filter(|(name, _)| of_api(name.as_str()));
    let mut kept: Vec<_> = named.map(|(name, value)| (name.to_string(), text(value))).collect();
    kept.sort();
    kept
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// One GET on a connection of its own.
///
/// # Errors
/// When nobody listens or the connection breaks.
pub async fn get(address: SocketAddr, path: &str) -> io::Result<Reply> {
    Connection::open(address).await?.call("GET", path, Bytes::new()).await
}

/// The sum over a metric's labels, on a page of `/metrics`; `None` without such a metric.
#[must_use]
pub fn metric(page: &str, name: &str) -> Option<f64> {
    let is_named = |line: &&str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with([' ', '{']));
    let values: Vec<f64> =
        page.lines().filter(is_named).filter_map(|line| line.rsplit(' ').next()?.parse().ok()).collect();
    (!values.is_empty()).then(|| values.iter().sum())
}
