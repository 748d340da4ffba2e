//! The JSON gateway, in grpc-gateway's dialect: one mechanism for every route.
//!
//! ```text
//!  POST /v3/kv/put ─► route ─► JSON ─► message ─► the same gRPC service, in process
//!                                                       │
//!  {"header":{…}} ◄──────────── JSON ◄─ message ◄───────┘
//!  {"result":{…}}⏎ per message where the method streams; {"error":{…}}⏎ where it fails midway
//! ```
//!
//! Invariant: nothing here knows any single method; descriptors say what messages look like.

mod frames;
mod integer;
mod read;
mod routes;
mod scalar;
mod transcode;
mod values;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use bytes::Bytes;
use futures_util::stream;
use http_body_util::{BodyExt, LengthLimitError, Limited, StreamBody};
use prost_reflect::MethodDescriptor;
use tonic::{Code, Status};
use tower::Service;

use self::frames::Frames;
use self::routes::Route;
use super::error;
use super::grpc::Grpc;
use super::watch::Watches;
use crate::stack::Handle;

/// Base64 and names make JSON longer than the message it stands for; white space is not worth more.
const JSON_PER_MESSAGE_BYTE: usize = 2;

/// Serves one request whose path begins with /v3/.
pub(super) async fn serve<S: Handle, W: Watches>(
    State(grpc): State<Grpc<S, W>>,
    request: Request<Body>,
) -> Response<Body> {
    let Some(route) = Route::find(request.uri().path()) else {
        return respond(StatusCode::NOT_FOUND, r#"{"code":5,"message":"Not Found"}"#.into());
    };
    if request.method() != Method::POST {
        return respond(StatusCode::NOT_IMPLEMENTED, r#"{"code":12,"message":"Method Not Allowed"}"#.into());
    }
    let streams = route.method.is_server_streaming();
    match exchange(grpc, &route, request).await {
        Ok(response) => response,
        Err(status) if streams => respond(error::http_status(status.code()), transcode::stream_error(&status)),
        Err(status) => respond(error::http_status(status.code()), transcode::error(&status)),
    }
}

async fn exchange<S: Handle, W: Watches>(
    mut grpc: Grpc<S, W>,
    route: &Route,
    request: Request<Body>,
) -> Result<Response<Body>, Status> {
    let limit = grpc.receive_bytes_max();
    let (parts, body) = request.into_parts();
    let frames = if route.method.is_client_streaming() {
        let frames = values::frames(body, route.method.input(), limit * JSON_PER_MESSAGE_BYTE);
        tonic::body::Body::new(StreamBody::new(frames))
    } else {
        let json = collect(body, limit).await?;
        tonic::body::Body::new(http_body_util::Full::new(transcode::frame(&route.method.input(), &json)?))
    };
    let mut request = Request::new(frames);
    *request.method_mut() = Method::POST;
    *request.uri_mut() = route.grpc_path();
    *request.headers_mut() = metadata(&parts.headers);

    let Ok(response) = grpc.call(request).await;
    let refused = Status::from_header_map(response.headers()).filter(|status| status.code() != Code::Ok);
    if let Some(status) = refused {
        return Err(status);
    }
    let frames = Frames::new(response.into_body());
    let body = if route.method.is_server_streaming() {
        Body::from_stream(lines(frames, route.method.clone()))
    } else {
        let message = frames.only().await?;
        Body::from(transcode::json(route.method.output(), &message)?)
    };
    let mut response = respond(StatusCode::OK, body);
    response.headers_mut().insert("grpc-metadata-content-type", HeaderValue::from_static("application/grpc"));
    Ok(response)
}

/// The whole body of a request that holds one message.
async fn collect(body: Body, limit: usize) -> Result<Bytes, Status> {
    let limited = Limited::new(body, limit * JSON_PER_MESSAGE_BYTE);
    limited.collect().await.map(http_body_util::Collected::to_bytes).map_err(|failure| {
        if failure.downcast_ref::<LengthLimitError>().is_some() {
            error::message_too_large(limit * JSON_PER_MESSAGE_BYTE, limit)
        } else {
            error::invalid_json(failure.to_string())
        }
    })
}

/// One line per message, each sent as soon as it is there; an error is the last line.
fn lines(
    frames: Frames,
    method: MethodDescriptor,
) -> impl futures_util::Stream<Item = Result<Bytes, std::convert::Infallible>> {
    stream::unfold(Some(frames), move |frames| {
        let output = method.output();
        async move {
            let mut frames = frames?;
            match frames.next().await {
                Ok(None) => None,
                Ok(Some(message)) => match transcode::result_line(output, &message) {
                    Ok(line) => Some((Ok(line), Some(frames))),
                    Err(status) => Some((Ok(transcode::error_line(&status)), None)),
                },
                Err(status) => Some((Ok(transcode::error_line(&status)), None)),
            }
        }
    })
}

/// The headers that go on as metadata: the token, the deadline, and what is meant for gRPC by its prefix.
fn metadata(headers: &HeaderMap) -> HeaderMap {
    const PREFIX: &str = "grpc-metadata-";
    let mut metadata = HeaderMap::new();
    for (name, value) in headers {
        let forwarded = match name.as_str() {
            "authorization" | "grpc-timeout" => Some(name.clone()),
            other => other.strip_prefix(PREFIX).and_then(|name| HeaderName::try_from(name).ok()),
        };
        if let Some(name) = forwarded {
            metadata.append(name, value.clone());
        }
    }
    metadata.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    metadata.insert(header::TE, HeaderValue::from_static("trailers"));
    metadata
}

fn respond(status: StatusCode, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
