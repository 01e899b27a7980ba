//! Errors of schemas and their sources.

use std::path::PathBuf;

/// A schema, or a source of schemas, from which no module can be generated.
#[derive(Debug, thiserror::Error)]
pub enum BindingError {
    /// A file cannot be read.
    #[error("{} cannot be read: {source}", path.display())]
    Unreadable {
        /// The file or directory.
        path: PathBuf,
        /// The reason.
        source: std::io::Error,
    },
    /// A zip is damaged, or exceeds a limit.
    #[error("the zip {} cannot be read: {reason}", path.display())]
    BadZip {
        /// The zip.
        path: PathBuf,
        /// The reason.
        reason: String,
    },
    /// A source contains no schema.
    #[error("{} contains no resource schema", path.display())]
    NoSchemas {
        /// The directory or zip.
        path: PathBuf,
    },
    /// A source is larger than this crate reads.
    #[error("{place} exceeds the limit of {limit}")]
    TooLarge {
        /// The file or directory.
        place: String,
        /// The limit, with its unit.
        limit: String,
    },
    /// No schema has this type name.
    #[error("there is no schema of `{name}`")]
    UnknownType {
        /// The type.
        name: String,
        /// Similar names, the most similar one first.
        similar: Vec<String>,
    },
    /// A type name has another form than `AWS::SQS::Queue`.
    #[error("`{0}` is no type name of CloudFormation")]
    BadName(String),
    /// A document is no resource schema.
    #[error("the schema {place} is invalid: {reason}")]
    Invalid {
        /// The file, or the type.
        place: String,
        /// The reason.
        reason: String,
    },
}

impl BindingError {
    /// Returns what to do about the error.
    pub fn hint(&self) -> String {
        match self {
            Self::Unreadable { .. } => "name a directory of JSON schemas, or a zip of them".into(),
            Self::BadZip { .. } => "download the file again, or unpack it and name the directory".into(),
            Self::NoSchemas { .. } => {
                "the files must be the resource schemas of CloudFormation, such as those in the wheel of cfn-lint"
                    .into()
            }
            Self::TooLarge { .. } => "name a directory that contains only the schemas".into(),
            Self::UnknownType { similar, .. } if !similar.is_empty() => {
                let names: Vec<String> = similar.iter().map(|name| format!("`{name}`")).collect();
                format!("similar types: {}", names.join(", "))
            }
            Self::UnknownType { .. } => "check the name in CloudFormation's resource reference".into(),
            Self::BadName(_) => "write it like `AWS::SQS::Queue`".into(),
            Self::Invalid { .. } => "use the schema as CloudFormation publishes it".into(),
        }
    }
}
