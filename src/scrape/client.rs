//! Client: the HTTP client of a scrape pool, from the `HTTPClientConfig` keys of its job.
//!
//! Secrets in files are read at every request, so that a rotated one counts at once; certificates
//! are read when the pool is made or reloaded. Pools that ask for nothing of their own share one
//! client: the system's certificates alone take a hundred KiB.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Certificate, Identity, NoProxy, Proxy, RequestBuilder, redirect, tls};

use crate::config::http_client::{HttpClientConfig, ProxyConfig};
use crate::config::tls::{TlsConfig, TlsVersion};

/// Go's limit on redirects.
const MAX_REDIRECTS: usize = 10;
/// Idle connections are kept somewhat longer than the longest usual interval.
const IDLE_TIMEOUT: Duration = Duration::from_secs(300);

/// An HTTP client and how it authenticates.
#[derive(Debug)]
pub struct Client {
    pub http: Arc<reqwest::Client>,
    config: HttpClientConfig,
}

/// The shared clients in use, by whether they follow redirects and speak HTTP/2.
#[derive(Debug, Default)]
pub struct Clients(Mutex<[Weak<reqwest::Client>; 4]>);

impl Clients {
    /// The client of a pool. The error names the key that cannot be used.
    pub fn get(&self, config: &HttpClientConfig) -> Result<Client, String> {
        if config.oauth2.is_some() {
            return Err("oauth2 is not supported yet".to_owned());
        }
        let proxies = proxies(&config.proxy)?;
        let http = if config.tls_config == TlsConfig::default() && proxies.is_empty() {
            let kind = usize::from(config.follow_redirects) + 2 * usize::from(config.enable_http2);
            let mut shared = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            match shared[kind].upgrade() {
                Some(http) => http,
                None => {
                    let http = Arc::new(build(config, proxies)?);
                    shared[kind] = Arc::downgrade(&http);
                    http
                }
            }
        } else {
            Arc::new(build(config, proxies)?)
        };
        Ok(Client { http, config: config.clone() })
    }
}

impl Client {
    /// Adds credentials and configured headers.
    pub fn authorize(&self, mut request: RequestBuilder) -> Result<RequestBuilder, String> {
        if let Some(basic) = &self.config.basic_auth {
            let user = inline_or_file(&basic.username, &basic.username_file, "username")?;
            let password =
                inline_or_file(basic.password.expose(), &basic.password_file, "password")?;
            request = request.basic_auth(user, Some(password));
        }
        if let Some(authorization) = &self.config.authorization {
            let credentials = inline_or_file(
                authorization.credentials.expose(),
                &authorization.credentials_file,
                "authorization credentials",
            )?;
            let scheme = match authorization.auth_type.as_str() {
                "" => "Bearer",
                other => other,
            };
            request = request.header("Authorization", format!("{scheme} {credentials}"));
        }
        if let Some(headers) = &self.config.http_headers {
            let mut map = HeaderMap::new();
            for (name, header) in headers.0.iter() {
                let name = HeaderName::from_bytes(name.as_bytes()).map_err(|e| e.to_string())?;
                let mut add = |value: &str| {
                    let value = HeaderValue::from_str(value).map_err(|e| e.to_string())?;
                    map.append(name.clone(), value);
                    Ok::<(), String>(())
                };
                header.values.iter().try_for_each(|v| add(v))?;
                header.secrets.iter().try_for_each(|s| add(s.expose()))?;
                for file in &header.files {
                    add(&read_trimmed(file, "http header")?)?;
                }
            }
            request = request.headers(map);
        }
        Ok(request)
    }
}

fn inline_or_file(inline: &str, file: &str, what: &str) -> Result<String, String> {
    if file.is_empty() { Ok(inline.to_owned()) } else { read_trimmed(file, what) }
}

fn read_trimmed(file: &str, what: &str) -> Result<String, String> {
    let text = std::fs::read_to_string(file)
        .map_err(|e| format!("unable to read {what} file {file}: {e}"))?;
    Ok(text.trim().to_owned())
}

fn build(config: &HttpClientConfig, proxies: Vec<Proxy>) -> Result<reqwest::Client, String> {
    // Another part of the process may have chosen the provider already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let policy = match config.follow_redirects {
        true => redirect::Policy::limited(MAX_REDIRECTS),
        false => redirect::Policy::none(),
    };
    let mut builder = reqwest::Client::builder()
        .redirect(policy)
        .pool_idle_timeout(IDLE_TIMEOUT)
        .pool_max_idle_per_host(20_000)
        .tcp_nodelay(true)
        .no_proxy();
    if !config.enable_http2 {
        builder = builder.http1_only();
    }
    builder = with_tls(builder, &config.tls_config)?;
    for proxy in proxies {
        builder = builder.proxy(proxy);
    }
    builder.build().map_err(|e| e.to_string())
}

fn with_tls(
    mut builder: reqwest::ClientBuilder,
    config: &TlsConfig,
) -> Result<reqwest::ClientBuilder, String> {
    if !config.server_name.is_empty() {
        return Err("tls_config: server_name is not supported yet".to_owned());
    }
    for (key, given) in
        [("ca_ref", &config.ca_ref), ("cert_ref", &config.cert_ref), ("key_ref", &config.key_ref)]
    {
        if !given.is_empty() {
            return Err(format!("tls_config: {key} needs a secret manager, and there is none"));
        }
    }
    let pem = |inline: &str, file: &str| match file {
        "" => Ok(inline.as_bytes().to_vec()),
        file => std::fs::read(file).map_err(|e| format!("unable to read {file}: {e}")),
    };
    let ca = pem(&config.ca, &config.ca_file)?;
    if !ca.is_empty() {
        let certificates = Certificate::from_pem_bundle(&ca)
            .map_err(|_| "unable to use specified CA cert".to_owned())?;
        builder = builder.tls_certs_only(certificates);
    }
    let mut identity = pem(&config.cert, &config.cert_file)?;
    if !identity.is_empty() {
        identity.push(b'\n');
        identity.extend(pem(config.key.expose(), &config.key_file)?);
        let identity = Identity::from_pem(&identity)
            .map_err(|e| format!("unable to use specified client cert and key: {e}"))?;
        builder = builder.identity(identity);
    }
    if config.insecure_skip_verify {
        builder = builder.tls_danger_accept_invalid_certs(true);
    }
    // Versions before 1.2 are not spoken at all.
    let version = |v: TlsVersion| match v {
        TlsVersion::Tls13 => tls::Version::TLS_1_3,
        _ => tls::Version::TLS_1_2,
    };
    if let Some(min) = config.min_version {
        builder = builder.tls_version_min(version(min));
    }
    if let Some(max) = config.max_version {
        builder = builder.tls_version_max(version(max));
    }
    Ok(builder)
}

fn proxies(config: &ProxyConfig) -> Result<Vec<Proxy>, String> {
    let from_env = |name: &str| {
        let value = std::env::var(name).or_else(|_| std::env::var(name.to_lowercase()));
        value.ok().filter(|v| !v.is_empty())
    };
    let made = |proxy: reqwest::Result<Proxy>, excluded: &str| {
        let proxy = proxy.map_err(|e| format!("invalid proxy URL: {e}"))?;
        Ok::<Proxy, String>(proxy.no_proxy(NoProxy::from_string(excluded)))
    };
    if !config.proxy_connect_header.is_empty() {
        return Err("proxy_connect_header is not supported yet".to_owned());
    }
    if let Some(url) = &config.proxy_url {
        return Ok(vec![made(Proxy::all(url.to_string()), &config.no_proxy)?]);
    }
    let mut out = Vec::new();
    if config.proxy_from_environment {
        let excluded = from_env("NO_PROXY").unwrap_or_default();
        if let Some(url) = from_env("HTTP_PROXY") {
            out.push(made(Proxy::http(url), &excluded)?);
        }
        if let Some(url) = from_env("HTTPS_PROXY") {
            out.push(made(Proxy::https(url), &excluded)?);
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pools_share_a_client_unless_they_ask_for_one_of_their_own() {
        let clients = Clients::default();
        let plain = HttpClientConfig::default();
        let first = clients.get(&plain).unwrap();
        let second = clients.get(&plain).unwrap();
        assert!(Arc::ptr_eq(&first.http, &second.http));
        let mut other = plain.clone();
        other.follow_redirects = !plain.follow_redirects;
        assert!(!Arc::ptr_eq(&first.http, &clients.get(&other).unwrap().http));
        let mut trusting = plain.clone();
        trusting.tls_config.insecure_skip_verify = true;
        assert!(!Arc::ptr_eq(&first.http, &clients.get(&trusting).unwrap().http));
    }
}
