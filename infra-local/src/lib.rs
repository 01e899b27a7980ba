//! A local AWS in one process: it speaks AWS's wire protocols and really runs what is declared.
//!
//! Start one with [`LocalCloud::start`] and point any AWS client (SDK, CLI, boto3, Terraform) at [`LocalCloud::endpoint`], with
//! the key of [`LocalCloud::credentials`].
//!
//! # Layout
//! No module uses a later one:
//! - `wire`: the EC2, Query, JSON, CBOR and REST-XML protocols; signatures, filters, pages, errors
//! - `model`: the state tree, one module per service, and its changes
//! - `state`: the shared handle on the state, its files `cloud.json` and `cloud.journal`, and subscriptions to changes
//! - `domain`: rules that services and runtime share
//! - `access`: authentication and authorisation: signatures, IAM's policies, web pages
//! - `services`: the control plane, one module per AWS service, one file per resource kind
//! - `runtime`: the data plane: reconcilers that run what the model declares
//! - `server`: the endpoint, the process, its directory and administration

mod access;
mod domain;
mod model;
mod runtime;
mod server;
mod services;
mod state;
#[cfg(test)]
mod testing;
mod wire;

pub use access::Credentials;
pub use runtime::confinement::{ConfinementStatus, enable_launcher};
#[cfg(target_os = "linux")]
#[doc(hidden)]
pub use runtime::network::namespaces::seam;
pub use server::capabilities::{Capabilities, Obstacle};
pub use server::credentials::credentials;
pub use server::daemon;
pub use server::directory::{admit_databases, reset};
pub use server::faults::{Fault, FaultError, Requests};
pub use server::local_cloud::LocalCloud;
pub use server::options::{NetworkChoice, Options};
pub use server::reach::{Component, Reach, ReachRequest};
pub use server::start_error::StartError;
pub use server::status::{
    BalancerStatus, DatabaseClusterStatus, DatabaseStatus, GroupStatus, InstanceStatus, NetworkStatus, RegionStatus,
    ServiceStatus, Status, TargetGroupStatus,
};
pub use server::usage::{SoleUsage, Usage};
