//! A whole provider in one file, to copy from: directories and files on this machine.
//!
//! What makes it survive a crash is the *label*: before a thing can be seen, the id of the operation that makes it is
//! written into a hidden directory `.infra` beside or inside it. A create whose answer was never seen is found again by
//! its path and taken over only when the label names its operation; whatever else lies there is somebody else's.

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

/// A directory. It is deleted only when nothing of others lies in it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Directory {
    /// Where, below the provider's root; the directory above it must exist.
    pub path: Input<String>,
}

/// What a [`Directory`] tells.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DirectoryOutputs {
    /// Where it is, below the provider's root.
    pub path: Output<String>,
}

/// A text file.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct File {
    /// In which directory, below the provider's root.
    pub directory: Input<String>,
    /// Its name in the directory.
    pub name: String,
    /// What it holds.
    pub content: Input<String>,
    /// Its permissions.
    pub mode: u32,
}

/// What a [`File`] tells.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FileOutputs {
    /// Where it is, below the provider's root.
    pub path: Output<String>,
    /// How long it is.
    pub size_bytes: Output<usize>,
}

/// The provider of [`Directory`] and [`File`] below `root`, to be declared as `files`.
pub fn provider(root: impl Into<PathBuf>) -> Arc<dyn Provider> {
    Arc::new(Registry::new(Root(root.into())).resource::<Directory>().resource::<File>())
}

/// The directory that everything lies below: ids are paths in it, so a tree can be moved together with its state.
pub struct Root(PathBuf);

impl Directory {
    /// A directory at this path.
    pub fn at(path: impl Into<Input<String>>) -> Self {
        Self { path: path.into() }
    }
}

impl File {
    /// A file that everyone may read and its owner may write.
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
        // A path that comes from another resource is not known yet when a plan is made.
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
        // Made under a name of its own and then renamed, so that it is never seen without its label.
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
        // Its only input forces replacement: there is nothing to change.
        Ok(prior.outputs.clone())
    }

    async fn delete(cx: &Context<'_, Root>, prior: &Prior<Self>) -> Result<(), ProviderError> {
        let path = cx.client().path(&prior.id);
        let foreign = entries(&path)?.into_iter().find(|name| !name.starts_with(LABELS));
        if let Some(name) = foreign {
            let message = format!("{} still holds `{name}`, which is not part of this stack", path.display());
            return Err(ProviderError::of(ErrorKind::Dependency, message)
                .hint("move it elsewhere or delete it, then run this again"));
        }
        fs::remove_dir_all(&path).map_err(failed(&path))?;
        sync_directory_of(&path)
    }

    fn recovery() -> Recovery<Self> {
        Recovery::key(|cx: &Context<'_, Root>, inputs: &Self| {
            Box::pin(async move {
                let id = inputs.path.known()?;
                let path = cx.client().path(&id);
                let ours = path.is_dir() && Label::of_directory(&path).names(cx.operation())?;
                Ok(if ours { Found::Found(directory(id)) } else { Found::Absent })
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
        let separator = self.name.contains('/') || self.name.is_empty() || self.name.starts_with(LABELS);
        let name = separator.then(|| Problem::new("name", format!("`{}` is no name for a file", self.name)));
        let directory = self.directory.known().ok().and_then(|path| escapes("directory", &path));
        name.into_iter().chain(directory).collect()
    }

    async fn create(cx: &Context<'_, Root>, inputs: &Self) -> Result<Created<Self>, ProviderError> {
        let place = Place::of(cx, inputs)?;
        if place.path.exists() {
            place.label.claim(cx.operation(), &place.path)?;
        } else {
            // First the label, then the file: a label without a file means nothing, a file without one is another's.
            place.label.write(cx.operation())?;
            place.write(inputs, cx.operation(), |beside, path| {
                // Unlike a rename, a link does not replace what somebody else put there meanwhile.
                fs::hard_link(beside, path)?;
                fs::remove_file(beside)
            })?;
        }
        place.created(inputs)
    }

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
        let place = Place::of(cx, inputs)?;
        place.write(inputs, cx.operation(), |beside, path| fs::rename(beside, path))?;
        Ok(place.created(inputs)?.outputs)
    }

    async fn delete(cx: &Context<'_, Root>, prior: &Prior<Self>) -> Result<(), ProviderError> {
        let place = Place::of(cx, &prior.inputs)?;
        match fs::remove_file(&place.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(&place.path)(error)),
            _ => {}
        }
        sync_directory_of(&place.path)?;
        place.label.remove()
    }

    fn recovery() -> Recovery<Self> {
        Recovery::key(|cx: &Context<'_, Root>, inputs: &Self| {
            Box::pin(async move {
                let place = Place::of(cx, inputs)?;
                let ours = place.path.is_file() && place.label.names(cx.operation())?;
                Ok(if ours { Found::Found(place.created(inputs)?) } else { Found::Absent })
            })
        })
    }
}

/// Where one file and its label lie.
struct Place {
    id: String,
    path: PathBuf,
    label: Label,
}

impl Place {
    fn of(cx: &Context<'_, Root>, file: &File) -> Result<Self, ProviderError> {
        let id = format!("{}/{}", file.directory.known()?, file.name);
        let path = cx.client().path(&id);
        let label = Label(path.with_file_name(LABELS).join("files").join(&file.name));
        Ok(Self { id, path, label })
    }

    /// Writes the file beside its place, durably, and puts it there as a whole.
    fn write(
        &self,
        file: &File,
        operation: &OperationId,
        put: impl FnOnce(&Path, &Path) -> io::Result<()>,
    ) -> Result<(), ProviderError> {
        let hidden = self.path.with_file_name(LABELS);
        fs::create_dir_all(&hidden).map_err(failed(&hidden))?;
        let beside = hidden.join(operation.as_str());
        write(&beside, file.content.known()?.as_bytes())?;
        fs::set_permissions(&beside, Permissions::from_mode(file.mode)).map_err(failed(&beside))?;
        put(&beside, &self.path).map_err(failed(&self.path))?;
        sync_directory_of(&self.path)
    }

    fn created(&self, file: &File) -> Result<Created<File>, ProviderError> {
        let size_bytes = file.content.known()?.len().into();
        Ok(Created::new(&self.id, FileOutputs { path: self.id.clone().into(), size_bytes }))
    }
}

/// The hidden directory that holds labels.
const LABELS: &str = ".infra";

/// A small file that says which operation made a thing.
struct Label(PathBuf);

impl Label {
    fn of_directory(path: &Path) -> Self {
        Self(path.join(LABELS).join("operation"))
    }

    fn names(&self, operation: &OperationId) -> Result<bool, ProviderError> {
        match fs::read_to_string(&self.0) {
            Ok(text) => Ok(text == operation.as_str()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(failed(&self.0)(error)),
        }
    }

    /// Refuses what exists and was not made by this operation.
    fn claim(&self, operation: &OperationId, path: &Path) -> Result<(), ProviderError> {
        if self.names(operation)? {
            return Ok(());
        }
        let message = format!("{} exists already, and this stack has not made it", path.display());
        Err(ProviderError::of(ErrorKind::AlreadyExists, message)
            .hint("choose another path, or move away what is there"))
    }

    fn write(&self, operation: &OperationId) -> Result<(), ProviderError> {
        let directory = self.0.parent().unwrap_or(&self.0);
        fs::create_dir_all(directory).map_err(failed(directory))?;
        let beside = self.0.with_extension(operation.as_str());
        write(&beside, operation.as_str().as_bytes())?;
        fs::rename(&beside, &self.0).map_err(failed(&self.0))?;
        sync_directory_of(&self.0)
    }

    /// Removes the label, and the hidden directories when it was the last one in them.
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

/// A path must stay below the root.
fn escapes(property: &str, path: &str) -> Option<Problem> {
    let inside = Path::new(path).components().all(|part| matches!(part, std::path::Component::Normal(_)));
    let problem = || {
        Problem::new(property, format!("`{path}` leads out of the provider's root"))
            .hint("write a path below the root, without `..` and without a leading `/`")
    };
    (!inside || path.is_empty()).then(problem)
}

fn write(path: &Path, content: &[u8]) -> Result<(), ProviderError> {
    let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path);
    file.and_then(|mut file| file.write_all(content).and_then(|()| file.sync_all())).map_err(failed(path))
}

/// Makes a new, renamed or removed name durable.
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

/// What the file system says, in the engine's terms: a local call that fails has certainly not happened.
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
