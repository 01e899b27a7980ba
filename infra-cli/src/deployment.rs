//! The stack of a command as a rehearsal needs it.

use crate::{
    arguments::RecordedTypes,
    deployed::{self, Deployed},
    failure::{Failure, Kind},
    render, schemas,
    session::{Session, changes},
};
use infra_core::{diagnostic::Diagnostic, event::Event};
use infra_local::Account;
use infra_rehearsal::{Deployment, Neighbour, Schemas};

impl Session<'_> {
    /// Returns the stack for a rehearsal: its program, its configuration with these changes, its recorded state and the
    /// other stacks of the store.
    ///
    /// Resources of the types that the arguments name are recorded; by default, those that the directory's local cloud
    /// records.
    pub(crate) async fn deployment(
        &self,
        config: &[(String, String)],
        recorded: &RecordedTypes,
    ) -> Result<Deployment<'_>, Failure> {
        self.refuse_other_target().await?;
        let schemas = match &recorded.schemas {
            Some(path) => {
                let catalog = schemas::read(path)?;
                let schemas = Schemas::of_types(schemas::texts(&catalog));
                schemas.map_err(|error| Failure { kind: Kind::Failed, diagnostics: error.diagnostics() })?
            }
            None => Schemas::of_cloud(self.cloud_directory()),
        };
        Ok(Deployment {
            program: self.program.name.clone(),
            stack: self.stack.clone(),
            target: self.target.name().to_owned(),
            account: self.account().await?,
            script: &self.program.run,
            config: self.config(&changes(config)).await?,
            policies: Vec::new(),
            recorded: self.offline().state().await?,
            neighbours: self.neighbours().await?,
            schemas,
        })
    }

    /// Returns the account that the stack is deployed to, as far as it is recorded.
    async fn account(&self) -> Result<Option<Account>, Failure> {
        if self.target.name() == "local" {
            return Ok(infra_local::account(&self.cloud_directory())?);
        }
        let deployed = self.deployed_to(&self.program.name, &self.stack).await?;
        Ok(deployed.and_then(|deployed| deployed.account()?.parse().ok()))
    }

    /// Returns the other stacks of the store. Warns of those that cannot be read.
    async fn neighbours(&self) -> Result<Vec<Neighbour>, Failure> {
        let own = self.deployed_to(&self.program.name, &self.stack).await?;
        let own = own.unwrap_or_else(|| Deployed::named(self.target.name()));
        let mut neighbours = Vec::new();
        for (program, stack) in self.store().stacks().await? {
            if (&program, &stack) == (&self.program.name, &self.stack) {
                continue;
            }
            let deployed = self.deployed_to(&program, &stack).await?;
            let same_target = deployed.is_some_and(|it| it.target == own.target && !it.is_another_cloud_than(&own));
            match self.offline_of(&program, &stack).state().await {
                Ok(state) => neighbours.extend(state.map(|state| Neighbour { state, same_target })),
                Err(error) => {
                    let summary = format!("the rehearsal does not contain the stack `{stack}` of `{program}`");
                    let unreadable = Diagnostic::warning(summary).because(error.to_string());
                    render::messages().events().send(Event::Message(unreadable));
                }
            }
        }
        Ok(neighbours)
    }

    /// Returns the cloud that a stack was last deployed to.
    async fn deployed_to(&self, program: &str, stack: &str) -> Result<Option<Deployed>, Failure> {
        let document = self.store().document(program, stack, deployed::DOCUMENT).await?;
        Ok(document.map(|document| Deployed::read(&document)))
    }
}
