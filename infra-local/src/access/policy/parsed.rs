//! Parsed documents by their texts: the policies of an identity are evaluated for every action of every request, and they
//! rarely change.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use super::Document;

/// Maximum number of documents that are kept. The largest policy of an identity has 10,240 characters, so the texts take at
/// most a few megabytes.
const LIMIT: usize = 256;

static DOCUMENTS: LazyLock<Mutex<Documents>> = LazyLock::new(Mutex::default);

/// Returns the document with this text, or `None` if it is not valid.
pub(in crate::access) fn document(text: &str) -> Option<Arc<Document>> {
    DOCUMENTS.lock().unwrap_or_else(PoisonError::into_inner).parse(text)
}

/// At most [`LIMIT`] documents; all of them make room for the next one.
#[derive(Default)]
struct Documents(HashMap<Arc<str>, Arc<Document>>);

impl Documents {
    fn parse(&mut self, text: &str) -> Option<Arc<Document>> {
        if let Some(document) = self.0.get(text) {
            return Some(Arc::clone(document));
        }
        let document = Arc::new(Document::parse(text).ok()?);
        if self.0.len() >= LIMIT {
            self.0.clear();
        }
        self.0.insert(text.into(), Arc::clone(&document));
        Some(document)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn equal_texts_have_one_document() {
        let mut documents = Documents::default();
        let text = r#"{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}}"#;
        let first = documents.parse(text).unwrap();
        assert_eq!(*first, Document::parse(text).unwrap());
        assert!(Arc::ptr_eq(&first, &documents.parse(text).unwrap()));
        assert_eq!(documents.parse("{}"), None);
    }

    #[test]
    fn documents_beyond_the_limit_replace_the_others() {
        let mut documents = Documents::default();
        for number in 0..=LIMIT {
            let text =
                format!(r#"{{"Statement": {{"Effect": "Allow", "Action": "s3:Get{number}", "Resource": "*"}}}}"#);
            assert_eq!(*documents.parse(&text).unwrap(), Document::parse(&text).unwrap());
        }
        assert_eq!(documents.0.len(), 1);
    }
}
