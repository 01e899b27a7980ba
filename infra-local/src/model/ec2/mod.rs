//! EC2's resources: networks, images, instances and what they are launched from.

pub(crate) mod block_device;
pub(crate) mod gateway;
pub(crate) mod image;
pub(crate) mod instance;
pub(crate) mod instance_type;
pub(crate) mod key_pair;
pub(crate) mod launch_template;
pub(crate) mod peering;
pub(crate) mod route_table;
pub(crate) mod vpc;
