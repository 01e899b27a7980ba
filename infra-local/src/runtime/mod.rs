//! The data plane: reconcilers that run what the model declares, and report what they observe to the model.

pub(crate) mod artifact;
pub(crate) mod autoscaling;
pub(crate) mod background;
pub(crate) mod cloudwatch;
pub(crate) mod confinement;
pub(crate) mod control_plane;
pub(crate) mod descriptors;
pub(crate) mod elbv2;
pub(crate) mod engine;
pub(crate) mod executable;
#[cfg(target_os = "linux")]
#[doc(hidden)]
pub mod fabric_testing;
pub(crate) mod gateways;
pub(crate) mod host;
pub(crate) mod images;
pub(crate) mod inside;
pub(crate) mod instances;
pub(crate) mod logs;
pub(crate) mod mariadb;
pub(crate) mod metadata;
pub(crate) mod network;
pub(crate) mod postgres;
pub(crate) mod process;
pub(crate) mod proxy;
pub(crate) mod public_address;
pub(crate) mod rds;
pub(crate) mod resolver;
pub(crate) mod s3;
pub(crate) mod server_home;
pub(crate) mod service;
pub(crate) mod session;
pub(crate) mod ssm;
pub(crate) mod user;
