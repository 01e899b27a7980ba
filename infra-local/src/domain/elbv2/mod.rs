//! Rules of load balancers: status codes of health checks, and address ranges of clients.

mod address_range;
mod matcher;

pub(crate) use address_range::AddressRange;
pub(crate) use matcher::Matcher;
