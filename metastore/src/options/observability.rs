//! What operators see (etcd's sections on profiling, logging and tracing).

use super::Effect::{Later, NoMeaning};
use super::{Family, OptionSpec, Section};
use crate::role::{CLIENTS, Role};
use crate::value::Kind;

const fn monitoring(name: &'static str, kind: Kind, default: &'static str) -> OptionSpec {
    OptionSpec::new(Family::Etcd, Section::Monitoring, name, kind).default(default)
}

const fn logging(name: &'static str, kind: Kind, default: &'static str) -> OptionSpec {
    OptionSpec::new(Family::Etcd, Section::Logging, name, kind).default(default)
}

const LEVELS: &[&str] = &["debug", "info", "warn", "error", "dpanic", "panic", "fatal"];
const ROTATION: &str = r#"{"maxsize": 100, "maxage": 0, "maxbackups": 0, "localtime": false, "compress": false}"#;

pub(super) const OPTIONS: &[OptionSpec] = &[
    monitoring("enable-pprof", Kind::Bool, "false").effect(Later).doc("Serve profiles below /debug/pprof/."),
    monitoring("metrics", Kind::OneOf(&["basic", "extensive"]), "basic")
        .effect(Later)
        .doc("Whether metrics include a histogram per RPC."),
    monitoring("listen-metrics-urls", Kind::Urls, "")
        .own_defaults(&[(Role::Gateway, "http://127.0.0.1:9090"), (Role::StoreNode, "http://127.0.0.1:9091")])
        .doc("Where to serve /metrics, /health, /readyz and /livez besides the client URLs."),
    monitoring("enable-distributed-tracing", Kind::Bool, "false")
        .effect(Later)
        .doc("Send traces to an OpenTelemetry collector."),
    monitoring("distributed-tracing-address", Kind::Text, "localhost:4317")
        .effect(Later)
        .doc("Address of that collector."),
    monitoring("distributed-tracing-service-name", Kind::Text, "etcd").effect(Later).doc("Service name in traces."),
    monitoring("distributed-tracing-instance-id", Kind::Text, "").effect(Later).doc("Instance id in traces."),
    monitoring("distributed-tracing-sampling-rate", Kind::Signed, "0").effect(Later).doc("Traces kept of a million."),
    logging("logger", Kind::OneOf(&["zap"]), "zap").effect(NoMeaning).doc("Name of etcd's logging library."),
    logging("log-outputs", Kind::List, "default")
        .path("log.output_paths")
        .doc("Where log lines go: stderr (also called default), stdout, or a file."),
    logging("log-level", Kind::OneOf(LEVELS), "info")
        .path("log.level")
        .doc("Least important level to log: debug, info, warn or error."),
    logging("log-format", Kind::OneOf(&["json", "console", "text"]), "json")
        .path("log.encoding")
        .doc("Log lines as json, or as text (also called console)."),
    logging("enable-log-rotation", Kind::Bool, "false").effect(Later).doc("Rotate the log file."),
    logging("log-rotation-config-json", Kind::Text, ROTATION).effect(Later).doc("How to rotate the log file."),
    logging("warning-unary-request-duration", Kind::Duration, "300ms")
        .path("monitoring.slow_request_threshold")
        .roles(CLIENTS)
        .doc("A unary request that takes longer is logged."),
];
