//! Names of parameters.

use super::validation;
use crate::wire::{ApiError, Outcome};

/// Levels of a hierarchy.
const LEVELS: usize = 15;

/// Checks the name of a new parameter by the rules of
/// [PutParameter](https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_PutParameter.html).
pub(super) fn check_name(name: &str) -> Outcome<()> {
    let valid = |character: char| character.is_ascii_alphanumeric() || "_.-/".contains(character);
    let is_path = name.matches('/').count() > 1;
    let first = name.trim_start_matches('/').to_ascii_lowercase();
    if is_path && first.starts_with("aws") {
        return Err(ApiError::new("AccessDeniedException", format!("No access to reserved parameter name: {name}.")));
    }
    if is_path && first.starts_with("ssm") {
        return Err(validation(format!("Parameter name: can't be prefixed with \"ssm\" (case-insensitive). {RULES}")));
    }
    if first.starts_with("aws") || first.starts_with("ssm") {
        return Err(validation("Parameter name: can't be prefixed with \"aws\" or \"ssm\" (case-insensitive)."));
    }
    if name.contains('/') && !name.starts_with('/') {
        return Err(validation("Parameter name must be a fully qualified name."));
    }
    if name.is_empty() || name.len() > 1011 || !name.chars().all(valid) || name.ends_with('/') || name.contains("//") {
        return Err(validation(format!("Invalid parameter name. {RULES}")));
    }
    if name.matches('/').count() > LEVELS {
        return Err(ApiError::new(
            "HierarchyLevelLimitExceededException",
            format!("A parameter hierarchy can have a maximum of {LEVELS} levels."),
        ));
    }
    Ok(())
}

const RULES: &str = "If formed as a path, it can consist of sub-paths divided by slash symbol; each sub-path can be \
     formed as a mix of letters, numbers and the following 3 symbols .-_";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked_by_the_rules_of_aws() {
        for name in ["a", "a.b-c_d", "/a", "/a/b/aws", "/a/b"] {
            assert_eq!(check_name(name), Ok(()), "{name}");
        }
        let code = |name: &str| check_name(name).map_err(|error| error.code);
        let deep = "/a".repeat(16);
        for (name, expected) in [
            ("aws-x", "ValidationException"),
            ("/SSM-x", "ValidationException"),
            ("/ssm/x", "ValidationException"),
            ("/aws/x", "AccessDeniedException"),
            ("a/b", "ValidationException"),
            ("a b", "ValidationException"),
            ("/a//b", "ValidationException"),
            ("/a/", "ValidationException"),
            (&deep, "HierarchyLevelLimitExceededException"),
        ] {
            assert_eq!(code(name), Err(expected.into()), "{name}");
        }
    }
}
