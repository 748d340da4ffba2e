//! The wiring: a storage node, a gateway before it, and the sockets they serve.

use std::net::TcpListener;

use crate::StartError;

/// The running parts. None can exist before the storage node and the gateway are wired here.
pub(crate) enum Serving {}

/// Starts the storage node and the gateway and connects them in memory.
pub(crate) async fn serve(
    _storenode: storenode::config::Config,
    _gateway: gateway::config::Config,
    _listeners: Vec<TcpListener>,
) -> Result<Serving, StartError> {
    Err(StartError::NotWired)
}

impl Serving {
    /// Waits until a part cannot go on, and returns why.
    pub(crate) async fn failed(&mut self) -> String {
        match *self {}
    }

    /// Stops accepting, drains, closes.
    pub(crate) async fn stop(self) {
        match self {}
    }
}
