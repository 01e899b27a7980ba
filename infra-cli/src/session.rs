//! Program, stack, target, store and local cloud of a command.

use crate::{
    CheckLogin, Cli, OpenMonitoring, Program,
    arguments::{Global, Planning, ReadinessName, TargetName},
    deployed::{self, Deployed},
    failure::Failure,
    local_cloud, owner, passphrase,
    render::{self, Renderer},
    settings::{self, Setting},
};
use futures::{FutureExt, future::BoxFuture};
use infra_core::{
    Engine, Target,
    config::ConfigValue,
    diagnostic::{Diagnostic, did_you_mean},
    engine::{ConfigReads, EngineError, Run},
    event::Event,
    graph::ResourceGraph,
    monitoring::Monitoring,
    store::{ConfigChange, FileStore, KeyedStore, ObjectStateStore, StackConfig, StoreError, StoredValue, Unlock},
    target::{Credentials, Readiness},
    urn,
};
use infra_local::{Usage, daemon::Running};
use infra_records::{Recorder, Subject};
use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

/// Program, stack, target and directory that the command line and the environment select.
pub(crate) struct Session<'a> {
    pub(crate) program: &'a Program,
    pub(crate) stack: String,
    pub(crate) target: TargetName,
    pub(crate) directory: PathBuf,
    pub(crate) json: bool,
    endpoint: Option<String>,
    readiness: Readiness,
    parallel: usize,
    store: Arc<dyn KeyedStore>,
    login: Option<&'a CheckLogin>,
    monitoring: Option<&'a OpenMonitoring>,
    /// Writer of the record of the command's run.
    recorder: Recorder,
    /// Usage of the local cloud, while the command uses it.
    usage: Mutex<Option<Usage>>,
    /// Cloud that the command uses, once it is known.
    actual: Mutex<Option<Deployed>>,
    /// `true` if the state describes another local cloud, so that it is refreshed first.
    elsewhere: AtomicBool,
}

impl<'a> Session<'a> {
    pub(crate) async fn new(global: &Global, cli: &'a Cli) -> Result<Self, Failure> {
        let program = choose(global.program.as_deref(), &cli.programs)?;
        for (part, name) in [("program", &program.name), ("stack", &global.stack)] {
            urn::check_name(part, name).map_err(|error| Failure::wrong_use(Diagnostic::error(error.to_string())))?;
        }
        let directory = directory(global)?;
        owner::check(&directory)?;
        let unlock = passphrase::unlock(&cli.wrappers);
        let store: Arc<dyn KeyedStore> = match &global.backend {
            None => Arc::new(FileStore::new(directory.join("state")).unlocked_by(unlock)),
            Some(url) => backend(url, cli, unlock).await?,
        };
        let subject = Subject {
            directory: directory.clone(),
            program: program.name.clone(),
            stack: global.stack.clone(),
            target: global.target.name().to_owned(),
        };
        Ok(Self {
            program,
            stack: global.stack.clone(),
            target: global.target,
            recorder: Recorder::new(subject),
            directory,
            json: global.json,
            endpoint: endpoint(global)?,
            readiness: match global.readiness {
                ReadinessName::Full => Readiness::Full,
                ReadinessName::ControlPlane => Readiness::ControlPlane,
            },
            parallel: global.parallel,
            store,
            login: cli.login.as_deref(),
            monitoring: cli.monitoring.as_deref(),
            usage: Mutex::default(),
            actual: Mutex::default(),
            elsewhere: AtomicBool::new(false),
        })
    }

    /// Returns whether the target is the local cloud.
    pub(crate) fn is_local(&self) -> bool {
        self.target == TargetName::Local
    }

    /// Returns the store of states, configuration and the key of the secrets.
    pub(crate) fn store(&self) -> &dyn KeyedStore {
        &*self.store
    }

    /// Returns the ways to unwrap the key of the secrets.
    pub(crate) fn unlock(&self) -> &Unlock {
        self.store().keys().unlock()
    }

    /// Returns the directory of the local cloud.
    pub(crate) fn cloud_directory(&self) -> PathBuf {
        self.directory.join("local")
    }

    /// Returns the engine for reading the recorded state, without a cloud.
    pub(crate) fn offline(&self) -> Engine {
        Engine::with_store(&self.program.name, &self.stack, self.store.clone())
    }

    /// Returns the engine for reading the recorded state of any stack in the store.
    pub(crate) fn offline_of(&self, program: &str, stack: &str) -> Engine {
        Engine::with_store(program, stack, self.store.clone())
    }

    /// Returns the name of the target that a stack was last deployed to.
    pub(crate) async fn target_of(&self, program: &str, stack: &str) -> Result<Option<String>, Failure> {
        let recorded = self.store.document(program, stack, deployed::DOCUMENT).await?;
        Ok(recorded.map(|document| Deployed::read(&document).target))
    }

    /// Returns the configuration keys that the program would read after these changes. Secrets are not decrypted: a
    /// program cannot depend on their values while it declares.
    pub(crate) async fn config_reads(&self, changes: &[ConfigChange]) -> Result<ConfigReads, Failure> {
        let stored = self.stored_config().await?;
        stored
            .check(changes)
            .map_err(|problem| Failure::wrong_use(Diagnostic::error(problem.to_string()).hint(problem.hint())))?;
        let mut config: BTreeMap<String, ConfigValue> = BTreeMap::new();
        for (key, value) in stored.values() {
            let value = match value {
                StoredValue::Plain(text) => ConfigValue::Plain(text.clone()),
                StoredValue::Sealed(_) => ConfigValue::secret(""),
            };
            config.insert(key.clone(), value);
        }
        for change in changes {
            match change {
                ConfigChange::Set(key, value) => drop(config.insert(key.clone(), value.clone())),
                ConfigChange::Unset(key) => drop(config.remove(key)),
            }
        }
        config.retain(|key, _| settings::find(key).is_none());
        Ok(self.declaring(config).config_reads(&self.program.run))
    }

    /// Returns the resources that the program declares, without a cloud.
    pub(crate) async fn declared(&self) -> Result<ResourceGraph, Failure> {
        Ok(self.declaring(self.config(&[]).await?).declared(&self.program.run)?)
    }

    /// Returns the engine for running the program without a connection to a provider.
    pub(crate) fn declaring(&self, config: BTreeMap<String, ConfigValue>) -> Engine {
        let unreachable = "http://127.0.0.1:0".to_owned();
        self.offline().target(self.target(Some(unreachable))).config(config)
    }

    /// Returns the engine for plans and runs. Starts the local cloud if it is the target.
    pub(crate) async fn engine(
        &self,
        planning: Option<&Planning>,
        renderer: &Arc<dyn Renderer>,
    ) -> Result<Engine, Failure> {
        self.refuse_other_target().await?;
        let config = planning.map(|planning| changes(&planning.config)).unwrap_or_default();
        let config = self.config(&config).await?;
        let running = match self.target {
            TargetName::Aws => None,
            TargetName::Local => Some(self.enter().await?),
        };
        let actual = self.actual(false).await?;
        let elsewhere = self.deployed_elsewhere(&actual).await?;
        self.elsewhere.store(elsewhere.is_some(), Ordering::Relaxed);
        if let Some(recorded) = &elsewhere {
            renderer.show(&Event::Message(actual.notice(&self.stack, recorded)));
        }
        let host = match &running {
            Some(running) => local_cloud::host(running).await,
            None => None,
        };
        let target = Target { host, ..self.target(running.map(|running| running.endpoint)) };
        Ok(self.offline().target(target).config(config))
    }

    /// Applies the options of the command line to a run, whose events are shown and recorded. A state that describes another
    /// local cloud is refreshed first. [`Session::complete`] executes the run.
    pub(crate) fn configure<'p, T>(
        &self,
        run: Run<'p, T>,
        planning: Option<&Planning>,
        renderer: &Arc<dyn Renderer>,
    ) -> Run<'p, T> {
        let elsewhere = self.elsewhere.load(Ordering::Relaxed);
        let renderer = renderer.clone();
        run.parallel(self.parallel)
            .refresh_first(elsewhere || planning.is_some_and(|planning| planning.refresh))
            .select(planning.map(|planning| planning.selecting.selection(&planning.replace)).unwrap_or_default())
            .events(self.recorder.events(move |event| renderer.show(event)))
    }

    /// Executes a run and completes its record.
    pub(crate) async fn complete<T>(&self, run: Run<'_, T>) -> Result<T, EngineError> {
        let outcome = run.await;
        self.recorder.close(outcome.as_ref().map(drop).map_err(EngineError::diagnostics));
        outcome
    }

    /// Returns the monitoring services of a target that is not a local cloud, if the provider has them.
    pub(crate) fn monitoring(&self) -> Option<Arc<dyn Monitoring>> {
        let open = self.monitoring.filter(|_| !self.is_local())?;
        Some(open(&self.target(None)))
    }

    /// Returns the target of the stack. `local` is the endpoint of the local cloud, once it runs.
    pub(crate) fn target(&self, local: Option<String>) -> Target {
        let target = match (self.target, local) {
            (TargetName::Local, Some(endpoint)) => self.local(endpoint),
            _ => Target { endpoint: self.endpoint.clone(), ..Target::aws() },
        };
        Target { readiness: self.readiness, ..target }
    }

    fn local(&self, endpoint: String) -> Target {
        // Without a key, as before the first start, the cloud refuses every request.
        let key = infra_local::credentials(&self.cloud_directory()).ok();
        let key = key.map(|key| Credentials::new(key.access_key_id, key.secret_access_key));
        Target::local(endpoint, key.unwrap_or_else(|| Credentials::new("none", "none")))
    }

    /// Ends the use of the local cloud, and stops it if it is empty, no other command uses it and it was not started by
    /// `local start`: a failed plan or a preview must not leave a cloud running.
    pub(crate) async fn leave_cloud(&self) {
        if local_cloud::is_kept(&self.cloud_directory()) {
            drop(locked(&self.usage).take());
        } else {
            self.stop_empty_cloud().await;
        }
    }

    /// Ends the use of the local cloud, and stops the cloud if it is empty and no other command uses it.
    pub(crate) async fn stop_empty_cloud(&self) {
        let usage = locked(&self.usage).take();
        if let Some(usage) = usage {
            local_cloud::leave(&self.cloud_directory(), usage).await;
        }
    }

    /// Starts the local cloud unless it runs, and uses it until [`Session::leave_cloud`] or the exit of the command.
    async fn enter(&self) -> Result<Running, Failure> {
        let (running, usage) = local_cloud::enter(&self.cloud_directory()).await?;
        *locked(&self.usage) = Some(usage);
        *locked(&self.actual) = Some(Deployed::local(&running));
        Ok(running)
    }

    /// Returns the cloud that this command uses. The AWS account is requested if the stack's is recorded, or `to_record`.
    async fn actual(&self, to_record: bool) -> Result<Deployed, Failure> {
        let known = locked(&self.actual).clone();
        if let Some(known) = known {
            return Ok(known);
        }
        let asks = to_record || self.recorded().await?.is_some_and(|recorded| recorded.has_account());
        let Some(login) = self.login.filter(|_| asks) else {
            return Ok(Deployed::named(self.target.name()));
        };
        let lines = login(self.target(None)).await.map_err(Failure::of)?;
        let account = lines.into_iter().find(|(name, _)| *name == "account").map(|(_, value)| value);
        let actual = Deployed::aws(account, self.endpoint.clone());
        *locked(&self.actual) = Some(actual.clone());
        Ok(actual)
    }

    async fn recorded(&self) -> Result<Option<Deployed>, Failure> {
        let document = self.store.document(&self.program.name, &self.stack, deployed::DOCUMENT).await?;
        Ok(document.map(|document| Deployed::read(&document)))
    }

    /// Returns the local cloud that the stack was deployed to, if it is not `actual`. A stack without resources may be
    /// deployed anywhere. Another target and another AWS account are refused: the resources do not exist there.
    async fn deployed_elsewhere(&self, actual: &Deployed) -> Result<Option<Deployed>, Failure> {
        let Some(recorded) = self.recorded().await? else {
            return Ok(None);
        };
        let another_target = recorded.target != actual.target;
        if !another_target && !actual.is_another_cloud_than(&recorded) {
            return Ok(None);
        }
        let state = self.offline().state().await?;
        if state.is_none_or(|state| state.resources.is_empty() && state.open.is_empty()) {
            return Ok(None);
        }
        if another_target {
            let (stack, name, recorded) = (&self.stack, &actual.target, &recorded.target);
            let summary = format!("the stack `{stack}` is deployed to the target `{recorded}`, not to `{name}`");
            let hint = format!("add `--target {recorded}`, or choose another stack: `--stack {name}`");
            return Err(Failure::wrong_use(Diagnostic::error(summary).hint(hint)));
        }
        match self.target {
            TargetName::Aws => Err(Failure::wrong_use(actual.refusal(&self.stack, &recorded))),
            TargetName::Local => Ok(Some(recorded)),
        }
    }

    /// Refuses a stack that is deployed to another target, without a request to a cloud.
    pub(crate) async fn refuse_other_target(&self) -> Result<(), Failure> {
        self.deployed_elsewhere(&Deployed::named(self.target.name())).await.map(drop)
    }

    /// Returns what [`Run::on_approval`] records before anything is created: the cloud, and these configuration values.
    /// A state that describes another local cloud keeps its record until [`Session::record_refreshed`].
    pub(crate) async fn record(
        &self,
        values: &[(String, String)],
    ) -> Result<impl Fn() -> BoxFuture<'static, Result<(), StoreError>> + Send + Sync + use<>, Failure> {
        let actual = self.actual(true).await?;
        let document = (!self.elsewhere.load(Ordering::Relaxed)).then(|| actual.write());
        let document = document.transpose().map_err(std::io::Error::from)?;
        let (store, program, stack) = (self.store.clone(), self.program.name.clone(), self.stack.clone());
        let changes = changes(values);
        Ok(move || {
            let (store, program, stack) = (store.clone(), program.clone(), stack.clone());
            let (document, changes) = (document.clone(), changes.clone());
            async move {
                if let Some(document) = document {
                    put_changed(&*store, &program, &stack, &document).await?;
                }
                if !changes.is_empty() {
                    StackConfig::change(&*store, &program, &stack, &changes).await?;
                }
                Ok(())
            }
            .boxed()
        })
    }

    /// Records the local cloud after a run that has refreshed a state of another one.
    pub(crate) async fn record_refreshed(&self) -> Result<(), Failure> {
        let actual = locked(&self.actual).clone();
        let Some(actual) = actual.filter(|_| self.elsewhere.load(Ordering::Relaxed)) else {
            return Ok(());
        };
        let document = actual.write().map_err(std::io::Error::from)?;
        Ok(put_changed(&*self.store, &self.program.name, &self.stack, &document).await?)
    }

    /// Shows that the stack has no state.
    pub(crate) fn show_no_resources(&self, renderer: &Arc<dyn Renderer>) {
        let summary = format!("the stack `{}` of `{}` has no resources", self.stack, self.program.name);
        renderer.show(&Event::Message(Diagnostic::note(summary)));
    }

    /// Returns the stored configuration of the stack, without decrypting secrets.
    pub(crate) async fn stored_config(&self) -> Result<StackConfig, Failure> {
        self.config_of(&self.program.name, &self.stack).await
    }

    /// Returns the stored configuration of any stack in the store.
    pub(crate) async fn config_of(&self, program: &str, stack: &str) -> Result<StackConfig, Failure> {
        Ok(StackConfig::read(&*self.store, program, stack).await?)
    }

    /// Returns the configuration of the stack with these changes, without the settings of commands.
    pub(crate) async fn config(&self, changes: &[ConfigChange]) -> Result<BTreeMap<String, ConfigValue>, Failure> {
        let mut values = StackConfig::open_with(&*self.store, &self.program.name, &self.stack, changes).await?;
        values.retain(|key, _| settings::find(key).is_none());
        Ok(values)
    }

    /// Returns the value of a setting of commands with these changes.
    pub(crate) async fn setting(&self, setting: &Setting, changes: &[(String, String)]) -> Result<String, Failure> {
        if let Some((_, value)) = changes.iter().rev().find(|(key, _)| key == setting.name) {
            setting.check(Some(value))?;
            return Ok(value.clone());
        }
        Ok(match self.stored_config().await?.values().get(setting.name) {
            Some(StoredValue::Plain(text)) => text.clone(),
            Some(StoredValue::Sealed(_)) | None => setting.values[0].to_owned(),
        })
    }

    /// Changes the stack's configuration.
    pub(crate) async fn change_config(&self, changes: &[ConfigChange]) -> Result<(), Failure> {
        StackConfig::change(&*self.store, &self.program.name, &self.stack, changes).await?;
        Ok(())
    }
}

/// Writes the document that names the cloud, unless it is unchanged.
async fn put_changed(store: &dyn KeyedStore, program: &str, stack: &str, document: &[u8]) -> Result<(), StoreError> {
    if store.document(program, stack, deployed::DOCUMENT).await?.as_deref() == Some(document) {
        return Ok(());
    }
    store.put_document(program, stack, deployed::DOCUMENT, document).await
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn changes(values: &[(String, String)]) -> Vec<ConfigChange> {
    values.iter().map(|(key, value)| ConfigChange::Set(key.clone(), value.as_str().into())).collect()
}

fn choose<'a>(name: Option<&str>, programs: &'a [Program]) -> Result<&'a Program, Failure> {
    let known = || programs.iter().map(|program| program.name.as_str()).collect::<Vec<_>>().join(", ");
    let Some(name) = name else {
        return programs.first().ok_or_else(|| Failure::failed("this binary has no programs"));
    };
    programs.iter().find(|program| program.name == name).ok_or_else(|| {
        let unknown = Diagnostic::error(format!("there is no program `{name}`"));
        let near = did_you_mean(name, programs.iter().map(|program| program.name.as_str()));
        Failure::wrong_use(unknown.hint(near.unwrap_or_else(|| format!("the programs are: {}", known()))))
    })
}

fn directory(global: &Global) -> Result<PathBuf, Failure> {
    if let Some(directory) = &global.directory {
        return Ok(std::path::absolute(directory)?);
    }
    let current = std::env::current_dir()?;
    let existing = current.ancestors().map(|ancestor| ancestor.join(".infra")).find(|path| path.is_dir());
    Ok(existing.unwrap_or_else(|| current.join(".infra")))
}

fn endpoint(global: &Global) -> Result<Option<String>, Failure> {
    let wrong = |summary: String, hint: &str| Err(Failure::wrong_use(Diagnostic::error(summary).hint(hint)));
    match &global.endpoint {
        Some(_) if global.target == TargetName::Local => wrong(
            "`--endpoint` cannot be used with the local cloud, which has its own".into(),
            "add `--target aws`, or remove `--endpoint`",
        ),
        Some(url) if !url.starts_with("http://") && !url.starts_with("https://") => {
            wrong(format!("`{url}` is not the URL of an endpoint"), "write a URL such as http://127.0.0.1:5000")
        }
        endpoint => Ok(endpoint.clone()),
    }
}

async fn backend(url: &str, cli: &Cli, unlock: Unlock) -> Result<Arc<dyn KeyedStore>, Failure> {
    let scheme = match url.split_once("://") {
        None => return Ok(Arc::new(FileStore::new(std::path::absolute(url)?).unlocked_by(unlock))),
        Some(("file", path)) => return Ok(Arc::new(FileStore::new(std::path::absolute(path)?).unlocked_by(unlock))),
        Some((scheme, _)) => scheme,
    };
    let Some(open) = cli.backends.get(scheme) else {
        let examples = std::iter::once("`--backend file:///var/lib/infra`".to_owned());
        let examples = examples.chain(cli.backends.keys().map(|scheme| format!("`--backend {scheme}://…`")));
        let unknown = Diagnostic::error(format!("this binary cannot store states at `{scheme}://…`"));
        let hint = format!("write {}", examples.collect::<Vec<_>>().join(" or "));
        return Err(Failure::wrong_use(unknown.hint(hint)));
    };
    let (objects, prefix) = open(url.to_owned()).await.map_err(Failure::wrong_use)?;
    // Taking over a stack that another run holds takes a while: the messages name that run.
    let messages = render::messages().events();
    Ok(Arc::new(ObjectStateStore::new(objects, &prefix).unlocked_by(unlock).events(messages)))
}
