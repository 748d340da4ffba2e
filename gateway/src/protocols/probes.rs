//! `/livez` and `/readyz`: named checks, all at once or one by one, answered in etcd's form.
//!
//! ```text
//!  /readyz                     ok                        503 and every check's line if one fails
//!  /readyz?verbose             [+]name ok … ok           ?exclude=name leaves one out, as often as asked
//!  /readyz/name                ok                        that check alone
//! ```

use axum::Router;
use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderValue, Method, Response, header};
use axum::routing::any;

use super::operations::{Operations, TEXT, failure, not_allowed, respond};

/// What a process has to be able to do, or has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// A read of what the node has.
    SerializableRead,
    /// A read of all that was acknowledged.
    LinearizableRead,
    /// No alarm says that data is damaged.
    DataCorruption,
    /// It votes.
    NonLearner,
    /// A leader is known.
    Leader,
    /// Nobody asked it to make way.
    NotDrained,
}

impl Check {
    /// Its name in paths and answers.
    const fn name(self) -> &'static str {
        match self {
            Self::SerializableRead => "serializable_read",
            Self::LinearizableRead => "linearizable_read",
            Self::DataCorruption => "data_corruption",
            Self::NonLearner => "non_learner",
            Self::Leader => "leader",
            Self::NotDrained => "not_drained",
        }
    }
}

/// The routes of one probe: its own path, and one below it for each check.
pub(super) fn routes(path: &str, checks: &'static [Check]) -> Router<Operations> {
    let serve = move |operations, method, RawQuery(query)| serve(operations, method, query.unwrap_or_default(), checks);
    let alone = |check: &'static Check| {
        let checks = std::slice::from_ref(check);
        any(move |operations, method| serve_alone(operations, method, checks))
    };
    let root = Router::new().route(path, any(serve));
    checks.iter().fold(root, |routes, check| routes.route(&format!("{path}/{}", check.name()), alone(check)))
}

async fn serve_alone(operations: State<Operations>, method: Method, checks: &'static [Check]) -> Response<Body> {
    serve(operations, method, String::new(), checks).await
}

async fn serve(
    State(operations): State<Operations>,
    method: Method,
    query: String,
    checks: &'static [Check],
) -> Response<Body> {
    if method != Method::GET {
        return not_allowed();
    }
    let words: Vec<_> = query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, ""))).collect();
    let (mut lines, mut failed) = (String::new(), false);
    for check in checks.iter().filter(|check| !words.contains(&("exclude", check.name()))) {
        let name = check.name();
        match operations.condition().check(*check).await {
            Ok(()) => lines.push_str(&format!("[+]{name} ok\n")),
            Err(reason) => {
                failed = true;
                lines.push_str(&format!("[-]{name} failed: {reason}\n"));
            }
        }
    }
    if failed {
        return failure(axum::http::StatusCode::SERVICE_UNAVAILABLE, &lines);
    }
    let verbose = words.iter().any(|(name, _)| *name == "verbose");
    let mut response = respond(TEXT, if verbose { lines + "ok\n" } else { "ok\n".to_owned() }.into());
    response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
