//! What a command works with.

use crate::{
    Cli, Program,
    arguments::{Global, Planning, ReadinessName, TargetName},
    failure::Failure,
    local_cloud, passphrase,
    render::Renderer,
};
use infra_core::{
    Engine, Target,
    config::ConfigValue,
    diagnostic::Diagnostic,
    engine::EngineError,
    event::{Event, Events},
    graph::ResourceGraph,
    store::{ConfigChange, FileStore, KeyedStore, ObjectStateStore, StackConfig, Unlock},
    target::{Credentials, Readiness},
    urn,
};
use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

/// The document that says where a stack lives.
const TARGET: &str = "target";

/// Program, stack, target and directory, as the command line and the environment name them.
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
}

impl<'a> Session<'a> {
    pub(crate) async fn new(global: &Global, cli: &'a Cli) -> Result<Self, Failure> {
        let program = choose(global.program.as_deref(), &cli.programs)?;
        for (part, name) in [("program", &program.name), ("stack", &global.stack)] {
            urn::check_name(part, name).map_err(|error| Failure::wrong_use(Diagnostic::error(error.to_string())))?;
        }
        let directory = directory(global)?;
        let unlock = passphrase::unlock(&cli.wrappers);
        let store: Arc<dyn KeyedStore> = match &global.backend {
            None => Arc::new(FileStore::new(directory.join("state")).unlocked_by(unlock)),
            Some(url) => backend(url, cli, unlock).await?,
        };
        Ok(Self {
            program,
            stack: global.stack.clone(),
            target: global.target,
            directory,
            json: global.json,
            endpoint: endpoint(global)?,
            readiness: match global.readiness {
                ReadinessName::Full => Readiness::Full,
                ReadinessName::ControlPlane => Readiness::ControlPlane,
            },
            parallel: global.parallel,
            store,
        })
    }

    /// Where states, configuration and the key of the secrets are kept.
    pub(crate) fn store(&self) -> &dyn KeyedStore {
        &*self.store
    }

    /// What opens the key of the secrets.
    pub(crate) fn unlock(&self) -> &Unlock {
        self.store().keys().unlock()
    }

    /// Where the local cloud keeps everything.
    pub(crate) fn cloud_directory(&self) -> PathBuf {
        self.directory.join("local")
    }

    /// The engine for reading the recorded state: no cloud is needed.
    pub(crate) fn offline(&self) -> Engine {
        Engine::with_store(&self.program.name, &self.stack, self.store.clone())
    }

    /// What the program declares. No cloud is needed: declaring asks nobody.
    pub(crate) async fn declared(&self) -> Result<ResourceGraph, Failure> {
        Ok(self.declared_with(self.config(&[]).await?)?)
    }

    fn declared_with(&self, config: BTreeMap<String, ConfigValue>) -> Result<ResourceGraph, EngineError> {
        let nobody = "http://127.0.0.1:0".to_owned();
        self.offline().target(self.target(Some(nobody))).config(config).declared(&self.program.run)
    }

    /// The engine for planning and doing; starts the local cloud when it is the target.
    pub(crate) async fn engine(
        &self,
        planning: Option<&Planning>,
        renderer: &Arc<dyn Renderer>,
    ) -> Result<Engine, Failure> {
        self.refuse_other_target().await?;
        let config = planning.map(|planning| changes(&planning.config)).unwrap_or_default();
        let config = self.config(&config).await?;
        let endpoint = match self.target {
            TargetName::Aws => None,
            TargetName::Local => Some(local_cloud::ensure(&self.cloud_directory()).await?.endpoint),
        };
        Ok(self
            .offline()
            .target(self.target(endpoint))
            .config(config)
            .parallel(self.parallel)
            .refresh_first(planning.is_some_and(|planning| planning.refresh))
            .select(planning.map(|planning| planning.selecting.selection(&planning.replace)).unwrap_or_default())
            .events(renderer.clone().events()))
    }

    /// Where the stack lives; the local cloud's endpoint is known once it runs.
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

    /// The local cloud is of no use any more once nothing is in it.
    pub(crate) async fn stop_empty_cloud(&self) {
        if self.target == TargetName::Local {
            local_cloud::stop_if_empty(&self.cloud_directory()).await;
        }
    }

    /// A stack lives in one place: what was made on AWS must not be looked for on this machine. One that has nothing
    /// may move.
    async fn refuse_other_target(&self) -> Result<(), Failure> {
        let name = self.target_name();
        let Some(recorded) = self.store.document(&self.program.name, &self.stack, TARGET).await? else {
            return Ok(());
        };
        let recorded = String::from_utf8_lossy(&recorded).trim().to_owned();
        if recorded == name {
            return Ok(());
        }
        let state = self.offline().state().await?;
        if state.is_none_or(|state| state.resources.is_empty() && state.open.is_empty()) {
            return Ok(());
        }
        let stack = &self.stack;
        let summary = format!("the stack `{stack}` lives on the target `{recorded}`, not on `{name}`");
        let hint = format!("add `--target {recorded}`, or choose another stack: `--stack {name}`");
        Err(Failure::wrong_use(Diagnostic::error(summary).hint(hint)))
    }

    /// Notes where the stack lives from now on.
    pub(crate) async fn record_target(&self) -> Result<(), Failure> {
        self.refuse_other_target().await?;
        let (program, name) = (&self.program.name, self.target_name().as_bytes());
        Ok(self.store.put_document(program, &self.stack, TARGET, name).await?)
    }

    fn target_name(&self) -> &'static str {
        match self.target {
            TargetName::Local => "local",
            TargetName::Aws => "aws",
        }
    }

    /// The stack's configuration as it is stored: no key is needed.
    pub(crate) async fn stored_config(&self) -> Result<StackConfig, Failure> {
        Ok(StackConfig::read(&*self.store, &self.program.name, &self.stack).await?)
    }

    /// The stack's configuration as it would be with these changes.
    pub(crate) async fn config(&self, changes: &[ConfigChange]) -> Result<BTreeMap<String, ConfigValue>, Failure> {
        Ok(StackConfig::open_with(&*self.store, &self.program.name, &self.stack, changes).await?)
    }

    /// Changes the stack's configuration.
    pub(crate) async fn change_config(&self, changes: &[ConfigChange]) -> Result<(), Failure> {
        StackConfig::change(&*self.store, &self.program.name, &self.stack, changes).await?;
        Ok(())
    }

    /// Sets these values for good, unless the program refuses them.
    pub(crate) async fn remember(&self, values: &[(String, String)]) -> Result<(), Failure> {
        if values.is_empty() {
            return Ok(());
        }
        let changes = changes(values);
        match self.declared_with(self.config(&changes).await?) {
            Err(error @ EngineError::WrongUse(_)) => Err(error.into()),
            _ => self.change_config(&changes).await,
        }
    }
}

fn changes(values: &[(String, String)]) -> Vec<ConfigChange> {
    values.iter().map(|(key, value)| ConfigChange::Set(key.clone(), value.as_str().into())).collect()
}

fn choose<'a>(name: Option<&str>, programs: &'a [Program]) -> Result<&'a Program, Failure> {
    let known = || programs.iter().map(|program| program.name.as_str()).collect::<Vec<_>>().join(", ");
    let Some(name) = name else {
        return programs.first().ok_or_else(|| Failure::failed("this binary has no programs"));
    };
    programs.iter().find(|program| program.name == name).ok_or_else(|| {
        let unknown = Diagnostic::error(format!("there is no program `{name}`"));
        Failure::wrong_use(unknown.hint(format!("the programs are: {}", known())))
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
        Some(_) if global.target == TargetName::Local => {
            wrong("the local cloud has its own endpoint".into(), "add `--target aws`, or leave `--endpoint` out")
        }
        Some(url) if !url.starts_with("http://") && !url.starts_with("https://") => {
            wrong(format!("`{url}` is no endpoint"), "write a URL such as http://127.0.0.1:5000")
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
        let unknown = Diagnostic::error(format!("states cannot be kept in `{scheme}://…`"));
        let hint = format!("write {}", examples.collect::<Vec<_>>().join(" or "));
        return Err(Failure::wrong_use(unknown.hint(hint)));
    };
    let (objects, prefix) = open(url.to_owned()).await.map_err(Failure::wrong_use)?;
    // Whoever takes a stack over has to wait, and wants to know for whom.
    let told = Events::to(|event| {
        if let Event::Message(message) = event {
            eprintln!("{message}");
        }
    });
    Ok(Arc::new(ObjectStateStore::new(objects, &prefix).unlocked_by(unlock).events(told)))
}
