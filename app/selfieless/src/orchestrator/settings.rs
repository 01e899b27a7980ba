//! Settings of the orchestrator.

use std::{env, path::PathBuf, time::Duration};

use kit::settings::{SettingError, Variables, positive};

/// Longest time of a setting, in seconds.
const DAY: f64 = 86_400.0;

/// Settings of the orchestrator, besides those of the kit.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Runtime of the instances.
    pub runtime: Runtime,
    /// Port of the first instance.
    pub first_port: u16,
    /// Number of instances.
    pub scaling: Scaling,
    /// Times of an instance.
    pub times: Times,
}

/// Runtime of the instances.
#[derive(Debug, Clone, PartialEq)]
pub enum Runtime {
    /// Child processes.
    Processes {
        /// Executable of an instance.
        program: PathBuf,
    },
    /// Containers.
    Docker(Docker),
}

/// Settings of the Docker runtime.
#[derive(Debug, Clone, PartialEq)]
pub struct Docker {
    /// Address of the engine.
    pub host: String,
    /// Image of an instance.
    pub image: String,
    /// Network of the containers.
    pub network: String,
    /// Memory of a container, in bytes.
    pub memory_bytes: Option<i64>,
    /// Processors of a container, in billionths.
    pub nano_cpus: Option<i64>,
}

/// Settings of the number of instances.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scaling {
    /// Smallest number of instances.
    pub minimum: usize,
    /// Largest number of instances.
    pub maximum: usize,
    /// Length of a window.
    pub window: Duration,
    /// Requests in a window per instance.
    pub requests_per_instance: u64,
}

/// Times of an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times {
    /// Time between health checks.
    pub health: Duration,
    /// Time limit of a health check.
    pub health_limit: Duration,
    /// Time limit of a start.
    pub start_limit: Duration,
    /// Time limit of the remaining requests of an instance.
    pub drain_limit: Duration,
}

/// Error for an invalid setting.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// A setting is invalid.
    #[error(transparent)]
    Setting(#[from] SettingError),
    /// `RUNTIME=docker` without an image.
    #[error("IMAGE is not set; RUNTIME=docker needs the image of the service acts")]
    NoImage,
    /// The smallest number of instances exceeds the largest.
    #[error("MINIMUM={minimum} is above MAX_INSTANCES={maximum}; lower it, or raise MAX_INSTANCES")]
    Minimum {
        /// Smallest number of instances.
        minimum: usize,
        /// Largest number of instances.
        maximum: usize,
    },
    /// The last port would exceed 65535.
    #[error("FIRST_PORT={first_port} leaves no ports for MAX_INSTANCES={maximum}; lower one of them")]
    Ports {
        /// Port of the first instance.
        first_port: u16,
        /// Largest number of instances.
        maximum: usize,
    },
}

impl Settings {
    /// Reads the settings.
    ///
    /// # Errors
    /// [`SettingsError`] for the first invalid setting.
    pub fn from(variables: Variables) -> Result<Self, SettingsError> {
        let runtime = Runtime::from(variables)?;
        let first_port = positive(variables, "FIRST_PORT", 8000_u16)?;
        let scaling = Scaling::from(variables)?;
        let last_port = usize::from(first_port).saturating_add(scaling.maximum - 1);
        if last_port > usize::from(u16::MAX) {
            return Err(SettingsError::Ports { first_port, maximum: scaling.maximum });
        }
        Ok(Self { runtime, first_port, scaling, times: Times::from(variables)? })
    }
}

impl Runtime {
    fn from(variables: Variables) -> Result<Self, SettingsError> {
        match variables("RUNTIME").as_deref() {
            None | Some("process") => {
                let beside = || env::current_exe().unwrap_or_default().with_file_name("acts");
                Ok(Self::Processes { program: variables("PROGRAM").map_or_else(beside, PathBuf::from) })
            }
            Some("docker") => Docker::from(variables).map(Self::Docker),
            Some(other) => Err(SettingError {
                name: "RUNTIME",
                value: other.to_owned(),
                expected: "process or docker",
                default: "process".to_owned(),
            }
            .into()),
        }
    }
}

impl Docker {
    fn from(variables: Variables) -> Result<Self, SettingsError> {
        let host = variables("DOCKER_HOST").unwrap_or_else(|| "unix:///var/run/docker.sock".to_owned());
        if !["unix://", "tcp://", "http://"].iter().any(|scheme| host.starts_with(scheme)) {
            return Err(SettingError {
                name: "DOCKER_HOST",
                value: host,
                expected: "an address that starts with unix://, tcp:// or http://",
                default: "unix:///var/run/docker.sock".to_owned(),
            }
            .into());
        }
        let memory_bytes = match variables("CONTAINER_MEMORY_BYTES") {
            Some(_) => Some(positive(variables, "CONTAINER_MEMORY_BYTES", 0_i64)?),
            None => None,
        };
        let nano_cpus = match variables("CONTAINER_CPUS") {
            Some(_) => Some((number(variables, "CONTAINER_CPUS", 1.0, 1024.0)? * 1e9) as i64),
            None => None,
        };
        let image = variables("IMAGE").filter(|image| !image.is_empty()).ok_or(SettingsError::NoImage)?;
        let network = variables("DOCKER_NETWORK").unwrap_or_else(|| "bridge".to_owned());
        Ok(Self { host, image, network, memory_bytes, nano_cpus })
    }
}

impl Scaling {
    fn from(variables: Variables) -> Result<Self, SettingsError> {
        let minimum = positive(variables, "MINIMUM", 1)?;
        let maximum = positive(variables, "MAX_INSTANCES", 10)?;
        if minimum > maximum {
            return Err(SettingsError::Minimum { minimum, maximum });
        }
        Ok(Self {
            minimum,
            maximum,
            window: seconds(variables, "WINDOW_SECONDS", 120.0)?,
            requests_per_instance: positive(variables, "REQUESTS_PER_INSTANCE", 20)?,
        })
    }
}

impl Times {
    fn from(variables: Variables) -> Result<Self, SettingError> {
        Ok(Self {
            health: seconds(variables, "HEALTH_SECONDS", 1.0)?,
            health_limit: seconds(variables, "HEALTH_TIMEOUT_SECONDS", 2.0)?,
            start_limit: seconds(variables, "START_SECONDS", 60.0)?,
            drain_limit: seconds(variables, "DRAIN_SECONDS", 10.0)?,
        })
    }
}

fn seconds(variables: Variables, name: &'static str, default: f64) -> Result<Duration, SettingError> {
    number(variables, name, default, DAY).map(Duration::from_secs_f64)
}

/// Reads a number above zero, which may have a fraction of at least a thousandth.
fn number(variables: Variables, name: &'static str, default: f64, most: f64) -> Result<f64, SettingError> {
    let Some(value) = variables(name) else {
        return Ok(default);
    };
    match value.trim().parse() {
        Ok(number) if (0.001..=most).contains(&number) => Ok(number),
        _ => {
            let expected = "a number above zero, such as 2 or 0.5, and not too large";
            Err(SettingError { name, value, expected, default: default.to_string() })
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn with(settings: &[(&str, &str)]) -> Result<Settings, SettingsError> {
        Settings::from(&|name| settings.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn the_defaults_are_those_of_the_contract() {
        let settings = with(&[]).unwrap();
        assert!(matches!(settings.runtime, Runtime::Processes { program } if program.ends_with("acts")));
        assert_eq!(settings.first_port, 8000);
        let window = Duration::from_mins(2);
        assert_eq!(settings.scaling, Scaling { minimum: 1, maximum: 10, window, requests_per_instance: 20 });
        assert_eq!(settings.times.health, Duration::from_secs(1));
    }

    #[test]
    fn a_container_has_limits() {
        let settings = with(&[
            ("RUNTIME", "docker"),
            ("IMAGE", "acts:1"),
            ("CONTAINER_MEMORY_BYTES", "67108864"),
            ("CONTAINER_CPUS", "0.5"),
        ]);
        let expected = Docker {
            host: "unix:///var/run/docker.sock".into(),
            image: "acts:1".into(),
            network: "bridge".into(),
            memory_bytes: Some(67_108_864),
            nano_cpus: Some(500_000_000),
        };
        assert_eq!(settings.unwrap().runtime, Runtime::Docker(expected));
    }

    #[test]
    fn invalid_settings_are_named() {
        for (settings, expected) in [
            (&[("RUNTIME", "podman")][..], "RUNTIME=podman is not process or docker"),
            (&[("RUNTIME", "docker")], "IMAGE is not set"),
            (&[("RUNTIME", "docker"), ("DOCKER_HOST", "ssh://x")], "DOCKER_HOST=ssh://x is not an address"),
            (&[("RUNTIME", "docker"), ("CONTAINER_CPUS", "0")], "CONTAINER_CPUS=0 is not a number above zero"),
            (&[("RUNTIME", "docker"), ("CONTAINER_MEMORY_BYTES", "-1")], "CONTAINER_MEMORY_BYTES=-1 is not"),
            (&[("MINIMUM", "3"), ("MAX_INSTANCES", "2")], "MINIMUM=3 is above MAX_INSTANCES=2"),
            (&[("FIRST_PORT", "65530")], "FIRST_PORT=65530 leaves no ports for MAX_INSTANCES=10"),
            (&[("MAX_INSTANCES", "18446744073709551615")], "FIRST_PORT=8000 leaves no ports"),
            (&[("FIRST_PORT", "0")], "FIRST_PORT=0 is not a whole number above zero"),
            (&[("WINDOW_SECONDS", "NaN")], "WINDOW_SECONDS=NaN is not a number above zero"),
            (&[("HEALTH_SECONDS", "1e9")], "HEALTH_SECONDS=1e9 is not a number above zero"),
            (&[("DRAIN_SECONDS", "")], "DRAIN_SECONDS= is not a number above zero"),
        ] {
            let error = with(settings).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{error}");
        }
    }
}
