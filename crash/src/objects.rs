//! An object store in a directory, with S3's conditional writes, and an accelerated clock. Processes that share the store
//! coordinate by a lease, and each of them may be killed.

use async_trait::async_trait;
use futures::{
    FutureExt, StreamExt,
    future::BoxFuture,
    stream::{self, BoxStream},
};
use infra_core::store::{Clock, SystemClock};
use object_store::{
    Attributes, CopyMode, CopyOptions, Error, Extensions, GetOptions, GetResult, GetResultPayload, ListResult,
    MultipartUpload, ObjectMeta, ObjectStore, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
    path::Path,
};
use std::{
    fmt,
    fs::{self, File},
    io,
    path::PathBuf,
    time::{Duration, SystemTime},
};

/// An object store with one file per object, which contains the ETag and the content. A put is atomic even if the process
/// is killed.
#[derive(Clone, Debug)]
pub struct DirectoryObjects(PathBuf);

impl DirectoryObjects {
    /// Opens the store in this directory and creates the directory if necessary.
    pub fn new(directory: impl Into<PathBuf>) -> io::Result<Self> {
        let directory = directory.into();
        fs::create_dir_all(&directory)?;
        Ok(Self(directory))
    }

    fn file(&self, location: &Path) -> PathBuf {
        self.0.join(format!("{}.object", location.as_ref().replace('/', "%2F")))
    }

    fn read(&self, location: &Path) -> io::Result<Option<(String, Vec<u8>)>> {
        match fs::read(self.file(location)) {
            Ok(bytes) => {
                let (tag, content) = bytes.split_at(16.min(bytes.len()));
                Ok(Some((String::from_utf8_lossy(tag).into_owned(), content.to_vec())))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Acquires the lock that serialises the changes of all processes.
    fn lock(&self) -> io::Result<File> {
        let file = File::create(self.0.join("lock"))?;
        file.lock()?;
        Ok(file)
    }

    fn write(&self, location: &Path, content: &[u8], mode: &PutMode) -> Result<String> {
        let _lock = self.lock().map_err(failed)?;
        let refused = || (location.to_string(), "the condition of the put does not hold".into());
        match (mode, self.read(location).map_err(failed)?) {
            (PutMode::Overwrite, _) | (PutMode::Create, None) => {}
            (PutMode::Update(version), Some((tag, _))) if version.e_tag.as_deref() == Some(&tag) => {}
            (PutMode::Create, Some(_)) => {
                let (path, source) = refused();
                return Err(Error::AlreadyExists { path, source });
            }
            (PutMode::Update(_), _) => {
                let (path, source) = refused();
                return Err(Error::Precondition { path, source });
            }
        }
        let tag = format!("{:016x}", fastrand::u64(..));
        let (file, next) = (self.file(location), self.0.join("next"));
        fs::write(&next, [tag.as_bytes(), content].concat()).and_then(|()| fs::rename(&next, &file)).map_err(failed)?;
        Ok(tag)
    }

    fn objects(&self) -> io::Result<Vec<ObjectMeta>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.0)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if let Some(name) = name.strip_suffix(".object") {
                let size = entry.metadata().map_or(0, |metadata| metadata.len().saturating_sub(16));
                found.push(meta(Path::from(name.replace("%2F", "/")), size, None));
            }
        }
        Ok(found)
    }
}

impl fmt::Display for DirectoryObjects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "directory://{}", self.0.display())
    }
}

#[async_trait]
impl ObjectStore for DirectoryObjects {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        let content = payload.iter().flatten().copied().collect::<Vec<u8>>();
        let tag = self.write(location, &content, &options.mode)?;
        Ok(PutResult { e_tag: Some(tag), version: None, extensions: Extensions::default() })
    }

    async fn put_multipart_opts(&self, _: &Path, _: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        Err(Error::NotSupported { source: "multipart uploads are not supported".into() })
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let Some((tag, content)) = self.read(location).map_err(failed)? else {
            let source = "the object does not exist".into();
            return Err(Error::NotFound { path: location.to_string(), source });
        };
        let meta = meta(location.clone(), content.len() as u64, Some(tag));
        let content = if options.head { Vec::new() } else { content };
        Ok(GetResult {
            payload: GetResultPayload::Stream(stream::once(async { Ok(content.into()) }).boxed()),
            range: 0..meta.size,
            meta,
            attributes: Attributes::default(),
            extensions: Extensions::default(),
        })
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let store = self.clone();
        let delete = move |location: Result<Path>| {
            let location = location?;
            let _lock = store.lock().map_err(failed)?;
            match fs::remove_file(store.file(&location)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(error)),
                _ => Ok(location),
            }
        };
        locations.map(delete).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let prefix = prefix.cloned().unwrap_or_default();
        match self.objects() {
            Ok(objects) => {
                let below = objects.into_iter().filter(move |object| object.location.prefix_matches(&prefix));
                stream::iter(below.map(Ok).collect::<Vec<_>>()).boxed()
            }
            Err(error) => stream::once(async { Err(failed(error)) }).boxed(),
        }
    }

    async fn list_with_delimiter(&self, _: Option<&Path>) -> Result<ListResult> {
        Err(Error::NotSupported { source: "lists with a delimiter are not supported".into() })
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        let Some((_, content)) = self.read(from).map_err(failed)? else {
            let source = "the object does not exist".into();
            return Err(Error::NotFound { path: from.to_string(), source });
        };
        let mode = match options.mode {
            CopyMode::Overwrite => PutMode::Overwrite,
            CopyMode::Create => PutMode::Create,
        };
        self.write(to, &content, &mode).map(drop)
    }
}

fn meta(location: Path, size: u64, e_tag: Option<String>) -> ObjectMeta {
    ObjectMeta { location, last_modified: SystemTime::UNIX_EPOCH.into(), size, e_tag, version: None }
}

fn failed(error: io::Error) -> Error {
    Error::Generic { store: "directory", source: Box::new(error) }
}

/// Factor by which time runs faster, so that an abandoned lease expires within seconds.
const SPEEDUP: u32 = 8;

/// The system clock, accelerated by the factor `SPEEDUP`.
#[derive(Debug, Default)]
pub struct FastClock(SystemClock);

impl Clock for FastClock {
    fn now(&self) -> Duration {
        self.0.now() * SPEEDUP
    }

    fn wall(&self) -> Duration {
        self.0.wall() * SPEEDUP
    }

    fn sleep_until(&self, at: Duration) -> BoxFuture<'static, ()> {
        self.0.sleep_until(at / SPEEDUP).boxed()
    }

    fn spawn(&self, task: BoxFuture<'static, ()>) {
        self.0.spawn(task);
    }
}
