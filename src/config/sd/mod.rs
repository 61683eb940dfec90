//! DiscoveryConfigs: the `static_configs` and `<kind>_sd_configs` lists of a job.
//!
//! Each kind's settings stand in a file of their own. The lists are inline in the section they
//! belong to; the sources are kept and shown in the order of their keys.

pub mod aws;
pub mod azure;
pub mod consul;
pub mod digitalocean;
pub mod dns;
pub mod docker;
pub mod eureka;
pub mod file;
pub mod fixed;
pub mod gce;
pub mod hetzner;
pub mod http;
pub mod ionos;
pub mod kubernetes;
pub mod kuma;
pub mod linode;
pub mod marathon;
pub mod nomad;
pub mod oci;
pub mod openstack;
pub mod outscale;
pub mod ovhcloud;
pub mod puppetdb;
pub mod scaleway;
mod selector;
pub mod stackit;
pub mod triton;
pub mod uyuni;
pub mod vultr;
pub mod zookeeper;

pub use file::FileSdConfig;
pub use fixed::StaticConfig;

use model::number::go_quote;

use super::yaml::{Decoder, Error, Field, Fields, Items, NodeRef, Value, decode_fields};

/// Declares a text that must be one of a few; anything else stops the decoding with these words and
/// the text.
macro_rules! choice {
    (
        $(#[$meta:meta])*
        pub struct $name:ident($go:literal), [$($choice:literal),*], $unknown:literal;
    ) => {
        $crate::config::values::text_type! {
            $(#[$meta])*
            pub struct $name($go, "string", check_choice);
        }

        fn check_choice(text: &str) -> Result<(), String> {
            if [$($choice),*].contains(&text) {
                return Ok(());
            }
            Err(format!(concat!($unknown, " {}"), model::number::go_quote(text)))
        }
    };
}

pub(crate) use choice;

/// Declares the kinds of sources, in the order of their keys.
macro_rules! discovery_kinds {
    ($($variant:ident($type:ty) = $key:literal;)*) => {
        /// One source of targets.
        #[derive(Clone, Debug, PartialEq)]
        pub enum DiscoveryConfig {
            $(
                #[doc = concat!("One item of `", $key, "`.")]
                $variant(Box<$type>),
            )*
        }

        impl DiscoveryConfig {
            /// The keys of all kinds, in order.
            pub const KEYS: &[&str] = &[$($key),*];

            /// The key of the list it stands in.
            pub fn key(&self) -> &'static str {
                match self {
                    $(DiscoveryConfig::$variant(_) => $key,)*
                }
            }

            fn emit(&self) -> Value {
                match self {
                    $(DiscoveryConfig::$variant(config) => config.emit(),)*
                }
            }

            fn set_directory(&mut self, dir: &str) {
                match self {
                    $(DiscoveryConfig::$variant(config) => config.set_directory(dir),)*
                }
            }
        }

        impl Fields for DiscoveryConfigs {
            fn set(
                &mut self,
                key: &str,
                node: NodeRef<'_>,
                decoder: &mut Decoder,
            ) -> Result<bool, Error> {
                match key {
                    $($key => {
                        let mut items: Items<$type> = Items::default();
                        decoder.value(node, &mut items)?;
                        let wrap = |item: &$type| DiscoveryConfig::$variant(Box::new(item.clone()));
                        self.put($key, items.iter().map(wrap).collect(), items.has_null());
                    })*
                    _ => return Ok(false),
                }
                Ok(true)
            }

            fn emit_fields(&self, out: &mut Vec<(String, Value)>) {
                for key in DiscoveryConfig::KEYS {
                    let items: Vec<Value> = self
                        .configs
                        .iter()
                        .filter(|c| c.key() == *key)
                        .map(DiscoveryConfig::emit)
                        .collect();
                    if !items.is_empty() {
                        out.push(((*key).to_owned(), Value::List { items, flow: false }));
                    }
                }
            }
        }
    };
}

discovery_kinds! {
    Aws(aws::AwsSdConfig) = "aws_sd_configs";
    Azure(azure::AzureSdConfig) = "azure_sd_configs";
    Consul(consul::ConsulSdConfig) = "consul_sd_configs";
    Digitalocean(digitalocean::DigitaloceanSdConfig) = "digitalocean_sd_configs";
    Dns(dns::DnsSdConfig) = "dns_sd_configs";
    Docker(docker::DockerSdConfig) = "docker_sd_configs";
    DockerSwarm(docker::DockerSwarmSdConfig) = "dockerswarm_sd_configs";
    Ec2(aws::Ec2SdConfig) = "ec2_sd_configs";
    Ecs(aws::EcsSdConfig) = "ecs_sd_configs";
    Elasticache(aws::ElasticacheSdConfig) = "elasticache_sd_configs";
    Eureka(eureka::EurekaSdConfig) = "eureka_sd_configs";
    File(FileSdConfig) = "file_sd_configs";
    Gce(gce::GceSdConfig) = "gce_sd_configs";
    Hetzner(hetzner::HetznerSdConfig) = "hetzner_sd_configs";
    Http(http::HttpSdConfig) = "http_sd_configs";
    Ionos(ionos::IonosSdConfig) = "ionos_sd_configs";
    Kubernetes(kubernetes::KubernetesSdConfig) = "kubernetes_sd_configs";
    Kuma(kuma::KumaSdConfig) = "kuma_sd_configs";
    Lightsail(aws::LightsailSdConfig) = "lightsail_sd_configs";
    Linode(linode::LinodeSdConfig) = "linode_sd_configs";
    Marathon(marathon::MarathonSdConfig) = "marathon_sd_configs";
    Msk(aws::MskSdConfig) = "msk_sd_configs";
    Nerve(zookeeper::NerveSdConfig) = "nerve_sd_configs";
    Nomad(nomad::NomadSdConfig) = "nomad_sd_configs";
    Oci(oci::OciSdConfig) = "oci_sd_configs";
    Openstack(openstack::OpenstackSdConfig) = "openstack_sd_configs";
    Outscale(outscale::OutscaleSdConfig) = "outscale_sd_configs";
    Ovhcloud(ovhcloud::OvhcloudSdConfig) = "ovhcloud_sd_configs";
    Puppetdb(puppetdb::PuppetdbSdConfig) = "puppetdb_sd_configs";
    Rds(aws::RdsSdConfig) = "rds_sd_configs";
    Scaleway(scaleway::ScalewaySdConfig) = "scaleway_sd_configs";
    Serverset(zookeeper::ServersetSdConfig) = "serverset_sd_configs";
    Stackit(stackit::StackitSdConfig) = "stackit_sd_configs";
    Static(StaticConfig) = "static_configs";
    Triton(triton::TritonSdConfig) = "triton_sd_configs";
    Uyuni(uyuni::UyuniSdConfig) = "uyuni_sd_configs";
    Vultr(vultr::VultrSdConfig) = "vultr_sd_configs";
}

/// The sources of one job.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DiscoveryConfigs {
    /// The sources, in the order of their keys.
    pub configs: Vec<DiscoveryConfig>,
    /// Keys of lists with an empty item.
    with_null: Vec<&'static str>,
}

impl DiscoveryConfigs {
    /// The groups of `static_configs`.
    pub fn static_groups(&self) -> impl Iterator<Item = &StaticConfig> {
        self.configs.iter().filter_map(|config| match config {
            DiscoveryConfig::Static(group) => Some(&**group),
            _ => None,
        })
    }

    /// Refuses lists with empty items.
    pub fn check_sections(&self) -> Result<(), String> {
        match self.with_null.iter().min() {
            Some(key) => Err(format!("empty or null section in {key}")),
            None => Ok(()),
        }
    }

    /// Refuses static targets that are URLs.
    pub fn check_static_targets(&self) -> Result<(), String> {
        self.static_groups().flat_map(|group| &group.targets).try_for_each(|t| check_address(t))
    }

    fn put(&mut self, key: &'static str, items: Vec<DiscoveryConfig>, has_null: bool) {
        self.configs.retain(|config| config.key() != key);
        self.configs.extend(items);
        self.configs.sort_by_key(DiscoveryConfig::key);
        if has_null {
            self.with_null.push(key);
        }
    }
}

/// Refuses an address with a path: a URL where a host and a port are meant.
pub fn check_address(address: &str) -> Result<(), String> {
    if address.contains('/') {
        return Err(format!("{} is not a valid hostname", go_quote(address)));
    }
    Ok(())
}

impl Field for DiscoveryConfigs {
    fn go_type() -> String {
        "discovery.Configs".to_owned()
    }

    fn decode(&mut self, node: NodeRef<'_>, decoder: &mut Decoder) -> Result<(), Error> {
        decode_fields(self, node, decoder, "discovery.Configs")
    }

    fn is_zero(&self) -> bool {
        self.configs.is_empty()
    }

    fn emit(&self) -> Value {
        let mut out = Vec::new();
        self.emit_fields(&mut out);
        Value::Map(out)
    }

    fn set_directory(&mut self, dir: &str) {
        self.configs.iter_mut().for_each(|config| config.set_directory(dir));
    }
}
