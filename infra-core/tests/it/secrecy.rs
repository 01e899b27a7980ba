//! No secret is readable in files, events, plans, reports or messages.

use infra_core::{
    Config, Engine, Input, Output, Resource, Result, Schema, Stack,
    config::ConfigValue,
    diff::Action,
    engine::Run,
    event::Events,
    options::{Hook, Options},
    output_format,
    provider::{Context, Created, Handler, Prior, Problem, ProviderError, Recovery, Registry},
    random::Password,
    store::{ConfigChange, FileStore, StackConfig, StateStore},
};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

/// An account at a service that repeats its inputs in errors.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Account {
    password: Input<String>,
    /// The operation that fails: `check`, `create`, `update`, `delete`, `shape`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fails: Option<Input<String>>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct AccountOutputs {
    id: Output<String>,
    token: Output<String>,
}

const TOKEN: &str = "token-of-the-handler";
const PROGRESS: &str = "material-written-on-the-way";

impl Resource for Account {
    const TYPE: &'static str = "careless:Account";
    type Outputs = AccountOutputs;

    fn schema() -> Schema {
        Schema::new().secret(["password", "token"])
    }
}

impl Account {
    fn fails(&self, when: &str) -> bool {
        self.fails.as_ref().and_then(|fails| fails.known().ok()).as_deref() == Some(when)
    }

    fn careless(&self, what: &str) -> ProviderError {
        let password = self.password.known().unwrap_or_default();
        ProviderError::refused(format!("{what}: {password:?} is no good")).hint(format!("not {password}"))
    }

    fn outputs() -> AccountOutputs {
        AccountOutputs { id: "account-1".into(), token: TOKEN.into() }
    }
}

impl Handler for Account {
    type Client = ();

    fn check(&self) -> Vec<Problem> {
        let problem = || Problem::new("password", self.careless("checked").message);
        self.fails("check").then(problem).into_iter().collect()
    }

    async fn create(cx: &Context<'_, ()>, inputs: &Self) -> std::result::Result<Created<Self>, ProviderError> {
        cx.progress(&BTreeMap::from([("key", PROGRESS)])).await?;
        cx.status(format!("creating with {} and {PROGRESS}", inputs.password.known()?));
        if inputs.fails("create") {
            let error = inputs.careless("created");
            return Err(ProviderError { message: format!("{} with {PROGRESS}", error.message), ..error });
        }
        Ok(Created::new("account-1", Self::outputs()))
    }

    async fn read(
        _: &Context<'_, ()>,
        prior: &Prior<Self>,
    ) -> std::result::Result<Option<Created<Self>>, ProviderError> {
        if prior.inputs.fails("read") {
            return Err(ProviderError::refused(format!("cannot read with {}", prior.outputs.token.known()?)));
        }
        Ok(Some(Created::new(&prior.id, prior.outputs.clone())))
    }

    async fn update(
        cx: &Context<'_, ()>,
        prior: &Prior<Self>,
        inputs: &Self,
    ) -> std::result::Result<AccountOutputs, ProviderError> {
        cx.status(format!("from {} to {}", prior.inputs.password.known()?, inputs.password.known()?));
        if inputs.fails("update") { Err(inputs.careless("updated")) } else { Ok(Self::outputs()) }
    }

    async fn delete(_: &Context<'_, ()>, prior: &Prior<Self>) -> std::result::Result<(), ProviderError> {
        if prior.inputs.fails("delete") { Err(prior.inputs.careless("deleted")) } else { Ok(()) }
    }

    fn recovery() -> Recovery<Self> {
        Recovery::idempotent()
    }
}

/// All texts that a user or a log may show.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<String>>);

impl Seen {
    fn note(&self, text: impl AsRef<str>) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.push_str(text.as_ref());
        seen.push('\n');
    }

    fn text(&self) -> String {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Notes the events of a run.
    fn noted<'p, T>(&self, run: Run<'p, T>) -> Run<'p, T> {
        let seen = self.clone();
        let events = Events::to(move |event| {
            seen.note(serde_json::to_string(&event).unwrap());
            seen.note(format!("{event:?}"));
        });
        run.events(events)
    }

    fn engine(directory: &Path, password: &str, fails: &str) -> Engine {
        let values = [("password", ConfigValue::secret(password)), ("fails", fails.into())];
        Engine::new("program", "dev", FileStore::new(directory)).config(values)
    }

    /// Previews and applies the program, and notes every output.
    async fn up(&self, engine: &Engine) -> bool {
        match self.noted(engine.preview_to_save(&program)).await {
            Ok((plan, text)) => self.note(format!("{plan}\n{plan:?}\n{text}")),
            Err(error) => self.note(format!("{error}\n{error:?}\n{:?}", error.diagnostics())),
        }
        match self.noted(engine.up(&program)).await {
            Ok(report) => {
                self.note(format!("{report:?}"));
                report.failures.iter().for_each(|failure| self.note(failure.to_string()));
                report.is_success()
            }
            Err(error) => {
                self.note(format!("{error}\n{error:?}\n{:?}", error.diagnostics()));
                false
            }
        }
    }
}

fn program(stack: &Stack, config: &Config) -> Result {
    stack.provide("careless", || Arc::new(Registry::new(()).resource::<Account>()));
    let password = config.require_secret("password")?;
    let fails: String = config.require("fails")?;
    let drawn = stack.add("drawn", Password::of_length(24));
    let mapped: Output<String> = if fails == "shape" {
        password.cast::<u16>().map(|number| number.to_string())
    } else {
        password.map(|text| format!("{text}!"))
    };
    let hook_fails = fails == "hook";
    let hook = Hook::before(Action::Update, move |context| async move {
        let inputs = context.inputs.to_json().to_string();
        if hook_fails { Err(inputs.into()) } else { Ok(()) }
    });
    let account = stack.with(Options::new().hook(hook)).add(
        "account",
        Account { password: output_format!("{}-{}", password, drawn.value), fails: Some(fails.as_str().into()) },
    );
    stack.export("password", password);
    stack.export("drawn", drawn.value);
    stack.export("mapped", mapped);
    stack.export("token", account.token);
    stack.export("literal", Output::<String>::from("literal-of-the-program").secret());
    stack.export("text", output_format!("begins-in-the-clear-{}", "plain").secret());
    Ok(())
}

fn files(directory: &Path, seen: &Seen) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, seen);
        } else {
            seen.note(String::from_utf8_lossy(&fs::read(&path).unwrap()));
        }
    }
}

#[tokio::test]
async fn no_secret_is_readable_during_the_lifecycle_of_a_stack() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let (seen, on_disk) = (Seen::default(), Seen::default());
    let engine = |password: &str, fails: &str| Seen::engine(directory, password, fails);

    let stored = ConfigChange::Set("password".into(), ConfigValue::secret("stored-in-config"));
    let changed =
        StackConfig::change(&FileStore::new(directory), "program", "dev", std::slice::from_ref(&stored)).await.unwrap();
    seen.note(format!("{changed:?} {stored:?}"));
    for fails in ["check", "create", "shape"] {
        assert!(!seen.up(&engine("first \"quoted\"\npassword", fails)).await, "{fails}");
        files(directory, &on_disk);
    }
    assert!(seen.up(&engine("first \"quoted\"\npassword", "nothing")).await);
    let drawn = engine("", "").outputs().await.unwrap()["drawn"].as_str().unwrap().to_owned();
    files(directory, &on_disk);
    for fails in ["update", "hook"] {
        assert!(!seen.up(&engine("second-password", fails)).await, "{fails}");
        files(directory, &on_disk);
    }
    assert!(seen.up(&engine("second-password", "read")).await);
    let unread = seen.noted(engine("second-password", "read").refresh(&program)).await.unwrap();
    assert!(!unread.is_success());
    seen.note(format!("{unread:?}"));
    assert!(seen.up(&engine("second-password", "nothing")).await);
    let history = engine("", "").history().await.unwrap();
    seen.note(format!("{history:?}"));
    let back = history.iter().find(|entry| entry.declared).unwrap().serial;
    let plan = seen.noted(engine("second-password", "nothing").preview_rollback(back, &program)).await.unwrap();
    seen.note(format!("{plan}\n{plan:?}"));
    assert!(seen.noted(engine("second-password", "nothing").rollback(back, &program)).await.unwrap().is_success());
    assert!(seen.up(&engine("second-password", "delete")).await);
    let state = engine("", "").state().await.unwrap().unwrap();
    seen.note(format!("{state:?}"));
    let destroyed = seen.noted(engine("second-password", "delete").destroy(&program)).await.unwrap();
    assert!(!destroyed.is_success());
    seen.note(format!("{destroyed:?}"));
    files(directory, &on_disk);
    seen.note(format!("{:?}", FileStore::new(directory)));
    assert!(FileStore::new(directory).document("program", "dev", "history.json").await.unwrap().is_some());

    // The failures were reported, without the secrets.
    let (seen, on_disk) = (seen.text(), on_disk.text());
    for message in ["checked: ", "created: ", "updated: ", "deleted: ", "cannot read with", "creating with"] {
        assert!(seen.contains(message), "`{message}` was not reported");
    }
    assert!(on_disk.contains("\"$secret\""));
    let secrets =
        ["stored-in-config", "first ", "quoted", "second-password", &drawn, TOKEN, PROGRESS, "literal-of", "begins-in"];
    for secret in secrets {
        for (place, text) in [("the output", &seen), ("the files", &on_disk)] {
            let line = text.lines().find(|line| line.contains(secret));
            assert_eq!(line, None, "{secret} is in {place}");
        }
    }
}
