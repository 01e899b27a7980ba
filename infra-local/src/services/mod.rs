//! The control plane: one module per AWS service, named as its SDK crate, and one file per resource kind.
//!
//! An [`operation`] validates a request, changes or reads the model, and renders the response. The services do not use
//! each other; only `cloudcontrol` uses the operations of others.

pub(crate) mod acm;
pub(crate) mod autoscaling;
pub(crate) mod cloudcontrol;
pub(crate) mod cloudtrail;
pub(crate) mod cloudwatch;
pub(crate) mod ec2;
pub(crate) mod elbv2;
pub(crate) mod iam;
pub(crate) mod logs;
pub(crate) mod operation;
pub(crate) mod permission;
pub(crate) mod rds;
pub(crate) mod s3;
pub(crate) mod ssm;
pub(crate) mod sts;
pub(crate) mod tags;

pub(crate) use operation::{Call, Operation, State, typed};
