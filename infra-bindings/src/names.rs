//! Rust names for the names in schemas.

use std::collections::HashSet;

/// Keywords that a raw identifier can contain, of all editions.
const KEYWORDS: &[&str] = &[
    "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "do", "dyn", "else", "enum",
    "extern", "false", "final", "fn", "for", "gen", "if", "impl", "in", "let", "loop", "macro", "match", "mod", "move",
    "mut", "override", "priv", "pub", "ref", "return", "static", "struct", "trait", "true", "try", "type", "typeof",
    "unsafe", "unsized", "use", "virtual", "where", "while", "yield",
];

/// Keywords that not even a raw identifier can contain.
const NEVER: &[&str] = &["self", "super", "crate"];

/// Names of types that generated code uses.
const USED: &[&str] = &[
    "BTreeMap",
    "Box",
    "Clone",
    "CloudResourceOutputs",
    "CloudType",
    "Copy",
    "Debug",
    "Declare",
    "Default",
    "Input",
    "Into",
    "Json",
    "None",
    "Option",
    "Output",
    "Region",
    "Self",
    "Serialize",
    "Some",
    "String",
    "Vec",
];

/// Returns the words of a name in lower case: `DBInstanceClass` → `db`, `instance`, `class`.
fn words(name: &str) -> Vec<String> {
    // The `v` of `IPv6` belongs to the acronym.
    let name = name.replace("IPv", "Ipv").replace("IPV", "Ipv");
    let letters: Vec<char> = name.chars().collect();
    let mut words = vec![String::new()];
    for (at, &letter) in letters.iter().enumerate() {
        if !letter.is_ascii_alphanumeric() {
            words.push(String::new());
            continue;
        }
        let before = at.checked_sub(1).map(|at| letters[at]);
        let (next, after_next) = (letters.get(at + 1), letters.get(at + 2));
        let is_plural = next == Some(&'s') && after_next.is_none_or(|c| !c.is_ascii_lowercase());
        let starts_word = letter.is_ascii_uppercase()
            && before.is_some_and(|before| {
                before.is_ascii_lowercase()
                    || before.is_ascii_digit()
                    || (before.is_ascii_uppercase() && next.is_some_and(char::is_ascii_lowercase) && !is_plural)
            });
        if starts_word {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut() {
            word.push(letter.to_ascii_lowercase());
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// Returns the name in snake case, without regard to keywords.
pub(crate) fn snake(name: &str) -> String {
    let name = words(name).join("_");
    if name.starts_with(|c: char| c.is_ascii_digit()) { format!("n{name}") } else { name }
}

/// Returns an identifier for a field, a module or a variable.
pub(crate) fn identifier(name: &str) -> String {
    match snake(name) {
        name if name.is_empty() => "unnamed".to_owned(),
        name if KEYWORDS.contains(&name.as_str()) => format!("r#{name}"),
        name if NEVER.contains(&name.as_str()) => format!("{name}_"),
        name => name,
    }
}

/// Returns the name in camel case.
pub(crate) fn camel(name: &str) -> String {
    let capitalised = |word: String| {
        let mut letters = word.chars();
        letters.next().map(|first| first.to_ascii_uppercase().to_string() + letters.as_str()).unwrap_or_default()
    };
    words(name).into_iter().map(capitalised).collect()
}

/// Returns the name of a struct or an enum. Names that generated code uses get the suffix `Type`.
pub(crate) fn type_name(name: &str) -> String {
    match camel(name) {
        name if name.is_empty() => "Unnamed".to_owned(),
        name if name.starts_with(|c: char| c.is_ascii_digit()) => format!("N{name}"),
        name if USED.contains(&name.as_str()) => format!("{name}Type"),
        name => name,
    }
}

/// Returns the name of an enum's variant.
pub(crate) fn variant(value: &str) -> String {
    let name = match value {
        "" => "Empty".to_owned(),
        "*" => "Any".to_owned(),
        value if value.starts_with('-') => format!("Minus{}", camel(value)),
        value => camel(value),
    };
    match name {
        name if name.is_empty() => "Symbol".to_owned(),
        name if name.starts_with(|c: char| c.is_ascii_digit()) => format!("N{name}"),
        name if name == "Self" => "SelfValue".to_owned(),
        name => name,
    }
}

/// Names of one scope, each of which occurs once.
#[derive(Default)]
pub(crate) struct Scope(HashSet<String>);

impl Scope {
    /// Returns the name, with a number if it is taken.
    pub(crate) fn unique(&mut self, name: String) -> String {
        // `N1` and `N12` must not get the names `N12` and `N122`.
        let stem = if name.ends_with(|c: char| c.is_ascii_digit()) { format!("{name}_") } else { name.clone() };
        let numbered = (2_usize..).map(|number| format!("{stem}{number}"));
        let mut candidates = std::iter::once(name.clone()).chain(numbered);
        candidates.find(|candidate| self.0.insert(candidate.clone())).unwrap_or(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_split_into_words() {
        let names = [
            "QueueName",
            "DBInstanceClass",
            "KMSMasterKeyID",
            "VPCs",
            "TargetARNs",
            "Ipv6CidrBlocks",
            "IPv6Addresses",
            "EC2SecurityGroupId",
            "S3Bucket",
            "x-amz-acl",
            "OAuthScopes",
            "3DModel",
            "ARNsList",
        ];
        let snakes: Vec<String> = names.iter().map(|name| snake(name)).collect();
        assert_eq!(
            snakes,
            [
                "queue_name",
                "db_instance_class",
                "kms_master_key_id",
                "vpcs",
                "target_arns",
                "ipv6_cidr_blocks",
                "ipv6_addresses",
                "ec2_security_group_id",
                "s3_bucket",
                "x_amz_acl",
                "o_auth_scopes",
                "n3_d_model",
                "arns_list",
            ]
        );
        assert_eq!(camel("DBInstance"), "DbInstance");
    }

    #[test]
    fn reserved_names_are_changed() {
        assert_eq!(["Type", "Self", "Async", "***"].map(identifier), ["r#type", "self_", "r#async", "unnamed"]);
        assert_eq!(["Input", "Option", "Tag", "2d"].map(type_name), ["InputType", "OptionType", "Tag", "N2d"]);
        assert_eq!(
            ["PAY_PER_REQUEST", "t2.micro", "", "*", "-1", "1.2", "self", "!"].map(variant),
            ["PayPerRequest", "T2Micro", "Empty", "Any", "Minus1", "N12", "SelfValue", "Symbol"]
        );
    }

    #[test]
    fn equal_names_get_numbers() {
        let mut scope = Scope::default();
        let names = ["a", "a", "n1", "n1", "n12", "a"].map(|name| scope.unique(name.to_owned()));
        assert_eq!(names, ["a", "a2", "n1", "n1_2", "n12", "a3"]);
    }
}
