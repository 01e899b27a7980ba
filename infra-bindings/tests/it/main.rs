//! Tests of the generator: with schemas of its own, and with all schemas of a source.

mod every_type;
