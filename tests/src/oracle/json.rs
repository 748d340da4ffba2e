//! The oracle through the JSON API: status, headers and every field of the parsed body have to be equal.
//!
//! Allowed differences besides the ids: the words of a JSON parser about malformed input (etcd's vary the spaces in
//! them on purpose), so that only code and status are compared there.

pub mod generator;

use std::io;

use bytes::Bytes;
use serde_json::Value;

use crate::http::{Connection, Reply};

/// One HTTP request.
#[derive(Clone, Debug)]
pub struct Call {
    /// GET, POST, …
    pub method: &'static str,
    /// The route
    pub path: String,
    /// The body
    pub body: Bytes,
}

impl Call {
    /// A POST.
    #[must_use]
    pub fn post(path: &str, body: impl Into<Bytes>) -> Self {
        Self { method: "POST", path: path.to_owned(), body: body.into() }
    }

    /// Sends it.
    ///
    /// # Errors
    /// When the connection breaks.
    pub async fn send(&self, connection: &mut Connection) -> io::Result<Reply> {
        connection.call(self.method, &self.path, self.body.clone()).await
    }
}

/// What two replies differ in, in words.
#[must_use]
pub fn difference(call: &Call, left: &Reply, right: &Reply) -> Option<String> {
    let same = left.status == right.status && left.headers == right.headers && comparable(left) == comparable(right);
    (!same).then(|| {
        let show = |reply: &Reply| format!("{} {:?} {}", reply.status, reply.headers, reply.text());
        let body = String::from_utf8_lossy(&call.body).into_owned();
        format!("{} {} {body}\n  left : {}\n  right: {}", call.method, call.path, show(left), show(right))
    })
}

/// The parsed body, or its text, without what may differ.
fn comparable(reply: &Reply) -> Value {
    let Ok(mut value) = serde_json::from_slice::<Value>(&reply.body) else { return Value::String(reply.text()) };
    normalise(&mut value);
    if reply.status == 400
        && let Some(message) = value.get_mut("message")
        && !message.as_str().is_some_and(|text| text.starts_with("etcdserver: "))
    {
        *message = "what a parser says".into();
    }
    value
}

/// One line of a stream, without what may differ.
#[must_use]
pub fn comparable_line(line: &str) -> Value {
    let mut value = serde_json::from_str(line).unwrap_or_else(|_| Value::String(line.to_owned()));
    normalise(&mut value);
    value
}

fn normalise(value: &mut Value) {
    const DIFFERENT: [&str; 12] = [
        "cluster_id",
        "member_id",
        "raft_term",
        "leader",
        "raftTerm",
        "raftIndex",
        "raftAppliedIndex",
        "dbSize",
        "dbSizeInUse",
        "dbSizeQuota",
        "peerURLs",
        "clientURLs",
    ];
    match value {
        Value::Object(fields) => {
            let member = fields.contains_key("peerURLs");
            for (name, field) in fields {
                if DIFFERENT.contains(&name.as_str()) || (member && name == "ID") {
                    *field = "present".into();
                } else {
                    normalise(field);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(normalise),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(status: u16, content_type: &str, body: &str) -> Reply {
        let headers = vec![("content-type".to_owned(), content_type.to_owned())];
        Reply { status, headers, body: body.to_owned().into() }
    }

    fn differ(left: &Reply, right: &Reply) -> bool {
        difference(&Call::post("/v3/kv/range", "{}"), left, right).is_some()
    }

    #[test]
    fn ids_and_a_parsers_words_may_differ() {
        let with_id = |id: &str| reply(200, "a", &format!(r#"{{"header":{{"member_id":"{id}","revision":"2"}}}}"#));
        assert!(!differ(&with_id("1"), &with_id("2")));
        let refused = |message: &str| reply(400, "a", &format!(r#"{{"code":3,"message":"{message}"}}"#));
        assert!(!differ(&refused("proto: syntax error"), &refused("unexpected end")));
    }

    #[test]
    fn everything_else_may_not() {
        let answer = reply(200, "a", r#"{"header":{"member_id":"1","revision":"2"},"count":"1"}"#);
        let others = [
            reply(201, "a", &answer.text()),
            reply(200, "b", &answer.text()),
            reply(200, "a", &answer.text().replace("\"2\"", "\"3\"")),
            reply(200, "a", &answer.text().replace("\"2\"", "2")),
            reply(200, "a", &answer.text().replace("\"member_id\":\"1\",", "")),
            reply(200, "a", &answer.text().replace("}", "},\"more\":false}")),
        ];
        for other in others {
            assert!(differ(&answer, &other), "{}", other.text());
        }
        let refused = |message: &str| reply(400, "a", &format!(r#"{{"code":3,"message":"{message}"}}"#));
        assert!(differ(&refused("etcdserver: key is not provided"), &refused("etcdserver: key not found")));
        assert!(differ(&refused("etcdserver: key is not provided"), &refused("unexpected end")));
    }
}
