//! TracingConfig: where spans of this server's own work are sent.

use super::remote::validate_headers;
use super::tls::TlsConfig;
use super::values::{Duration, text_as};
use super::yaml::{Checked, Decoder, Error, Field, Map, NodeRef, Value, section};

/// `client_type`: `grpc` or `http`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientType(pub String);

impl Field for ClientType {
    fn go_type() -> String {
        "config.TracingClientType".to_owned()
    }

    fn decode(&mut self, node: NodeRef<'_>, decoder: &mut Decoder) -> Result<(), Error> {
        if let Some(text) = text_as(node, decoder, "config.plain")? {
            if text != "http" && text != "grpc" {
                return Err(Error::Fatal(format!(
                    "expected tracing client type to be to be http or grpc, but got {text}"
                )));
            }
            self.0 = text;
        }
        Ok(())
    }

    fn is_zero(&self) -> bool {
        self.0.is_empty()
    }

    fn emit(&self) -> Value {
        Value::Text(self.0.clone())
    }
}

section! {
    /// The `tracing` section.
    pub struct TracingConfig("config.TracingConfig", "config.plain") {
        client_type: ClientType = omit "client_type";
        endpoint: String = omit "endpoint";
        sampling_fraction: f64 = omit "sampling_fraction";
        insecure: bool = omit "insecure";
        tls_config: TlsConfig = omit "tls_config";
        headers: Map<String> = omit "headers";
        /// `gzip` or empty.
        compression: String = omit "compression";
        timeout: Duration = omit "timeout";
    }
}

impl Checked for TracingConfig {
    fn begin(&mut self) {
        *self = TracingConfig {
            client_type: ClientType("grpc".to_owned()),
            ..TracingConfig::default()
        };
    }

    fn finish(&mut self) -> Result<(), String> {
        validate_headers(
            &self.headers,
            "custom authorization header configuration is not yet supported",
        )?;
        if self.endpoint.is_empty() {
            return Err("tracing endpoint must be set".to_owned());
        }
        if !matches!(self.compression.as_str(), "" | "gzip") {
            return Err(format!(
                "invalid compression type {} provided, valid options: gzip",
                self.compression
            ));
        }
        Ok(())
    }
}
