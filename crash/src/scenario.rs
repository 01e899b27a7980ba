//! A scenario: a command that is killed, possible further kills during recovery, and the commands afterwards.

use crate::{
    Result, check, disk,
    moment::Moment,
    sandbox::{Command, Sandbox, name},
};
use clap::ValueEnum;
use fastrand::Rng;
use infra_core::state::State;
use std::{
    fmt,
    hash::{DefaultHasher, Hash, Hasher},
    os::unix::process::ExitStatusExt,
    str::FromStr,
    time::Duration,
};

/// A scenario, written as `up-b/kill:ProviderAnswer.3+cut:1500us/destroy`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scenario {
    /// Command that is killed.
    pub command: Command,
    /// Kills: the first one of the command, the others of the run that recovers from the previous kill.
    pub kills: Vec<Kill>,
    /// Commands after the last kill.
    pub ending: Ending,
}

/// A kill of a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kill {
    /// Time of the kill.
    pub trigger: Trigger,
    /// True to lose data that is not synced, as in a power failure.
    pub cut: bool,
}

/// The time at which a process is killed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// At a boundary, by the process itself.
    Boundary(Moment),
    /// After a delay since its start, by the parent process.
    Delay(Duration),
}

/// The commands after the last kill.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Ending {
    /// The same command again, then `up` of its program, then `destroy`.
    Up,
    /// `up` of the initial program, then `destroy`.
    Revert,
    /// Only `destroy`.
    Destroy,
}

impl Scenario {
    /// Executes the scenario in a sandbox that is prepared for its command. Returns the number of kills that reached a
    /// running process.
    pub async fn run(&self, sandbox: &Sandbox, seed: u64) -> Result<usize> {
        let mut rng = self.rng(seed);
        let mut kills = 0;
        for (number, kill) in self.kills.iter().enumerate() {
            let command = if number == 0 { self.command } else { self.recovery()[0] };
            if !run_until_killed(sandbox, command, kill, number > 0)? {
                continue;
            }
            kills += 1;
            sandbox.copy_to(&sandbox.directory.with_file_name(format!("{AT_KILL}{kills}")))?;
            if let Some(broken) = sandbox.broken {
                disk::apply_defect(sandbox, broken, &mut rng)?;
            }
            if kill.cut {
                disk::cut(sandbox, &mut rng)?;
            }
            let before = sandbox.state().await?;
            before.as_ref().map_or(Ok(()), State::verify)?;
            sandbox.preview(*self.recovery().last().unwrap_or(&self.command)).await?;
            if sandbox.state().await? != before {
                return Err("a preview has modified the state".into());
            }
        }
        if self.ending != Ending::Destroy {
            let (last, before) = self.recovery().split_last().ok_or("the scenario runs no command after the kill")?;
            for command in before {
                sandbox.command(*command)?;
            }
            check::run_and_compare(sandbox, *last).await?;
        }
        check::destroy_and_compare(sandbox).await?;
        Ok(kills)
    }

    /// Returns the commands that reconcile the resources. The checks follow the last of them.
    fn recovery(&self) -> &'static [Command] {
        match (self.ending, self.command) {
            (Ending::Destroy, _) => &[Command::Destroy],
            (Ending::Revert, _) => &[Command::Revert],
            (Ending::Up, Command::UpA) => &[Command::UpA],
            (Ending::Up, Command::UpB | Command::Revert | Command::Destroy) => &[Command::UpB],
            (Ending::Up, Command::Refresh) => &[Command::Refresh, Command::UpB],
        }
    }

    /// Returns a generator whose numbers depend on the scenario and the seed, and not on the other scenarios.
    fn rng(&self, seed: u64) -> Rng {
        let mut hasher = DefaultHasher::new();
        self.to_string().hash(&mut hasher);
        Rng::with_seed(seed ^ hasher.finish())
    }
}

/// Prefix of the copies of the sandbox at each kill, which are kept beside it for the analysis of a failure.
pub const AT_KILL: &str = "at-kill-";

/// Runs a command with a kill. Returns true when the kill reached it before it had finished.
fn run_until_killed(sandbox: &Sandbox, command: Command, kill: &Kill, recovers: bool) -> Result<bool> {
    let mut child = sandbox.process(command);
    if let Trigger::Boundary(moment) = &kill.trigger {
        child.args(["--kill-at", &moment.to_string()]);
    }
    let mut child = child.spawn()?;
    if let Trigger::Delay(delay) = kill.trigger {
        std::thread::sleep(delay);
        // The process may have finished already.
        child.kill()?;
    }
    let output = child.wait_with_output()?;
    match (output.status.signal(), output.status.code()) {
        (Some(9), _) => Ok(true),
        (None, Some(0)) => Ok(false),
        // A resource that cannot be found yet may depend on one that must be deleted, so this run may fail. The ending
        // repeats the command and checks the result.
        (None, Some(1)) if recovers => Ok(false),
        _ => {
            Err(format!("{command} exited with {}: {}", output.status, String::from_utf8_lossy(&output.stderr)).into())
        }
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kills: Vec<String> = self.kills.iter().map(ToString::to_string).collect();
        write!(f, "{}/{}/{}", self.command, kills.join("+"), name(&self.ending))
    }
}

impl fmt::Display for Kill {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.cut { "cut:" } else { "kill:" })?;
        match &self.trigger {
            Trigger::Boundary(moment) => moment.fmt(f),
            Trigger::Delay(delay) => write!(f, "{}us", delay.as_micros()),
        }
    }
}

impl FromStr for Scenario {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let parts: Vec<&str> = text.split('/').collect();
        let [command, kills, ending] = parts[..] else {
            return Err(format!(
                "`{text}` is not a scenario: write COMMAND/KILLS/ENDING, such as up-b/kill:ProviderAnswer.3+cut:1500us/destroy"
            ));
        };
        Ok(Self {
            command: Command::from_str(command, true)?,
            kills: kills.split('+').map(str::parse).collect::<std::result::Result<_, _>>()?,
            ending: Ending::from_str(ending, true)?,
        })
    }
}

impl FromStr for Kill {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let (kind, trigger) = text.split_once(':').unwrap_or(("", text));
        let cut = match kind {
            "kill" => false,
            "cut" => true,
            _ => return Err(format!("`{text}` is not a kill: it must begin with `kill:` or `cut:`")),
        };
        let delay = trigger.strip_suffix("us").and_then(|delay| delay.parse().ok());
        let trigger = match delay {
            Some(delay) => Trigger::Delay(Duration::from_micros(delay)),
            None => Trigger::Boundary(trigger.parse()?),
        };
        Ok(Self { trigger, cut })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn scenario_round_trips_through_its_text() {
        for text in ["up-a/kill:JournalSync.12/up", "destroy/cut:CloudCommitted.1+kill:1500us/destroy"] {
            assert_eq!(text.parse::<Scenario>().unwrap().to_string(), text);
        }
        assert!("up-a/JournalSync.12/up".parse::<Scenario>().unwrap_err().contains("kill:"));
        assert!("up-c/kill:5us/up".parse::<Scenario>().is_err());
    }
}
