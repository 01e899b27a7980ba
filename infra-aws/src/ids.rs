//! Typed identifiers.
//!
//! Each kind of resource has its own identifier type, so that a program that passes the id of another kind does not
//! compile:
//!
//! ```
//! use infra_aws::{SecurityGroup, VpcId};
//!
//! SecurityGroup::in_vpc(VpcId::from("vpc-0123456789abcdef0"));
//! ```
//!
//! ```compile_fail
//! use infra_aws::{SecurityGroup, SubnetId};
//!
//! SecurityGroup::in_vpc(SubnetId::from("subnet-0123456789abcdef0"));
//! ```
//!
//! The same applies to the outputs of other resources:
//!
//! ```
//! use infra_aws::{SecurityGroupId, SecurityGroupOutputs};
//! use infra_core::Input;
//!
//! fn same_kind(group: SecurityGroupOutputs) -> Input<SecurityGroupId> {
//!     group.id
//! }
//! ```
//!
//! ```compile_fail
//! use infra_aws::{KeyPairOutputs, SecurityGroupId};
//! use infra_core::Input;
//!
//! fn other_kind(key: KeyPairOutputs) -> Input<SecurityGroupId> {
//!     key.id
//! }
//! ```

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::{cmp, convert::Infallible, fmt, hash, marker::PhantomData, str::FromStr};

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Returns the identifier as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.to_owned())
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl FromStr for $name {
            type Err = Infallible;

            fn from_str(text: &str) -> Result<Self, Infallible> {
                Ok(Self(text.to_owned()))
            }
        }
    )+};
}

ids! {
    /// The id of a VPC: `vpc-…`.
    VpcId
    /// The id of a subnet: `subnet-…`.
    SubnetId
    /// The id of a security group: `sg-…`.
    SecurityGroupId
    /// The id of a rule of a security group: `sgr-…`.
    SecurityGroupRuleId
    /// The id of an internet gateway: `igw-…`.
    InternetGatewayId
    /// The id of a NAT gateway: `nat-…`.
    NatGatewayId
    /// The id of a route table: `rtb-…`.
    RouteTableId
    /// The allocation id of an Elastic IP address: `eipalloc-…`.
    AllocationId
    /// The id of a VPC peering connection: `pcx-…`.
    VpcPeeringId
    /// The id of a network interface: `eni-…`.
    NetworkInterfaceId
    /// The id of an Amazon Machine Image: `ami-…`.
    ImageId
    /// The id of an instance: `i-…`.
    InstanceId
    /// The id of a launch template: `lt-…`.
    LaunchTemplateId
    /// The name of a key pair.
    KeyName
    /// The name of an instance profile.
    InstanceProfileName
    /// The name of an Auto Scaling group.
    AutoScalingGroupName
    /// The name of a CloudWatch alarm.
    AlarmName
    /// The name of a log group.
    LogGroupName
    /// The name of a DB subnet group.
    DbSubnetGroupName
    /// The name of a DB parameter group.
    DbParameterGroupName
    /// The name of a DB cluster parameter group.
    DbClusterParameterGroupName
    /// The identifier of a DB instance.
    DbInstanceId
    /// The identifier of a DB cluster.
    DbClusterId
}

/// The Amazon Resource Name of a resource of kind `K`, the struct of its inputs: `Arn<LoadBalancer>`.
pub struct Arn<K> {
    text: String,
    kind: PhantomData<fn() -> K>,
}

impl<K> Arn<K> {
    /// Returns the ARN as text.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl<K> From<&str> for Arn<K> {
    fn from(text: &str) -> Self {
        Self::from(text.to_owned())
    }
}

impl<K> From<String> for Arn<K> {
    fn from(text: String) -> Self {
        Self { text, kind: PhantomData }
    }
}

impl<K> From<Arn<K>> for String {
    fn from(arn: Arn<K>) -> Self {
        arn.text
    }
}

impl<K> FromStr for Arn<K> {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(text.into())
    }
}

impl<K> Clone for Arn<K> {
    fn clone(&self) -> Self {
        Self::from(self.text.clone())
    }
}

impl<K> PartialEq for Arn<K> {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl<K> Eq for Arn<K> {}

impl<K> PartialOrd for Arn<K> {
    fn partial_cmp(&self, other: &Self) -> Option<cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<K> Ord for Arn<K> {
    fn cmp(&self, other: &Self) -> cmp::Ordering {
        self.text.cmp(&other.text)
    }
}

impl<K> hash::Hash for Arn<K> {
    fn hash<H: hash::Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

impl<K> fmt::Display for Arn<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl<K> fmt::Debug for Arn<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.text)
    }
}

impl<K> Serialize for Arn<K> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de, K> Deserialize<'de> for Arn<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::from)
    }
}

/// A version of a launch template.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaunchTemplateVersion {
    /// Id of the template.
    pub id: LaunchTemplateId,
    /// Number of the version, from 1.
    pub version: u64,
}
