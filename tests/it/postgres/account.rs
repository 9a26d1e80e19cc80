//! Who servers run as: PostgreSQL refuses to run as root.

use std::path::Path;
use std::process::Command;

/// The account that servers run as.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Account {
    /// `None`: as whoever runs the tests.
    other: Option<(u32, u32)>,
}

impl Account {
    /// An account that is not root's, to which the folder is given.
    #[cfg(unix)]
    pub(crate) fn for_servers(folder: &Path) -> Result<Self, String> {
        use std::os::unix::fs::{MetadataExt, chown};

        // The folder was just made, so its owner is who we are.
        let owner = std::fs::metadata(folder).map_err(|error| error.to_string())?.uid();
        if owner != 0 {
            return Ok(Self { other: None });
        }
        let accounts = std::fs::read_to_string("/etc/passwd").map_err(|error| error.to_string())?;
        let (user, group) = ["postgres", "nobody"]
            .iter()
            .find_map(|name| ids_of(&accounts, name))
            .ok_or("servers do not run as root, and there is no account `postgres` or `nobody`")?;
        chown(folder, Some(user), Some(group)).map_err(|error| error.to_string())?;
        Ok(Self { other: Some((user, group)) })
    }

    /// Runs the command as this account.
    #[cfg(unix)]
    pub(crate) fn put_on(self, command: &mut Command) {
        use std::os::unix::process::CommandExt;

        if let Some((user, group)) = self.other {
            command.uid(user).gid(group);
        }
    }

    #[cfg(not(unix))]
    pub(crate) fn for_servers(_folder: &Path) -> Result<Self, String> {
        Err("servers are started on Unix only; elsewhere, name one".to_owned())
    }

    #[cfg(not(unix))]
    pub(crate) fn put_on(self, _command: &mut Command) {}
}

#[cfg(unix)]
fn ids_of(accounts: &str, name: &str) -> Option<(u32, u32)> {
    accounts.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next()? == name).then_some(())?;
        Some((fields.nth(1)?.parse().ok()?, fields.next()?.parse().ok()?))
    })
}
