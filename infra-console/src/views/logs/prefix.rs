//! Prefixes of the lines of databases: the process, the client, and the request that a connection serves.
//!
//! A service sets the application name of its connection to `request_id=ID` while it serves a request. The prefix of a
//! line contains the name if `log_line_prefix` contains `%a`.

/// Application names of connections that serve a request begin with this text.
const REQUEST: &str = "request_id=";

/// Words at the beginning of PostgreSQL's messages, and of the lines that belong to the message before them
/// (<https://www.postgresql.org/docs/current/runtime-config-logging.html#RUNTIME-CONFIG-SEVERITY-LEVELS>).
const SEVERITIES: &[&str] = &["DEBUG", "INFO", "NOTICE", "WARNING", "ERROR", "LOG", "FATAL", "PANIC"];
const DETAILS: &[&str] = &["DETAIL", "HINT", "STATEMENT", "CONTEXT", "QUERY", "LOCATION"];

/// The prefix of a line after its time.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Prefix<'l> {
    /// Names and values, without empty ones.
    pub(super) fields: Vec<(&'static str, &'l str)>,
    /// The line after the prefix.
    pub(super) rest: &'l str,
}

impl<'l> Prefix<'l> {
    /// Splits the prefix of PostgreSQL (`[123] LOG:  …`), of RDS or of MariaDB (`0 [Note] …`) from a line.
    pub(super) fn split(line: &'l str) -> Option<Self> {
        Self::of_rds(line).or_else(|| Self::of_postgres(line)).or_else(|| Self::of_mariadb(line))
    }

    /// Returns whether a line of PostgreSQL belongs to the message before.
    pub(super) fn is_detail(&self) -> bool {
        begins_with(self.rest, DETAILS)
    }

    /// Splits `CLIENT:USER@DATABASE:[PID]:`, which `APPLICATION:` follows if it is a part of `log_line_prefix`
    /// (<https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/USER_LogAccess.Concepts.PostgreSQL.overview.parameter-groups.html>).
    fn of_rds(line: &'l str) -> Option<Self> {
        let (before, after) = line.split_once(":[")?;
        let (pid, after) = after.split_once("]:").filter(|(pid, _)| is_number(pid))?;
        let (client, user) = before.rsplit_once(':').filter(|_| !before.contains(char::is_whitespace))?;
        let user = if user == "@" { "" } else { user };
        let mut named = after.match_indices(':').map(|(at, _)| (&after[..at], &after[at + 1..]));
        let named = named.find(|(_, rest)| is_message(rest)).filter(|_| !is_message(after));
        let (application, rest) = named.unwrap_or(("", after));
        Some(Self::new([("client", client), ("user", user), ("pid", pid), called(application)], rest))
    }

    /// Splits `[PID]`, which `user=…,db=…,app=…,client=…` follows in the local cloud.
    fn of_postgres(line: &'l str) -> Option<Self> {
        let (pid, rest) = line.strip_prefix('[')?.split_once("] ").filter(|(pid, _)| is_number(pid))?;
        let session = || {
            let (user, after) = rest.strip_prefix("user=")?.split_once(",db=")?;
            let (database, after) = after.split_once(",app=")?;
            let (application, after) = after.split_once(",client=")?;
            let (client, after) = after.split_once(' ')?;
            let fields =
                [("client", client), ("user", user), ("database", database), ("pid", pid), called(application)];
            Some(Self::new(fields, after))
        };
        session().or_else(|| Some(Self::new([("pid", pid)], rest)))
    }

    fn of_mariadb(line: &'l str) -> Option<Self> {
        let (thread, rest) = line.split_once(' ').filter(|(thread, _)| is_number(thread))?;
        rest.trim_start().starts_with('[').then(|| Self::new([("pid", thread)], rest))
    }

    fn new(fields: impl IntoIterator<Item = (&'static str, &'l str)>, rest: &'l str) -> Self {
        let fields = fields.into_iter().filter(|(_, value)| !value.is_empty());
        Self { fields: fields.collect(), rest: rest.trim_start() }
    }
}

/// Returns the field of an application name.
fn called(application: &str) -> (&'static str, &str) {
    match application.strip_prefix(REQUEST) {
        Some(id) => ("request_id", id),
        None => ("application", if application == "[unknown]" { "" } else { application }),
    }
}

fn is_message(text: &str) -> bool {
    begins_with(text, SEVERITIES) || begins_with(text, DETAILS)
}

/// Returns whether a text begins with one of these words and a colon. Levels of debugging have a number.
fn begins_with(text: &str, words: &[&str]) -> bool {
    let (word, _) = text.split_once(':').unwrap_or_default();
    words.contains(&word.trim_end_matches(|last: char| last.is_ascii_digit()))
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn session_of_a_line_is_named() {
        let line = "[42] user=shop,db=shop,app=request_id=a-1,client=10.0.0.5 ERROR:  deadlock detected";
        let fields =
            vec![("client", "10.0.0.5"), ("user", "shop"), ("database", "shop"), ("pid", "42"), ("request_id", "a-1")];
        assert_eq!(Prefix::split(line), Some(Prefix { fields, rest: "ERROR:  deadlock detected" }));
        let line = "[42] user=shop,db=shop,app=psql, by hand,client=10.0.0.5 LOG:  x";
        assert_eq!(Prefix::split(line).unwrap().fields[4], ("application", "psql, by hand"));
        assert_eq!(
            Prefix::split("[42] LOG:  user=x,db=y"),
            Some(Prefix { fields: vec![("pid", "42")], rest: "LOG:  user=x,db=y" })
        );
    }

    #[test]
    fn prefix_of_rds_may_contain_the_application() {
        let split = |line| Prefix::split(line).unwrap();
        let plain = split("10.0.0.5(4000):shop@orders:[42]:ERROR:  relation \"a:LOG:\" does not exist");
        assert_eq!(plain.rest, "ERROR:  relation \"a:LOG:\" does not exist");
        assert_eq!(plain.fields, [("client", "10.0.0.5(4000)"), ("user", "shop@orders"), ("pid", "42")]);
        let named = split("10.0.0.5(4000):shop@orders:[42]:request_id=a:b-1:LOG:  duration: 2 ms  statement: SELECT 1");
        assert_eq!(
            (named.fields[3], named.rest),
            (("request_id", "a:b-1"), "LOG:  duration: 2 ms  statement: SELECT 1")
        );
        assert!(split(":@:[7]::STATEMENT:  SELECT 1").is_detail());
        assert!(split(":@:[7]::DEBUG2:  x").fields == [("pid", "7")]);
    }

    #[test]
    fn other_lines_have_no_prefix() {
        for line in ["INFO started", "[main] INFO started", "7 items", "a b:[7]: x"] {
            assert_eq!(Prefix::split(line), None, "{line}");
        }
    }
}
