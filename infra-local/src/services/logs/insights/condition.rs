//! Conditions of the command `filter`.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use regex_lite::Regex;

use super::lexer::Token;
use super::parser::Parser;

/// A record: the values of its fields.
pub(super) type Record = BTreeMap<String, String>;

/// A condition on a record.
#[derive(Debug)]
pub(super) enum Condition {
    All(Vec<Condition>),
    Any(Vec<Condition>),
    Not(Box<Condition>),
    Compare(Operand, &'static str, Operand),
    Contains(Operand, String),
    Matches(Operand, Regex),
    In(Operand, Vec<Operand>),
    Present(String),
}

/// A field or a constant.
#[derive(Debug, Clone)]
pub(super) enum Operand {
    Field(String),
    Constant(String),
}

impl Operand {
    pub(super) fn parse(parser: &mut Parser) -> Result<Operand, String> {
        match parser.next() {
            Some(Token::Word(name)) => Ok(Operand::Field(name)),
            Some(Token::Text(text)) => Ok(Operand::Constant(text)),
            Some(Token::Number(number)) => Ok(Operand::Constant(number.to_string())),
            other => Err(format!("expected a field or a value instead of {}", Parser::shown(other.as_ref()))),
        }
    }

    fn value<'a>(&'a self, record: &'a Record) -> Option<&'a str> {
        match self {
            Operand::Field(name) => record.get(name).map(String::as_str),
            Operand::Constant(text) => Some(text),
        }
    }
}

impl Condition {
    /// Parses `A or B and C`: `and` binds more tightly.
    pub(super) fn parse(parser: &mut Parser) -> Result<Condition, String> {
        let mut any = vec![Condition::conjunction(parser)?];
        while parser.takes_word("or") {
            any.push(Condition::conjunction(parser)?);
        }
        Ok(if any.len() == 1 { any.remove(0) } else { Condition::Any(any) })
    }

    fn conjunction(parser: &mut Parser) -> Result<Condition, String> {
        let mut all = vec![Condition::single(parser)?];
        while parser.takes_word("and") {
            all.push(Condition::single(parser)?);
        }
        Ok(if all.len() == 1 { all.remove(0) } else { Condition::All(all) })
    }

    fn single(parser: &mut Parser) -> Result<Condition, String> {
        if parser.takes_word("not") {
            return Ok(Condition::Not(Box::new(Condition::single(parser)?)));
        }
        if parser.takes("(") {
            let inner = Condition::parse(parser)?;
            parser.expect(")")?;
            return Ok(inner);
        }
        let left = Operand::parse(parser)?;
        if let Operand::Field(name) = &left
            && name.eq_ignore_ascii_case("ispresent")
        {
            parser.expect("(")?;
            let field = parser.word("a field")?;
            parser.expect(")")?;
            return Ok(Condition::Present(field));
        }
        let negated = parser.takes_word("not");
        let found = Condition::comparison(left, parser)?;
        Ok(if negated { Condition::Not(Box::new(found)) } else { found })
    }

    fn comparison(left: Operand, parser: &mut Parser) -> Result<Condition, String> {
        if parser.takes_word("like") {
            return Condition::pattern(left, parser);
        }
        if parser.takes_word("in") {
            parser.expect("[")?;
            let mut values = vec![Operand::parse(parser)?];
            while parser.takes(",") {
                values.push(Operand::parse(parser)?);
            }
            parser.expect("]")?;
            return Ok(Condition::In(left, values));
        }
        match parser.next() {
            Some(Token::Mark("=")) if parser.takes("~") => Condition::pattern(left, parser),
            Some(Token::Mark(operator @ ("=" | "!=" | "<" | "<=" | ">" | ">="))) => {
                Ok(Condition::Compare(left, operator, Operand::parse(parser)?))
            }
            other => Err(format!("expected a comparison instead of {}", Parser::shown(other.as_ref()))),
        }
    }

    fn pattern(left: Operand, parser: &mut Parser) -> Result<Condition, String> {
        match parser.next() {
            Some(Token::Text(text)) => Ok(Condition::Contains(left, text)),
            Some(Token::Pattern(text)) => {
                let pattern =
                    Regex::new(&text).map_err(|error| format!("invalid regular expression {text}: {error}"))?;
                Ok(Condition::Matches(left, pattern))
            }
            other => Err(format!("expected a text or a pattern instead of {}", Parser::shown(other.as_ref()))),
        }
    }

    /// Returns whether a record fulfils the condition. A field that it does not have equals nothing.
    pub(super) fn holds(&self, record: &Record) -> bool {
        match self {
            Condition::All(all) => all.iter().all(|condition| condition.holds(record)),
            Condition::Any(any) => any.iter().any(|condition| condition.holds(record)),
            Condition::Not(inner) => !inner.holds(record),
            Condition::Compare(left, operator, right) => {
                let (left, right) = (left.value(record), right.value(record));
                let (Some(left), Some(right)) = (left, right) else { return *operator == "!=" && left != right };
                let order = compare(left, right);
                match *operator {
                    "=" => order.is_eq(),
                    "!=" => order.is_ne(),
                    "<" => order.is_lt(),
                    "<=" => order.is_le(),
                    ">" => order.is_gt(),
                    _ => order.is_ge(),
                }
            }
            Condition::Contains(left, text) => left.value(record).is_some_and(|value| value.contains(text.as_str())),
            Condition::Matches(left, pattern) => left.value(record).is_some_and(|value| pattern.is_match(value)),
            Condition::In(left, values) => left.value(record).is_some_and(|value| {
                values.iter().filter_map(|other| other.value(record)).any(|other| compare(value, other).is_eq())
            }),
            Condition::Present(field) => record.contains_key(field),
        }
    }
}

/// Compares two values as numbers if both are numbers, and else as texts.
pub(super) fn compare(left: &str, right: &str) -> Ordering {
    match (left.parse::<f64>(), right.parse::<f64>()) {
        (Ok(left), Ok(right)) => left.total_cmp(&right),
        _ => left.cmp(right),
    }
}
