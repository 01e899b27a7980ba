//! Versions and uploads across restarts, and files that are left behind by an interruption.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::path::Path;

use chrono::Utc;

use super::{Objects, Versions};
use crate::model::s3::{Blob, Encryption, Object, Part, Settings, Upload};

fn start(directory: &Path) -> Objects {
    Objects::load(directory.to_owned()).unwrap()
}

fn with_bucket(directory: &Path, versioning: Option<&str>) -> Objects {
    let objects = start(directory);
    let settings = Settings {
        name: "photos".to_owned(),
        region: "us-east-1".to_owned(),
        created: Utc::now(),
        tags: None,
        versioning: versioning.map(str::to_owned),
        public_access_block: None,
        encryption: Encryption::default(),
        cors: Vec::new(),
        configurations: BTreeMap::new(),
        acl: Vec::new(),
    };
    objects.create_bucket(settings).unwrap();
    objects
}

fn content(objects: &Objects, text: &str) -> Blob {
    let path = objects.new_blob_path("photos");
    std::fs::write(&path, text).unwrap();
    let file = path.file_name().unwrap().to_str().unwrap().to_owned();
    Blob { file, size: text.len() as u64, ..Blob::default() }
}

fn put(objects: &Objects, key: &str, text: &str) -> String {
    let object = Object { key: key.to_owned(), blob: content(objects, text), ..Object::default() };
    objects.commit("photos", object, |_| Ok(())).unwrap().version().to_owned()
}

fn remove(objects: &Objects, key: &str, version: Option<&str>) -> String {
    let removed = objects.remove("photos", key, version, |_| Ok(())).unwrap();
    removed.version.unwrap_or_default()
}

/// Returns the versions of a key from the newest to the oldest, with their content or `-` for a delete marker.
fn versions(objects: &Objects, key: &str) -> Vec<(String, String)> {
    let buckets = objects.lock();
    let versions = buckets["photos"].objects.get(key);
    let read = |object: &Object| {
        let path = objects.blob_path("photos", &object.blob);
        let text = if object.delete_marker { "-".to_owned() } else { std::fs::read_to_string(path).unwrap() };
        (object.version().to_owned(), text)
    };
    versions.into_iter().flat_map(Versions::newest_first).map(read).collect()
}

fn files(directory: &Path, kind: &str) -> usize {
    std::fs::read_dir(directory.join("photos").join(kind)).unwrap().count()
}

#[test]
fn versions_and_delete_markers_survive_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let objects = with_bucket(directory.path(), Some("Enabled"));
    let one = put(&objects, "k", "one");
    let two = put(&objects, "k", "two");
    let marker = remove(&objects, "k", None);
    let expected = [(marker, "-"), (two, "two"), (one, "one")].map(|(id, text)| (id, text.to_owned()));
    assert_eq!(versions(&objects, "k"), expected);
    drop(objects);
    let objects = start(directory.path());
    assert_eq!(versions(&objects, "k"), expected);
    assert!(objects.lock()["photos"].current("k").is_none());
    let error = objects.delete_bucket("photos").unwrap_err();
    assert_eq!(error.code().as_str(), "BucketNotEmpty");
    for (version, _) in &expected {
        remove(&objects, "k", Some(version));
    }
    assert_eq!((files(directory.path(), "meta"), files(directory.path(), "data")), (0, 0));
    objects.delete_bucket("photos").unwrap();
}

#[test]
fn suspended_versioning_replaces_only_the_version_null() {
    let directory = tempfile::tempdir().unwrap();
    let objects = with_bucket(directory.path(), None);
    assert_eq!(put(&objects, "k", "zero"), "null");
    objects.change_settings("photos", |settings| settings.versioning = Some("Enabled".to_owned())).unwrap();
    let one = put(&objects, "k", "one");
    objects.change_settings("photos", |settings| settings.versioning = Some("Suspended".to_owned())).unwrap();
    assert_eq!(put(&objects, "k", "two"), "null");
    let of = |null: &str| vec![("null".to_owned(), null.to_owned()), (one.clone(), "one".to_owned())];
    assert_eq!(versions(&objects, "k"), of("two"));
    assert_eq!(remove(&objects, "k", None), "null");
    assert_eq!(versions(&objects, "k"), of("-"));
    assert_eq!(versions(&start(directory.path()), "k"), of("-"));
    assert_eq!(files(directory.path(), "data"), 1, "the contents of replaced versions are removed");
}

#[test]
fn interruptions_leave_no_files() {
    let directory = tempfile::tempdir().unwrap();
    let objects = with_bucket(directory.path(), Some("Enabled"));
    put(&objects, "k", "one");
    let upload = |key: &str| Upload {
        initiated: Utc::now(),
        object: Object { key: key.to_owned(), ..Object::default() },
        ..Upload::default()
    };
    let part = |text: &str| Part { blob: content(&objects, text), modified: Utc::now() };
    objects.begin_upload("photos", "open", upload("open")).unwrap();
    objects.add_part("photos", "open", "open", 1, part("kept")).unwrap();
    objects.begin_upload("photos", "done", upload("done")).unwrap();
    objects.add_part("photos", "done", "done", 1, part("part")).unwrap();
    // The process is killed between these steps of a completion, of an abortion, of a change and of an upload.
    let uploads = directory.path().join("photos/uploads");
    std::fs::copy(uploads.join("done.json"), uploads.join("saved")).unwrap();
    let object = Object {
        key: "done".to_owned(),
        blob: content(&objects, "part"),
        upload: Some("done".to_owned()),
        ..Object::default()
    };
    objects.complete_upload("photos", "done", object, |_| Ok(())).unwrap();
    std::fs::rename(uploads.join("saved"), uploads.join("done.json")).unwrap();
    std::fs::write(uploads.join("done.1.json"), "{\"blob\":{}}").unwrap();
    std::fs::write(uploads.join("aborted.1.json"), "{}").unwrap();
    std::fs::write(directory.path().join("photos/meta/x.tmp-1"), "{").unwrap();
    content(&objects, "never committed");
    drop(objects);

    let objects = start(directory.path());
    assert_eq!(objects.lock()["photos"].uploads.keys().collect::<Vec<_>>(), ["open"]);
    let parts = objects.upload("photos", "open", "open", |upload| Ok(upload.parts.len())).unwrap();
    assert_eq!(parts, 1);
    assert_eq!(files(directory.path(), "uploads"), 2, "the open upload and its part");
    assert_eq!(files(directory.path(), "meta"), 2);
    assert_eq!(files(directory.path(), "data"), 3, "two versions and one part");
    objects.abort_upload("photos", "open", "open").unwrap();
    assert_eq!((files(directory.path(), "uploads"), files(directory.path(), "data")), (0, 2));
}

#[test]
fn objects_of_earlier_versions_are_the_version_null() {
    let directory = tempfile::tempdir().unwrap();
    let objects = with_bucket(directory.path(), None);
    let blob = content(&objects, "old");
    let name = super::stem("k");
    let document = format!(
        "{{\"key\":\"k\",\"blob\":{{\"file\":\"{}\",\"size\":3,\"e_tag\":\"e\",\"checksums\":{{}}}},\
         \"modified\":\"2025-01-01T00:00:00Z\",\"headers\":{{}},\"encryption\":{{\"algorithm\":\"AES256\",\
         \"key_id\":null,\"bucket_key\":false}},\"tags\":{{}}}}",
        blob.file
    );
    std::fs::write(directory.path().join(format!("photos/meta/{name}.json")), document).unwrap();
    assert_eq!(versions(&start(directory.path()), "k"), [("null".to_owned(), "old".to_owned())]);
}
