//! Rules of balancers: matchers of health checks, address ranges of conditions, places of logs.

mod address_range;
pub(crate) mod logs;
mod matcher;

pub(crate) use address_range::AddressRange;
pub(crate) use matcher::Matcher;
