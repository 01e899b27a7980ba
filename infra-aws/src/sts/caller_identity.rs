//! `aws:sts:CallerIdentity`: as whom the stack is deployed.

use crate::{client::Aws, error::SdkContext};
use infra_core::{
    Lookup, Output, Schema,
    provider::{Context, LookupHandler, ProviderError},
};
use serde::{Deserialize, Serialize};

/// The account and the user or role whose credentials are used.
///
/// Asked by `GetCallerIdentity`, which needs no permission.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct CallerIdentity;

/// What a [`CallerIdentity`] is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CallerIdentityOutputs {
    /// The number of the account, twelve digits.
    pub account: Output<String>,
    /// The Amazon Resource Name of the user or the role's session.
    pub arn: Output<String>,
    /// The unique id of the user or the role's session.
    pub user_id: Output<String>,
}

impl Lookup for CallerIdentity {
    const TYPE: &'static str = "aws:sts:CallerIdentity";
    type Outputs = CallerIdentityOutputs;

    fn schema() -> Schema {
        Schema::new()
    }
}

impl LookupHandler for CallerIdentity {
    type Client = Aws;

    async fn read(cx: &Context<'_, Aws>, _: &Self) -> Result<CallerIdentityOutputs, ProviderError> {
        let sts = cx.client().sts(cx.region()?).await;
        let identity = sts.get_caller_identity().send().await.context("GetCallerIdentity")?;
        let told = |text: Option<&str>| text.unwrap_or_default().to_owned().into();
        Ok(CallerIdentityOutputs {
            account: told(identity.account()),
            arn: told(identity.arn()),
            user_id: told(identity.user_id()),
        })
    }
}
