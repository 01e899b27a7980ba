//! Processor architectures.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A processor architecture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Architecture {
    /// 64-bit x86 (Intel and AMD).
    #[serde(rename = "x86_64")]
    X86_64,
    /// 64-bit ARM, such as AWS Graviton.
    Arm64,
}

impl Architecture {
    /// Returns the architecture of this process, if EC2 has instances with it.
    pub fn here() -> Option<Self> {
        match std::env::consts::ARCH {
            "x86_64" => Some(Self::X86_64),
            "aarch64" => Some(Self::Arm64),
            _ => None,
        }
    }

    /// Returns EC2's name of the architecture.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::Arm64 => "arm64",
        }
    }
}

impl fmt::Display for Architecture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
