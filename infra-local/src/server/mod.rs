//! The running cloud: its endpoint, its process and directory, and what it reports and accepts from administrators.
//!
//! - [`endpoint`]: the HTTP endpoint; it dispatches requests to the services
//! - [`resource_requests`]: carries out Cloud Control's requests with the services' operations
//! - [`local_cloud`]: starts and stops the parts of a cloud; [`directory`]: prepares and locks its directory
//! - [`options`], [`credentials`], [`usage`]: the files of the cloud's directory besides its state
//! - [`faults`]: faults on demand
//! - [`calls`]: the recorded requests to the endpoint; [`metrics`]: the time series of CloudWatch;
//!   [`events`]: faults, scaling, alarms, failovers and instances
//! - [`status`], [`inventory`], [`capabilities`]: reports on resources, their identifiers, and this machine
//! - [`permissions`], [`host_roles`]: the evaluation of policies for code of this process, and the roles of hosts
//! - [`network_map`]: the network with the permitted connections; [`reach`]: whether a connection gets through it;
//!   [`tunnel`], [`session`]: connections of users into it, and their programs in instances
//! - [`daemon`]: the cloud as a background process; [`running`], [`remote`]: how other processes find and administer it

pub(crate) mod calls;
pub(crate) mod capabilities;
pub(crate) mod credentials;
pub mod daemon;
pub(crate) mod directory;
pub(crate) mod endpoint;
pub(crate) mod events;
pub(crate) mod faults;
pub(crate) mod host_roles;
pub(crate) mod inventory;
pub(crate) mod local_cloud;
pub(crate) mod metrics;
pub(crate) mod network_map;
pub(crate) mod options;
mod party;
pub(crate) mod permissions;
pub(crate) mod reach;
pub(crate) mod remote;
pub(crate) mod resource_requests;
pub(crate) mod running;
mod session;
pub(crate) mod start_error;
pub(crate) mod status;
mod tunnel;
pub(crate) mod usage;
