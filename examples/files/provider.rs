//! A complete provider in one file, as a template: directories and files on this machine.
//!
//! *Labels* make it crash-safe: before a file or directory becomes visible, the provider writes the id of the creating
//! operation into a hidden directory `.infra` beside or inside it. Recovery finds the result of a lost create by its path,
//! and adopts it only if the label contains the id of that operation. All other files are foreign and are never changed.

use infra_core::{
    Input, Output, Resource, Schema,
    provider::{
        Context, Created, ErrorKind, Found, Handler, Prior, Problem, Provider, ProviderError, Recovery, Registry,
    },
    state::OperationId,
};
use serde::{Deserialize, Serialize};
use std::{
    fs::{self, DirBuilder, OpenOptions, Permissions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::Arc,
};

/// A directory. It is deleted only if it contains no foreign files.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Directory {
    /// Path below the provider's root. The parent directory must exist.
    pub path: Input<String>,
}

/// Outputs of a [`Directory`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DirectoryOutputs {
    /// Path below the provider's root.
    pub path: Output<String>,
}

/// A text file.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct File {
    /// Path of the directory below the provider's root.
    pub directory: Input<String>,
    /// Name in the directory.
    pub name: String,
    /// Content.
    pub content: Input<String>,
    /// Permissions.
    pub mode: u32,
}

/// Outputs of a [`File`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FileOutputs {
    /// Path below the provider's root.
    pub path: Output<String>,
    /// Length in bytes.
    pub size_bytes: Output<usize>,
}

/// Returns the provider of [`Directory`] and [`File`] below `root`. A program declares it as `files`.
pub fn provider(root: impl Into<PathBuf>) -> Arc<dyn Provider> {
    Arc::new(Registry::new(Root(root.into())).resource::<Directory>().resource::<File>())
}

/// The directory that contains all managed files. Ids are relative paths, so a tree can be moved together with its state.
pub struct Root(PathBuf);

impl Directory {
    /// Creates the inputs of a directory at this path.
    pub fn at(path: impl Into<Input<String>>) -> Self {
        Self { path: path.into() }
    }
}

impl File {
    /// Creates the inputs of a file that all users may read and its owner may write.
    pub fn new(directory: impl Into<Input<String>>, name: &str, content: impl Into<Input<String>>) -> Self {
        Self { directory: directory.into(), name: name.to_owned(), content: content.into(), mode: 0o644 }
    }
}

impl Resource for Directory {
    const TYPE: &'static str = "files:Directory";
    type Outputs = DirectoryOutputs;

    fn schema() -> Schema {
        Schema::new().replace_on(["path"])
    }
}

impl Handler for Directory {
    type Client = Root;

    fn check(&self) -> Vec<Problem> {
        // A path that is an output of another resource may be unknown during the plan.
        self.path.known().ok().and_then(|path| escapes("path", &path)).into_iter().collect()
    }

    async fn create(cx: &Context<'_, Root>, inputs: &Self) -> Result<Created<Self>, ProviderError> {
        let id = inputs.path.known()?;
        let path = cx.client().path(&id);
        let label = Label::of_directory(&path);
        if path.exists() {
            label.claim(cx.operation(), &path)?;
            return Ok(directory(id));
        }
        // Created under a temporary name and then renamed, so that it is never visible without its label.
        let beside = path.with_file_name(format!(".infra-{}", cx.operation()));
        match DirBuilder::new().mode(0o755).create(&beside) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(failed(&beside)(error)),
            _ => {}
        }
        Label::of_directory(&beside).write(cx.operation())?;
        fs::rename(&beside, &path).map_err(failed(&path))?;
        sync_directory_of(&path)?;
        Ok(directory(id))
    }

    async fn read(cx: &Context<'_, Root>, prior: &Prior<Self>) -> Result<Option<Created<Self>>, ProviderError> {
        Ok(cx.client().path(&prior.id).is_dir().then(|| directory(prior.id.clone())))
    }

    async fn update(_: &Context<'_, Root>, prior: &Prior<Self>, _: &Self) -> Result<DirectoryOutputs, ProviderError> {
        // The only input forces replacement, so there are no updates.
        Ok(prior.outputs.clone())
    }

    async fn delete(cx: &Context<'_, Root>, prior: &Prior<Self>) -> Result<(), ProviderError> {
        let path = cx.client().path(&prior.id);
        let foreign = entries(&path)?.into_iter().find(|name| !name.starts_with(LABELS));
        if let Some(name) = foreign {
            let message = format!("{} still contains `{name}`, which is not part of this stack", path.display());
            return Err(ProviderError::of(ErrorKind::Dependency, message)
                .hint("move or delete the file, then run the command again"));
        }
        fs::remove_dir_all(&path).map_err(failed(&path))?;
        sync_directory_of(&path)
    }

    fn recovery() -> Recovery<Self> {
        Recovery::key(|cx: &Context<'_, Root>, inputs: &Self| {
            Box::pin(async move {
                let id = inputs.path.known()?;
                let path = cx.client().path(&id);
                let created = path.is_dir() && Label::of_directory(&path).matches(cx.operation())?;
                Ok(if created { Found::Found(directory(id)) } else { Found::Absent })
            })
        })
    }
}

impl Resource for File {
    const TYPE: &'static str = "files:File";
    type Outputs = FileOutputs;

    fn schema() -> Schema {
        Schema::new().replace_on(["directory", "name"]).changes_on_update(["size_bytes"])
    }
}

impl Handler for File {
    type Client = Root;

    fn check(&self) -> Vec<Problem> {
        let invalid = self.name.contains('/') || self.name.is_empty() || self.name.starts_with(LABELS);
        let name = invalid.then(|| Problem::new("name", format!("`{}` is not a valid file name", self.name)));
        let directory = self.directory.known().ok().and_then(|path| escapes("directory", &path));
        name.into_iter().chain(directory).collect()
    }

    // ANCHOR: create
    async fn create(cx: &Context<'_, Root>, inputs: &Self) -> Result<Created<Self>, ProviderError> {
        let location = Location::of(cx, inputs)?;
        if location.path.exists() {
            location.label.claim(cx.operation(), &location.path)?;
        } else {
            // The label before the file: a label without a file is ignored, a file without a label is foreign.
            location.label.write(cx.operation())?;
            location.write(inputs, cx.operation(), |beside, path| {
                // Unlike a rename, a link does not replace a file that another process created meanwhile.
                fs::hard_link(beside, path)?;
                fs::remove_file(beside)
            })?;
        }
        location.created(inputs)
    }
    // ANCHOR_END: create

    async fn read(cx: &Context<'_, Root>, prior: &Prior<Self>) -> Result<Option<Created<Self>>, ProviderError> {
        let path = cx.client().path(&prior.id);
        if !path.is_file() {
            return Ok(None);
        }
        let content = String::from_utf8_lossy(&fs::read(&path).map_err(failed(&path))?).into_owned();
        let mode = fs::metadata(&path).map_err(failed(&path))?.permissions().mode() & 0o7777;
        let outputs = FileOutputs { path: prior.id.clone().into(), size_bytes: content.len().into() };
        let mut created = Created::new(&prior.id, outputs);
        if prior.inputs.content.known()? != content || prior.inputs.mode != mode {
            created.inputs = Some(Self { content: content.into(), mode, ..prior.inputs.clone() });
        }
        Ok(Some(created))
    }

    async fn update(cx: &Context<'_, Root>, _: &Prior<Self>, inputs: &Self) -> Result<FileOutputs, ProviderError> {
        let location = Location::of(cx, inputs)?;
        location.write(inputs, cx.operation(), |beside, path| fs::rename(beside, path))?;
        Ok(location.created(inputs)?.outputs)
    }

    async fn delete(cx: &Context<'_, Root>, prior: &Prior<Self>) -> Result<(), ProviderError> {
        let location = Location::of(cx, &prior.inputs)?;
        match fs::remove_file(&location.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(&location.path)(error)),
            _ => {}
        }
        sync_directory_of(&location.path)?;
        location.label.remove()
    }

    fn recovery() -> Recovery<Self> {
        Recovery::key(|cx: &Context<'_, Root>, inputs: &Self| {
            Box::pin(async move {
                let location = Location::of(cx, inputs)?;
                let created = location.path.is_file() && location.label.matches(cx.operation())?;
                Ok(if created { Found::Found(location.created(inputs)?) } else { Found::Absent })
            })
        })
    }
}

/// The paths of a file and its label.
struct Location {
    id: String,
    path: PathBuf,
    label: Label,
}

impl Location {
    fn of(cx: &Context<'_, Root>, file: &File) -> Result<Self, ProviderError> {
        let id = format!("{}/{}", file.directory.known()?, file.name);
        let path = cx.client().path(&id);
        let label = Label(path.with_file_name(LABELS).join("files").join(&file.name));
        Ok(Self { id, path, label })
    }

    /// Writes the content durably to a temporary file, and moves it to the path atomically by `publish`.
    fn write(
        &self,
        file: &File,
        operation: &OperationId,
        publish: impl FnOnce(&Path, &Path) -> io::Result<()>,
    ) -> Result<(), ProviderError> {
        let hidden = self.path.with_file_name(LABELS);
        fs::create_dir_all(&hidden).map_err(failed(&hidden))?;
        let beside = hidden.join(operation.as_str());
        write(&beside, file.content.known()?.as_bytes())?;
        fs::set_permissions(&beside, Permissions::from_mode(file.mode)).map_err(failed(&beside))?;
        publish(&beside, &self.path).map_err(failed(&self.path))?;
        sync_directory_of(&self.path)
    }

    fn created(&self, file: &File) -> Result<Created<File>, ProviderError> {
        let size_bytes = file.content.known()?.len().into();
        Ok(Created::new(&self.id, FileOutputs { path: self.id.clone().into(), size_bytes }))
    }
}

/// Name of the hidden directory with the labels.
const LABELS: &str = ".infra";

/// A small file with the id of the operation that created a file or directory.
struct Label(PathBuf);

impl Label {
    fn of_directory(path: &Path) -> Self {
        Self(path.join(LABELS).join("operation"))
    }

    fn matches(&self, operation: &OperationId) -> Result<bool, ProviderError> {
        match fs::read_to_string(&self.0) {
            Ok(text) => Ok(text == operation.as_str()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(failed(&self.0)(error)),
        }
    }

    /// Refuses an existing path that this operation has not created.
    fn claim(&self, operation: &OperationId, path: &Path) -> Result<(), ProviderError> {
        if self.matches(operation)? {
            return Ok(());
        }
        let message = format!("{} already exists and was not created by this stack", path.display());
        Err(ProviderError::of(ErrorKind::AlreadyExists, message)
            .hint("choose another path, or move the existing file or directory"))
    }

    fn write(&self, operation: &OperationId) -> Result<(), ProviderError> {
        let directory = self.0.parent().unwrap_or(&self.0);
        fs::create_dir_all(directory).map_err(failed(directory))?;
        let beside = self.0.with_extension(operation.as_str());
        write(&beside, operation.as_str().as_bytes())?;
        fs::rename(&beside, &self.0).map_err(failed(&self.0))?;
        sync_directory_of(&self.0)
    }

    /// Removes the label, and the hidden directories that are empty afterwards.
    fn remove(&self) -> Result<(), ProviderError> {
        match fs::remove_file(&self.0) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(&self.0)(error)),
            _ => {}
        }
        let emptied = self.0.ancestors().skip(1).take(2);
        emptied.take_while(|directory| fs::remove_dir(directory).is_ok()).for_each(drop);
        Ok(())
    }
}

impl Root {
    fn path(&self, id: &str) -> PathBuf {
        self.0.join(id)
    }
}

fn directory(id: String) -> Created<Directory> {
    Created::new(id.clone(), DirectoryOutputs { path: id.into() })
}

/// Returns a problem for a path outside of the provider's root.
fn escapes(property: &str, path: &str) -> Option<Problem> {
    let inside = Path::new(path).components().all(|part| matches!(part, std::path::Component::Normal(_)));
    let problem = || {
        Problem::new(property, format!("`{path}` is outside of the provider's root"))
            .hint("use a path below the root, without `..` and without a leading `/`")
    };
    (!inside || path.is_empty()).then(problem)
}

fn write(path: &Path, content: &[u8]) -> Result<(), ProviderError> {
    let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path);
    file.and_then(|mut file| file.write_all(content).and_then(|()| file.sync_all())).map_err(failed(path))
}

/// Syncs the parent directory, so that a created, renamed or removed entry is durable.
fn sync_directory_of(path: &Path) -> Result<(), ProviderError> {
    let directory = path.parent().unwrap_or(path);
    match fs::File::open(directory).and_then(|directory| directory.sync_all()) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(directory)(error)),
        _ => Ok(()),
    }
}

fn entries(path: &Path) -> Result<Vec<String>, ProviderError> {
    let read = fs::read_dir(path).map_err(failed(path))?;
    let names = read.map(|entry| entry.map(|entry| entry.file_name().to_string_lossy().into_owned()));
    names.collect::<io::Result<_>>().map_err(failed(path))
}

/// Converts an error of the file system. A failed local call certainly had no effect, so no error is unsure.
fn failed(path: &Path) -> impl FnOnce(io::Error) -> ProviderError {
    let path = path.display().to_string();
    move |error| {
        let kind = match error.kind() {
            io::ErrorKind::NotFound => ErrorKind::NotFound,
            io::ErrorKind::AlreadyExists => ErrorKind::AlreadyExists,
            io::ErrorKind::DirectoryNotEmpty => ErrorKind::Dependency,
            _ => ErrorKind::Refused,
        };
        ProviderError::of(kind, format!("{path}: {error}"))
    }
}
