//! Rules of load balancers: which status codes and which clients a declaration means.

mod address_range;
mod matcher;

pub(crate) use address_range::AddressRange;
pub(crate) use matcher::Matcher;
