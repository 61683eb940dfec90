//! AwsSdConfig and its roles: targets from AWS services.

use crate::config::http_client::HttpClientConfig;
use crate::config::values::{Duration, Secret};
use crate::config::yaml::{Checked, Items, section, unchecked};

use super::choice;

choice! {
    /// Which service is asked.
    pub struct Role("aws.Role"), ["ec2", "ecs", "elasticache", "lightsail", "msk", "rds"], "unknown AWS SD role";
}

section! {
    /// A filter of an AWS API.
    pub struct Filter("aws.Filter", "aws.Filter") {
        name: String = keep "name";
        values: Vec<String> = keep "values";
    }
}

unchecked!(Filter);

section! {
    /// One item of `aws_sd_configs`: any of the others, chosen by role.
    pub struct AwsSdConfig("aws.SDConfig", "aws.plain") {
        role: Role = keep "role";
        region: String = omit "region";
        endpoint: String = omit "endpoint";
        access_key: String = omit "access_key";
        secret_key: Secret = omit "secret_key";
        profile: String = omit "profile";
        role_arn: String = omit "role_arn";
        external_id: String = omit "external_id";
        refresh_interval: Duration = omit "refresh_interval";
        port: isize = omit "port";
        http_client: HttpClientConfig = inline;
        filters: Items<Filter> = omit "filters";
        clusters: Vec<String> = omit "clusters";
    }
}

impl Checked for AwsSdConfig {
    fn begin(&mut self) {
        *self = AwsSdConfig::default();
    }

    fn finish(&mut self) -> Result<(), String> {
        if self.role.0.is_empty() {
            return Err("unknown AWS SD role \"\"".to_owned());
        }
        Ok(())
    }
}

section! {
    /// One item of `ec2_sd_configs`.
    pub struct Ec2SdConfig("aws.EC2SDConfig", "aws.plain") {
        endpoint: String = keep "endpoint";
        region: String = keep "region";
        access_key: String = omit "access_key";
        secret_key: Secret = omit "secret_key";
        profile: String = omit "profile";
        role_arn: String = omit "role_arn";
        external_id: String = omit "external_id";
        refresh_interval: Duration = omit "refresh_interval";
        port: isize = keep "port";
        filters: Items<Filter> = keep "filters";
        http_client: HttpClientConfig = inline;
    }
}

impl Checked for Ec2SdConfig {
    fn begin(&mut self) {
        *self = Ec2SdConfig {
            port: 80,
            refresh_interval: Duration::secs(60),
            http_client: HttpClientConfig::preset(),
            ..Ec2SdConfig::default()
        };
    }

    fn finish(&mut self) -> Result<(), String> {
        if self.filters.iter().any(|filter| filter.values.is_empty()) {
            return Err("EC2 SD configuration filter values cannot be empty".to_owned());
        }
        self.http_client.validate()
    }
}

section! {
    /// One item of `ecs_sd_configs`.
    pub struct EcsSdConfig("aws.ECSSDConfig", "aws.plain") {
        region: String = keep "region";
        endpoint: String = keep "endpoint";
        access_key: String = omit "access_key";
        secret_key: Secret = omit "secret_key";
        profile: String = omit "profile";
        role_arn: String = omit "role_arn";
        external_id: String = omit "external_id";
        clusters: Vec<String> = omit "clusters";
        port: isize = keep "port";
        refresh_interval: Duration = omit "refresh_interval";
        request_concurrency: isize = omit "request_concurrency";
        http_client: HttpClientConfig = inline;
    }
}

impl Checked for EcsSdConfig {
    fn begin(&mut self) {
        *self = EcsSdConfig {
            port: 80,
            refresh_interval: Duration::secs(60),
            http_client: HttpClientConfig::preset(),
            request_concurrency: 20,
            ..EcsSdConfig::default()
        };
    }

    fn finish(&mut self) -> Result<(), String> {
        self.http_client.validate()
    }
}

section! {
    /// One item of `elasticache_sd_configs`.
    pub struct ElasticacheSdConfig("aws.ElasticacheSDConfig", "aws.plain") {
        region: String = keep "region";
        endpoint: String = keep "endpoint";
        access_key: String = omit "access_key";
        secret_key: Secret = omit "secret_key";
        profile: String = omit "profile";
        role_arn: String = omit "role_arn";
        external_id: String = omit "external_id";
        clusters: Vec<String> = omit "clusters";
        port: isize = keep "port";
        refresh_interval: Duration = omit "refresh_interval";
        request_concurrency: isize = omit "request_concurrency";
        http_client: HttpClientConfig = inline;
    }
}

impl Checked for ElasticacheSdConfig {
    fn begin(&mut self) {
        *self = ElasticacheSdConfig {
            port: 80,
            refresh_interval: Duration::secs(60),
            http_client: HttpClientConfig::preset(),
            request_concurrency: 10,
            ..ElasticacheSdConfig::default()
        };
    }

    fn finish(&mut self) -> Result<(), String> {
        self.http_client.validate()
    }
}

section! {
    /// One item of `lightsail_sd_configs`.
    pub struct LightsailSdConfig("aws.LightsailSDConfig", "aws.plain") {
        endpoint: String = keep "endpoint";
        region: String = keep "region";
        access_key: String = omit "access_key";
        secret_key: Secret = omit "secret_key";
        profile: String = omit "profile";
        role_arn: String = omit "role_arn";
        external_id: String = omit "external_id";
        refresh_interval: Duration = omit "refresh_interval";
        port: isize = keep "port";
        http_client: HttpClientConfig = inline;
    }
}

impl Checked for LightsailSdConfig {
    fn begin(&mut self) {
        *self = LightsailSdConfig {
            port: 80,
            refresh_interval: Duration::secs(60),
            http_client: HttpClientConfig::preset(),
            ..LightsailSdConfig::default()
        };
    }

    fn finish(&mut self) -> Result<(), String> {
        self.http_client.validate()
    }
}

section! {
    /// One item of `msk_sd_configs`.
    pub struct MskSdConfig("aws.MSKSDConfig", "aws.plain") {
        region: String = keep "region";
        endpoint: String = keep "endpoint";
        access_key: String = omit "access_key";
        secret_key: Secret = omit "secret_key";
        profile: String = omit "profile";
        role_arn: String = omit "role_arn";
        external_id: String = omit "external_id";
        clusters: Vec<String> = omit "clusters";
        port: isize = keep "port";
        refresh_interval: Duration = omit "refresh_interval";
        request_concurrency: isize = omit "request_concurrency";
        http_client: HttpClientConfig = inline;
    }
}

impl Checked for MskSdConfig {
    fn begin(&mut self) {
        *self = MskSdConfig {
            port: 80,
            refresh_interval: Duration::secs(60),
            http_client: HttpClientConfig::preset(),
            request_concurrency: 10,
            ..MskSdConfig::default()
        };
    }

    fn finish(&mut self) -> Result<(), String> {
        self.http_client.validate()
    }
}

section! {
    /// One item of `rds_sd_configs`.
    pub struct RdsSdConfig("aws.RDSSDConfig", "aws.plain") {
        region: String = keep "region";
        endpoint: String = keep "endpoint";
        access_key: String = omit "access_key";
        secret_key: Secret = omit "secret_key";
        profile: String = omit "profile";
        role_arn: String = omit "role_arn";
        external_id: String = omit "external_id";
        clusters: Vec<String> = omit "clusters";
        port: isize = keep "port";
        refresh_interval: Duration = omit "refresh_interval";
        filters: Items<Filter> = keep "filters";
        request_concurrency: isize = omit "request_concurrency";
        http_client: HttpClientConfig = inline;
    }
}

impl Checked for RdsSdConfig {
    fn begin(&mut self) {
        *self = RdsSdConfig {
            port: 80,
            refresh_interval: Duration::secs(60),
            http_client: HttpClientConfig::preset(),
            request_concurrency: 10,
            ..RdsSdConfig::default()
        };
    }

    fn finish(&mut self) -> Result<(), String> {
        self.http_client.validate()
    }
}
