//! TlsConfig: certificates, server name and versions of a TLS client.

use super::values::Secret;
use super::yaml::{Checked, Decoder, Error, Field, NodeRef, Value, section};

/// A TLS protocol version, `TLS10` to `TLS13`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TlsVersion {
    /// 1.0
    Tls10,
    /// 1.1
    Tls11,
    /// 1.2
    #[default]
    Tls12,
    /// 1.3
    Tls13,
}

impl TlsVersion {
    const ALL: [(&'static str, TlsVersion); 4] = [
        ("TLS10", TlsVersion::Tls10),
        ("TLS11", TlsVersion::Tls11),
        ("TLS12", TlsVersion::Tls12),
        ("TLS13", TlsVersion::Tls13),
    ];

    /// As written in the configuration.
    pub fn as_str(self) -> &'static str {
        TlsVersion::ALL.iter().find(|(_, v)| *v == self).map_or("", |(name, _)| name)
    }
}

impl Field for TlsVersion {
    fn go_type() -> String {
        "config.TLSVersion".to_owned()
    }

    fn decode(&mut self, node: NodeRef<'_>, decoder: &mut Decoder) -> Result<(), Error> {
        let Some(text) = decoder.text(node)? else { return Ok(()) };
        match TlsVersion::ALL.iter().find(|(name, _)| *name == text) {
            Some((_, version)) => *self = *version,
            None => return Err(Error::Fatal(format!("unknown TLS version: {text}"))),
        }
        Ok(())
    }

    fn is_zero(&self) -> bool {
        false
    }

    fn emit(&self) -> Value {
        Value::Text(self.as_str().to_owned())
    }
}

section! {
    /// TLS settings of a client.
    pub struct TlsConfig("config.TLSConfig", "config.plain") {
        /// CA certificates, PEM.
        ca: String = omit "ca";
        /// Client certificate, PEM.
        cert: String = omit "cert";
        /// Client key, PEM.
        key: Secret = omit "key";
        /// File with the CA certificates.
        ca_file: String = file "ca_file";
        /// File with the client certificate.
        cert_file: String = file "cert_file";
        /// File with the client key.
        key_file: String = file "key_file";
        /// Name of the CA certificates in a secret manager; there is none in this server.
        ca_ref: String = omit "ca_ref";
        /// Name of the client certificate in a secret manager.
        cert_ref: String = omit "cert_ref";
        /// Name of the client key in a secret manager.
        key_ref: String = omit "key_ref";
        /// Name the server's certificate must have, when not that of the URL.
        server_name: String = omit "server_name";
        /// Accept any certificate.
        insecure_skip_verify: bool = keep "insecure_skip_verify";
        /// Oldest version to accept.
        min_version: Option<TlsVersion> = omit "min_version";
        /// Newest version to accept.
        max_version: Option<TlsVersion> = omit "max_version";
    }
}

/// How many of these hold.
pub(super) fn count(conditions: &[bool]) -> usize {
    conditions.iter().filter(|c| **c).count()
}

impl TlsConfig {
    /// Checks that each of CA, certificate and key is given in one way, and certificate and key
    /// together.
    pub fn validate(&self) -> Result<(), String> {
        let ca = [!self.ca.is_empty(), !self.ca_file.is_empty(), !self.ca_ref.is_empty()];
        let cert = [!self.cert.is_empty(), !self.cert_file.is_empty(), !self.cert_ref.is_empty()];
        let key = [!self.key.is_empty(), !self.key_file.is_empty(), !self.key_ref.is_empty()];
        let message = if count(&ca) > 1 {
            "at most one of ca, ca_file & ca_ref must be configured"
        } else if count(&cert) > 1 {
            "at most one of cert, cert_file & cert_ref must be configured"
        } else if count(&key) > 1 {
            "at most one of key and key_file must be configured"
        } else if count(&cert) == 1 && count(&key) == 0 {
            "exactly one of key or key_file must be configured when a client certificate is configured"
        } else if count(&key) == 1 && count(&cert) == 0 {
            "exactly one of cert or cert_file must be configured when a client key is configured"
        } else {
            return Ok(());
        };
        Err(message.to_owned())
    }
}

impl Checked for TlsConfig {
    fn finish(&mut self) -> Result<(), String> {
        self.validate()
    }
}
