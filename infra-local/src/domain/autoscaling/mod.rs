//! Auto Scaling rules: transitions of members, executions of policies, and the alarms of target tracking policies.

pub(crate) mod adjust;
pub(crate) mod alarms;
pub(crate) mod hooks;
pub(crate) mod membership;
mod refresh;

pub(crate) use refresh::roll_back;
