//! Tests of the derived network.
