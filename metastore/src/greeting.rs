//! What a person sees who starts the program by hand: where it is, and what to try.

use std::net::SocketAddr;

/// The greeting. `addresses` are those clients are served at, the main one first; `place` says where the data is, and
/// `afresh` how to be rid of it.
pub(crate) fn greeting(addresses: &[SocketAddr], place: &str, afresh: &str) -> String {
    let main = addresses.first().copied().unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 0)));
    let target = match main.ip().is_unspecified() {
        true => SocketAddr::from(([127, 0, 0, 1], main.port())),
        false => main,
    };
    let listed: Vec<_> = addresses.iter().map(SocketAddr::to_string).collect();
    // Base64 of foo and bar: the JSON API carries bytes.
    format!(
        r#"
MetaStore serves etcd's API on {listed} (gRPC, JSON, /health, /version, /metrics).
{place}

Try in another terminal:
  curl http://{target}/v3/kv/put -d '{{"key":"Zm9v","value":"YmFy"}}'
  curl http://{target}/v3/kv/range -d '{{"key":"Zm9v"}}'
  etcdctl --endpoints={target} put foo bar
  etcdctl --endpoints={target} get foo

Stop with Ctrl-C.{afresh}
"#,
        listed = listed.join(", "),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn examples_go_where_clients_are_served() {
        let text = greeting(&[SocketAddr::from(([0, 0, 0, 0], 1234))], "Data directory: /d", " Afresh: rm");
        assert!(text.contains("serves etcd's API on 0.0.0.0:1234 "), "{text}");
        assert_eq!(text.matches("127.0.0.1:1234").count(), 4, "{text}");
        assert!(text.contains("Data directory: /d\n") && text.ends_with("Stop with Ctrl-C. Afresh: rm\n"), "{text}");
    }
}
