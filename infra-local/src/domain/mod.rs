//! Rules that services and the runtime share. They decide about the model, and perform no I/O.
//!
//! - [`autoscaling`]: transitions of a group's members, executions of scaling policies, alarms of policies
//! - [`dns`]: the records of a VPC's DNS resolver
//! - [`ec2`]: launches of instances
//! - [`elbv2`]: matchers of health checks, address ranges of conditions
//! - [`machine`]: the Machine document of an instance
//! - [`names`]: DNS names of addresses and balancers
//! - [`network`]: VPCs, interfaces, routes and rules as plain data, and which connections they permit
//! - [`postgres`]: the PostgreSQL that this machine has
//! - [`rds`]: parameters of database servers
//! - [`s3`]: configuration documents of buckets, lifecycle rules
//! - [`ssm`]: values of parameters

pub(crate) mod autoscaling;
pub(crate) mod dns;
pub(crate) mod ec2;
pub(crate) mod elbv2;
pub(crate) mod machine;
pub(crate) mod mariadb;
pub(crate) mod names;
pub(crate) mod network;
pub(crate) mod postgres;
pub(crate) mod rds;
pub(crate) mod s3;
pub(crate) mod ssm;
