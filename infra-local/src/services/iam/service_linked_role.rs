//! Roles of services of AWS.
//!
//! Source: IAM API reference, `CreateServiceLinkedRole`, `DeleteServiceLinkedRole`; AWS IAM User Guide, "AWS services that
//! work with IAM".

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use super::role::render;
use super::{IamOperation, arn, no_such_entity, resource, role, unique_id, validation};
use crate::model::iam::Role;
use crate::model::{Cloud, Tags, ids};
use crate::services::{Call, Operation};
use crate::wire::{ApiError, Node, Outcome, Params};

pub(super) const OPERATIONS: &[IamOperation] = &[
    Operation::writes("CreateServiceLinkedRole", create, &[&["AWSServiceName", "Description", "CustomSuffix"]])
        .on(&[resource::SERVICE_ROLE]),
    Operation::writes("DeleteServiceLinkedRole", delete, &[&["RoleName"]]).on(&[resource::ROLE]),
    Operation::reads("GetServiceLinkedRoleDeletionStatus", deletion_status, &[&["DeletionTaskId"]])
        .on(&[resource::DELETED_ROLE]),
];

/// A service with the names of its role and of the policy that AWS attaches.
struct Service {
    principal: &'static str,
    role: &'static str,
    policy: &'static str,
    takes_suffix: bool,
}

const SERVICES: &[Service] = &[
    Service {
        principal: "autoscaling.amazonaws.com",
        role: "AWSServiceRoleForAutoScaling",
        policy: "AutoScalingServiceRolePolicy",
        takes_suffix: true,
    },
    Service {
        principal: "elasticloadbalancing.amazonaws.com",
        role: "AWSServiceRoleForElasticLoadBalancing",
        policy: "AWSElasticLoadBalancingServiceRolePolicy",
        takes_suffix: false,
    },
    Service {
        principal: "rds.amazonaws.com",
        role: "AWSServiceRoleForRDS",
        policy: "AmazonRDSServiceRolePolicy",
        takes_suffix: false,
    },
    Service {
        principal: "spot.amazonaws.com",
        role: "AWSServiceRoleForEC2Spot",
        policy: "AWSEC2SpotServiceRolePolicy",
        takes_suffix: false,
    },
    Service {
        principal: "ssm.amazonaws.com",
        role: "AWSServiceRoleForAmazonSSM",
        policy: "AmazonSSMServiceRolePolicy",
        takes_suffix: false,
    },
    Service {
        principal: "ecs.amazonaws.com",
        role: "AWSServiceRoleForECS",
        policy: "AmazonECSServiceRolePolicy",
        takes_suffix: false,
    },
];

fn create(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let principal = call.input.required("AWSServiceName")?;
    let invalid = |message: String| ApiError::new("InvalidInput", message);
    let service = SERVICES.iter().find(|service| service.principal == principal).ok_or_else(|| {
        invalid(format!("{principal} is no service of the local cloud that has a service-linked role"))
    })?;
    let suffix = call.input.optional("CustomSuffix").filter(|suffix| !suffix.is_empty());
    if suffix.is_some() && !service.takes_suffix {
        return Err(invalid(format!("Custom suffix is not allowed for {principal}")));
    }
    let name = suffix.map_or_else(|| service.role.to_owned(), |suffix| format!("{}_{suffix}", service.role));
    if cloud.iam.roles.contains_key(&name) {
        return Err(invalid(format!(
            "Service role name {name} has been taken in this account, please try a different suffix."
        )));
    }
    let path = format!("{}{principal}/", Role::OF_SERVICES);
    let statement = json!({"Effect": "Allow", "Principal": {"Service": principal}, "Action": "sts:AssumeRole"});
    let role = Role {
        id: unique_id("AROA"),
        arn: arn(call.account, "role", &path, &name),
        path,
        name: name.clone(),
        description: call.input.optional("Description").map(str::to_owned),
        max_session_seconds: 3600,
        trust_policy: json!({"Version": "2012-10-17", "Statement": [statement]}).to_string(),
        inline_policies: BTreeMap::new(),
        attached_policies: BTreeSet::from([format!("arn:aws:iam::aws:policy/aws-service-role/{}", service.policy)]),
        boundary: None,
        last_used: None,
        created: call.now,
        tags: Tags::new(),
    };
    let answer = Node::new().with("Role", render(&role));
    cloud.iam.roles.insert(name, role);
    Ok(answer)
}

/// Deletes the role at once; the id of the deletion task contains the name, which nothing else uses.
fn delete(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let name = call.input.required("RoleName")?;
    let role = role(&cloud.iam, name)?;
    if !role.is_service_linked() {
        return Err(validation(format!("The role {name} is not a service-linked role")));
    }
    let principal = role.path.trim_start_matches(Role::OF_SERVICES).trim_end_matches('/');
    let task = format!("task/aws-service-role/{principal}/{name}/{}", ids::random_hex(32));
    cloud.iam.roles.remove(name);
    Ok(Node::new().with("DeletionTaskId", task))
}

fn deletion_status(_: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let task = call.input.required("DeletionTaskId")?;
    if !task.starts_with("task/aws-service-role/") {
        return Err(no_such_entity(&format!("The deletion task {task}")));
    }
    Ok(Node::new().with("Status", "SUCCEEDED"))
}
