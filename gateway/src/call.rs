//! A request in its context: what every protocol makes and every middleware sees.

use std::time::Instant;

use internal_proto::Request;

/// One request on its way through the stack.
#[derive(Clone, Debug)]
pub struct Call {
    /// What is asked.
    pub request: Request,
    /// Who asks, and until when.
    pub context: Context,
}

/// What is known of a request besides its content.
#[derive(Clone, Copy, Debug)]
pub struct Context {
    /// Names the request in logs; unique within the process.
    pub id: RequestId,
    /// The client's own deadline, where it sent one; the deadline layer adds the server's.
    pub deadline: Option<Instant>,
    /// Which protocol the request came by, for metrics.
    pub protocol: Protocol,
}

/// A request's number in logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestId(pub u64);

/// The protocols that make calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// etcd's gRPC, and its JSON form, which is served through it.
    Etcd,
}
