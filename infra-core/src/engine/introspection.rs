//! Questions about a program that need neither the store nor a provider.

use super::{Engine, EngineError, Program, error::refused};
use crate::{
    config::{ConfigError, ConfigKey},
    provider::{Inspect, ResourceKind},
    stack::Declaration,
};

/// The configuration keys that a program reads.
#[derive(Debug)]
pub struct ConfigReads {
    /// The keys that the program read before it returned, in alphabetical order.
    pub keys: Vec<ConfigKey>,
    /// The error that stopped the program, which might read more keys without it.
    pub error: Option<EngineError>,
    /// The configuration error that stopped the program, if it was one.
    pub config_error: Option<ConfigError>,
}

impl Engine {
    /// Runs the program to find the configuration keys that it reads with this configuration.
    pub fn config_reads(&self, program: Program<'_>) -> ConfigReads {
        let Declaration { graph, config_keys, .. } = self.run_program(program);
        let errors = graph.err();
        let config_error = errors.iter().flatten().find_map(|error| error.as_config()).cloned();
        ConfigReads { keys: config_keys, error: errors.map(|errors| refused(&errors)), config_error }
    }

    /// Returns the resource types that the program's providers serve.
    pub fn resource_kinds(&self, program: Program<'_>) -> Vec<ResourceKind> {
        self.run_program(program).providers.resource_kinds()
    }
}
