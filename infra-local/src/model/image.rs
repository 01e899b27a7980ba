//! The stock images: data, not state. Every region has its own ids for them, as on AWS.

use sha2::{Digest as _, Sha256};

/// A machine image of one region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Image {
    pub(crate) id: String,
    pub(crate) stock: &'static Stock,
}

/// What is the same in every region.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Stock {
    pub(crate) name: &'static str,
    pub(crate) description: &'static str,
    pub(crate) owner: &'static str,
    pub(crate) architecture: &'static str,
    pub(crate) created: &'static str,
    /// Debian's release number: 12.
    release: &'static str,
}

/// Debian's account on AWS.
const DEBIAN: &str = "136693071363";

const STOCK: &[Stock] = &[
    Stock {
        name: "debian-12-amd64-20250316-2053",
        description: "Debian 12 (20250316-2053)",
        owner: DEBIAN,
        architecture: "x86_64",
        created: "2025-03-16T20:53:00.000Z",
        release: "12",
    },
    Stock {
        name: "debian-13-amd64-20250814-2204",
        description: "Debian 13 (20250814-2204)",
        owner: DEBIAN,
        architecture: "x86_64",
        created: "2025-08-14T22:04:00.000Z",
        release: "13",
    },
];

/// The images of a region.
pub(crate) fn images(region: &str) -> Vec<Image> {
    let images = STOCK.iter().map(|stock| {
        let digest = hex::encode(Sha256::digest(format!("{region}/{}", stock.name)));
        Image { id: format!("ami-0{}", &digest[..16]), stock }
    });
    images.collect()
}

/// The public parameters that Debian publishes: the id of a release's latest image.
pub(crate) fn public_parameters(region: &str) -> Vec<(String, Image)> {
    let named = images(region)
        .into_iter()
        .map(|image| (format!("/aws/service/debian/release/{}/latest/amd64", image.stock.release), image));
    named.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_differ_between_regions_and_stay() {
        assert_eq!(images("us-east-1"), images("us-east-1"));
        assert_ne!(images("us-east-1")[0].id, images("us-east-2")[0].id);
        assert_eq!(images("us-east-1")[0].id.len(), 21);
    }
}
