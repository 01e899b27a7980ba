//! Parsed documents by their texts: the policies of an identity are evaluated for every action of every request, and they
//! rarely change.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use super::Document;

/// Maximum number of documents that are kept. The largest policy of an identity has 10,240 characters, so the texts take at
/// most a few megabytes.
const LIMIT: usize = 256;

static DOCUMENTS: LazyLock<Mutex<HashMap<Arc<str>, Arc<Document>>>> = LazyLock::new(Mutex::default);

/// Returns the document with this text, or `None` if it is not valid.
pub(in crate::access) fn document(text: &str) -> Option<Arc<Document>> {
    let mut documents = DOCUMENTS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(document) = documents.get(text) {
        return Some(Arc::clone(document));
    }
    let document = Arc::new(Document::parse(text).ok()?);
    if documents.len() >= LIMIT {
        documents.clear();
    }
    documents.insert(text.into(), Arc::clone(&document));
    Some(document)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn equal_texts_have_one_document() {
        let text = r#"{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}}"#;
        let first = document(text).unwrap();
        assert_eq!(*first, Document::parse(text).unwrap());
        assert!(Arc::ptr_eq(&first, &document(text).unwrap()));
        assert_eq!(document("{}"), None);
    }

    #[test]
    fn documents_beyond_the_limit_replace_the_others() {
        for number in 0..=LIMIT {
            let text =
                format!(r#"{{"Statement": {{"Effect": "Allow", "Action": "s3:Get{number}", "Resource": "*"}}}}"#);
            assert_eq!(*document(&text).unwrap(), Document::parse(&text).unwrap());
        }
        assert!(DOCUMENTS.lock().unwrap_or_else(PoisonError::into_inner).len() <= LIMIT);
    }
}
