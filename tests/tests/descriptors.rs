//! The wire contract equals etcd's: every message, field, enum value and method, as text lines that a small Go
//! program prints from etcd's own packages and this test prints from the product's descriptors.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::process::Command;

use prost_reflect::{Cardinality, EnumDescriptor, FieldDescriptor, Kind, MessageDescriptor, ServiceDescriptor};
use tests::requirement;

#[test]
fn descriptors_equal_etcds() {
    let Some(expected) = etcd_lines() else { return };
    let actual = our_lines();
    let missing: Vec<_> = expected.difference(&actual).collect();
    let surplus: Vec<_> = actual.difference(&expected).collect();
    assert!(missing.is_empty() && surplus.is_empty(), "missing: {missing:#?}\nsurplus: {surplus:#?}");
    assert!(actual.len() > 400, "only {} lines were compared", actual.len());
}

/// `None` when the comparison has to be skipped, which is allowed on a user's machine only.
fn etcd_lines() -> Option<BTreeSet<String>> {
    let output = Command::new(requirement::descriptors()?).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect())
}

fn our_lines() -> BTreeSet<String> {
    let pool = proto::descriptors();
    let mut lines = BTreeSet::new();
    for message in pool.all_messages() {
        describe_message(&message, &mut lines);
    }
    for description in pool.all_enums() {
        describe_enum(&description, &mut lines);
    }
    for service in pool.services() {
        describe_service(&service, &mut lines);
    }
    lines
}

fn describe_message(message: &MessageDescriptor, lines: &mut BTreeSet<String>) {
    lines.insert(format!("message {}", message.full_name()));
    for field in message.fields() {
        let cardinality = match field.cardinality() {
            Cardinality::Optional => "optional",
            Cardinality::Required => "required",
            Cardinality::Repeated => "repeated",
        };
        let oneof = field.containing_oneof();
        lines.insert(format!(
            "field {} {} {} {cardinality} {} {}",
            field.full_name(),
            field.number(),
            type_of(&field),
            oneof.as_ref().map_or("-", |oneof| oneof.name()),
            field.json_name(),
        ));
    }
}

fn type_of(field: &FieldDescriptor) -> String {
    match field.kind() {
        Kind::Message(message) => message.full_name().to_owned(),
        Kind::Enum(description) => description.full_name().to_owned(),
        scalar => format!("{scalar:?}").to_lowercase(),
    }
}

fn describe_enum(description: &EnumDescriptor, lines: &mut BTreeSet<String>) {
    for value in description.values() {
        lines.insert(format!("value {}.{} {}", description.full_name(), value.name(), value.number()));
    }
}

fn describe_service(service: &ServiceDescriptor, lines: &mut BTreeSet<String>) {
    for method in service.methods() {
        let streaming = match (method.is_client_streaming(), method.is_server_streaming()) {
            (false, false) => "unary",
            (true, false) => "client",
            (false, true) => "server",
            (true, true) => "both",
        };
        lines.insert(format!(
            "method {}/{} {} {} {streaming}",
            service.full_name(),
            method.name(),
            method.input().full_name(),
            method.output().full_name(),
        ));
    }
}
