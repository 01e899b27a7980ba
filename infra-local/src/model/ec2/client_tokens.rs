//! Finished requests by client token.

use serde::{Deserialize, Serialize};

use crate::model::Table;
use crate::model::changes::Entries;

/// Finished requests by operation and client token: the digest of each request, and the id of the resource that it created.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct ClientTokens(Table<(String, String)>);

impl ClientTokens {
    /// Returns the digest and the resource of the request with this token.
    pub(crate) fn get(&self, operation: &str, token: &str) -> Option<(&str, &str)> {
        self.0.get(&format!("{operation}/{token}")).map(|(digest, id)| (digest.as_str(), id.as_str()))
    }

    /// Records a finished request.
    pub(crate) fn record(&mut self, operation: &str, token: &str, digest: String, id: &str) {
        self.0.insert(format!("{operation}/{token}"), (digest, id.to_owned()));
    }

    /// Drops the requests whose resources no longer exist.
    pub(crate) fn retain(&mut self, exists: impl Fn(&str) -> bool) {
        self.0.retain(|_, (_, id)| exists(id));
    }
}

impl Entries for ClientTokens {
    type Value = (String, String);

    fn differing(&self, before: &Self, tell: impl FnMut(&str, Option<&Self::Value>)) {
        self.0.differing(&before.0, tell);
    }
}
