//! One service on its sockets, until it is stopped.

use std::convert::Infallible;
use std::net::TcpListener;

use gateway::protocols::listener::{self, Options};
use http::{Request, Response};
use hyper::body::{Body, Incoming};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tower::Service;

/// A listener at work.
pub(crate) struct Server {
    task: JoinHandle<()>,
    shutdown: oneshot::Sender<()>,
}

impl Server {
    /// Serves bound sockets.
    ///
    /// # Errors
    /// When one of them cannot be used.
    pub(crate) fn start<S, B>(sockets: Vec<TcpListener>, service: S, options: Options) -> std::io::Result<Self>
    where
        S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible, Future: Send>,
        S: Clone + Send + 'static,
        B: Body<Data: Send, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Send + 'static,
    {
        let listeners = sockets.into_iter().map(tokio::net::TcpListener::from_std).collect::<Result<_, _>>()?;
        let (shutdown, asked) = oneshot::channel();
        let asked = async move {
            // A dropped sender asks for the end as well.
            let _ = asked.await;
        };
        let task = tokio::spawn(listener::serve(listeners, service, options, asked));
        Ok(Self { task, shutdown })
    }

    /// Over when it ends by itself, which it should not.
    pub(crate) async fn ended(&mut self) {
        // A panic in it is an end as well.
        let _ = (&mut self.task).await;
    }

    /// Stops accepting, and returns when all is drained or the drain's own deadline has passed.
    pub(crate) async fn stop(self) {
        let _ = self.shutdown.send(());
        // A panic in it changes nothing here.
        let _ = self.task.await;
    }
}
