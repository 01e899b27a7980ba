//! Plans as text.

use super::{Plan, ReplaceOrder, Step};
use crate::{
    diff::{Action, Shown},
    value::Value,
};
use std::fmt;

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = match (self.action, self.order) {
            (Action::Same, _) => " ",
            (Action::Read, _) => ">",
            (Action::Create, _) => "+",
            (Action::Update, _) => "~",
            (Action::Replace, Some(ReplaceOrder::DeleteBeforeCreate)) => "-/+",
            (Action::Replace, _) => "+/-",
            (Action::Delete, _) => "-",
            (Action::Import, _) => "=",
            (Action::Forget, _) => "<",
        };
        write!(f, "{sign} {} {}", self.action, self.urn.short())?;
        if let Some(region) = &self.region {
            write!(f, " [{region}]")?;
        }
        if let Some(from) = &self.renamed_from {
            write!(f, "  (was {})", from.short())?;
        }
        if let Some(note) = &self.note {
            write!(f, "  ({note})")?;
        }
        if self.action == Action::Create {
            return self
                .diff
                .properties
                .iter()
                .try_for_each(|property| write!(f, "\n      {}: {}", property.path, Shown(&property.new)));
        }
        self.diff.properties.iter().try_for_each(|property| write!(f, "\n    {property}"))
    }
}

/// Shows every step that changes something, one per line, and the number of steps by action.
impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for step in self.steps.iter().filter(|step| !step.is_silent() && step.unknown_set.is_none()) {
            writeln!(f, "{step}")?;
        }
        for ((name, kind), most) in self.sets() {
            writeln!(f, "? 0..{most} of {} {name}", kind.rsplit(':').next().unwrap_or_default())?;
        }
        let counts: Vec<String> = self.counts().iter().map(|(action, count)| format!("{count} {action}")).collect();
        writeln!(f, "{}", if counts.is_empty() { "nothing".to_owned() } else { counts.join(", ") })?;
        for (name, value) in &self.outputs {
            writeln!(f, "{name} = {}", Shown(&Value::from_json(value.clone())))?;
        }
        Ok(())
    }
}
