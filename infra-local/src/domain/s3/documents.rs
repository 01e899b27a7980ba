//! Configurations of buckets as documents: the XML of S3's API, which is stored as it is.

use s3s::S3Result;
use s3s::xml::{Deserialize, Deserializer, Serialize, Serializer};

use crate::model::s3::Settings;
use crate::state::objects::internal;

/// Writes a configuration.
pub(crate) fn write<T: Serialize>(configuration: &T) -> S3Result<String> {
    let mut bytes = Vec::new();
    configuration.serialize(&mut Serializer::new(&mut bytes)).map_err(internal)?;
    String::from_utf8(bytes).map_err(internal)
}

/// Reads the configuration of a kind, if the bucket has one.
pub(crate) fn read<T: for<'xml> Deserialize<'xml>>(settings: &Settings, kind: &str) -> S3Result<Option<T>> {
    let Some(document) = settings.configurations.get(kind) else { return Ok(None) };
    T::deserialize(&mut Deserializer::new(document.as_bytes())).map(Some).map_err(internal)
}
