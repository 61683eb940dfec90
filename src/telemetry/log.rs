//! Log: one line an event on stderr, as logfmt or JSON, with Prometheus's keys in its order: time,
//! level, source, msg, then the event's own fields.
//!
//! A tracing subscriber without spans. Lines are written whole, one write each, so those of
//! different threads never mix.

use std::fmt::Write as _;
use std::io::Write as _;
use std::time::SystemTime;

use model::number::go_quote;
use tracing::field::{Field, Visit};
use tracing::span;
use tracing::{Event, Metadata, Subscriber};

use crate::api::json::push_string;
use crate::gotime;

/// Least severity that is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    Debug,
    Info,
    Warn,
    Error,
}

/// Form of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Logfmt,
    Json,
}

/// The subscriber.
#[derive(Clone, Copy, Debug)]
pub struct Log {
    level: Level,
    format: Format,
}

impl Log {
    /// A log that writes events of at least `level`.
    pub fn new(level: Level, format: Format) -> Log {
        Log { level, format }
    }

    /// Makes this the log of the process; a second call changes nothing.
    pub fn install(self) {
        // Fails only when a log is installed already, which then stays.
        let _ = tracing::subscriber::set_global_default(self);
    }

    /// Writes a line of a part that knows nothing of this log: where it comes from, its component,
    /// and fields that only exist at run time.
    pub fn line(
        self,
        level: Level,
        source: &str,
        component: &str,
        message: &str,
        fields: &[(&str, String)],
    ) {
        if level < self.level {
            return;
        }
        let mut rest = vec![("component", Value::Text(component.to_owned()))];
        rest.extend(fields.iter().map(|(name, text)| (*name, Value::Text(text.clone()))));
        self.write(level, source, &Fields { message: message.to_owned(), rest });
    }

    fn write(self, level: Level, source: &str, fields: &Fields<'_>) {
        let now = gotime::unix_nanos(SystemTime::now());
        let line = match self.format {
            Format::Logfmt => logfmt(now, level.name(), source, fields),
            Format::Json => json(now, level.name(), source, fields),
        };
        // A log that cannot be written has nowhere to say so.
        let _ = std::io::stderr().lock().write_all(&line);
    }
}

impl Level {
    fn name(self) -> &'static str {
        match self {
            Level::Debug => "DEBUG",
            Level::Info => "INFO",
            Level::Warn => "WARN",
            Level::Error => "ERROR",
        }
    }
}

fn severity(level: &tracing::Level) -> Level {
    match *level {
        tracing::Level::ERROR => Level::Error,
        tracing::Level::WARN => Level::Warn,
        tracing::Level::INFO => Level::Info,
        _ => Level::Debug,
    }
}

impl Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        // Libraries below use the same macros; only our own events are the server's log.
        metadata.is_event()
            && metadata.module_path().is_some_and(|m| m.starts_with("epimetheus"))
            && severity(metadata.level()) >= self.level
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        let metadata = event.metadata();
        let mut fields = Fields::default();
        event.record(&mut fields);
        let file = metadata.file().unwrap_or_default();
        let source = format!(
            "{}:{}",
            file.rsplit('/').next().unwrap_or_default(),
            metadata.line().unwrap_or_default()
        );
        self.write(severity(metadata.level()), &source, &fields);
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

/// A field's value: text, or something JSON shows without quotes.
enum Value {
    Text(String),
    Raw(String),
}

#[derive(Default)]
struct Fields<'a> {
    message: String,
    rest: Vec<(&'a str, Value)>,
}

impl Fields<'_> {
    fn push(&mut self, field: &Field, value: Value) {
        match (field.name(), value) {
            ("message", Value::Text(text) | Value::Raw(text)) => self.message = text,
            (name, value) => self.rest.push((name, value)),
        }
    }
}

impl Visit for Fields<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.push(field, Value::Text(value.to_owned()));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.push(field, Value::Raw(value.to_string()));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.push(field, Value::Raw(value.to_string()));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.push(field, Value::Raw(value.to_string()));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.push(field, Value::Raw(model::number::format_g(value)));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        let mut text = String::new();
        let _ = write!(text, "{value:?}");
        self.push(field, Value::Text(text));
    }
}

fn logfmt(now: i128, level: &str, source: &str, fields: &Fields<'_>) -> Vec<u8> {
    let mut line = format!(
        "time={} level={level} source={source} msg={}",
        gotime::rfc3339_millis(now),
        quoted_if_needed(&fields.message)
    );
    for (name, value) in &fields.rest {
        let text = match value {
            Value::Text(text) => quoted_if_needed(text),
            Value::Raw(text) => text.clone(),
        };
        let _ = write!(line, " {name}={text}");
    }
    line.push('\n');
    line.into_bytes()
}

/// Quotes what logfmt would misread, as Go's text handler does.
fn quoted_if_needed(text: &str) -> String {
    let plain = !text.is_empty()
        && text.chars().all(|c| match c {
            ' ' | '=' | '"' => false,
            c if c.is_ascii() => !c.is_ascii_control(),
            c => !c.is_whitespace() && !c.is_control(),
        });
    if plain { text.to_owned() } else { go_quote(text) }
}

fn json(now: i128, level: &str, source: &str, fields: &Fields<'_>) -> Vec<u8> {
    let mut line = Vec::with_capacity(256);
    line.extend_from_slice(b"{\"time\":\"");
    line.extend_from_slice(gotime::rfc3339_nano(now).as_bytes());
    line.extend_from_slice(b"\",\"level\":\"");
    line.extend_from_slice(level.as_bytes());
    line.extend_from_slice(b"\",\"source\":");
    push_string(&mut line, source);
    line.extend_from_slice(b",\"msg\":");
    push_string(&mut line, &fields.message);
    for (name, value) in &fields.rest {
        line.push(b',');
        push_string(&mut line, name);
        line.push(b':');
        match value {
            Value::Text(text) => push_string(&mut line, text),
            Value::Raw(text) => line.extend_from_slice(text.as_bytes()),
        }
    }
    line.extend_from_slice(b"}\n");
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields() -> Fields<'static> {
        Fields {
            message: "Start listening".to_owned(),
            rest: vec![
                ("address", Value::Text("0.0.0.0:9090".to_owned())),
                ("err", Value::Text("open \"x\": no".to_owned())),
                ("empty", Value::Text(String::new())),
                ("n", Value::Raw("3".to_owned())),
            ],
        }
    }

    #[test]
    fn both_forms() {
        let at = 1_795_225_289_125_255_093;
        assert_eq!(
            String::from_utf8(logfmt(at, "INFO", "web.rs:7", &fields())).unwrap(),
            "time=2026-11-21T01:41:29.125Z level=INFO source=web.rs:7 msg=\"Start listening\" \
             address=0.0.0.0:9090 err=\"open \\\"x\\\": no\" empty=\"\" n=3\n"
        );
        assert_eq!(
            String::from_utf8(json(at, "INFO", "web.rs:7", &fields())).unwrap(),
            "{\"time\":\"2026-11-21T01:41:29.125255093Z\",\"level\":\"INFO\",\
             \"source\":\"web.rs:7\",\"msg\":\"Start listening\",\"address\":\"0.0.0.0:9090\",\
             \"err\":\"open \\\"x\\\": no\",\"empty\":\"\",\"n\":3}\n"
        );
    }
}
