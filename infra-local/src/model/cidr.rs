//! Ranges of IPv4 addresses.

pub(crate) use infra_network::Cidr;
