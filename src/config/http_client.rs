//! HttpClientConfig: credentials, TLS, proxy and headers of everything that fetches over HTTP.

use super::any::Any;
use super::tls::{TlsConfig, count};
use super::url::Url;
use super::values::Secret;
use super::yaml::{
    Checked, Decoder, Error, Field, Map, NodeRef, Value, decode_map, section, unchecked,
};

section! {
    /// `basic_auth`: a user name and a password, each given or read from a file at every request.
    pub struct BasicAuth("config.BasicAuth", "config.plain") {
        username: String = omit "username";
        username_file: String = file "username_file";
        username_ref: String = omit "username_ref";
        password: Secret = omit "password";
        password_file: String = file "password_file";
        password_ref: String = omit "password_ref";
    }
}

section! {
    /// `authorization`: the `Authorization` header as type and credentials.
    pub struct Authorization("config.Authorization", "config.Authorization") {
        /// The scheme; `Bearer` when not given.
        auth_type: String = omit "type";
        credentials: Secret = omit "credentials";
        credentials_file: String = file "credentials_file";
        credentials_ref: String = omit "credentials_ref";
    }
}

section! {
    /// How to reach the server through a proxy.
    pub struct ProxyConfig("config.ProxyConfig", "config.ProxyConfig") {
        proxy_url: Option<Url> = omit "proxy_url";
        /// Hosts, suffixes and networks reached without it.
        no_proxy: String = omit "no_proxy";
        /// Use `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY`.
        proxy_from_environment: bool = omit "proxy_from_environment";
        /// Headers of the CONNECT request.
        proxy_connect_header: Map<Vec<Secret>> = omit "proxy_connect_header";
    }
}

section! {
    /// `oauth2`: a token fetched from another server.
    pub struct OAuth2("config.OAuth2", "config.plain") {
        client_id: String = omit "client_id";
        client_secret: Secret = omit "client_secret";
        client_secret_file: String = file "client_secret_file";
        client_secret_ref: String = omit "client_secret_ref";
        client_certificate_key_id: String = omit "client_certificate_key_id";
        client_certificate_key: Secret = omit "client_certificate_key";
        client_certificate_key_file: String = omit "client_certificate_key_file";
        client_certificate_key_ref: String = omit "client_certificate_key_ref";
        /// `client_credentials` (also when empty) or the URN of JWT bearer tokens.
        grant_type: String = omit "grant_type";
        signature_algorithm: String = omit "signature_algorithm";
        iss: String = omit "iss";
        audience: String = omit "audience";
        claims: Map<Any> = omit "claims";
        scopes: Vec<String> = omit "scopes";
        token_url: String = omit "token_url";
        endpoint_params: Map<String> = omit "endpoint_params";
        tls_config: TlsConfig = omit "tls_config";
        proxy: ProxyConfig = inline;
    }
}

/// The grant type that signs a JWT.
pub const GRANT_JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

section! {
    /// One header of `http_headers`.
    pub struct Header("config.Header", "config.Header") {
        values: Vec<String> = omit "values";
        secrets: Vec<Secret> = omit "secrets";
        files: Vec<String> = file "files";
    }
}

/// `http_headers`: headers added to every request.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Headers(pub Map<Header>);

impl Field for Headers {
    fn go_type() -> String {
        "config.Headers".to_owned()
    }

    fn decode(&mut self, node: NodeRef<'_>, decoder: &mut Decoder) -> Result<(), Error> {
        decode_map(node, decoder, &mut self.0, "config.Headers")
    }

    fn is_zero(&self) -> bool {
        self.0.is_empty()
    }

    fn emit(&self) -> Value {
        self.0.emit()
    }

    fn set_directory(&mut self, dir: &str) {
        self.0.set_directory(dir);
    }
}

section! {
    /// Settings of an HTTP client; stands inline in the sections that have one.
    pub struct HttpClientConfig("config.HTTPClientConfig", "config.plain") {
        basic_auth: Option<BasicAuth> = omit "basic_auth";
        authorization: Option<Authorization> = omit "authorization";
        oauth2: Option<Box<OAuth2>> = omit "oauth2";
        /// Old form of `authorization.credentials`; moved there by [`HttpClientConfig::validate`].
        bearer_token: Secret = omit "bearer_token";
        /// Old form of `authorization.credentials_file`; moved there likewise.
        bearer_token_file: String = file "bearer_token_file";
        tls_config: TlsConfig = omit "tls_config";
        follow_redirects: bool = keep "follow_redirects";
        enable_http2: bool = keep "enable_http2";
        proxy: ProxyConfig = inline;
        http_headers: Option<Headers> = omit "http_headers";
    }
}

impl HttpClientConfig {
    /// The defaults of the configuration file: redirects followed, HTTP/2 on.
    pub fn preset() -> HttpClientConfig {
        HttpClientConfig { follow_redirects: true, enable_http2: true, ..Default::default() }
    }

    /// Checks that at most one way to authenticate is given, and each of them in one form; turns
    /// the old bearer token keys into `authorization`.
    pub fn validate(&mut self) -> Result<(), String> {
        self.validate_basic()?;
        self.validate_authorization()?;
        self.validate_oauth2()?;
        self.proxy.validate()?;
        match &self.http_headers {
            Some(headers) => headers.validate(),
            None => Ok(()),
        }
    }

    fn has_bearer(&self) -> bool {
        !self.bearer_token.is_empty() || !self.bearer_token_file.is_empty()
    }

    fn validate_basic(&self) -> Result<(), String> {
        if !self.bearer_token.is_empty() && !self.bearer_token_file.is_empty() {
            return Err(
                "at most one of bearer_token & bearer_token_file must be configured".to_owned()
            );
        }
        if (self.basic_auth.is_some() || self.oauth2.is_some()) && self.has_bearer() {
            return Err("at most one of basic_auth, oauth2, bearer_token & bearer_token_file must be configured".to_owned());
        }
        let Some(basic) = &self.basic_auth else { return Ok(()) };
        for (what, given) in [
            (
                "username",
                [
                    !basic.username.is_empty(),
                    !basic.username_file.is_empty(),
                    !basic.username_ref.is_empty(),
                ],
            ),
            (
                "password",
                [
                    !basic.password.is_empty(),
                    !basic.password_file.is_empty(),
                    !basic.password_ref.is_empty(),
                ],
            ),
        ] {
            if count(&given) > 1 {
                return Err(format!(
                    "at most one of basic_auth {what}, {what}_file & {what}_ref must be configured"
                ));
            }
        }
        Ok(())
    }

    fn validate_authorization(&mut self) -> Result<(), String> {
        let has_bearer = self.has_bearer();
        let other = self.basic_auth.is_some() || self.oauth2.is_some();
        let Some(auth) = &mut self.authorization else {
            if has_bearer {
                self.authorization = Some(Authorization {
                    auth_type: "Bearer".to_owned(),
                    credentials: std::mem::take(&mut self.bearer_token),
                    credentials_file: std::mem::take(&mut self.bearer_token_file),
                    ..Authorization::default()
                });
            }
            return Ok(());
        };
        if has_bearer {
            return Err(
                "authorization is not compatible with bearer_token & bearer_token_file".to_owned()
            );
        }
        let given = [
            !auth.credentials.is_empty(),
            !auth.credentials_file.is_empty(),
            !auth.credentials_ref.is_empty(),
        ];
        if count(&given) > 1 {
            return Err(
                "at most one of authorization credentials & credentials_file must be configured"
                    .to_owned(),
            );
        }
        auth.auth_type = auth.auth_type.trim().to_owned();
        if auth.auth_type.is_empty() {
            auth.auth_type = "Bearer".to_owned();
        }
        if auth.auth_type.to_lowercase() == "basic" {
            return Err(
                "authorization type cannot be set to \"basic\", use \"basic_auth\" instead"
                    .to_owned(),
            );
        }
        if other {
            return Err(
                "at most one of basic_auth, oauth2 & authorization must be configured".to_owned()
            );
        }
        Ok(())
    }

    fn validate_oauth2(&self) -> Result<(), String> {
        let Some(oauth2) = &self.oauth2 else { return Ok(()) };
        if self.basic_auth.is_some() {
            return Err(
                "at most one of basic_auth, oauth2 & authorization must be configured".to_owned()
            );
        }
        oauth2.validate()
    }
}

impl OAuth2 {
    fn validate(&self) -> Result<(), String> {
        let keys = [
            !self.client_certificate_key.is_empty(),
            !self.client_certificate_key_file.is_empty(),
            !self.client_certificate_key_ref.is_empty(),
        ];
        let secrets = [
            !self.client_secret.is_empty(),
            !self.client_secret_file.is_empty(),
            !self.client_secret_ref.is_empty(),
        ];
        let jwt = self.grant_type == GRANT_JWT_BEARER;
        let message = if self.client_id.is_empty() {
            "oauth2 client_id must be configured"
        } else if self.token_url.is_empty() {
            "oauth2 token_url must be configured"
        } else if jwt && count(&keys) > 1 {
            "at most one of oauth2 client_certificate_key, client_certificate_key_file & client_certificate_key_ref must be configured using grant-type=urn:ietf:params:oauth:grant-type:jwt-bearer"
        } else if jwt
            && !matches!(self.signature_algorithm.as_str(), "" | "RS256" | "RS384" | "RS512")
        {
            "valid signature algorithms are RS256, RS384 and RS512"
        } else if !jwt && count(&secrets) > 1 {
            "at most one of oauth2 client_secret, client_secret_file & client_secret_ref must be configured using grant-type=client_credentials"
        } else {
            return Ok(());
        };
        Err(message.to_owned())
    }
}

impl ProxyConfig {
    /// Checks that the keys go together.
    pub fn validate(&self) -> Result<(), String> {
        let has_url = self.proxy_url.as_ref().is_some_and(|u| !u.is_empty());
        let message = if !self.proxy_connect_header.is_empty()
            && !self.proxy_from_environment
            && !has_url
        {
            "if proxy_connect_header is configured, proxy_url or proxy_from_environment must also be configured"
        } else if self.proxy_from_environment && has_url {
            "if proxy_from_environment is configured, proxy_url must not be configured"
        } else if self.proxy_from_environment && !self.no_proxy.is_empty() {
            "if proxy_from_environment is configured, no_proxy must not be configured"
        } else if self.proxy_url.is_none() && !self.no_proxy.is_empty() {
            "if no_proxy is configured, proxy_url must also be configured"
        } else {
            return Ok(());
        };
        Err(message.to_owned())
    }
}

/// Headers `http_headers` may not set, in canonical form.
const RESERVED: [&str; 18] = [
    "Authorization",
    "Host",
    "Content-Encoding",
    "Content-Length",
    "Content-Type",
    "User-Agent",
    "Connection",
    "Keep-Alive",
    "Proxy-Authenticate",
    "Proxy-Authorization",
    "Www-Authenticate",
    "Accept-Encoding",
    "X-Prometheus-Remote-Write-Version",
    "X-Prometheus-Remote-Read-Version",
    "X-Prometheus-Scrape-Timeout-Seconds",
    "X-Amz-Date",
    "X-Amz-Security-Token",
    "X-Amz-Content-Sha256",
];

impl Headers {
    /// Checks that no reserved header is set.
    pub fn validate(&self) -> Result<(), String> {
        for name in self.0.keys() {
            if let Some(reserved) = RESERVED.iter().find(|r| r.eq_ignore_ascii_case(name)) {
                return Err(format!("setting header \"{reserved}\" is not allowed"));
            }
        }
        Ok(())
    }
}

impl Checked for HttpClientConfig {
    fn begin(&mut self) {
        *self = HttpClientConfig::preset();
    }

    fn finish(&mut self) -> Result<(), String> {
        self.validate()
    }
}

impl Checked for OAuth2 {
    fn finish(&mut self) -> Result<(), String> {
        self.proxy.validate()
    }
}

unchecked!(BasicAuth, Authorization, ProxyConfig, Header);
