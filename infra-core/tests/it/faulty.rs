//! An object store that loses responses, fails, delays and returns stale objects, determined by a seed.

use crate::simulation::{Process, World};
use async_trait::async_trait;
use futures::{
    StreamExt, TryStreamExt,
    channel::oneshot,
    stream::{self, BoxStream},
};
use object_store::{
    Attributes, CopyOptions, Error, Extensions, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload,
    ObjectMeta, ObjectStore, ObjectStoreExt, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
    memory::InMemory, path::Path,
};
use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

/// The actual objects and their history. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Truth {
    pub(crate) objects: Arc<InMemory>,
    past: Arc<Mutex<Past>>,
    /// The epoch of the last snapshot that each process has put.
    pub(crate) epochs: Arc<Mutex<HashMap<usize, u64>>>,
}

/// The previous version.
type Past = HashMap<Path, (ObjectMeta, Vec<u8>)>;

/// The objects as one process sees them.
pub(crate) struct Faulty {
    truth: Truth,
    world: World,
    process: Arc<Process>,
    number: usize,
    dice: Arc<Mutex<Dice>>,
    /// Factor by which mishaps are rarer than in the roughest world.
    rarity: u64,
    pub(crate) healed: Arc<AtomicBool>,
    /// Loses the response of every put; nothing else fails.
    pub(crate) loses_responses: Arc<AtomicBool>,
    /// Number of changes after which the process stops, in halves: an even number stops it before a change, an odd one
    /// after it.
    pub(crate) stops_after: Arc<AtomicU64>,
    /// Pauses the process now and then, before or after a change.
    pub(crate) pauses: Arc<AtomicBool>,
}

/// SplitMix64.
#[derive(Debug)]
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % limit
    }
}

/// The mishap of a call.
#[derive(Clone, Copy)]
struct CallFailure {
    delay: Duration,
    mishap: Mishap,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mishap {
    None,
    /// The request is lost.
    Refused,
    /// The request succeeds, and the response is lost.
    Lost,
    /// The call never returns.
    Silent,
    /// The read returns an old version.
    Stale,
}

impl Faulty {
    pub(crate) fn new(truth: &Truth, world: &World, process: &Arc<Process>, number: usize, seed: u64) -> Arc<Self> {
        let rarity = 4_u64.pow((seed % 3) as u32);
        let (truth, world, process) = (truth.clone(), world.clone(), process.clone());
        Arc::new(Self {
            truth,
            world,
            process,
            number,
            dice: Arc::new(Mutex::new(Dice(seed))),
            rarity,
            healed: Arc::default(),
            loses_responses: Arc::default(),
            stops_after: Arc::new(AtomicU64::new(u64::MAX)),
            pauses: Arc::default(),
        })
    }

    fn failure(&self) -> CallFailure {
        let mut dice = self.dice.lock().unwrap();
        if self.loses_responses.load(Ordering::Relaxed) {
            return CallFailure { delay: Duration::from_millis(20), mishap: Mishap::Lost };
        }
        if self.healed.load(Ordering::Relaxed) {
            return CallFailure { delay: Duration::from_millis(20), mishap: Mishap::None };
        }
        let delay = match dice.below(100 * self.rarity) {
            0..5 => dice.below(120_000),
            5..20 => dice.below(8_000),
            _ => dice.below(200),
        };
        let mishap = match dice.below(100 * self.rarity) {
            0..5 => Mishap::Refused,
            5..13 => Mishap::Lost,
            13..16 => Mishap::Silent,
            16..24 => Mishap::Stale,
            _ => Mishap::None,
        };
        CallFailure { delay: Duration::from_millis(delay), mishap }
    }

    /// Pauses the process now and then, and stops it after its last change: a stopped process never runs again.
    async fn pause_or_stop(&self) {
        if self.pauses.load(Ordering::Relaxed) && self.dice.lock().unwrap().below(30) == 0 {
            let time = self.dice.lock().unwrap().below(900);
            self.process.stop(Duration::from_secs(time));
            self.process.running().await;
        }
        let left = self.stops_after.load(Ordering::Relaxed);
        if left == 0 {
            self.process.stop(Duration::from_hours(100));
            self.process.running().await;
        } else if left < u64::MAX {
            self.stops_after.store(left - 1, Ordering::Relaxed);
        }
    }

    /// Applies `act` to the objects after a delay, even if the caller stopped waiting.
    async fn change<T: Send + 'static>(&self, act: impl Future<Output = Result<T>> + Send + 'static) -> Result<T> {
        // A process that is paused sends nothing.
        self.process.running().await;
        self.process.connected().await;
        self.pause_or_stop().await;
        let failure = self.failure();
        let (done, answer) = oneshot::channel();
        let world = self.world.clone();
        self.world.spawn(async move {
            world.sleep(failure.delay).await;
            let outcome = match failure.mishap {
                Mishap::Refused => Err(injected("refused")),
                _ => act.await,
            };
            world.sleep(failure.delay / 8).await;
            match failure.mishap {
                Mishap::Silent => std::future::pending().await,
                Mishap::Lost => drop(done.send(Err(injected("the response was lost")))),
                _ => drop(done.send(outcome)),
            }
        });
        let outcome = answer.await.unwrap_or_else(|_| Err(injected("no response")));
        self.process.connected().await;
        self.process.running().await;
        self.pause_or_stop().await;
        outcome
    }
}

impl Truth {
    async fn put(self, number: usize, path: Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        let before = self.objects.get(&path).await.ok();
        let bytes: Vec<u8> = payload.iter().flat_map(|bytes| bytes.to_vec()).collect();
        let put = self.objects.put_opts(&path, payload, options).await?;
        if let Some(before) = before {
            let meta = before.meta.clone();
            let bytes = before.bytes().await?.to_vec();
            self.past.lock().unwrap().insert(path.clone(), (meta, bytes));
        }
        if path.filename() == Some("state.json") {
            let json: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
            self.epochs.lock().unwrap().insert(number, json["journal"]["epoch"].as_u64().unwrap());
        }
        Ok(put)
    }

    /// Returns the previous content; `None` if there is none.
    fn old(&self, path: &Path) -> Result<GetResult> {
        let past = self.past.lock().unwrap();
        let Some((meta, bytes)) = past.get(path) else {
            let source = "injected: not yet visible".into();
            return Err(Error::NotFound { path: path.to_string(), source });
        };
        let bytes = bytes.clone();
        let payload = GetResultPayload::Stream(stream::once(async move { Ok(bytes.into()) }).boxed());
        let range = 0..meta.size;
        Ok(GetResult {
            payload,
            meta: meta.clone(),
            range,
            attributes: Attributes::default(),
            extensions: Extensions::default(),
        })
    }
}

fn injected(what: &str) -> Error {
    Error::Generic { store: "injected", source: what.to_owned().into() }
}

#[async_trait]
impl ObjectStore for Faulty {
    async fn put_opts(&self, path: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.change(self.truth.clone().put(self.number, path.clone(), payload, options)).await
    }

    async fn put_multipart_opts(&self, _: &Path, _: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        Err(injected("no uploads in parts"))
    }

    async fn get_opts(&self, path: &Path, options: GetOptions) -> Result<GetResult> {
        self.process.running().await;
        self.process.connected().await;
        let CallFailure { delay, mishap } = self.failure();
        self.world.sleep(delay).await;
        let answer = match mishap {
            Mishap::Silent => std::future::pending().await,
            Mishap::Refused => Err(injected("refused")),
            Mishap::Stale => self.truth.old(path),
            Mishap::None | Mishap::Lost => self.truth.objects.get_opts(path, options).await,
        };
        self.world.sleep(delay / 8).await;
        self.process.connected().await;
        self.process.running().await;
        answer
    }

    fn delete_stream(&self, paths: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let truth = self.truth.clone();
        let failure = self.failure();
        let (world, process) = (self.world.clone(), self.process.clone());
        let left = self.stops_after.clone();
        let delete = move |path: Result<Path>| {
            let (truth, world, process) = (truth.clone(), world.clone(), process.clone());
            let left = left.clone();
            async move {
                let path = path?;
                match left.load(Ordering::Relaxed) {
                    0 => process.stop(Duration::from_hours(100)),
                    u64::MAX => {}
                    more => left.store(more - 1, Ordering::Relaxed),
                }
                process.running().await;
                world.sleep(failure.delay).await;
                if failure.mishap == Mishap::Refused {
                    return Err(injected("refused"));
                }
                truth.objects.delete(&path).await?;
                Ok(path)
            }
        };
        paths.then(delete).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let failure = self.failure();
        let (mut skip, stale) = (failure.delay.subsec_millis() % 3, failure.mishap == Mishap::Stale);
        // The listing misses some objects.
        let seen = move |_: &ObjectMeta| {
            skip += 1;
            futures::future::ready(!stale || skip % 3 != 0)
        };
        self.truth.objects.list(prefix).try_filter(seen).boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.truth.objects.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        if self.loses_responses.load(Ordering::Relaxed) {
            return self.truth.objects.copy_opts(from, to, options).await;
        }
        let (truth, from, to) = (self.truth.clone(), from.clone(), to.clone());
        self.change(async move { truth.objects.copy_opts(&from, &to, options).await }).await
    }
}

impl fmt::Debug for Faulty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Faulty({})", self.number)
    }
}

impl fmt::Display for Faulty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}
