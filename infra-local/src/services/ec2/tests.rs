//! Tests of several kinds of resources together.
#![allow(clippy::unwrap_used)]

mod image;
mod instance;
mod key_pair;
mod network;
mod network_interface;
mod volume;

use super::OPERATIONS;
use crate::testing::ControlPlane;

impl ControlPlane {
    /// Calls an operation that succeeds, and returns its response.
    #[track_caller]
    pub(super) fn ec2(&mut self, name: &str, form: &str) -> String {
        self.query(OPERATIONS, name, form).unwrap_or_else(|error| panic!("{name} {form}: {error}"))
    }

    /// Calls an operation that fails, and returns its code and message.
    #[track_caller]
    pub(super) fn ec2_error(&mut self, name: &str, form: &str) -> String {
        self.query(OPERATIONS, name, form).unwrap_err()
    }
}
