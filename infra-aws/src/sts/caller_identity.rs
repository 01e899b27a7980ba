//! `aws:sts:CallerIdentity`: the identity of the credentials.

use crate::prelude::*;
use infra_core::{Lookup, provider::LookupHandler};

/// A lookup of the account and of the user or role of the stack's credentials.
///
/// Programs use it for names and policies that contain the id of the account.
///
/// # Example
/// ```
/// # use infra_aws::{self as aws, *};
/// # use infra_core::{Config, Result, Stack};
/// # fn program(stack: &Stack, _: &Config) -> Result {
/// # let virginia = aws::region(stack, "us-east-1");
/// let account = virginia.lookup(CallerIdentity).account;
/// stack.export("account", account);
/// # Ok(())
/// # }
/// # assert!(infra_core::testing::declare(&program).is_ok());
/// ```
///
/// # API operations
/// `GetCallerIdentity`, which needs no permission
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, Lookup)]
#[lookup(type = "aws:sts:CallerIdentity")]
pub struct CallerIdentity;

/// Outputs of a [`CallerIdentity`].
#[derive(Clone, Debug, Serialize, Deserialize, Outputs)]
pub struct CallerIdentityOutputs {
    /// Id of the account, twelve digits.
    pub account: Output<String>,
    /// Amazon Resource Name of the user or the role session.
    pub arn: Output<String>,
    /// Unique id of the user or the role session.
    pub user_id: Output<String>,
}

impl LookupHandler for CallerIdentity {
    type Client = Aws;

    async fn read(cx: &Context<'_>, _: &Self) -> Result<Self::Outputs> {
        let sts = cx.client().sts(cx.region()?).await;
        let identity = sts.get_caller_identity().send().await.context("GetCallerIdentity")?;
        let output = |text: Option<&str>| text.unwrap_or_default().to_owned().into();
        Ok(CallerIdentityOutputs {
            account: output(identity.account()),
            arn: output(identity.arn()),
            user_id: output(identity.user_id()),
        })
    }
}
