//! JSON calls from a seed: the operations of the gRPC oracle, written in every way a client may write them, and
//! damaged.

use bytes::Bytes;
use prost::Message;
use prost_reflect::{DynamicMessage, SerializeOptions};
use proto::etcdserverpb::{LeaseLeasesRequest, LeaseRevokeRequest, LeaseTimeToLiveRequest};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::Value;

use super::Call;
use crate::oracle::generator::{Generator, KeySpace};
use crate::oracle::operation::Operation;
use crate::oracle::symbol::{self, Chosen, Position, resolve};

/// A source of calls. The same seed gives the same ones, up to the position they are resolved at.
pub struct Calls {
    operations: Generator,
    random: StdRng,
}

impl Calls {
    /// Calls of a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { operations: Generator::new(seed, KeySpace::whole()), random: StdRng::seed_from_u64(seed) }
    }

    /// The next call, in the numbers of a store at `position`.
    ///
    /// # Panics
    /// When the product's descriptors lack one of etcd's messages.
    pub fn next(&mut self, position: Position) -> Call {
        loop {
            let operation = resolve(&self.operations.operation(), position, &Chosen::default());
            let Some((path, message, encoded)) = route(&operation) else { continue };
            let descriptor = proto::descriptors().get_message_by_name(message).expect("the message is etcd's");
            let dynamic = DynamicMessage::decode(descriptor, &*encoded).expect("the message was just encoded");
            let options = SerializeOptions::new()
                .use_proto_field_name(self.random.random_ratio(4, 5))
                .stringify_64_bit_integers(self.random.random_ratio(1, 2))
                .use_enum_numbers(self.random.random_ratio(1, 3))
                .skip_default_fields(self.random.random_ratio(4, 5));
            let serializer = serde_json::value::Serializer;
            let mut body = dynamic.serialize_with_options(serializer, &options).expect("every message has a JSON form");
            // A damaged grant may be one of a short life, which ends at its own time on each system.
            let fields_may_differ = !matches!(operation, Operation::Grant(_));
            return Call::post(path, self.damaged(&mut body, fields_may_differ));
        }
    }

    /// Mostly the body as it is.
    fn damaged(&mut self, body: &mut Value, fields_may_differ: bool) -> Bytes {
        let kind = self.random.random_range(0..100);
        if (75..92).contains(&kind) && fields_may_differ {
            self.damage_field(body);
        }
        let mut text = body.to_string();
        match kind {
            // Not to nothing: an empty grant has an id that each system chooses.
            92..94 => text.truncate(self.random.random_range(1..text.len())),
            94 => text = text.replace("\"key\"", "\"Key\""),
            95 => text.insert(self.random.random_range(0..text.len()), ','),
            96 => text = format!("[{text}]"),
            97 => text = format!("  {text}  "),
            98 => text = text.replace('=', ""),
            99 => text = text.replace('+', "-").replace('/', "_"),
            _ => {}
        }
        text.into()
    }

    fn damage_field(&mut self, body: &mut Value) {
        let Value::Object(fields) = body else { return };
        if fields.is_empty() || self.random.random_ratio(1, 4) {
            fields.insert("unknown".to_owned(), serde_json::json!({"a": [1, null, "x"]}));
            return;
        }
        let number = self.random.random_range(0..fields.len());
        let values = [
            serde_json::json!(null),
            serde_json::json!(true),
            serde_json::json!("true"),
            serde_json::json!(1),
            serde_json::json!("1"),
            serde_json::json!(1.0),
            serde_json::json!(1.5),
            serde_json::json!("1e2"),
            serde_json::json!(""),
            serde_json::json!(" 1"),
            serde_json::json!("not base64!"),
            serde_json::json!([]),
            serde_json::json!({}),
            serde_json::json!("9223372036854775808"),
            serde_json::json!(-1),
        ];
        if let Some((_, value)) = fields.iter_mut().nth(number) {
            *value = values[self.random.random_range(0..values.len())].clone();
        }
    }
}

fn route(operation: &Operation) -> Option<(&'static str, &'static str, Vec<u8>)> {
    let chosen = |id: i64| symbol::slot(id).is_some();
    Some(match operation {
        Operation::Range(request) => ("/v3/kv/range", "etcdserverpb.RangeRequest", request.encode_to_vec()),
        Operation::Put(request) => ("/v3/kv/put", "etcdserverpb.PutRequest", request.encode_to_vec()),
        Operation::Delete(request) => {
            ("/v3/kv/deleterange", "etcdserverpb.DeleteRangeRequest", request.encode_to_vec())
        }
        Operation::Txn(request) => ("/v3/kv/txn", "etcdserverpb.TxnRequest", request.encode_to_vec()),
        Operation::Compact(request) => ("/v3/kv/compaction", "etcdserverpb.CompactionRequest", request.encode_to_vec()),
        // The server would choose the id.
        Operation::Grant(request) if request.id == 0 || chosen(request.id) => return None,
        Operation::Grant(request) => ("/v3/lease/grant", "etcdserverpb.LeaseGrantRequest", request.encode_to_vec()),
        Operation::Revoke(id) => {
            let request = LeaseRevokeRequest { id: *id };
            ("/v3/kv/lease/revoke", "etcdserverpb.LeaseRevokeRequest", request.encode_to_vec())
        }
        Operation::TimeToLive(id, _) => {
            // With at most one key, whose order is one.
            let request = LeaseTimeToLiveRequest { id: *id, keys: false };
            ("/v3/lease/timetolive", "etcdserverpb.LeaseTimeToLiveRequest", request.encode_to_vec())
        }
        Operation::Leases => {
            ("/v3/lease/leases", "etcdserverpb.LeaseLeasesRequest", LeaseLeasesRequest {}.encode_to_vec())
        }
        Operation::RangeStream(_)
        | Operation::KeepAlive(_)
        | Operation::Watch(..)
        | Operation::CancelWatch(..)
        | Operation::Progress(_)
        | Operation::Settle => return None,
    })
}
