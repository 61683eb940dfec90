//! OciSdConfig: targets from Oracle Cloud instances.

use model::number::go_quote;

use crate::config::http_client::HttpClientConfig;
use crate::config::values::{Duration, Secret};
use crate::config::yaml::{Checked, section};

section! {
    /// One item of `oci_sd_configs`.
    pub struct OciSdConfig("oci.SDConfig", "oci.plain") {
        auth: String = omit "auth";
        tenancy: String = omit "tenancy";
        user: String = omit "user";
        fingerprint: String = omit "fingerprint";
        key_file: String = file "key_file";
        key_passphrase: Secret = omit "key_passphrase";
        key_passphrase_file: String = file "key_passphrase_file";
        region: String = keep "region";
        compartments: Vec<String> = omit "compartments";
        http_client: HttpClientConfig = inline;
        port: isize = keep "port";
        refresh_interval: Duration = keep "refresh_interval";
    }
}

impl Checked for OciSdConfig {
    fn begin(&mut self) {
        *self = OciSdConfig {
            port: 80,
            refresh_interval: Duration::secs(60),
            auth: "api_key".to_owned(),
            http_client: HttpClientConfig::preset(),
            ..OciSdConfig::default()
        };
    }

    fn finish(&mut self) -> Result<(), String> {
        if self.region.is_empty() {
            return Err("oci_sd: region is required".to_owned());
        }
        self.check_auth()?;
        if let Some(i) = self.compartments.iter().position(String::is_empty) {
            return Err(format!("oci_sd: compartments[{i}] must not be empty"));
        }
        if self.refresh_interval.0 <= 0 {
            return Err(format!(
                "oci_sd: refresh_interval must be positive, got {}",
                self.refresh_interval
            ));
        }
        self.http_client.validate()
    }
}

impl OciSdConfig {
    fn check_auth(&self) -> Result<(), String> {
        let given = [
            ("tenancy", !self.tenancy.is_empty()),
            ("user", !self.user.is_empty()),
            ("fingerprint", !self.fingerprint.is_empty()),
            ("key_file", !self.key_file.is_empty()),
        ];
        let passphrases = [!self.key_passphrase.is_empty(), !self.key_passphrase_file.is_empty()];
        match self.auth.as_str() {
            "api_key" => {
                if let Some((name, _)) = given.iter().find(|(_, given)| !given) {
                    return Err(format!("oci_sd: api_key auth requires {name}"));
                }
                if passphrases == [true, true] {
                    return Err("oci_sd: at most one of key_passphrase and key_passphrase_file must be configured".to_owned());
                }
                Ok(())
            }
            "instance_principal" => {
                if given.iter().any(|(_, given)| *given) || passphrases != [false, false] {
                    return Err("oci_sd: instance_principal auth must not have tenancy, user, fingerprint, key_file, key_passphrase, or key_passphrase_file set".to_owned());
                }
                Ok(())
            }
            other => Err(format!(
                "oci_sd: unknown auth method {}, expected \"api_key\" or \"instance_principal\"",
                go_quote(other)
            )),
        }
    }
}
