//! Redirects to the canonical form of a path, as Go's HTTP server sends them before it looks for a route.
//!
//! ```text
//!  //v3/./kv/range ─► /v3/kv/range      /v3/lease/../kv/ ─► /v3/kv/      /v3 ─► /v3/ (the JSON gateway's root)
//! ```
//!
//! Invariant: a canonical path is not redirected, so that redirects end.

use axum::body::Body;
use axum::http::{HeaderValue, Method, Response, StatusCode, Uri, header};

/// The JSON gateway's root; without its last slash it names nothing.
const JSON_ROOT: &str = "/v3/";
const OLD_JSON_ROOT: &str = "/v3beta/";

/// The redirect that a request gets instead of an answer, if its path is not canonical.
pub(super) fn to_canonical(method: &Method, uri: &Uri, json_gateway: bool) -> Option<Response<Body>> {
    let canonical = canonical(uri.path(), json_gateway)?;
    let location = match uri.query() {
        Some(query) => format!("{canonical}?{query}"),
        None => canonical,
    };
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::TEMPORARY_REDIRECT;
    if method == Method::GET || method == Method::HEAD {
        let link = location.replace('&', "&amp;").replace('\'', "&#39;");
        *response.body_mut() = format!("<a href=\"{link}\">Temporary Redirect</a>.\n\n").into();
        let html = HeaderValue::from_static("text/html; charset=utf-8");
        response.headers_mut().insert(header::CONTENT_TYPE, html);
    }
    response.headers_mut().insert(header::LOCATION, HeaderValue::try_from(location).ok()?);
    Some(response)
}

/// Where to redirect to; `None` for a path that is canonical.
fn canonical(path: &str, json_gateway: bool) -> Option<String> {
    if !path.starts_with('/') {
        return None;
    }
    // The old root is another name of the new one.
    let renamed = path.strip_prefix(OLD_JSON_ROOT).map(|rest| format!("{JSON_ROOT}{rest}"));
    let named = renamed.as_deref().unwrap_or(path);
    let mut segments = Vec::new();
    for segment in named.split('/') {
        match segment {
            "" | "." => {}
            ".." => drop(segments.pop()),
            segment => segments.push(segment),
        }
    }
    let mut canonical = format!("/{}", segments.join("/"));
    let is_json_root = json_gateway && canonical == JSON_ROOT.trim_end_matches('/');
    if canonical != "/" && (named.ends_with('/') || is_json_root) {
        canonical.push('/');
    }
    (canonical != named).then_some(canonical)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_that_are_not_canonical_are_redirected() {
        for path in ["/", "/v3/", "/v3/kv/range", "/v3/kv/range/", "/v3beta/kv/range", "/v3beta", "/health", "*"] {
            assert_eq!(canonical(path, true), None, "{path}");
        }
        let redirected = [
            ("/v3", "/v3/"),
            ("//v3", "/v3/"),
            ("/v3//kv/range", "/v3/kv/range"),
            ("/v3beta//kv/range", "/v3/kv/range"),
            ("/v3/./kv/../lease/", "/v3/lease/"),
            ("/../../x", "/x"),
            ("//", "/"),
        ];
        for (path, location) in redirected {
            assert_eq!(canonical(path, true).as_deref(), Some(location), "{path}");
        }
        assert_eq!(canonical("/v3", false), None);
    }
}
