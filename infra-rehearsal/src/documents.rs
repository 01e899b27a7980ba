//! Policy documents within the size limits of IAM.
//!
//! Source: AWS IAM User Guide, "IAM and AWS STS quotas": IAM counts the characters of a document without white space.

use crate::policy::{Statement, document};
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeSet;

/// Maximum number of characters of a managed policy.
pub const MANAGED_LIMIT: usize = 6144;

/// Maximum number of characters of all inline policies of a user.
pub const USER_INLINE_LIMIT: usize = 2048;

/// Maximum number of characters of all inline policies of a role.
pub const ROLE_INLINE_LIMIT: usize = 10_240;

/// Number of managed policies that an identity can have by default.
pub const ATTACHED_DEFAULT: usize = 10;

/// Number of managed policies that a user can have after an increase of its quota.
pub const ATTACHED_TO_USER: usize = 20;

/// Number of managed policies that a role can have after an increase of its quota.
pub const ATTACHED_TO_ROLE: usize = 25;

/// A document of a policy that is divided into several.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PolicyDocument {
    /// Services of the actions.
    pub services: BTreeSet<String>,
    /// Number of characters without white space.
    pub characters: usize,
    /// The document.
    pub document: Value,
}

/// Returns the number of characters that IAM counts.
pub fn characters(document: &Value) -> usize {
    document.to_string().chars().filter(|character| !character.is_whitespace()).count()
}

/// Divides a policy into documents of at most [`MANAGED_LIMIT`] characters. Statements of a service are in one document if
/// there is room. A statement that is too large is divided by its resources or actions, which allows the same.
pub(crate) fn split(statements: &[Statement]) -> Vec<PolicyDocument> {
    let mut pieces: Vec<Statement> =
        statements.iter().flat_map(|statement| divided(statement, MANAGED_LIMIT)).collect();
    if characters(&document(&pieces)) > MANAGED_LIMIT {
        pieces.sort_by_cached_key(|statement| (services(statement), statement.clone()));
    }
    let envelope = characters(&document(&[]));
    let mut documents: Vec<(Vec<Statement>, usize)> = Vec::new();
    for piece in pieces {
        // A comma separates two statements.
        let size = characters(&piece.document()) + 1;
        let room = documents.iter_mut().find(|(_, used)| used + size <= MANAGED_LIMIT);
        match room {
            Some((statements, used)) => {
                statements.push(piece);
                *used += size;
            }
            None => documents.push((vec![piece], envelope + size)),
        }
    }
    documents.into_iter().map(|(statements, _)| PolicyDocument::of(&statements)).collect()
}

impl PolicyDocument {
    fn of(statements: &[Statement]) -> PolicyDocument {
        let document = document(statements);
        let services = statements.iter().flat_map(services).collect();
        PolicyDocument { services, characters: characters(&document), document }
    }
}

fn services(statement: &Statement) -> BTreeSet<String> {
    let service = |action: &String| action.split(':').next().unwrap_or_default().to_owned();
    statement.actions.iter().map(service).collect()
}

/// Returns statements that together allow the same, whose documents have at most `limit` characters if a statement with one
/// action and one resource has.
fn divided(statement: &Statement, limit: usize) -> Vec<Statement> {
    let is_single = statement.actions.len() == 1 && statement.resources.len() == 1;
    if is_single || characters(&document([statement])) <= limit {
        return vec![statement.clone()];
    }
    let length = |texts: &BTreeSet<String>| texts.iter().map(String::len).sum::<usize>();
    let by_resources = statement.actions.len() == 1
        || (statement.resources.len() > 1 && length(&statement.resources) >= length(&statement.actions));
    let halves = if by_resources {
        let (first, second) = halves(&statement.resources);
        [first, second].map(|resources| Statement { resources, ..statement.clone() })
    } else {
        let (first, second) = halves(&statement.actions);
        [first, second].map(|actions| Statement { actions, ..statement.clone() })
    };
    halves.iter().flat_map(|half| divided(half, limit)).collect()
}

fn halves(texts: &BTreeSet<String>) -> (BTreeSet<String>, BTreeSet<String>) {
    let middle = texts.len() / 2;
    (texts.iter().take(middle).cloned().collect(), texts.iter().skip(middle).cloned().collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::collections::BTreeMap;

    fn statement(service: &str, actions: usize, resources: usize) -> Statement {
        Statement {
            actions: (0..actions).map(|number| format!("{service}:DescribeSomething{number:04}")).collect(),
            resources: (0..resources)
                .map(|number| format!("arn:aws:{service}:us-east-1:*:thing/{number:04}-*"))
                .collect(),
            conditions: BTreeMap::new(),
        }
    }

    /// Returns all pairs of an action and a resource that the documents allow.
    fn pairs(documents: &[PolicyDocument]) -> BTreeSet<(String, String)> {
        let statements = documents.iter().flat_map(|it| it.document["Statement"].as_array().unwrap());
        let texts = |value: &Value| -> Vec<String> {
            let texts = if value.is_array() { value.clone() } else { Value::Array(vec![value.clone()]) };
            serde_json::from_value(texts).unwrap()
        };
        statements
            .flat_map(|it| {
                let resources = texts(&it["Resource"]);
                let with_resources =
                    move |action: String| resources.clone().into_iter().map(move |resource| (action.clone(), resource));
                texts(&it["Action"]).into_iter().flat_map(with_resources)
            })
            .collect()
    }

    #[test]
    fn small_policy_is_one_document_in_its_order() {
        let statements = [statement("s3", 1, 1), statement("ec2", 2, 1)];
        let documents = split(&statements);
        assert_eq!(documents.len(), 1);
        assert_eq!(documents[0].document, document(&statements));
        assert_eq!(documents[0].characters, characters(&documents[0].document));
        assert_eq!(documents[0].services, ["ec2".to_owned(), "s3".to_owned()].into());
    }

    #[test]
    fn large_policy_is_divided_by_services_within_the_limit() {
        let services = ["ec2", "s3", "rds", "iam"];
        let statements: Vec<Statement> = services.iter().map(|service| statement(service, 100, 50)).collect();
        let documents = split(&statements);
        assert_eq!(documents.len(), 4, "each has about 5,000 characters");
        assert!(documents.iter().all(|it| it.services.len() == 1 && it.characters <= MANAGED_LIMIT));
        assert_eq!(pairs(&documents), pairs(&[PolicyDocument::of(&statements)]));
    }

    #[test]
    fn large_statement_is_divided_and_allows_the_same() {
        for (actions, resources) in [(1, 500), (500, 1), (200, 200)] {
            let statements = [statement("ec2", actions, resources)];
            let documents = split(&statements);
            assert!(documents.len() > 1);
            assert!(documents.iter().all(|it| it.characters <= MANAGED_LIMIT), "{actions} actions");
            assert_eq!(pairs(&documents), pairs(&[PolicyDocument::of(&statements)]));
        }
    }
}
