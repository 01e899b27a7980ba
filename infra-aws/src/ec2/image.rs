//! `aws:ec2:Image`: the newest machine image with a name.

use super::filter;
use crate::{architecture::Architecture, prelude::*};
use infra_core::{Lookup, provider::LookupHandler};

/// Account that publishes Debian's images.
const DEBIAN: &str = "136693071363";

/// A lookup of the newest machine image that an account publishes under a name.
///
/// The result is kept in the state until the lookup changes or a run refreshes, so that a newly published image does
/// not replace hosts.
///
/// # Example
/// ```
/// # use infra_aws::{self as aws, *};
/// # use infra_core::{Config, Result, Stack};
/// # fn program(stack: &Stack, _: &Config) -> Result {
/// # let virginia = aws::region(stack, "us-east-1");
/// let image = virginia.lookup(Image::debian(13).on(Architecture::Arm64));
/// virginia.add("host", Instance { image: Some(image.id), ..Instance::new("t4g.micro") });
/// # Ok(())
/// # }
/// # assert!(infra_core::testing::declare(&program).is_ok());
/// ```
///
/// # API operations
/// `DescribeImages`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Lookup)]
#[lookup(type = "aws:ec2:Image", label = Self::plain_name)]
pub struct Image {
    /// Id of the account that publishes the image, twelve digits, or an alias such as `amazon`.
    pub owner: String,
    /// Pattern for the name: `*` matches any text, `?` one character, and `{arch}` stands for `amd64` or `arm64`.
    pub name: String,
    /// Processor architecture; x86-64 by default.
    pub architecture: Architecture,
}

/// Outputs of an [`Image`].
#[derive(Clone, Debug, Serialize, Deserialize, Outputs)]
pub struct ImageOutputs {
    /// Id of the image, `ami-…`.
    #[output(regional)]
    pub id: Output<ImageId>,
    /// Name of the image, which usually contains its date: `debian-12-amd64-20251112-2294`.
    pub name: Output<String>,
    /// Processor architecture.
    pub architecture: Output<Architecture>,
}

impl Image {
    /// Returns a lookup of a Debian release, such as 12, for x86-64.
    pub fn debian(release: u32) -> Self {
        Self {
            owner: DEBIAN.to_owned(),
            name: format!("debian-{release}-{{arch}}-*"),
            architecture: Architecture::X86_64,
        }
    }

    /// Sets the processor architecture.
    pub fn on(mut self, architecture: Architecture) -> Self {
        self.architecture = architecture;
        self
    }

    /// Returns the name with Debian's term for the architecture in place of `{arch}`.
    fn pattern(&self) -> String {
        let architecture = match self.architecture {
            Architecture::X86_64 => "amd64",
            Architecture::Arm64 => "arm64",
        };
        self.name.replace("{arch}", architecture)
    }

    /// Returns the name of a Debian image without its date.
    fn plain_name(&self) -> Option<String> {
        let name = self.pattern().trim_end_matches("-*").to_owned();
        (self.owner == DEBIAN && !name.contains(['*', '?'])).then_some(name)
    }
}

impl LookupHandler for Image {
    type Client = Aws;

    async fn read(cx: &Context<'_>, arguments: &Self) -> Result<Self::Outputs> {
        let ec2 = cx.client().ec2(cx.region()?).await;
        let response = ec2
            .describe_images()
            .owners(&arguments.owner)
            .filters(filter("name", &arguments.pattern()))
            .filters(filter("architecture", arguments.architecture.as_str()))
            .filters(filter("state", "available"))
            .send()
            .await
            .context("DescribeImages")?;
        let images = response.images.unwrap_or_default();
        // Texts of ISO 8601 dates sort by date.
        let newest = images.into_iter().max_by(|a, b| a.creation_date().cmp(&b.creation_date()));
        let image = newest.ok_or_else(|| {
            let Self { owner, architecture, .. } = arguments;
            let name = arguments.pattern();
            ProviderError::refused(format!("{owner} publishes no image `{name}` for {architecture} in this region"))
                .hint("check the owner, the name and the architecture of the instance type")
        })?;
        Ok(ImageOutputs {
            id: ImageId::from(image.image_id().unwrap_or_default()).into(),
            name: image.name().unwrap_or_default().into(),
            architecture: arguments.architecture.into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pattern_contains_debians_term_for_the_architecture() {
        assert_eq!(Image::debian(12).pattern(), "debian-12-amd64-*");
        assert_eq!(Image::debian(13).on(Architecture::Arm64).pattern(), "debian-13-arm64-*");
    }
}
