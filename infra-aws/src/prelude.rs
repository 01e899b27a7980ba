//! The imports of every resource kind's file.

pub(crate) use crate::{
    client::Aws,
    error::{SdkContext, found},
    ids::*,
    region::AwsResource,
    tags, wait,
};
pub(crate) use infra_core::{
    Input, Output, Outputs, Resource,
    provider::{Created, Described, ErrorKind, FoundBy, Prior, Problem, ProviderError, Update},
};
pub(crate) use serde::{Deserialize, Serialize};
pub(crate) use std::collections::BTreeMap;

/// Context of an operation on an AWS resource.
pub(crate) type Context<'a> = infra_core::provider::Context<'a, Aws>;

/// Result of an operation on an AWS resource.
pub(crate) type Result<T, E = ProviderError> = std::result::Result<T, E>;
