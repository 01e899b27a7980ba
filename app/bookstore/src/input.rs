//! Parsing and validation of sent values, shared by forms and the API.

use std::{collections::BTreeMap, fmt};

use kit::form::Fields;
use serde_json::{Number, Value};

use crate::{
    entity::{
        book::{AUTHOR_CHARACTERS, DESCRIPTION_CHARACTERS, TITLE_CHARACTERS},
        payment::METHOD_CHARACTERS,
        purchase::TOKEN_CHARACTERS,
    },
    money::Money,
};

/// Maximum stock of a book.
pub const MAX_STOCK: i32 = 1_000_000;

/// Names of values that may be numbers in JSON.
const NUMBERS: [&str; 7] = ["price", "stock", "quantity", "book_id", "purchase_id", "provider_id", "provider"];

/// Values by name, from a form or a JSON object. A number of JSON is its text.
#[derive(Clone, Default)]
pub struct Given(BTreeMap<String, String>);

impl Given {
    /// Returns the first value of each field of a form.
    pub fn form(fields: &Fields, names: &[&str]) -> Self {
        let present = names.iter().filter(|name| fields.all(name).next().is_some());
        Self(present.map(|name| ((*name).to_owned(), fields.text(name).to_owned())).collect())
    }

    /// Returns values that are not sent by a client.
    pub(crate) fn pairs<const N: usize>(pairs: [(&str, &str); N]) -> Self {
        Self(pairs.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }

    /// Parses a JSON object, and returns its values with these names. `null` is a missing value.
    ///
    /// # Errors
    /// [`Faults`] if the body is not a JSON object, or a value has another type.
    pub fn json(body: &[u8], names: &[&str]) -> Result<Self, Faults> {
        let Ok(Value::Object(mut object)) = serde_json::from_slice(body) else {
            return Err(Faults::one("body", "Send a JSON object."));
        };
        let (mut values, mut faults) = (BTreeMap::new(), Faults::default());
        for name in names {
            match object.remove(*name) {
                None | Some(Value::Null) => {}
                Some(Value::String(text)) => drop(values.insert((*name).to_owned(), text)),
                Some(Value::Number(number)) if NUMBERS.contains(name) => {
                    values.insert((*name).to_owned(), text_of(&number));
                }
                Some(_) if NUMBERS.contains(name) => faults.add(name, "Send a number or its text."),
                Some(_) => faults.add(name, "Send a text."),
            }
        }
        faults.or(Self(values))
    }

    /// Returns a value, or `""` if it is missing.
    pub fn text(&self, name: &str) -> &str {
        self.get(name).unwrap_or_default()
    }

    /// Returns a value.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Returns a value that may have one of several names.
    pub fn any(&self, names: &[&str]) -> Option<&str> {
        names.iter().find_map(|name| self.get(name))
    }
}

/// Returns the text of a number. In JSON, `2.0` is an integer as well.
fn text_of(number: &Number) -> String {
    let text = number.to_string();
    text.strip_suffix(".0").map(str::to_owned).unwrap_or(text)
}

/// Faults of sent values, by the name of the value.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Faults(Vec<(String, String)>);

impl Faults {
    /// Returns a single fault.
    pub fn one(name: &str, message: &str) -> Self {
        Self(vec![(name.to_owned(), message.to_owned())])
    }

    /// Adds a fault.
    pub fn add(&mut self, name: &str, message: impl Into<String>) {
        self.0.push((name.to_owned(), message.into()));
    }

    /// Returns the faults of a value.
    pub fn of(&self, name: &str) -> Vec<&str> {
        self.0.iter().filter(|(faulty, _)| faulty == name).map(|(_, message)| message.as_str()).collect()
    }

    /// Returns the value if there are no faults.
    ///
    /// # Errors
    /// These faults.
    pub fn or<T>(self, value: T) -> Result<T, Self> {
        if self.0.is_empty() { Ok(value) } else { Err(self) }
    }

    /// Returns the result of a check, or its default after its fault is added.
    fn collect<T: Default>(&mut self, name: &str, checked: Result<T, String>) -> T {
        checked.unwrap_or_else(|message| {
            self.add(name, message);
            T::default()
        })
    }
}

/// Formats as `title: This value is required. price: …`.
impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (name, message)) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { " " };
            write!(f, "{separator}{name}: {message}")?;
        }
        Ok(())
    }
}

/// Valid values of a new book.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewBook {
    /// Title.
    pub title: String,
    /// Author.
    pub author: String,
    /// Description.
    pub description: String,
    /// Price of one copy.
    pub price: Money,
    /// Number of copies for sale.
    pub stock: i32,
}

/// Valid changes of a book. A missing value is not changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BookChange {
    /// Title.
    pub title: Option<String>,
    /// Author.
    pub author: Option<String>,
    /// Description.
    pub description: Option<String>,
    /// Price of one copy.
    pub price: Option<Money>,
    /// Number of copies for sale.
    pub stock: Option<i32>,
}

impl NewBook {
    /// Checks the values. Only the description may be missing.
    ///
    /// # Errors
    /// [`Faults`] with every fault.
    pub fn from(given: &Given) -> Result<Self, Faults> {
        let mut faults = Faults::default();
        for name in ["title", "author", "price", "stock"] {
            if given.get(name).is_none() {
                faults.add(name, REQUIRED);
            }
        }
        let change = BookChange::from(given).map_err(|mut others| {
            faults.0.append(&mut others.0);
            std::mem::take(&mut faults)
        })?;
        let BookChange {
            title: Some(title),
            author: Some(author),
            description,
            price: Some(price),
            stock: Some(stock),
        } = change
        else {
            return Err(faults);
        };
        Ok(Self { title, author, description: description.unwrap_or_default(), price, stock })
    }
}

impl BookChange {
    /// Checks the values that are present.
    ///
    /// # Errors
    /// [`Faults`] with every fault.
    pub fn from(given: &Given) -> Result<Self, Faults> {
        let mut faults = Faults::default();
        let mut text = |name: &str, longest: usize, may_be_empty: bool| {
            let value = given.get(name)?;
            let checked = if may_be_empty { text_up_to(value, longest) } else { required_text(value, longest) };
            Some(faults.collect(name, checked))
        };
        let title = text("title", TITLE_CHARACTERS, false);
        let author = text("author", AUTHOR_CHARACTERS, false);
        let description = text("description", DESCRIPTION_CHARACTERS, true);
        let price = given.get("price").and_then(|value| match price(value) {
            Ok(price) => Some(price),
            Err(message) => {
                faults.add("price", message);
                None
            }
        });
        let stock = given.get("stock").map(|value| faults.collect("stock", stock(value)));
        // A stock that was not changed in the form must not revert the purchases since the form was shown.
        let stock = stock.filter(|stock| given.get("shown_stock").is_none_or(|shown| shown != stock.to_string()));
        faults.or(Self { title, author, description, price, stock })
    }
}

/// Message for a missing or empty value.
pub const REQUIRED: &str = "This value is required.";

/// Checks a quantity.
///
/// # Errors
/// [`Faults`] if it is not a positive integer.
pub fn quantity(given: &Given) -> Result<i32, Faults> {
    let text = given.text("quantity").trim();
    let quantity = digits(text).filter(|quantity| *quantity > 0);
    quantity.ok_or_else(|| Faults::one("quantity", "Enter a whole number of at least 1."))
}

/// Checks the ID of a row, which may have one of several names.
///
/// # Errors
/// [`Faults`] if it is missing, or not a positive integer.
pub fn id(given: &Given, names: &[&str]) -> Result<i64, Faults> {
    let text = given.any(names).unwrap_or_default().trim();
    parse_id(text).ok_or_else(|| Faults::one(names[0], "Send the ID, a whole number of at least 1."))
}

/// Parses the ID of a row. A text that is not a number is the ID of no row.
pub fn parse_id(text: &str) -> Option<i64> {
    let all_digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|id| all_digits && *id > 0)
}

/// Checks the payment method.
///
/// # Errors
/// [`Faults`] if it is empty or too long.
pub fn payment_method(given: &Given) -> Result<String, Faults> {
    let method = given.any(&["method", "payment_method"]).unwrap_or_default();
    required_text(method, METHOD_CHARACTERS).map_err(|message| Faults::one("method", &message))
}

/// Checks the token of a purchase, if there is one.
///
/// # Errors
/// [`Faults`] if it is too long, or contains other characters than letters, digits, `-` and `_`.
pub fn token(given: &Given) -> Result<Option<String>, Faults> {
    let Some(token) = given.get("token") else {
        return Ok(None);
    };
    let plain = token.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    if plain && (1..=TOKEN_CHARACTERS).contains(&token.len()) {
        Ok(Some(token.to_owned()))
    } else {
        let message = format!("Send at most {TOKEN_CHARACTERS} letters, digits, hyphens and underscores.");
        Err(Faults::one("token", &message))
    }
}

/// Checks a text that must not be empty. Spaces around it are removed.
pub(crate) fn required_text(text: &str, longest: usize) -> Result<String, String> {
    let text = text_up_to(text, longest)?;
    if text.is_empty() { Err(REQUIRED.to_owned()) } else { Ok(text) }
}

fn text_up_to(text: &str, longest: usize) -> Result<String, String> {
    let text = text.trim();
    // PostgreSQL refuses null characters.
    if text.contains('\0') {
        return Err("Remove the null character.".to_owned());
    }
    if text.chars().count() > longest {
        return Err(format!("Use at most {longest} characters."));
    }
    Ok(text.to_owned())
}

fn price(text: &str) -> Result<Money, String> {
    let price = text.trim().parse().ok().filter(|price| *price <= Money::MAX_PRICE);
    price.ok_or_else(|| format!("Enter an amount between 0 and {}, such as 12.50.", Money::MAX_PRICE))
}

fn stock(text: &str) -> Result<i32, String> {
    let stock = digits(text.trim()).filter(|stock| *stock <= MAX_STOCK);
    stock.ok_or_else(|| format!("Enter a whole number between 0 and {MAX_STOCK}."))
}

fn digits(text: &str) -> Option<i32> {
    text.parse().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const NAMES: [&str; 5] = ["title", "author", "description", "price", "stock"];

    fn book(json: &str) -> Result<NewBook, String> {
        let given = Given::json(json.as_bytes(), &NAMES).map_err(|faults| faults.to_string())?;
        NewBook::from(&given).map_err(|faults| faults.to_string())
    }

    #[test]
    fn a_book_is_checked() {
        let fine = book(r#"{"title":" Rayuela ","author":"Cortázar","price":12.5,"stock":"3"}"#).unwrap();
        assert_eq!((fine.title.as_str(), fine.price.to_string().as_str(), fine.stock), ("Rayuela", "12.50", 3));
        assert_eq!(fine.description, "");
        let price = "price: Enter an amount between 0 and 99999999.99, such as 12.50.";
        let stock = "stock: Enter a whole number between 0 and 1000000.";
        for (wrong, expected) in [
            ("[]", "body: Send a JSON object.".to_owned()),
            (r#"{"title":["x"],"author":1}"#, "title: Send a text. author: Send a text.".to_owned()),
            (
                r#"{"price":["1"],"stock":true}"#,
                ["price", "stock"].map(|name| format!("{name}: Send a number or its text.")).join(" "),
            ),
            (
                r#"{"title":null,"author":"a","price":1,"stock":1,"other":[]}"#,
                "title: This value is required.".to_owned(),
            ),
            (
                "{}",
                ["title", "author", "price", "stock"].map(|name| format!("{name}: This value is required.")).join(" "),
            ),
            (
                r#"{"title":" ","author":"a","price":"-1","stock":1.5}"#,
                format!("title: This value is required. {price} {stock}"),
            ),
            (r#"{"title":"t","author":"a","price":"100000000","stock":1}"#, price.to_owned()),
            (r#"{"title":"t","author":"a","price":1,"stock":-1}"#, stock.to_owned()),
            (r#"{"title":"t","author":"a","price":1,"stock":"+1"}"#, stock.to_owned()),
            (
                r#"{"title":"a\u0000b","author":"a","price":1,"stock":1}"#,
                "title: Remove the null character.".to_owned(),
            ),
        ] {
            assert_eq!(book(wrong).unwrap_err(), expected, "{wrong}");
        }
        let long = format!(r#"{{"title":"{}","author":"{}","price":1,"stock":1}}"#, "é".repeat(151), "é".repeat(101));
        assert_eq!(book(&long).unwrap_err(), "title: Use at most 150 characters. author: Use at most 100 characters.");
    }

    #[test]
    fn an_unchanged_stock_is_not_written() {
        let change = |stock: &str, shown: &str| {
            let form = Fields::parse(format!("stock={stock}&shown_stock={shown}").as_bytes()).unwrap();
            BookChange::from(&Given::form(&form, &["stock", "shown_stock"])).unwrap().stock
        };
        assert_eq!(change("5", "5"), None);
        assert_eq!(change("6", "5"), Some(6));
        assert_eq!(BookChange::from(&Given::json(br#"{"stock":5}"#, &NAMES).unwrap()).unwrap().stock, Some(5));
    }

    #[test]
    fn quantities_are_positive() {
        let parse = |value: &str| {
            let json = format!(r#"{{"quantity":{value}}}"#);
            quantity(&Given::json(json.as_bytes(), &["quantity"]).unwrap())
        };
        assert_eq!(parse("1"), Ok(1));
        assert_eq!(parse(r#"" 20 ""#), Ok(20));
        assert_eq!(parse("2.0"), Ok(2));
        for wrong in ["0", "-1", "1.5", r#""""#, r#""one""#, r#""2.0""#, "99999999999", "null", "1e30"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn ids_are_positive_numbers() {
        assert_eq!(parse_id("7"), Some(7));
        for wrong in ["", "0", "-1", "+1", "1x", "99999999999999999999", "١"] {
            assert_eq!(parse_id(wrong), None, "{wrong}");
        }
    }
}
