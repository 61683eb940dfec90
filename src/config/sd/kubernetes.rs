//! KubernetesSdConfig: targets from the Kubernetes API.

use crate::config::http_client::HttpClientConfig;
use crate::config::url::Url;
use crate::config::yaml::{Checked, section, unchecked};

use super::choice;
use super::selector::{check_fields, check_labels};

choice! {
    /// Which objects become targets.
    pub struct Role("kubernetes.Role"), ["node", "pod", "service", "endpoints", "endpointslice", "ingress"], "unknown Kubernetes SD role";
}

section! {
    /// One item of `selectors`: which objects of a role are fetched at all.
    pub struct Selector("kubernetes.SelectorConfig", "kubernetes.SelectorConfig") {
        role: Role = omit "role";
        label: String = omit "label";
        field: String = omit "field";
    }
}

section! {
    /// Labels of other objects added to a target.
    pub struct AttachMetadata("kubernetes.AttachMetadataConfig", "kubernetes.AttachMetadataConfig") {
        node: bool = keep "node";
        namespace: bool = keep "namespace";
        deployment: bool = keep "deployment";
        job: bool = keep "job";
        cronjob: bool = keep "cronjob";
    }
}

section! {
    /// Which namespaces are looked at; all when empty.
    pub struct Namespaces("kubernetes.NamespaceDiscovery", "kubernetes.plain") {
        own_namespace: bool = keep "own_namespace";
        names: Vec<String> = keep "names";
    }
}

section! {
    /// One item of `kubernetes_sd_configs`.
    pub struct KubernetesSdConfig("kubernetes.SDConfig", "kubernetes.plain") {
        /// The API; the pod's own when absent.
        api_server: Option<Url> = omit "api_server";
        role: Role = keep "role";
        kubeconfig_file: String = keep_file "kubeconfig_file";
        http_client: HttpClientConfig = inline;
        namespaces: Namespaces = omit "namespaces";
        selectors: Vec<Selector> = omit "selectors";
        attach_metadata: AttachMetadata = omit "attach_metadata";
    }
}

unchecked!(Selector, AttachMetadata);

impl Checked for Namespaces {
    fn begin(&mut self) {
        *self = Namespaces::default();
    }
}

/// The roles a selector may have, by the role of its section.
fn selectable(role: &str) -> &'static [&'static str] {
    match role {
        "pod" => &["pod", "node"],
        "service" => &["service"],
        "endpointslice" => &["pod", "service", "endpointslice"],
        "endpoints" => &["pod", "service", "endpoints"],
        "node" => &["node"],
        "ingress" => &["ingress"],
        _ => &[],
    }
}

impl KubernetesSdConfig {
    fn check_access(&self) -> Result<(), String> {
        let kubeconfig = !self.kubeconfig_file.is_empty();
        let server = self.api_server.is_some();
        let custom = self.http_client != HttpClientConfig::preset();
        let own = self.namespaces.own_namespace;
        let problem = if server && kubeconfig {
            "cannot use 'kubeconfig_file' and 'api_server' simultaneously"
        } else if kubeconfig && custom {
            "cannot use a custom HTTP client configuration together with 'kubeconfig_file'"
        } else if !server && custom {
            "to use custom HTTP client configuration please provide the 'api_server' URL explicitly"
        } else if server && own {
            "cannot use 'api_server' and 'namespaces.own_namespace' simultaneously"
        } else if kubeconfig && own {
            "cannot use 'kubeconfig_file' and 'namespaces.own_namespace' simultaneously"
        } else {
            return Ok(());
        };
        Err(problem.to_owned())
    }

    fn check_selectors(&self) -> Result<(), String> {
        let allowed = selectable(&self.role.0);
        for (i, selector) in self.selectors.iter().enumerate() {
            let role = &selector.role;
            if self.selectors[..i].iter().any(|s| s.role == *role) {
                return Err(format!("duplicated selector role: {}", role.0));
            }
            if !allowed.contains(&role.0.as_str()) {
                let (own, all) = (&self.role.0, allowed.join(", "));
                return Err(format!("{own} role supports only {all} selectors"));
            }
            check_fields(&selector.field)?;
            check_labels(&selector.label)?;
        }
        Ok(())
    }
}

impl Checked for KubernetesSdConfig {
    fn begin(&mut self) {
        *self = KubernetesSdConfig {
            http_client: HttpClientConfig::preset(),
            ..KubernetesSdConfig::default()
        };
    }

    fn finish(&mut self) -> Result<(), String> {
        if self.role.0.is_empty() {
            return Err(
                "role missing (one of: pod, service, endpoints, endpointslice, node, ingress)"
                    .to_owned(),
            );
        }
        self.http_client.validate()?;
        self.check_access()?;
        self.check_selectors()
    }
}
