//! The account of the cloud, and the ARNs of its resources.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{Cloud, Region};
use crate::wire::Node;

/// Id of an AWS account: 12 digits. The default is the account of a cloud whose first start chose none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Account([u8; 12]);

/// A text that is not the id of an account.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an account id has exactly 12 digits, such as 123456789012")]
pub struct InvalidAccount;

impl Account {
    /// Returns the 12 digits.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl Default for Account {
    fn default() -> Account {
        Account([b'0'; 12])
    }
}

impl FromStr for Account {
    type Err = InvalidAccount;

    fn from_str(text: &str) -> Result<Account, InvalidAccount> {
        let digits: [u8; 12] = text.as_bytes().try_into().map_err(|_| InvalidAccount)?;
        if digits.iter().all(u8::is_ascii_digit) { Ok(Account(digits)) } else { Err(InvalidAccount) }
    }
}

impl TryFrom<String> for Account {
    type Error = InvalidAccount;

    fn try_from(text: String) -> Result<Account, InvalidAccount> {
        text.parse()
    }
}

impl From<Account> for String {
    fn from(account: Account) -> String {
        account.to_string()
    }
}

impl fmt::Display for Account {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

impl From<Account> for Node {
    fn from(account: Account) -> Node {
        Node::from(account.as_str())
    }
}

impl PartialEq<str> for Account {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

/// The region and the account in the ARNs of a region's resources.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ArnScope<'a> {
    pub(crate) region: &'a str,
    pub(crate) account: Account,
}

impl ArnScope<'_> {
    /// Returns the ARN of a resource of a service, such as `db:orders` of `rds`.
    pub(crate) fn arn(self, service: &str, resource: impl fmt::Display) -> String {
        let ArnScope { region, account } = self;
        format!("arn:aws:{service}:{region}:{account}:{resource}")
    }
}

impl Region {
    /// Returns the scope of the region's ARNs.
    pub(crate) fn scope(&self) -> ArnScope<'_> {
        ArnScope { region: &self.name, account: self.account }
    }
}

impl Cloud {
    /// Returns the scope of a region's ARNs.
    pub(crate) fn scope<'a>(&self, region: &'a str) -> ArnScope<'a> {
        ArnScope { region, account: self.account }
    }

    /// Sets the account of a cloud without resources, and of its parts.
    pub(crate) fn set_account(&mut self, account: Account) {
        self.account = account;
        self.iam.account = account;
        self.regions.values_mut().for_each(|region| region.account = account);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn an_account_has_exactly_twelve_digits() {
        let account: Account = "123456789012".parse().unwrap();
        assert_eq!(format!("{account} {account:0>14}"), "123456789012 00123456789012");
        for text in ["", "12345678901", "1234567890123", "12345678901a", "١٢٣٤٥٦"] {
            assert_eq!(text.parse::<Account>(), Err(InvalidAccount), "{text}");
        }
        assert_eq!(serde_json::to_string(&account).unwrap(), "\"123456789012\"");
        assert_eq!(serde_json::from_str::<Account>("\"123456789012\"").unwrap(), account);
        assert!(serde_json::from_str::<Account>("\"1\"").unwrap_err().to_string().contains("exactly 12 digits"));
    }
}
