//! Resources of CloudWatch Logs' operations, for authorisation.

use crate::access::Resource;

const ARN: &str = "arn:aws:logs:{region}:{account}:log-group:{}";

pub(super) const GROUP: Resource = Resource::Named("logGroupName", ARN);
pub(super) const IDENTIFIED_GROUP: Resource = Resource::Named("logGroupIdentifier", ARN);
pub(super) const TAGGED: Resource = Resource::Arn("resourceArn");
