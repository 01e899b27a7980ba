//! Machine images: stock images, which are constants, and images of instances, which are state. As on AWS, their ids
//! differ between regions.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::block_device::BlockDevice;
use crate::model::machine::MachineDocument;
use crate::model::{Region, Tags};

/// A machine image of one region.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Image {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) description: String,
    /// The account that owns the image.
    pub(crate) owner: String,
    pub(crate) architecture: String,
    pub(crate) created: DateTime<Utc>,
    /// True for a stock image.
    pub(crate) public: bool,
    pub(crate) state: ImageState,
    /// The snapshot of its root volume.
    pub(crate) snapshot_id: String,
    /// Size of that volume.
    pub(crate) size_gib: u32,
    /// Its other volumes, which start from snapshots.
    #[serde(default)]
    pub(crate) devices: Vec<BlockDevice>,
    /// Instance that the image is created from; the runtime copies its disk.
    pub(crate) source_instance_id: Option<String>,
    /// True when the source keeps running while it is copied.
    pub(crate) no_reboot: bool,
    /// Machine document of instances of this image.
    pub(crate) machine: Option<MachineDocument>,
    /// The image and its region of which this one is a copy; the runtime copies its content.
    #[serde(default)]
    pub(crate) copy_of: Option<(String, String)>,
    /// Whether the volumes are encrypted.
    #[serde(default)]
    pub(crate) encrypted: bool,
    /// Ids of other accounts that can launch the image, and [`EVERYONE`].
    #[serde(default)]
    pub(crate) shared_with: BTreeSet<String>,
    pub(crate) tags: Tags,
}

/// The group of all accounts, in permissions to launch images and to use snapshots.
pub(crate) const EVERYONE: &str = "all";

/// EC2's states of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ImageState {
    Pending,
    Available,
    Failed,
}

impl ImageState {
    pub(crate) fn name(self) -> &'static str {
        match self {
            ImageState::Pending => "pending",
            ImageState::Available => "available",
            ImageState::Failed => "failed",
        }
    }
}

/// Properties of a stock image that are the same in every region.
struct Stock {
    name: &'static str,
    description: &'static str,
    created: &'static str,
    /// Debian's release number: 12.
    release: &'static str,
}

/// Debian's account on AWS.
const DEBIAN: &str = "136693071363";

/// Size of the root volume of a stock image.
pub(crate) const ROOT_SIZE_GIB: u32 = 8;

/// Device of the root volume of images.
pub(crate) const ROOT_DEVICE: &str = "/dev/xvda";

const STOCK: &[Stock] = &[
    Stock {
        name: "debian-12-amd64-20250316-2053",
        description: "Debian 12 (20250316-2053)",
        created: "2025-03-16T20:53:00Z",
        release: "12",
    },
    Stock {
        name: "debian-13-amd64-20250814-2204",
        description: "Debian 13 (20250814-2204)",
        created: "2025-08-14T22:04:00Z",
        release: "13",
    },
];

impl Stock {
    fn image(&self, region: &str) -> Image {
        let digest = hex::encode(Sha256::digest(format!("{region}/{}", self.name)));
        let id = format!("ami-0{}", &digest[..16]);
        Image {
            name: self.name.to_owned(),
            description: self.description.to_owned(),
            owner: DEBIAN.to_owned(),
            architecture: "x86_64".to_owned(),
            created: self.created.parse().unwrap_or_default(),
            public: true,
            state: ImageState::Available,
            snapshot_id: id.replacen("ami-", "snap-", 1),
            size_gib: ROOT_SIZE_GIB,
            devices: Vec::new(),
            source_instance_id: None,
            no_reboot: false,
            machine: None,
            copy_of: None,
            encrypted: false,
            shared_with: BTreeSet::new(),
            tags: Tags::new(),
            id,
        }
    }
}

/// Returns the stock images of a region.
pub(crate) fn stock(region: &str) -> Vec<Image> {
    STOCK.iter().map(|stock| stock.image(region)).collect()
}

/// Returns the public parameters of Debian, which contain the id of a release's latest image.
pub(crate) fn public_parameters(region: &str) -> Vec<(String, Image)> {
    let named =
        |stock: &Stock| (format!("/aws/service/debian/release/{}/latest/amd64", stock.release), stock.image(region));
    STOCK.iter().map(named).collect()
}

impl Image {
    /// Returns whether all accounts can launch the image.
    pub(crate) fn is_public(&self) -> bool {
        self.public || self.shared_with.contains(EVERYONE)
    }

    /// Returns the ids of the snapshots of its volumes.
    pub(crate) fn snapshots(&self) -> impl Iterator<Item = &String> {
        let others = self.devices.iter().filter_map(|device| device.snapshot_id.as_ref());
        std::iter::once(&self.snapshot_id).chain(others)
    }
}

impl Region {
    /// Returns the images that the account can see.
    pub(crate) fn all_images(&self) -> Vec<Image> {
        stock(&self.name).into_iter().chain(self.ec2.images.values().cloned()).collect()
    }

    /// Returns the image with this id.
    pub(crate) fn image(&self, id: &str) -> Option<Image> {
        self.ec2.images.get(id).cloned().or_else(|| stock(&self.name).into_iter().find(|image| image.id == id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn image_ids_differ_between_regions_and_are_stable() {
        assert_eq!(stock("us-east-1"), stock("us-east-1"));
        assert_ne!(stock("us-east-1")[0].id, stock("us-east-2")[0].id);
        assert_eq!(stock("us-east-1")[0].id.len(), 21);
        assert_eq!(stock("us-east-1")[0].created.to_rfc3339(), "2025-03-16T20:53:00+00:00");
    }
}
