//! Changes of the recorded state that do not affect the actual resources.

use super::{
    Engine, EngineError,
    lifecycle::Finished,
    options::RunOptions,
    runner::{Runner, record},
    stopwatch::Stopwatch,
};
use crate::{
    diagnostic::Diagnostic,
    execute::Report,
    state::{Entry, Marks, State},
    urn::{Pattern, Urn},
};

impl Engine {
    /// Removes resources from the state without deleting them, and returns their URNs. A resource that others depend on
    /// is removed only together with its dependents.
    pub async fn forget(&self, patterns: &[Pattern]) -> Result<Vec<Urn>, EngineError> {
        self.operate("state rm", |state| {
            let urns = named(state, patterns)?;
            let used = state.generations().filter(|(user, _)| !urns.contains(user));
            let used = used.flat_map(|(user, thing)| thing.dependencies.iter().map(move |used| (user, used)));
            let problems: Vec<Diagnostic> = used
                .filter(|(_, used)| urns.contains(used))
                .map(|(user, used)| {
                    Diagnostic::error(format!("{} depends on it", user.short()))
                        .about(used)
                        .hint("select the dependent resource as well")
                })
                .collect();
            if !problems.is_empty() {
                return Err(problems);
            }
            let entries = urns.iter().map(|urn| Entry::Forgotten(urn.clone())).collect();
            Ok((entries, urns))
        })
        .await
    }

    /// Renames a resource in the state, as if the program had always used the new name.
    pub async fn rename(&self, from: &Pattern, to: &str) -> Result<(Urn, Urn), EngineError> {
        self.operate("state mv", |state| {
            let urns = named(state, std::slice::from_ref(from))?;
            let [from] = &urns[..] else {
                let names: Vec<String> = urns.iter().map(ToString::to_string).collect();
                let several = Diagnostic::error(format!("`{from}` matches {} resources", urns.len()));
                return Err(vec![several.because(names.join("\n")).hint("use the URN of one of them")]);
            };
            let to = to.parse().or_else(|_| Urn::new(from.stack(), from.program(), from.kind(), to));
            let to = to.map_err(|error| vec![Diagnostic::error(error.to_string())])?;
            if (to.stack(), to.program(), to.kind()) != (from.stack(), from.program(), from.kind()) {
                let other =
                    Diagnostic::error("a resource can be renamed only within its stack, program and type").about(&to);
                return Err(vec![other.hint("specify only the new name")]);
            }
            if state.resources.contains_key(&to) {
                return Err(vec![Diagnostic::error("the stack already has a resource with this name").about(&to)]);
            }
            let renamed = Entry::Renamed { from: from.clone(), to: to.clone() };
            Ok((vec![renamed], (from.clone(), to)))
        })
        .await
    }

    /// Protects resources against deletion and replacement, or removes that protection, until the program sets it.
    /// Returns the resources whose protection changed.
    pub async fn protect(&self, patterns: &[Pattern], protect: bool) -> Result<Vec<Urn>, EngineError> {
        let command = if protect { "state protect" } else { "state unprotect" };
        self.operate(command, |state| {
            let mut urns = named(state, patterns)?;
            urns.retain(|urn| {
                state.current(urn).is_some_and(|thing| thing.id.is_some() && thing.marks.protect != protect)
            });
            let marked = urns.iter().map(|urn| {
                let marks = state.current(urn).map(|thing| thing.marks.clone()).unwrap_or_default();
                Entry::Marked { urn: urn.clone(), marks: Marks { protect, ..marks } }
            });
            Ok((marked.collect(), urns))
        })
        .await
    }

    async fn operate<T>(
        &self,
        command: &str,
        decide: impl FnOnce(&State) -> Result<(Vec<Entry>, T), Vec<Diagnostic>>,
    ) -> Result<T, EngineError> {
        let watch = Stopwatch::start();
        let runner = Runner { engine: self.clone(), options: RunOptions::default() };
        let (session, mut state) = runner.open().await?;
        let decided = decide(&state).map_err(EngineError::WrongUse);
        let (entries, answer) = match decided {
            Ok(decided) => decided,
            Err(refused) => {
                session.close().await?;
                return Err(refused);
            }
        };
        record(entries, &session, &mut state)?;
        let report = Report::default();
        let finished = Finished { command, declaration: None, outcome: Ok(&report), watch };
        runner.conclude(session, &mut state, finished).await?;
        Ok(answer)
    }
}

/// Returns the recorded resources that the patterns match.
fn named(state: &State, patterns: &[Pattern]) -> Result<Vec<Urn>, Vec<Diagnostic>> {
    let matching = |pattern: &Pattern| state.resources.keys().any(|urn| pattern.matches(urn));
    let unknown = patterns.iter().filter(|pattern| !matching(pattern));
    let problems: Vec<Diagnostic> = unknown
        .map(|pattern| {
            Diagnostic::error(format!("no resource of the stack matches `{pattern}`"))
                .hint("`state list` shows the resources")
        })
        .collect();
    if !problems.is_empty() {
        return Err(problems);
    }
    let named = state.resources.keys().filter(|urn| patterns.iter().any(|pattern| pattern.matches(urn)));
    Ok(named.cloned().collect())
}
