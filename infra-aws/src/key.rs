//! Keys of AWS KMS that wrap the key of a store's secrets.
//!
//! `infra_cli::Cli::new(programs).wrapper(key::SCHEME, key::factory())` lets a command line use them; an embedded engine
//! takes them in its store:
//!
//! ```
//! use infra_aws::key;
//! use infra_core::store::{FileStore, Unlock};
//!
//! let store = FileStore::new("states").unlocked_by(Unlock::default().wrapper(key::SCHEME, key::factory()));
//! ```

use crate::{client::Aws, error::SdkContext};
use aws_smithy_types::Blob;
use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD as BASE64};
use infra_core::{
    Target,
    store::{KeyError, KeyWrapper, WrapperFactory, Zeroizing},
};
use std::sync::Arc;

/// The scheme of the URLs: `awskms://` and the key's ARN.
pub const SCHEME: &str = "awskms";

/// What is encrypted is bound to what it is for, and CloudTrail shows it: a ciphertext that was made for something else
/// is refused.
const CONTEXT: (&str, &str) = ("purpose", "infra: key of a state store's secrets");

/// Makes wrappers from URLs such as `awskms://arn:aws:kms:us-east-1:123456789012:key/…`, on AWS and with the credentials
/// that the SDK finds. The key's policy has to allow `kms:Encrypt` and `kms:Decrypt`.
pub fn factory() -> WrapperFactory {
    factory_at(&Target::aws())
}

/// The same on another target.
pub fn factory_at(target: &Target) -> WrapperFactory {
    let aws = Arc::new(Aws::new(target));
    Arc::new(move |url| Ok(Arc::new(KmsKey::of(url, aws.clone())?)))
}

/// A key of AWS KMS.
struct KmsKey {
    arn: String,
    region: String,
    aws: Arc<Aws>,
}

impl KmsKey {
    fn of(url: &str, aws: Arc<Aws>) -> Result<Self, KeyError> {
        let arn = url.strip_prefix("awskms://").unwrap_or(url);
        // arn:PARTITION:kms:REGION:ACCOUNT:key/ID, or alias/NAME at the end
        match arn.splitn(6, ':').collect::<Vec<_>>()[..] {
            ["arn", _, "kms", region, _, key] if !region.is_empty() && !key.is_empty() => {
                Ok(Self { arn: arn.to_owned(), region: region.to_owned(), aws })
            }
            _ => Err(KeyError::Wrapper {
                wrapper: url.to_owned(),
                reason: "it names no KMS key: write awskms:// and the key's ARN".into(),
            }),
        }
    }

    fn refused(&self, reason: impl ToString) -> KeyError {
        KeyError::Wrapper { wrapper: self.describe(), reason: reason.to_string() }
    }
}

#[async_trait::async_trait]
impl KeyWrapper for KmsKey {
    fn url(&self) -> String {
        format!("{SCHEME}://{}", self.arn)
    }

    fn describe(&self) -> String {
        format!("the KMS key {}", self.arn)
    }

    async fn wrap(&self, key: &[u8]) -> Result<String, KeyError> {
        let kms = self.aws.kms(&self.region).await;
        let call = kms.encrypt().key_id(&self.arn).encryption_context(CONTEXT.0, CONTEXT.1);
        let answer = call.plaintext(Blob::new(key)).send().await.context("Encrypt");
        let answer = answer.map_err(|error| self.refused(error))?;
        let sealed =
            answer.ciphertext_blob.ok_or_else(|| self.refused("Encrypt: there is no ciphertext in the answer"))?;
        Ok(BASE64.encode(sealed))
    }

    async fn unwrap(&self, wrapped: &str) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let sealed = BASE64.decode(wrapped).map_err(|_| self.refused("what it is to open is no base64"))?;
        let kms = self.aws.kms(&self.region).await;
        let call = kms.decrypt().key_id(&self.arn).encryption_context(CONTEXT.0, CONTEXT.1);
        let answer = call.ciphertext_blob(Blob::new(sealed)).send().await.context("Decrypt");
        let answer = answer.map_err(|error| self.refused(error))?;
        let plain = answer.plaintext.ok_or_else(|| self.refused("Decrypt: there is no plaintext in the answer"))?;
        Ok(Zeroizing::new(plain.into_inner()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn urls_name_keys() {
        let wrapper = |url: &str| factory()(url);
        let url = "awskms://arn:aws:kms:eu-central-1:123456789012:alias/infra";
        assert_eq!(wrapper(url).ok().unwrap().url(), url);
        for wrong in ["awskms://alias/infra", "awskms://arn:aws:s3:::bucket", "awskms://arn:aws:kms::1:key/a"] {
            let error = wrapper(wrong).err().unwrap();
            assert!(error.to_string().contains("the key's ARN"), "{error}");
        }
    }

    #[tokio::test]
    async fn a_service_that_is_not_there_is_an_error() {
        let factory =
            factory_at(&Target::local("http://127.0.0.1:1", infra_core::target::Credentials::new("key", "secret")));
        let wrapper = factory("awskms://arn:aws:kms:us-east-1:123456789012:key/a").ok().unwrap();
        let error = wrapper.wrap(&[0; 32]).await.unwrap_err();
        assert!(error.to_string().contains("the endpoint does not answer"), "{error}");
        assert!(error.hint().is_some());
    }
}
