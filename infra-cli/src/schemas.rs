//! Schemas of CloudFormation types that an option names.

use crate::failure::Failure;
use infra_bindings::Catalog;
use infra_core::diagnostic::Diagnostic;
use std::path::Path;

/// Reads the schemas of a directory, a zip or a file.
pub(crate) fn read(path: &Path) -> Result<Catalog, Failure> {
    Catalog::read(path).map_err(|error| Failure::wrong_use(Diagnostic::error(error.to_string()).hint(error.hint())))
}

/// Returns the names of the types with their schemas.
pub(crate) fn texts(catalog: &Catalog) -> impl Iterator<Item = (&str, &str)> {
    catalog.names().filter_map(|name| Some((name, catalog.text(name)?)))
}
