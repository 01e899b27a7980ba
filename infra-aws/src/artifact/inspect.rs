//! Requirements of a program on its host.

use crate::architecture::Architecture;
use object::{Endianness, Object, ReadRef, read::elf::ElfFile64};

pub(super) const HINT: &str =
    "give a 64-bit Linux program for x86-64 or ARM; INFRA_ARTIFACT_<NAME>=/path takes one that was built elsewhere";

/// Requirements of a program.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Requirements {
    pub(super) architecture: Architecture,
    /// Oldest version of the GNU C library; `None` for programs that do not use it.
    pub(super) glibc: Option<String>,
}

/// Returns the requirements of a Linux program.
pub(super) fn requirements<'a>(program: impl ReadRef<'a>) -> Result<Requirements, String> {
    let file: ElfFile64<'_, Endianness, _> =
        ElfFile64::parse(program).map_err(|error| format!("this is no Linux program: {error}"))?;
    let architecture = match file.architecture() {
        object::Architecture::X86_64 => Architecture::X86_64,
        object::Architecture::Aarch64 => Architecture::Arm64,
        other => return Err(format!("EC2 has no instances with the architecture {other:?}")),
    };
    let versions = glibc_versions(&file).map_err(|error| format!("its requirements cannot be read: {error}"))?;
    let newest = versions.into_iter().max();
    Ok(Requirements { architecture, glibc: newest.map(|(major, minor)| format!("{major}.{minor}")) })
}

/// Returns the requirements of a program for this machine, which may run another system than Linux.
pub(super) fn requirements_here<'a>(program: impl ReadRef<'a>) -> Result<Requirements, String> {
    let here = Architecture::here().ok_or("this machine's architecture is not supported")?;
    if !cfg!(target_os = "linux") {
        return Ok(Requirements { architecture: here, glibc: None });
    }
    match requirements(program)? {
        requirements if requirements.architecture == here => Ok(requirements),
        Requirements { architecture, .. } => Err(format!("it is built for {architecture}, and this machine is {here}")),
    }
}

/// Returns the versions of the GNU C library that the program requires.
fn glibc_versions<'a>(file: &ElfFile64<'a, Endianness, impl ReadRef<'a>>) -> object::Result<Vec<(u32, u32)>> {
    let (endian, data, sections) = (file.endian(), file.data(), file.elf_section_table());
    let mut versions = Vec::new();
    if let Some((libraries, link)) = sections.gnu_verneed(endian, data)? {
        let strings = sections.strings(endian, data, link)?;
        for library in libraries {
            for version in library?.1 {
                let name = version?.name(endian, strings)?;
                versions.extend(std::str::from_utf8(name).ok().and_then(glibc_version));
            }
        }
    }
    Ok(versions)
}

/// Parses the major and the minor version: `GLIBC_2.2.5` is 2.2.
fn glibc_version(name: &str) -> Option<(u32, u32)> {
    let mut numbers = name.strip_prefix("GLIBC_")?.split('.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn versions_are_numbers() {
        assert_eq!(glibc_version("GLIBC_2.2.5"), Some((2, 2)));
        assert_eq!(glibc_version("GLIBC_2.34"), Some((2, 34)));
        assert_eq!(glibc_version("GLIBC_PRIVATE"), None);
        assert_eq!(glibc_version("GCC_3.0"), None);
    }

    #[test]
    fn script_is_refused() {
        assert!(requirements(&b"#!/bin/sh\n"[..]).unwrap_err().contains("no Linux program"));
    }

    #[test]
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    fn running_test_requires_a_version_of_glibc() {
        let program = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let requirements = requirements(&program[..]).unwrap();
        assert_eq!(Some(requirements.architecture), Architecture::here());
        assert!(requirements.glibc.unwrap().starts_with("2."));
    }
}
