//! How scripts write requests, and how they show answers.
//!
//! ```text
//!  ranges       a   a..c   a..   ..
//!  compares     "version a = 1"   "value a..c != x"   targets version, create, mod, value, lease; = != < > ?
//!  operations   "put a 1 lease=7 prev"   "get a.. limit=2"   "delete a..c prev"
//!  nested       txn if .. then .. else .. end
//! ```

use std::fmt::Write as _;

use bytes::Bytes;
use internal_proto::{
    Compare, CompareOperator, CompareTarget, DeleteRangeRequest, DeleteRangeResponse, Event, EventKind, KeyRange,
    KeyValue, LeaseId, PutLease, PutRequest, PutResponse, PutValue, RangeEnd, RangeRequest, RangeResponse, Response,
    Revision, RevisionFilter, Sort, SortOrder, SortTarget, TxnOperation, TxnOperationResponse, TxnRequest, TxnResponse,
};

/// The words of a command: positional ones in order, `name=value` ones, and flags among the positional ones.
pub(super) struct Words {
    positional: Vec<String>,
    named: Vec<(String, String)>,
}

impl Words {
    pub(super) fn new(positional: Vec<String>, named: Vec<(String, String)>) -> Self {
        Self { positional, named }
    }

    fn split(text: &str) -> Self {
        let mut words = Self::new(Vec::new(), Vec::new());
        for word in text.split_whitespace() {
            match word.split_once('=') {
                Some((name, value)) if !name.is_empty() => words.named.push((name.into(), value.into())),
                _ => words.positional.push(word.into()),
            }
        }
        words
    }

    pub(super) fn next(&mut self) -> String {
        assert!(!self.positional.is_empty(), "a word is missing");
        self.positional.remove(0)
    }

    pub(super) fn rest(&mut self) -> Vec<String> {
        std::mem::take(&mut self.positional)
    }

    pub(super) fn flag(&mut self, name: &str) -> bool {
        let at = self.positional.iter().position(|word| word == name);
        at.map(|at| self.positional.remove(at)).is_some()
    }

    pub(super) fn text(&mut self, name: &str) -> Option<String> {
        let at = self.named.iter().position(|(known, _)| known == name)?;
        Some(self.named.remove(at).1)
    }

    pub(super) fn number(&mut self, name: &str) -> Option<i64> {
        self.text(name).map(|text| number(&text))
    }

    pub(super) fn done(&self) {
        assert!(self.positional.is_empty() && self.named.is_empty(), "left: {:?} {:?}", self.positional, self.named);
    }
}

pub(super) fn number(text: &str) -> i64 {
    text.parse().unwrap()
}

pub(super) fn key_range(text: &str) -> KeyRange {
    let bytes = |text: &str| Bytes::copy_from_slice(text.as_bytes());
    match text.split_once("..") {
        None => KeyRange::single(bytes(text)),
        Some((start, "")) => KeyRange { start: bytes(start), end: RangeEnd::Unbounded },
        Some((start, end)) => KeyRange { start: bytes(start), end: RangeEnd::Before(bytes(end)) },
    }
}

pub(super) fn put(words: &mut Words) -> PutRequest {
    let key = words.next().into_bytes().into();
    let value = if words.flag("keep_value") { PutValue::Keep } else { PutValue::Set(words.next().into_bytes().into()) };
    let lease = match (words.flag("keep_lease"), words.number("lease")) {
        (true, _) => PutLease::Keep,
        (false, lease) => PutLease::Set(LeaseId(lease.unwrap_or(0))),
    };
    PutRequest { key, value, lease, prev_kv: words.flag("prev") }
}

pub(super) fn delete(words: &mut Words) -> DeleteRangeRequest {
    DeleteRangeRequest { prev_kv: words.flag("prev"), range: key_range(&words.next()) }
}

pub(super) fn range(words: &mut Words) -> RangeRequest {
    let filter = RevisionFilter {
        min_mod: words.number("min_mod").map(Revision),
        max_mod: words.number("max_mod").map(Revision),
        min_create: words.number("min_create").map(Revision),
        max_create: words.number("max_create").map(Revision),
    };
    RangeRequest {
        keys_only: words.flag("keys_only"),
        count_only: words.flag("count_only"),
        limit: words.number("limit").map_or(0, |limit| limit.try_into().unwrap()),
        revision: words.number("rev").map(Revision),
        sort: words.text("sort").map(|text| sort(&text)),
        serializable: false,
        filter,
        range: key_range(&words.next()),
    }
}

fn sort(text: &str) -> Sort {
    let (target, order) = text.split_once(':').unwrap();
    let target = match target {
        "key" => SortTarget::Key,
        "version" => SortTarget::Version,
        "create" => SortTarget::Create,
        "mod" => SortTarget::Mod,
        "value" => SortTarget::Value,
        _ => panic!("no sort target {target}"),
    };
    Sort { target, order: if order == "down" { SortOrder::Descend } else { SortOrder::Ascend } }
}

/// `if COMPARE.. then OPERATION.. else OPERATION..`, up to `end` or the last word.
pub(super) fn txn(words: &mut std::vec::IntoIter<String>) -> TxnRequest {
    let mut request = TxnRequest::default();
    let mut part = String::new();
    while let Some(word) = words.next() {
        match (word.as_str(), part.as_str()) {
            ("end", _) => break,
            ("if" | "then" | "else", _) => part = word,
            (_, "if") => request.compare.push(compare(&word)),
            (_, "then") => request.success.push(operation(&word, words)),
            (_, "else") => request.failure.push(operation(&word, words)),
            _ => panic!("{word} stands before if, then or else"),
        }
    }
    request
}

fn operation(text: &str, rest: &mut std::vec::IntoIter<String>) -> TxnOperation {
    let mut words = Words::split(text);
    let operation = match words.next().as_str() {
        "get" => TxnOperation::Range(range(&mut words)),
        "put" => TxnOperation::Put(put(&mut words)),
        "delete" => TxnOperation::DeleteRange(delete(&mut words)),
        "txn" => TxnOperation::Txn(txn(rest)),
        other => panic!("no operation {other}"),
    };
    words.done();
    operation
}

fn compare(text: &str) -> Compare {
    let words: Vec<&str> = text.split_whitespace().collect();
    let [target, range, operator, ref given @ ..] = words[..] else { panic!("not a comparison: {text}") };
    let given = given.first().copied().unwrap_or_default();
    let target = match target {
        "version" => CompareTarget::Version(number(given)),
        "create" => CompareTarget::Create(Revision(number(given))),
        "mod" => CompareTarget::Mod(Revision(number(given))),
        "value" => CompareTarget::Value(Bytes::copy_from_slice(given.as_bytes())),
        "lease" => CompareTarget::Lease(LeaseId(number(given))),
        _ => CompareTarget::Unknown,
    };
    let operator = match operator {
        "=" => CompareOperator::Equal,
        "!=" => CompareOperator::NotEqual,
        ">" => CompareOperator::Greater,
        "<" => CompareOperator::Less,
        _ => CompareOperator::Unknown,
    };
    Compare { range: key_range(range), operator, target }
}

pub(super) fn show_kv(kv: &KeyValue) -> String {
    let fields = kv.fields();
    let text = |bytes: &[u8]| bytes.escape_ascii().to_string();
    let mut out = format!(
        "{}={} create={} mod={} version={}",
        text(fields.key),
        text(fields.value),
        fields.create_revision,
        fields.mod_revision,
        fields.version
    );
    if fields.lease != LeaseId(0) {
        write!(out, " lease={}", fields.lease.0).unwrap();
    }
    out
}

pub(super) fn show_event(event: &Event) -> String {
    let previous = event.prev_kv.as_ref().map_or_else(String::new, |kv| format!(" before: {}", show_kv(kv)));
    match event.kind {
        EventKind::Put => format!("put {}{previous}", show_kv(&event.kv)),
        EventKind::Delete => {
            format!("delete {} mod={}{previous}", event.kv.key().escape_ascii(), event.kv.mod_revision())
        }
    }
}

pub(super) fn show_range(range: &RangeResponse) -> String {
    let mut out: String = range.kvs.iter().map(|kv| show_kv(kv) + "\n").collect();
    let more = if range.more { " more" } else { "" };
    writeln!(out, "count={}{more} at {}", range.count, range.revision).unwrap();
    out
}

fn show_put(put: &PutResponse) -> String {
    let previous = put.prev_kv.as_ref().map_or_else(String::new, |kv| format!(" before: {}", show_kv(kv)));
    format!("put at {}{previous}\n", put.revision)
}

fn show_delete(delete: &DeleteRangeResponse) -> String {
    let mut out = format!("deleted {} at {}\n", delete.deleted, delete.revision);
    for kv in &delete.prev_kvs {
        writeln!(out, "before: {}", show_kv(kv)).unwrap();
    }
    out
}

pub(super) fn show_txn(txn: &TxnResponse) -> String {
    let mut out = format!("{} at {}\n", if txn.succeeded { "success" } else { "failure" }, txn.revision);
    for response in &txn.responses {
        let shown = match response {
            TxnOperationResponse::Range(range) => show_range(range),
            TxnOperationResponse::Put(put) => show_put(put),
            TxnOperationResponse::DeleteRange(delete) => show_delete(delete),
            TxnOperationResponse::Txn(txn) => show_txn(txn),
        };
        shown.lines().for_each(|line| writeln!(out, "  {line}").unwrap());
    }
    out
}

pub(super) fn show_response(response: &Response) -> String {
    match response {
        Response::Range(range) => show_range(range),
        Response::Put(put) => show_put(put),
        Response::DeleteRange(delete) => show_delete(delete),
        Response::Txn(txn) => show_txn(txn),
        Response::LeaseGrant(grant) => format!("granted {} for {} s\n", grant.id.0, grant.ttl),
        Response::Compact => "compacted\n".into(),
        Response::LeaseRevoke => "revoked\n".into(),
        Response::SessionOpened(id) => format!("session {id}\n"),
        Response::Done => "done\n".into(),
        other => panic!("no command is answered so: {other:?}"),
    }
}
