//! Identity and Access Management.

mod document;
pub mod instance_profile;
pub mod role;
pub mod role_policy;

use infra_core::provider::Problem;

/// Returns the problem of a name that IAM does not accept.
fn name_problem(property: &str, name: &str, longest: usize) -> Option<Problem> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "_+=,.@-".contains(c);
    let valid = (1..=longest).contains(&name.len()) && name.chars().all(allowed);
    (!valid).then(|| {
        Problem::new(property, format!("IAM does not accept the name `{name}`"))
            .hint(format!("write 1 to {longest} letters, digits and `_+=,.@-`"))
    })
}
