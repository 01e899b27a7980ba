//! Deletion of old records.

use crate::{
    files::{self, Found},
    format,
};
use std::{fs, path::Path};

/// Number of records that a stack keeps.
pub(crate) const RECORDS: usize = 100;
/// Number of previews among them.
pub(crate) const PREVIEWS: usize = 20;
/// Size of the records of all stacks, in bytes.
const TOTAL: u64 = 64 * 1024 * 1024;

/// Deletes the oldest records that exceed the bounds. `newest`, whose run starts, and the records of running processes
/// are kept. A record that cannot be deleted is left for the next run.
pub(crate) fn prune(directory: &Path, newest: &Path) {
    prune_to(directory, newest, TOTAL);
}

fn prune_to(directory: &Path, newest: &Path, total: u64) {
    let Some(stack) = newest.parent() else {
        return;
    };
    let (mut records, mut previews) = (0, 0);
    for Found { path, .. } in files::records(stack).into_iter().rev() {
        let preview = files::header(&path).is_ok_and(|header| header.is_some_and(|header| header.command == "preview"));
        records += 1;
        previews += usize::from(preview);
        if path != newest && (records > RECORDS || preview && previews > PREVIEWS) {
            remove(&path);
        }
    }
    let mut all: Vec<Found> = Vec::new();
    for program in files::directories(&format::runs(directory)) {
        files::directories(&program).iter().for_each(|stack| all.extend(files::records(stack)));
    }
    all.sort_by(|one, other| one.path.file_name().cmp(&other.path.file_name()));
    let mut size: u64 = all.iter().map(|found| found.size).sum();
    for found in all.iter().filter(|found| found.path != newest) {
        if size <= total {
            break;
        }
        if remove(&found.path) {
            size -= found.size;
        }
    }
}

/// Deletes a record unless a process still writes it.
fn remove(path: &Path) -> bool {
    !files::is_written(path) && fs::remove_file(path).is_ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::path::PathBuf;

    fn record(stack: &Path, number: usize, command: &str, size: usize) -> PathBuf {
        fs::create_dir_all(stack).unwrap();
        let path = stack.join(format!(
            "20261130T{:02}{:02}{:02}.000Z-00000000.jsonl",
            number / 3600,
            number / 60 % 60,
            number % 60
        ));
        let header = format!(
            r#"{{"event":"run_recorded","at":"2026-11-30T10:15:12Z","command":"{command}","program":"p","stack":"s","target":"t","by":"b","pid":1}}"#
        );
        fs::write(&path, format!("{header}\n{}", "x".repeat(size))).unwrap();
        path
    }

    fn left(stack: &Path) -> usize {
        files::records(stack).len()
    }

    #[test]
    fn the_newest_records_of_a_stack_are_kept() {
        let directory = tempfile::tempdir().unwrap();
        let stack = format::of_stack(directory.path(), "web", "dev");
        let other = format::of_stack(directory.path(), "web", "test");
        record(&other, 0, "up", 0);
        let paths: Vec<PathBuf> = (0..150).map(|number| record(&stack, number, "up", 0)).collect();
        prune(directory.path(), &paths[149]);
        assert_eq!((left(&stack), left(&other)), (RECORDS, 1));
        assert!(paths[149].exists() && paths[50].exists() && !paths[49].exists());
    }

    #[test]
    fn fewer_previews_are_kept() {
        let directory = tempfile::tempdir().unwrap();
        let stack = format::of_stack(directory.path(), "web", "dev");
        let up = record(&stack, 0, "up", 0);
        let previews: Vec<PathBuf> = (1..40).map(|number| record(&stack, number, "preview", 0)).collect();
        prune(directory.path(), previews.last().unwrap());
        assert!(up.exists() && !previews[18].exists() && previews[19].exists());
        assert_eq!(left(&stack), PREVIEWS + 1);
    }

    #[test]
    fn the_oldest_records_of_all_stacks_are_deleted_for_the_size() {
        let directory = tempfile::tempdir().unwrap();
        let [one, two] = ["one", "two"].map(|stack| format::of_stack(directory.path(), "web", stack));
        let paths: Vec<PathBuf> =
            (0..10).map(|number| record(if number % 2 == 0 { &one } else { &two }, number, "up", 1000)).collect();
        fs::write(one.join("notes.txt"), "x".repeat(100_000)).unwrap();
        let open = fs::File::open(&paths[1]).unwrap();
        open.lock().unwrap();
        prune_to(directory.path(), &paths[0], 4 * 1200);
        let kept: Vec<bool> = paths.iter().map(|path| path.exists()).collect();
        // The record of the starting run and that of a running process are kept, whatever their age is.
        assert_eq!(kept, [true, true, false, false, false, false, false, false, true, true]);
        assert!(one.join("notes.txt").exists());
    }
}
