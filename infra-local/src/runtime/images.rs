//! Contents of images: copies of the disks of instances, in `images/<id>/`.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use super::background::PhaseWatch;
use super::engine::{self, Engine, EngineError};
use crate::model::ec2::image::{Image, ImageState};
use crate::model::ec2::instance::InstanceState;
use crate::state::Shared;
use crate::state::console;

/// Reasons why a disk cannot be copied.
#[derive(Debug, thiserror::Error)]
pub(super) enum CopyError {
    #[error("{}: {source}", path.display())]
    Disk { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Engine(#[from] EngineError),
}

/// Runs until the cloud stops: creates images of instances that do not run, and removes the contents of deleted images.
/// Hosts create the images of running instances.
pub(crate) async fn run(shared: Shared, mut phase: PhaseWatch) {
    let mut changes = shared.changes();
    loop {
        changes.borrow_and_update();
        for (region, image) in without_host(&shared) {
            let source = image.source_instance_id.as_ref().filter(|source| exists(&shared, &region, source));
            match (source, &image.copy_of) {
                (Some(source), _) => {
                    capture(&shared, &region, &image, &console::directory(shared.directory(), source)).await;
                }
                (None, Some((original, _))) => duplicate(&shared, &region, &image, original).await,
                (None, None) => settle(&shared, &region, &image.id, ImageState::Failed),
            }
        }
        remove_unused(&shared);
        tokio::select! {
            _ = changes.changed() => {}
            _ = phase.ended() => return,
        }
    }
}

/// Returns the pending images of this instance.
pub(super) fn due(shared: &Shared, region: &str, instance: &str) -> Vec<Image> {
    shared.read(|cloud| {
        let images = cloud.region(region).map(|region| region.ec2.images.values()).into_iter().flatten();
        let due = images.filter(|image| {
            image.state == ImageState::Pending && image.source_instance_id.as_deref() == Some(instance)
        });
        due.cloned().collect()
    })
}

/// Copies the disk of an instance, and records the result in the model.
pub(super) async fn capture(shared: &Shared, region: &str, image: &Image, disk: &Path) {
    let target = directory(shared.directory(), &image.id);
    let result = copy(disk, &target).await;
    if let Err(error) = &result {
        tracing::error!(%error, image = image.id, "cannot create an image");
    }
    settle(shared, region, &image.id, if result.is_ok() { ImageState::Available } else { ImageState::Failed });
}

/// Copies the content of an image to a copy of it. Stock images have none.
async fn duplicate(shared: &Shared, region: &str, image: &Image, original: &str) {
    let source = directory(shared.directory(), original);
    if is_complete(&source) {
        capture(shared, region, image, &source).await;
    } else {
        settle(shared, region, &image.id, ImageState::Available);
    }
}

/// Copies the content of an image to the disk of a new instance.
pub(super) async fn unpack(
    shared: &Shared,
    instance: &crate::model::ec2::instance::Instance,
    disk: &Path,
) -> Result<(), CopyError> {
    let source = directory(shared.directory(), &instance.image_id);
    if is_complete(disk) || !is_complete(&source) {
        return Ok(());
    }
    copy(&source, disk).await
}

fn directory(cloud: &Path, image: &str) -> PathBuf {
    cloud.join("images").join(image)
}

/// Returns whether a disk is complete: `root` is written last.
fn is_complete(disk: &Path) -> bool {
    disk.join("root").exists()
}

async fn copy(from: &Path, to: &Path) -> Result<(), CopyError> {
    let at = |path: &Path| {
        let path = path.to_owned();
        move |source| CopyError::Disk { path, source }
    };
    fs::DirBuilder::new().recursive(true).mode(0o700).create(to).map_err(at(to))?;
    for engine in Engine::ALL {
        engine.copy(from, to).await?;
    }
    let (source, target) = (from.to_owned(), to.to_owned());
    let copied = tokio::task::spawn_blocking(move || {
        copy_tree(&source.join("bin"), &target.join("bin"), &|from, to| fs::copy(from, to).map(drop))?;
        let partial = target.join("root.new");
        copy_tree(&source.join("root"), &partial, &|from, to| fs::copy(from, to).map(drop))?;
        fs::rename(&partial, target.join("root"))
    });
    copied.await.map_err(io::Error::other).and_then(|copied| copied).map_err(at(to))
}

/// Copies directories, and files by `copy_file`; symbolic links are copied as links. Files of an earlier attempt are
/// replaced.
fn copy_tree(from: &Path, to: &Path, copy_file: &dyn Fn(&Path, &Path) -> io::Result<()>) -> io::Result<()> {
    if to.exists() {
        fs::remove_dir_all(to)?;
    }
    fs::DirBuilder::new().recursive(true).mode(0o700).create(to)?;
    if !from.exists() {
        return Ok(());
    }
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (kind, target) = (entry.file_type()?, to.join(entry.file_name()));
        if kind.is_dir() {
            copy_tree(&entry.path(), &target, copy_file)?;
        } else if kind.is_symlink() {
            std::os::unix::fs::symlink(fs::read_link(entry.path())?, &target)?;
        } else if kind.is_file() {
            copy_file(&entry.path(), &target)?;
        }
    }
    fs::set_permissions(to, fs::Permissions::from_mode(fs::metadata(from)?.permissions().mode() & 0o700))
}

/// Returns the pending images whose instance has no host that could create them.
fn without_host(shared: &Shared) -> Vec<(String, Image)> {
    shared.read(|cloud| {
        let all =
            cloud.regions.values().flat_map(|region| region.ec2.images.values().map(move |image| (region, image)));
        let due = all.filter(|(region, image)| {
            let source = image.source_instance_id.as_ref().and_then(|id| region.ec2.instances.get(id));
            image.state == ImageState::Pending
                && source.is_none_or(|source| {
                    // An instance that was just started boots after the copy.
                    let idle = [InstanceState::Stopped, InstanceState::Terminated, InstanceState::Pending];
                    idle.contains(&source.state)
                })
        });
        due.map(|(region, image)| (region.name.clone(), image.clone())).collect()
    })
}

fn exists(shared: &Shared, region: &str, instance: &str) -> bool {
    shared.read(|cloud| cloud.region(region).is_ok_and(|region| region.ec2.instances.contains_key(instance)))
}

fn settle(shared: &Shared, region: &str, image: &str, state: ImageState) {
    shared.update(|cloud| {
        let region = cloud.region_mut(region).ok();
        if let Some(image) = region.and_then(|region| region.ec2.images.get_mut(image)) {
            image.state = state;
        }
    });
}

/// Removes the copies of deleted images, once all instances that were launched from them have booted.
fn remove_unused(shared: &Shared) {
    let root = shared.directory().join("images");
    let Ok(entries) = fs::read_dir(root) else { return };
    let needed: BTreeSet<String> = shared.read(|cloud| {
        let regions = cloud.regions.values();
        let needed = regions.flat_map(|region| {
            let booting = region.ec2.instances.values().filter(|instance| !instance.runtime.configured);
            let copied = region.ec2.images.values().filter(|image| image.state == ImageState::Pending);
            let copied = copied.filter_map(|image| image.copy_of.as_ref()).map(|(original, _)| original);
            region.ec2.images.keys().chain(booting.map(|instance| &instance.image_id)).chain(copied)
        });
        needed.cloned().collect()
    });
    for entry in entries.flatten() {
        if entry.file_name().to_str().is_some_and(|name| needed.contains(name)) {
            continue;
        }
        let path = entry.path();
        if let Err(error) = engine::remove_disk(&path) {
            tracing::warn!(%error, "{} could not be removed", path.display());
        }
    }
}
