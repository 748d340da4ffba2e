//! When a new etcd has settled: it raises its storage version some time after it has begun to serve.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use crate::http;

/// etcd looks at its versions every few seconds.
const WITHIN: Duration = Duration::from_secs(30);
const INTERVAL: Duration = Duration::from_millis(50);

/// Waits until a server's versions are those that it keeps.
///
/// # Errors
/// When it does not answer, or not in time.
pub async fn settled(client: SocketAddr) -> io::Result<()> {
    let deadline = Instant::now() + WITHIN;
    loop {
        let answer = http::get(client, "/version").await?;
        let version: Value = serde_json::from_slice(&answer.body)?;
        if version["storage"] == version["etcdcluster"] {
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err(io::Error::new(io::ErrorKind::TimedOut, version.to_string()));
        }
        tokio::time::sleep(INTERVAL).await;
    }
}
