//! The middleware list: what every call passes, whichever protocol made it.
//!
//! ```text
//!  protocols ──Call──► telemetry ──► deadline ──► router
//!            ◄─Answer─
//! ```
//!
//! Invariant: every layer is a `Service<Call, Response = Answer, Error = Error>` and is always ready; what it has no
//! room for it refuses in its answer.

use std::time::Duration;

use internal_proto::{Answer, Error};
use tower::{Service, ServiceBuilder};

use crate::call::Call;
use crate::middleware::deadline::{Deadline, DeadlineLayer};
use crate::middleware::telemetry::{Telemetry, TelemetryLayer};

/// What every layer is: a service of calls, cheap to clone, one clone per call.
pub trait Handle:
    Service<Call, Response = Answer, Error = Error, Future: Send + 'static> + Clone + Send + Sync + 'static
{
}

impl<S> Handle for S where
    S: Service<Call, Response = Answer, Error = Error, Future: Send + 'static> + Clone + Send + Sync + 'static
{
}

/// The stack around a router.
pub type Stack<R> = Telemetry<Deadline<R>>;

/// Builds the stack, outermost layer first.
pub fn stack<R: Handle>(router: R, telemetry: TelemetryLayer, server_timeout: Duration) -> Stack<R> {
    ServiceBuilder::new()
        // Outermost, so that it sees what every other layer refuses.
        .layer(telemetry)
        // Before anything that can wait.
        .layer(DeadlineLayer::new(server_timeout))
        .service(router)
}
