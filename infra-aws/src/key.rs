//! Encryption of a store's data key with a key of AWS KMS.
//!
//! A command line enables it by `infra_cli::Cli::new(programs).wrapper(key::SCHEME, key::factory())`, an embedded engine
//! in its store:
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

/// The scheme of the URLs, which consist of `awskms://` and the ARN of the key.
pub const SCHEME: &str = "awskms";

/// The encryption context of every call. KMS refuses a ciphertext that was encrypted with another context, and CloudTrail
/// records the context.
const CONTEXT: (&str, &str) = ("purpose", "infra: key of a state store's secrets");

/// Returns the factory of wrappers for URLs such as `awskms://arn:aws:kms:us-east-1:123456789012:key/…`. The wrappers call
/// AWS with the credentials that the SDK finds; the key's policy must allow `kms:Encrypt` and `kms:Decrypt`.
pub fn factory() -> WrapperFactory {
    factory_with_target(&Target::aws())
}

/// Returns the factory of wrappers that call another target.
pub fn factory_with_target(target: &Target) -> WrapperFactory {
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
        // arn:PARTITION:kms:REGION:ACCOUNT:key/ID or arn:PARTITION:kms:REGION:ACCOUNT:alias/NAME
        match arn.splitn(6, ':').collect::<Vec<_>>()[..] {
            ["arn", _, "kms", region, _, key] if !region.is_empty() && !key.is_empty() => {
                Ok(Self { arn: arn.to_owned(), region: region.to_owned(), aws })
            }
            _ => Err(KeyError::Wrapper {
                wrapper: url.to_owned(),
                reason: "the URL does not contain the ARN of a KMS key: write awskms:// and the key's ARN".into(),
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
        let response = call.plaintext(Blob::new(key)).send().await.context("Encrypt");
        let response = response.map_err(|error| self.refused(error))?;
        let sealed =
            response.ciphertext_blob.ok_or_else(|| self.refused("Encrypt: the response contains no ciphertext"))?;
        Ok(BASE64.encode(sealed))
    }

    async fn unwrap(&self, wrapped: &str) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let sealed = BASE64.decode(wrapped).map_err(|_| self.refused("the wrapped data key is not valid base64"))?;
        let kms = self.aws.kms(&self.region).await;
        let call = kms.decrypt().key_id(&self.arn).encryption_context(CONTEXT.0, CONTEXT.1);
        let response = call.ciphertext_blob(Blob::new(sealed)).send().await.context("Decrypt");
        let response = response.map_err(|error| self.refused(error))?;
        let plain = response.plaintext.ok_or_else(|| self.refused("Decrypt: the response contains no plaintext"))?;
        Ok(Zeroizing::new(plain.into_inner()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn url_must_contain_the_arn_of_a_kms_key() {
        let wrapper = |url: &str| factory()(url);
        let url = "awskms://arn:aws:kms:eu-central-1:123456789012:alias/infra";
        assert_eq!(wrapper(url).ok().unwrap().url(), url);
        for wrong in ["awskms://alias/infra", "awskms://arn:aws:s3:::bucket", "awskms://arn:aws:kms::1:key/a"] {
            let error = wrapper(wrong).err().unwrap();
            assert!(error.to_string().contains("the key's ARN"), "{error}");
        }
    }

    #[tokio::test]
    async fn wrapping_fails_when_kms_is_unreachable() {
        let factory = factory_with_target(&Target::local(
            "http://127.0.0.1:1",
            infra_core::target::Credentials::new("key", "secret"),
        ));
        let wrapper = factory("awskms://arn:aws:kms:us-east-1:123456789012:key/a").ok().unwrap();
        let error = wrapper.wrap(&[0; 32]).await.unwrap_err();
        assert!(error.to_string().contains("the endpoint does not answer"), "{error}");
        assert!(error.hint().is_some());
    }
}
