//! Values of flags: how a text is checked and how `/api/v1/status/flags` prints it.

use model::duration;
use model::number::format_g;

use crate::gotext;

/// What a flag takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// On or off, without an argument.
    Bool,
    Text,
    /// A text that may be given more than once.
    List,
    /// A whole number, float notation allowed.
    Int,
    /// A whole number.
    Int64,
    Float,
    /// Prometheus's duration.
    Duration,
    /// Go's duration.
    GoDuration,
    /// A size in powers of 1024.
    Bytes,
    /// One of a few words.
    Enum(&'static [&'static str]),
    /// Remote write messages, may be given more than once.
    Messages,
    /// A log level.
    Level,
    /// A log format.
    Format,
}

impl Kind {
    /// Whether the flag may be given more than once.
    pub fn repeats(self) -> bool {
        matches!(self, Kind::List | Kind::Messages)
    }

    /// Checks `text`; gives it back as the flags API prints it.
    pub fn normalize(self, text: &str) -> Result<String, String> {
        match self {
            Kind::Text | Kind::List => Ok(text.to_owned()),
            Kind::Bool => gotext::parse_bool(text).map(|v| v.to_string()),
            // A float far outside i64 saturates, as the conversion in Go does on amd64 in effect.
            Kind::Int => gotext::parse_float(text).map(|v| (v as i64).to_string()),
            Kind::Int64 => gotext::parse_int(text, 64).map(|v| v.to_string()),
            Kind::Float => gotext::parse_float(text).map(format_g),
            Kind::Duration => {
                duration::parse(text).map(duration::format).map_err(|e| e.to_string())
            }
            Kind::GoDuration => gotext::parse_go_duration(text)
                .map(|nanos| gotext::format_go_duration(i128::from(nanos))),
            Kind::Bytes => gotext::parse_bytes(text).map(gotext::format_bytes),
            Kind::Enum(words) if words.contains(&text) => Ok(text.to_owned()),
            Kind::Enum(words) => {
                Err(format!("enum value must be one of {}, got '{text}'", words.join(",")))
            }
            Kind::Messages => message(text),
            Kind::Level => match text.to_lowercase().as_str() {
                level @ ("debug" | "info" | "warn" | "error") => Ok(level.to_owned()),
                _ => Err(format!("unrecognized log level {text}")),
            },
            Kind::Format => match text {
                "logfmt" | "json" => Ok(text.to_owned()),
                _ => Err(format!("unrecognized log format {text}")),
            },
        }
    }

    /// What an unset flag of this kind prints as.
    pub fn zero(self) -> &'static str {
        match self {
            Kind::Duration | Kind::GoDuration => "0s",
            Kind::Bytes => "0B",
            Kind::Bool => "false",
            Kind::Int | Kind::Int64 | Kind::Float => "0",
            _ => "",
        }
    }
}

fn message(text: &str) -> Result<String, String> {
    if super::flags::WRITE_MESSAGES.contains(&text) {
        return Ok(text.to_owned());
    }
    Err(format!(
        "unknown type for remote write protobuf message {text}, supported: {}",
        super::flags::WRITE_MESSAGES.join(", ")
    ))
}
