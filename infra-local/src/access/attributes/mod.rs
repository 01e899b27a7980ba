//! Condition keys that describe existing resources: tags and attributes.
//!
//! Source: AWS, "Service Authorization Reference", the condition keys of each service's resource types.

use super::Context;
use crate::model::{ACCOUNT, Cloud};

/// Returns the condition keys of the resource with this ARN; none if it does not exist.
pub(super) fn of(_cloud: &Cloud, _arn: &str) -> Context {
    Context::default()
}

/// Returns the ARN of a resource that EC2 creates. Images and snapshots can belong to other accounts, so their ARNs
/// contain none.
pub(super) fn new_ec2_arn(region: &str, kind: &str) -> String {
    let account = if ["image", "snapshot"].contains(&kind) { "" } else { ACCOUNT };
    format!("arn:aws:ec2:{region}:{account}:{kind}/*")
}
