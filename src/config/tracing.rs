//! TracingConfig: where spans of this server's own work are sent.

use super::remote::validate_headers;
use super::tls::TlsConfig;
use super::values::{Duration, text_type};
use super::yaml::{Checked, Map, section};

text_type! {
    /// `client_type`: `grpc` or `http`.
    pub struct ClientType("config.TracingClientType", "config.plain", check_client_type);
}

fn check_client_type(text: &str) -> Result<(), String> {
    match text {
        "http" | "grpc" => Ok(()),
        _ => Err(format!("expected tracing client type to be to be http or grpc, but got {text}")),
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
