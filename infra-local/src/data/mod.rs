//! The data plane: really runs what the control plane holds.

pub(crate) mod address;
pub(crate) mod artifact;
pub(crate) mod background;
pub(crate) mod balancers;
pub(crate) mod confinement;
pub(crate) mod console;
pub(crate) mod databases;
pub(crate) mod descriptors;
pub(crate) mod elastic;
pub(crate) mod gateways;
pub(crate) mod groups;
pub(crate) mod host;
pub(crate) mod images;
pub(crate) mod inside;
pub(crate) mod instances;
pub(crate) mod logs;
pub(crate) mod machine;
pub(crate) mod metadata;
pub(crate) mod network;
pub(crate) mod postgres;
pub(crate) mod process;
pub(crate) mod proxy;
pub(crate) mod resource_requests;
pub(crate) mod service;
pub(crate) mod watch;
