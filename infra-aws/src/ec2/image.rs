//! `aws:ec2:Image`: the newest machine image of a name.

use super::filter;
use crate::{client::Aws, error::SdkContext, ids::ImageId, machine::Architecture};
use infra_core::{
    Lookup, Output, Schema,
    provider::{Context, LookupHandler, ProviderError},
};
use serde::{Deserialize, Serialize};

/// The account that publishes Debian's images.
const DEBIAN: &str = "136693071363";

/// The newest image that an account publishes under a name.
///
/// Asked by `DescribeImages`. The answer is kept until the next `--refresh`, so hosts are not replaced whenever a new
/// image appears.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// The account, or `amazon`.
    pub owner: String,
    /// Its name; `*` stands for anything, `{arch}` for `amd64` or `arm64`.
    pub name: String,
    /// What it runs on.
    pub architecture: Architecture,
}

/// What an [`Image`] is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ImageOutputs {
    /// Its id, `ami-…`.
    pub id: Output<ImageId>,
    /// Its whole name, with the date of its making.
    pub name: Output<String>,
    /// What it runs on.
    pub architecture: Output<Architecture>,
}

impl Image {
    /// Debian in this release, such as 12, for x86-64.
    pub fn debian(release: u32) -> Self {
        Self {
            owner: DEBIAN.to_owned(),
            name: format!("debian-{release}-{{arch}}-*"),
            architecture: Architecture::X86_64,
        }
    }

    /// The same image for this architecture.
    pub fn on(mut self, architecture: Architecture) -> Self {
        self.architecture = architecture;
        self
    }

    /// The name, with Debian's word for the architecture in the place of `{arch}`.
    fn pattern(&self) -> String {
        let word = match self.architecture {
            Architecture::X86_64 => "amd64",
            Architecture::Arm64 => "arm64",
        };
        self.name.replace("{arch}", word)
    }
}

impl Lookup for Image {
    const TYPE: &'static str = "aws:ec2:Image";
    type Outputs = ImageOutputs;

    fn schema() -> Schema {
        Schema::new().regional(["id"])
    }

    fn label(&self) -> Option<String> {
        let plain = self.pattern().trim_end_matches("-*").to_owned();
        (self.owner == DEBIAN && !plain.contains(['*', '?'])).then_some(plain)
    }
}

impl LookupHandler for Image {
    type Client = Aws;

    async fn read(cx: &Context<'_, Aws>, arguments: &Self) -> Result<ImageOutputs, ProviderError> {
        let ec2 = cx.client().ec2(cx.region()?).await;
        let answer = ec2
            .describe_images()
            .owners(&arguments.owner)
            .filters(filter("name", &arguments.pattern()))
            .filters(filter("architecture", arguments.architecture.as_str()))
            .filters(filter("state", "available"))
            .send()
            .await
            .context("DescribeImages")?;
        let images = answer.images.unwrap_or_default();
        // The dates are in ISO 8601, so their order is that of the texts.
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
    fn debian_names_its_architectures() {
        assert_eq!(Image::debian(12).pattern(), "debian-12-amd64-*");
        assert_eq!(Image::debian(13).on(Architecture::Arm64).pattern(), "debian-13-arm64-*");
    }
}
