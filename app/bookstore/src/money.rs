//! Amounts of money.
//!
//! An amount is an exact number of cents. The database stores `NUMERIC(12, 2)`, and statements convert it from and to text
//! (`select_as`, `save_as`). `rust_decimal` is not used: it needs a feature of sea-orm that would compile sea-orm and sqlx a
//! second time for this service, and SQLite has no decimal type to read it from. SQLite stores floating-point numbers,
//! which are exact to the cent for amounts of this size.

use std::{fmt, str::FromStr};

use sea_orm::DeriveValueType;
use serde::{Serialize, Serializer};

/// An amount between 0 and 9,999,999,999.99, in cents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, DeriveValueType)]
#[sea_orm(value_type = "String", column_type = "Decimal(Some((12, 2)))")]
pub struct Money(i64);

impl Money {
    /// Maximum price of a book.
    pub const MAX_PRICE: Self = Self(9_999_999_999);
    /// Maximum amount that the database can store.
    pub const MAX: Self = Self(999_999_999_999);

    /// Returns the price of several pieces, unless it exceeds [`Self::MAX`].
    pub fn times(self, quantity: i32) -> Option<Self> {
        let total = self.0.checked_mul(quantity.into()).map(Self)?;
        (Self(0)..=Self::MAX).contains(&total).then_some(total)
    }
}

/// Formats with two decimals: `12.50`.
impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:02}", self.0 / 100, self.0 % 100)
    }
}

/// Error for a text that is not an amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an amount such as 12.50")]
pub struct NotMoney;

/// Parses digits with at most two decimals: `12`, `12.5`, `12.50`.
impl FromStr for Money {
    type Err = NotMoney;

    fn from_str(text: &str) -> Result<Self, NotMoney> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
        let is_number = |digits: &str, longest: usize| {
            (1..=longest).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit())
        };
        if !is_number(whole, 10) || !is_number(fraction, 2) {
            return Err(NotMoney);
        }
        let cents = format!("{whole}{fraction:0<2}").parse().map_err(|_| NotMoney)?;
        Ok(Self(cents))
    }
}

/// Serialises as text, since a JSON number is not decimal for most clients.
impl Serialize for Money {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_parsed_and_formatted() {
        for (text, formatted) in [
            ("0", "0.00"),
            ("12", "12.00"),
            ("12.5", "12.50"),
            ("12.05", "12.05"),
            ("007", "7.00"),
            ("9999999999.99", "9999999999.99"),
        ] {
            assert_eq!(text.parse().map(|money: Money| money.to_string()).as_deref(), Ok(formatted), "{text}");
        }
    }

    #[test]
    fn other_texts_are_refused() {
        for wrong in
            ["", ".", "1.", ".5", "-1", "+1", "1.234", "1,5", "1e3", "NaN", " 1", "10000000000", "1.5.5", "١", "0x1"]
        {
            assert_eq!(wrong.parse::<Money>(), Err(NotMoney), "{wrong}");
        }
    }

    #[test]
    fn totals_are_exact_and_limited() {
        let price: Money = "0.10".parse().unwrap_or(Money::MAX);
        assert_eq!(price.times(3).map(|total| total.to_string()).as_deref(), Some("0.30"));
        assert_eq!(Money::MAX_PRICE.times(100).map(|total| total.to_string()).as_deref(), Some("9999999999.00"));
        assert_eq!(Money::MAX_PRICE.times(101), None);
        assert_eq!(Money::MAX_PRICE.times(i32::MAX), None);
        assert_eq!(price.times(-1), None);
    }
}
