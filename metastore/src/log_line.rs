//! One log line, with the keys etcd's lines have: level, ts, caller, msg, then the event's own.
//!
//! Fields of the spans around an event (a request's id) follow its own fields.

use std::fmt::{self, Debug};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::{JsonFields, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormattedFields};
use tracing_subscriber::registry::LookupSpan;

/// The form of lines.
pub(crate) struct LogLine {
    /// JSON instead of text.
    pub(crate) json: bool,
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> FormatEvent<S, JsonFields> for LogLine {
    fn format_event(
        &self,
        context: &FmtContext<'_, S, JsonFields>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut fields = Fields::default();
        event.record(&mut fields);
        for span in context.event_scope().into_iter().flatten() {
            let extensions = span.extensions();
            let formatted = extensions.get::<FormattedFields<JsonFields>>();
            if let Some(Ok(Value::Object(outer))) = formatted.map(|text| serde_json::from_str(&text.fields)) {
                for (key, value) in outer {
                    fields.rest.entry(key).or_insert(value);
                }
            }
        }
        let metadata = event.metadata();
        let caller = caller(metadata.file().unwrap_or_default(), metadata.line().unwrap_or_default());
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let time = timestamp(since_epoch.as_secs(), since_epoch.subsec_micros());
        let (level, message) = (level(*metadata.level()), fields.message);
        let rest = Value::Object(fields.rest).to_string();
        if !self.json {
            return writeln!(writer, "{time}  {level}  {caller}  {message}  {rest}");
        }
        let message = Value::String(message);
        let caller = Value::String(caller);
        write!(writer, r#"{{"level":"{level}","ts":"{time}","caller":{caller},"msg":{message}"#)?;
        if rest == "{}" { writeln!(writer, "}}") } else { writeln!(writer, ",{}", &rest[1..]) }
    }
}

fn level(level: Level) -> &'static str {
    match level {
        Level::ERROR => "error",
        Level::WARN => "warn",
        Level::INFO => "info",
        Level::DEBUG | Level::TRACE => "debug",
    }
}

/// The last folder and the file, as etcd shows them.
fn caller(file: &str, line: u32) -> String {
    let mut parts = file.rsplit('/');
    let name = parts.next().unwrap_or_default();
    match parts.next() {
        Some(folder) => format!("{folder}/{name}:{line}"),
        None => format!("{name}:{line}"),
    }
}

/// A moment in UTC, like 2026-11-23T05:47:38.372062Z.
fn timestamp(seconds: u64, micros: u32) -> String {
    let (year, month, day) = civil_date(seconds / 86_400);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z")
}

/// Year, month and day of a day counted from 1970-01-01, in the Gregorian calendar.
fn civil_date(days: u64) -> (u64, u64, u64) {
    // Years that begin in March end with the leap day, so months fall into a fixed pattern.
    const DAYS_TO_1970: u64 = 719_468;
    const DAYS_IN_400_YEARS: u64 = 146_097;
    let days = days + DAYS_TO_1970;
    let (era, day_of_era) = (days / DAYS_IN_400_YEARS, days % DAYS_IN_400_YEARS);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

/// An event's message, and its other fields as JSON.
#[derive(Default)]
struct Fields {
    message: String,
    rest: Map<String, Value>,
}

impl Fields {
    fn put(&mut self, field: &Field, value: Value) {
        match (field.name(), value) {
            ("message", Value::String(text)) => self.message = text,
            ("message", other) => self.message = other.to_string(),
            (name, value) => drop(self.rest.insert(name.to_owned(), value)),
        }
    }
}

impl Visit for Fields {
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value.into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value.into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.put(field, format!("{value:?}").into());
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::io::{self, Write};
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    #[derive(Clone, Default)]
    struct Memory(Arc<Mutex<Vec<u8>>>);

    impl Write for Memory {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(json: bool, log: fn()) -> String {
        let memory = Memory::default();
        let writer = memory.clone();
        let layer = tracing_subscriber::fmt::layer()
            .fmt_fields(JsonFields::new())
            .event_format(LogLine { json })
            .with_writer(move || writer.clone());
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), log);
        String::from_utf8(memory.0.lock().unwrap().clone()).unwrap()
    }

    fn speak() {
        let _request = tracing::info_span!("request", request_id = "r1").entered();
        tracing::warn!(count = 3, text = "a \"b\"", "slow\nrequest");
    }

    #[test]
    fn json_lines_have_etcds_keys_in_etcds_order() {
        let line = logged(true, speak);
        let (start, rest) = line.split_at(r#"{"level":"warn","ts":""#.len());
        assert_eq!(start, r#"{"level":"warn","ts":""#);
        let rest = &rest["2026-11-23T05:47:38.372062Z".len()..];
        assert!(rest.starts_with(r#"","caller":"src/log_line.rs:"#), "{line}");
        assert!(
            rest.ends_with(
                &(r#","msg":"slow\nrequest","count":3,"request_id":"r1","text":"a \"b\""}"#.to_owned() + "\n")
            )
        );
        serde_json::from_str::<Value>(&line).unwrap();
    }

    #[test]
    fn an_event_without_fields_is_one_object_too() {
        let line = logged(true, || tracing::info!("ready to serve client requests"));
        assert!(line.ends_with(",\"msg\":\"ready to serve client requests\"}\n"), "{line}");
    }

    #[test]
    fn text_lines_hold_the_same() {
        let line = logged(false, speak);
        assert!(line.contains("Z  warn  src/log_line.rs:"), "{line}");
        assert!(
            line.ends_with("  slow\nrequest  {\"count\":3,\"request_id\":\"r1\",\"text\":\"a \\\"b\\\"\"}\n"),
            "{line}"
        );
    }

    #[test]
    fn moments_as_date_printed_them() {
        assert_eq!(timestamp(0, 0), "1970-01-01T00:00:00.000000Z");
        assert_eq!(timestamp(951_782_400, 1), "2000-02-29T00:00:00.000001Z");
        assert_eq!(timestamp(1_709_251_199, 999_999), "2024-02-29T23:59:59.999999Z");
        assert_eq!(timestamp(1_795_412_858, 372_062), "2026-11-23T05:47:38.372062Z");
    }

    #[test]
    fn callers_are_short() {
        assert_eq!(caller("metastore/src/serve.rs", 63), "src/serve.rs:63");
        assert_eq!(caller("main.rs", 1), "main.rs:1");
    }
}
