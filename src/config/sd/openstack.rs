//! OpenstackSdConfig: targets from OpenStack.

use crate::config::tls::TlsConfig;
use crate::config::values::{Duration, Secret};
use crate::config::yaml::{Checked, section};

use super::choice;

choice! {
    /// What is looked for.
    pub struct Role("openstack.Role"), ["hypervisor", "instance", "loadbalancer"], "unknown OpenStack SD role";
}

section! {
    /// One item of `openstack_sd_configs`.
    pub struct OpenstackSdConfig("openstack.SDConfig", "openstack.plain") {
        identity_endpoint: String = keep "identity_endpoint";
        username: String = keep "username";
        user_id: String = keep "userid";
        password: Secret = keep "password";
        project_name: String = keep "project_name";
        project_id: String = keep "project_id";
        domain_name: String = keep "domain_name";
        domain_id: String = keep "domain_id";
        application_credential_name: String = keep "application_credential_name";
        application_credential_id: String = keep "application_credential_id";
        application_credential_secret: Secret = keep "application_credential_secret";
        role: Role = keep "role";
        region: String = keep "region";
        refresh_interval: Duration = keep "refresh_interval";
        port: isize = keep "port";
        all_tenants: bool = omit "all_tenants";
        tls_config: TlsConfig = omit "tls_config";
        availability: String = omit "availability";
    }
}

impl Checked for OpenstackSdConfig {
    fn begin(&mut self) {
        *self = OpenstackSdConfig {
            port: 80,
            refresh_interval: Duration::secs(60),
            availability: "public".to_owned(),
            ..OpenstackSdConfig::default()
        };
    }

    fn finish(&mut self) -> Result<(), String> {
        if !matches!(self.availability.as_str(), "public" | "internal" | "admin") {
            return Err(format!(
                "unknown availability {}, must be one of admin, internal or public",
                self.availability
            ));
        }
        if self.role.0.is_empty() {
            return Err("role missing (one of: instance, hypervisor, loadbalancer)".to_owned());
        }
        if self.region.is_empty() {
            return Err("openstack SD configuration requires a region".to_owned());
        }
        Ok(())
    }
}
