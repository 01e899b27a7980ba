//! The unprivileged user that services run as when the cloud itself runs as root.

use std::fs;

use serde::{Deserialize, Serialize};

/// A user by uid and gid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct User {
    /// User id.
    pub(crate) uid: u32,
    /// Primary group.
    pub(crate) gid: u32,
}

/// Returns the user that services run as when the cloud runs as root: `postgres`, or else `nobody`. `None` when the
/// cloud does not run as root.
pub(crate) fn unprivileged_user() -> Option<User> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
    ["postgres", "nobody"].iter().find_map(|name| user_in(&passwd, name)).or(Some(User { uid: 65534, gid: 65534 }))
}

/// Describes the user of [`unprivileged_user`].
pub(crate) fn unprivileged_name() -> String {
    let uid = unprivileged_user().map_or_else(|| rustix::process::geteuid().as_raw(), |user| user.uid);
    let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let names = passwd.lines().filter_map(|line| {
        let mut fields = line.split(':');
        Some((fields.next()?, fields.nth(1)?.parse::<u32>().ok()?))
    });
    let name = names.into_iter().find(|(_, other)| *other == uid).map(|(name, _)| format!("the user `{name}`"));
    name.unwrap_or_else(|| format!("the user {uid}"))
}

fn user_in(passwd: &str, name: &str) -> Option<User> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        if fields.next()? != name {
            return None;
        }
        Some(User { uid: fields.nth(1)?.parse().ok()?, gid: fields.next()?.parse().ok()? })
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn users_are_read_from_passwd() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\npostgres:x:101:104:,,,:/var/lib/postgresql:/bin/bash\n";
        assert_eq!(user_in(passwd, "postgres"), Some(User { uid: 101, gid: 104 }));
        assert_eq!(user_in(passwd, "nobody"), None);
    }
}
