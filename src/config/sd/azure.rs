//! AzureSdConfig: targets from Azure virtual machines.

use model::number::go_quote;

use crate::config::http_client::HttpClientConfig;
use crate::config::values::{Duration, Secret};
use crate::config::yaml::{Checked, section};

section! {
    /// One item of `azure_sd_configs`.
    pub struct AzureSdConfig("azure.SDConfig", "azure.plain") {
        environment: String = omit "environment";
        port: isize = keep "port";
        subscription_id: String = keep "subscription_id";
        tenant_id: String = omit "tenant_id";
        client_id: String = omit "client_id";
        client_secret: Secret = omit "client_secret";
        refresh_interval: Duration = omit "refresh_interval";
        authentication_method: String = omit "authentication_method";
        resource_group: String = omit "resource_group";
        http_client: HttpClientConfig = inline;
    }
}

impl Checked for AzureSdConfig {
    fn begin(&mut self) {
        *self = AzureSdConfig {
            port: 80,
            refresh_interval: Duration::secs(300),
            environment: "AzurePublicCloud".to_owned(),
            authentication_method: "OAuth".to_owned(),
            http_client: HttpClientConfig::preset(),
            ..AzureSdConfig::default()
        };
    }

    fn finish(&mut self) -> Result<(), String> {
        require("subscription_id", &self.subscription_id)?;
        if self.authentication_method == "OAuth" {
            require("tenant_id", &self.tenant_id)?;
            require("client_id", &self.client_id)?;
            require("client_secret", self.client_secret.expose())?;
        }
        if !METHODS.contains(&self.authentication_method.as_str()) {
            return Err(format!(
                "unknown authentication_type {}. Supported types are \"OAuth\", \"ManagedIdentity\", \"SDK\" or \"WorkloadIdentity\"",
                go_quote(&self.authentication_method)
            ));
        }
        self.http_client.validate()
    }
}

const METHODS: [&str; 4] = ["OAuth", "ManagedIdentity", "SDK", "WorkloadIdentity"];

fn require(name: &str, value: &str) -> Result<(), String> {
    if value.is_empty() {
        return Err(format!("azure SD configuration requires a {name}"));
    }
    Ok(())
}
