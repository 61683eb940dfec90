//! AzureAdConfig: the ways to get a token from Microsoft Entra for remote write.

use super::values::Secret;
use super::yaml::{Checked, section, unchecked};

section! {
    /// `managed_identity`
    pub struct ManagedIdentity("azuread.ManagedIdentityConfig", "azuread.ManagedIdentityConfig") {
        client_id: String = omit "client_id";
    }
}

section! {
    /// `workload_identity`
    pub struct WorkloadIdentity("azuread.WorkloadIdentityConfig", "azuread.WorkloadIdentityConfig") {
        client_id: String = omit "client_id";
        tenant_id: String = omit "tenant_id";
        token_file_path: String = omit "token_file_path";
    }
}

section! {
    /// `oauth`
    pub struct AzureOAuth("azuread.OAuthConfig", "azuread.OAuthConfig") {
        client_id: String = omit "client_id";
        client_secret: Secret = omit "client_secret";
        tenant_id: String = omit "tenant_id";
    }
}

section! {
    /// `sdk`
    pub struct AzureSdk("azuread.SDKConfig", "azuread.SDKConfig") {
        tenant_id: String = omit "tenant_id";
    }
}

section! {
    /// `certificate`
    pub struct AzureCertificate("azuread.CertificateConfig", "azuread.CertificateConfig") {
        client_id: String = omit "client_id";
        tenant_id: String = omit "tenant_id";
        certificate_path: String = omit "certificate_path";
        certificate_key_path: String = omit "certificate_key_path";
        certificate_password: Secret = omit "certificate_password";
        send_certificate_chain: bool = omit "send_certificate_chain";
    }
}

section! {
    /// `azuread`; exactly one way is given.
    pub struct AzureAdConfig("azuread.AzureADConfig", "azuread.plain") {
        managed_identity: Option<ManagedIdentity> = omit "managed_identity";
        workload_identity: Option<WorkloadIdentity> = omit "workload_identity";
        oauth: Option<AzureOAuth> = omit "oauth";
        sdk: Option<AzureSdk> = omit "sdk";
        certificate: Option<AzureCertificate> = omit "certificate";
        /// `AzurePublic`, `AzureGovernment` or `AzureChina`.
        cloud: String = omit "cloud";
        scope: String = omit "scope";
    }
}

unchecked!(ManagedIdentity, WorkloadIdentity, AzureOAuth, AzureSdk, AzureCertificate);

/// Where the Azure webhook puts the token unless the environment says otherwise.
const DEFAULT_TOKEN_PATH: &str = "/var/run/secrets/azure/tokens/azure-identity-token";

/// Fails with `must provide …` for the first of these that is empty.
fn require(way: &str, fields: &[(&str, bool)]) -> Result<(), String> {
    match fields.iter().find(|(_, empty)| *empty) {
        Some((name, _)) => {
            Err(format!("must provide an Azure {way} {name} in the Azure AD config"))
        }
        None => Ok(()),
    }
}

fn check_uuid(way: &str, name: &str, text: &str) -> Result<(), String> {
    if is_uuid(text) {
        return Ok(());
    }
    Err(format!("the provided Azure {way} {name} is invalid"))
}

/// A UUID with dashes, also in braces or as a URN, or as 32 hexadecimal digits.
fn is_uuid(text: &str) -> bool {
    let text = match text.len() {
        45 if text.get(..9).is_some_and(|p| p.eq_ignore_ascii_case("urn:uuid:")) => &text[9..],
        38 => match text.get(1..37) {
            Some(inner) => inner,
            None => return false,
        },
        _ => text,
    };
    match text.len() {
        32 => text.bytes().all(|b| b.is_ascii_hexdigit()),
        36 => text.bytes().enumerate().all(|(i, b)| match i {
            8 | 13 | 18 | 23 => b == b'-',
            _ => b.is_ascii_hexdigit(),
        }),
        _ => false,
    }
}

impl WorkloadIdentity {
    fn validate(&mut self) -> Result<(), String> {
        let way = "Workload Identity";
        require(
            way,
            &[("client_id", self.client_id.is_empty()), ("tenant_id", self.tenant_id.is_empty())],
        )?;
        check_uuid(way, "client_id", &self.client_id)?;
        check_uuid(way, "tenant_id", &self.tenant_id)?;
        if self.token_file_path.is_empty() {
            self.token_file_path = std::env::var("AZURE_FEDERATED_TOKEN_FILE")
                .ok()
                .filter(|path| !path.is_empty())
                .unwrap_or_else(|| DEFAULT_TOKEN_PATH.to_owned());
        }
        Ok(())
    }
}

impl AzureAdConfig {
    fn ways(&self) -> usize {
        [
            self.managed_identity.is_some(),
            self.workload_identity.is_some(),
            self.oauth.is_some(),
            self.sdk.is_some(),
            self.certificate.is_some(),
        ]
        .iter()
        .filter(|given| **given)
        .count()
    }

    fn validate_ways(&mut self) -> Result<(), String> {
        if let Some(managed) = self.managed_identity.as_ref().filter(|m| !m.client_id.is_empty()) {
            check_uuid("Managed Identity", "client_id", &managed.client_id)?;
        }
        if let Some(workload) = &mut self.workload_identity {
            workload.validate()?;
        }
        if let Some(oauth) = &self.oauth {
            require(
                "OAuth",
                &[
                    ("client_id", oauth.client_id.is_empty()),
                    ("client_secret", oauth.client_secret.is_empty()),
                    ("tenant_id", oauth.tenant_id.is_empty()),
                ],
            )?;
            check_uuid("OAuth", "client_id", &oauth.client_id)?;
        }
        if let Some(certificate) = &self.certificate {
            require(
                "Certificate",
                &[
                    ("client_id", certificate.client_id.is_empty()),
                    ("tenant_id", certificate.tenant_id.is_empty()),
                    ("certificate_path", certificate.certificate_path.is_empty()),
                ],
            )?;
            check_uuid("Certificate", "client_id", &certificate.client_id)?;
        }
        Ok(())
    }
}

impl Checked for AzureAdConfig {
    fn begin(&mut self) {
        *self = AzureAdConfig::default();
    }

    fn finish(&mut self) -> Result<(), String> {
        if self.cloud.is_empty() {
            self.cloud = "AzurePublic".to_owned();
        }
        if !matches!(self.cloud.as_str(), "AzureChina" | "AzureGovernment" | "AzurePublic") {
            return Err("must provide a cloud in the Azure AD config".to_owned());
        }
        match self.ways() {
            0 => return Err("must provide an Azure Managed Identity, Azure Workload Identity, Azure OAuth, Azure Certificate or Azure SDK in the Azure AD config".to_owned()),
            1 => {}
            _ => {
                return Err(
                    "cannot provide multiple authentication methods in the Azure AD config"
                        .to_owned(),
                );
            }
        }
        self.validate_ways()?;
        let allowed =
            |c: char| c.is_ascii_alphanumeric() || "_:/.-".contains(c) || c.is_ascii_whitespace();
        if !self.scope.chars().all(allowed) {
            return Err("the provided scope contains invalid characters".to_owned());
        }
        Ok(())
    }
}
