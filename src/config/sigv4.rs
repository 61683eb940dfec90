//! SigV4Config: signing requests the way AWS wants it.

use super::values::Secret;
use super::yaml::{Checked, section};

section! {
    /// `sigv4`; what is empty comes from the usual AWS environment.
    pub struct SigV4Config("sigv4.SigV4Config", "sigv4.plain") {
        region: String = omit "region";
        access_key: String = omit "access_key";
        secret_key: Secret = omit "secret_key";
        profile: String = omit "profile";
        role_arn: String = omit "role_arn";
        external_id: String = omit "external_id";
        use_fips_sts_endpoint: bool = omit "use_fips_sts_endpoint";
        service_name: String = omit "service_name";
    }
}

impl Checked for SigV4Config {
    fn begin(&mut self) {
        *self = SigV4Config::default();
    }

    fn finish(&mut self) -> Result<(), String> {
        if self.access_key.is_empty() != self.secret_key.is_empty() {
            return Err("must provide a AWS SigV4 Access key and Secret Key if credentials are specified in the SigV4 config".to_owned());
        }
        if !self.external_id.is_empty() && self.role_arn.is_empty() {
            return Err("external_id can only be used with role_arn".to_owned());
        }
        Ok(())
    }
}
