//! One life: a command that is killed, perhaps again while it recovers, and what comes after.

use crate::{
    Result, check, disk,
    moment::Moment,
    place::{Command, Place, name},
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

/// A life, as it is written: `up-b/kill:ProviderAnswer.3+cut:1500us/destroy`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Life {
    /// What is killed.
    pub command: Command,
    /// How: the first blow falls on the command, the others on what recovers from the one before.
    pub blows: Vec<Blow>,
    /// What comes after.
    pub ending: Ending,
}

/// One death.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blow {
    /// When.
    pub when: When,
    /// Whether the power is cut as well: what is not synced is lost.
    pub cut: bool,
}

/// When a process dies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum When {
    /// At a boundary, by its own hand.
    At(Moment),
    /// So long after it was started, by its parent's.
    After(Duration),
}

/// What comes after the last death.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Ending {
    /// The command again, then `up` of its program, then `destroy`.
    Up,
    /// `up` of what was declared first, as if the change were taken back, then `destroy`.
    Back,
    /// `destroy` at once.
    Destroy,
}

impl Life {
    /// Lives it in `place`, which is as the command finds it; tells how many blows fell before the process had ended.
    pub async fn live(&self, place: &Place, seed: u64) -> Result<usize> {
        let mut rng = self.rng(seed);
        let mut fallen = 0;
        for (number, blow) in self.blows.iter().enumerate() {
            let command = if number == 0 { self.command } else { self.recovery()[0] };
            if !strike(place, command, blow, number > 0)? {
                continue;
            }
            fallen += 1;
            place.copy_to(&place.directory.with_file_name(format!("{AT_DEATH}{fallen}")))?;
            if let Some(broken) = place.broken {
                disk::spoil(place, broken, &mut rng)?;
            }
            if blow.cut {
                disk::cut(place, &mut rng)?;
            }
            let before = place.state().await?;
            before.as_ref().map_or(Ok(()), State::verify)?;
            place.preview(*self.recovery().last().unwrap_or(&self.command)).await?;
            if place.state().await? != before {
                return Err("a preview has changed the state".into());
            }
        }
        if self.ending != Ending::Destroy {
            let (last, before) = self.recovery().split_last().ok_or("a life without an ending")?;
            for command in before {
                place.command(*command)?;
            }
            check::converges(place, *last).await?;
        }
        check::ends(place).await?;
        Ok(fallen)
    }

    /// What brings everything in order again; checks follow on the last of them.
    fn recovery(&self) -> &'static [Command] {
        match (self.ending, self.command) {
            (Ending::Destroy, _) => &[Command::Destroy],
            (Ending::Back, _) => &[Command::TakeBack],
            (Ending::Up, Command::UpA) => &[Command::UpA],
            (Ending::Up, Command::UpB | Command::TakeBack | Command::Destroy) => &[Command::UpB],
            (Ending::Up, Command::Refresh) => &[Command::Refresh, Command::UpB],
        }
    }

    /// The same life draws the same numbers, whichever lives are lived beside it.
    fn rng(&self, seed: u64) -> Rng {
        let mut hasher = DefaultHasher::new();
        self.to_string().hash(&mut hasher);
        Rng::with_seed(seed ^ hasher.finish())
    }
}

/// What a copy of the place at each death is called; it lies beside it, for whoever looks into a failure.
pub const AT_DEATH: &str = "at-death-";

/// Starts a command that will die; whether it did before it came to its end.
fn strike(place: &Place, command: Command, blow: &Blow, recovers: bool) -> Result<bool> {
    let mut child = place.process(command);
    if let When::At(moment) = &blow.when {
        child.args(["--die", &moment.to_string()]);
    }
    let mut child = child.spawn()?;
    if let When::After(delay) = blow.when {
        std::thread::sleep(delay);
        // It may have ended by itself.
        child.kill()?;
    }
    let output = child.wait_with_output()?;
    match (output.status.signal(), output.status.code()) {
        (Some(9), _) => Ok(true),
        (None, Some(0)) => Ok(false),
        // What cannot be found yet may use what is to be deleted: the ending, which runs the same, is the judge.
        (None, Some(1)) if recovers => Ok(false),
        _ => Err(format!("{command} ended with {}: {}", output.status, String::from_utf8_lossy(&output.stderr)).into()),
    }
}

impl fmt::Display for Life {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let blows: Vec<String> = self.blows.iter().map(ToString::to_string).collect();
        write!(f, "{}/{}/{}", self.command, blows.join("+"), name(&self.ending))
    }
}

impl fmt::Display for Blow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.cut { "cut:" } else { "kill:" })?;
        match &self.when {
            When::At(moment) => moment.fmt(f),
            When::After(delay) => write!(f, "{}us", delay.as_micros()),
        }
    }
}

impl FromStr for Life {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let parts: Vec<&str> = text.split('/').collect();
        let [command, blows, ending] = parts[..] else {
            return Err(format!("`{text}` is no life: write one as up-b/kill:ProviderAnswer.3+cut:1500us/destroy"));
        };
        Ok(Self {
            command: Command::from_str(command, true)?,
            blows: blows.split('+').map(str::parse).collect::<std::result::Result<_, _>>()?,
            ending: Ending::from_str(ending, true)?,
        })
    }
}

impl FromStr for Blow {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let (how, when) = text.split_once(':').unwrap_or(("", text));
        let cut = match how {
            "kill" => false,
            "cut" => true,
            _ => return Err(format!("`{text}` is no death: it begins with kill: or cut:")),
        };
        let delay = when.strip_suffix("us").and_then(|delay| delay.parse().ok());
        let when = match delay {
            Some(delay) => When::After(Duration::from_micros(delay)),
            None => When::At(when.parse()?),
        };
        Ok(Self { when, cut })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_life_is_read_as_it_is_written() {
        for text in ["up-a/kill:JournalSync.12/up", "destroy/cut:WorldCommitted.1+kill:1500us/destroy"] {
            assert_eq!(text.parse::<Life>().unwrap().to_string(), text);
        }
        assert!("up-a/JournalSync.12/up".parse::<Life>().unwrap_err().contains("kill:"));
        assert!("up-c/kill:5us/up".parse::<Life>().is_err());
    }
}
