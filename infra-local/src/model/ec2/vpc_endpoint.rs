//! VPC endpoints.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::model::{Region, Tags};

/// A VPC endpoint. It is recorded and described, and its interfaces have addresses: hosts reach the endpoints of AWS's
/// services by the internet of the cloud only, and the policy is not evaluated.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct VpcEndpoint {
    pub(crate) id: String,
    pub(crate) vpc_id: String,
    /// `com.amazonaws.us-east-1.s3`.
    pub(crate) service: String,
    /// A gateway has route tables, an interface endpoint has subnets and groups.
    pub(crate) gateway: bool,
    pub(crate) policy: String,
    pub(crate) route_tables: Vec<String>,
    pub(crate) subnets: Vec<String>,
    pub(crate) security_groups: Vec<String>,
    pub(crate) private_dns: bool,
    pub(crate) created: DateTime<Utc>,
    pub(crate) tags: Tags,
}

impl VpcEndpoint {
    /// Returns the name of its service within AWS: `s3`.
    pub(crate) fn service_name(&self) -> &str {
        self.service.splitn(4, '.').last().unwrap_or_default()
    }
}

impl Region {
    /// Deletes an endpoint: the addresses of its interfaces are free again.
    pub(crate) fn remove_vpc_endpoint(&mut self, id: &str) {
        let Some(endpoint) = self.ec2.vpc_endpoints.remove(id) else { return };
        for subnet in &endpoint.subnets {
            if let Some(subnet) = self.ec2.subnets.get_mut(subnet) {
                subnet.release_hosts(id);
            }
        }
        self.ec2.client_tokens.retain(|created| created != id);
    }
}
