//! Composite alarms: their rules, and the states that these call for.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::alarm::AlarmState;
use crate::model::Tags;

/// An alarm on the states of other alarms.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct CompositeAlarm {
    pub(crate) name: String,
    pub(crate) arn: String,
    pub(crate) description: Option<String>,
    pub(crate) actions_enabled: bool,
    /// ARNs of the actions, by the state that triggers them.
    pub(crate) actions: BTreeMap<AlarmState, Vec<String>>,
    /// The rule as it was given.
    pub(crate) rule: String,
    pub(crate) tags: Tags,
    pub(crate) state: AlarmState,
    pub(crate) reason: String,
    pub(crate) reason_data: Option<String>,
    /// Time of the last change of its settings.
    pub(crate) configured: DateTime<Utc>,
    /// Time at which its state was last set.
    pub(crate) state_updated: DateTime<Utc>,
    /// Time of the last change of its state.
    pub(crate) transitioned: DateTime<Utc>,
}

/// A rule, by the grammar of
/// [PutCompositeAlarm](https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutCompositeAlarm.html).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Rule {
    Constant(bool),
    /// The alarm with a name or ARN is in a state.
    State(AlarmState, String),
    Not(Box<Rule>),
    And(Box<Rule>, Box<Rule>),
    Or(Box<Rule>, Box<Rule>),
}

/// A part of the text of a rule.
#[derive(Debug, PartialEq)]
enum Token {
    Open,
    Close,
    Word(String),
    Name(String),
}

/// Maximum depth of parentheses and negations.
const DEPTH: usize = 100;

impl Rule {
    /// Parses a rule, or returns the problem.
    pub(crate) fn parse(text: &str) -> Result<Rule, String> {
        let tokens = tokens(text)?;
        let mut parser = Parser { tokens: &tokens, depth: 0 };
        let rule = parser.either()?;
        match parser.tokens.first() {
            None => Ok(rule),
            Some(token) => Err(format!("{token:?} is not expected there")),
        }
    }

    /// Returns the names or ARNs of the alarms in the rule.
    pub(crate) fn alarms(&self) -> Vec<&str> {
        match self {
            Rule::Constant(_) => Vec::new(),
            Rule::State(_, alarm) => vec![alarm],
            Rule::Not(inner) => inner.alarms(),
            Rule::And(one, other) | Rule::Or(one, other) => [one.alarms(), other.alarms()].concat(),
        }
    }

    /// Returns whether the rule holds. `state` returns the states of the alarms.
    pub(crate) fn holds(&self, state: &impl Fn(&str) -> Option<AlarmState>) -> bool {
        match self {
            Rule::Constant(value) => *value,
            Rule::State(wanted, alarm) => state(alarm) == Some(*wanted),
            Rule::Not(inner) => !inner.holds(state),
            Rule::And(one, other) => one.holds(state) && other.holds(state),
            Rule::Or(one, other) => one.holds(state) || other.holds(state),
        }
    }
}

struct Parser<'a> {
    tokens: &'a [Token],
    depth: usize,
}

impl Parser<'_> {
    fn either(&mut self) -> Result<Rule, String> {
        let mut rule = self.both()?;
        while self.takes("OR") {
            rule = Rule::Or(Box::new(rule), Box::new(self.both()?));
        }
        Ok(rule)
    }

    fn both(&mut self) -> Result<Rule, String> {
        let mut rule = self.single()?;
        while self.takes("AND") {
            rule = Rule::And(Box::new(rule), Box::new(self.single()?));
        }
        Ok(rule)
    }

    fn single(&mut self) -> Result<Rule, String> {
        self.depth += 1;
        if self.depth > DEPTH {
            return Err(format!("it has more than {DEPTH} levels"));
        }
        let rule = self.unnested();
        self.depth -= 1;
        rule
    }

    fn unnested(&mut self) -> Result<Rule, String> {
        if self.takes("NOT") {
            return Ok(Rule::Not(Box::new(self.single()?)));
        }
        match self.tokens {
            [Token::Open, rest @ ..] => {
                self.tokens = rest;
                let rule = self.either()?;
                self.expect_close()?;
                Ok(rule)
            }
            [Token::Word(word), Token::Open, Token::Name(alarm) | Token::Word(alarm), Token::Close, rest @ ..] => {
                let state = match word.to_ascii_uppercase().as_str() {
                    "ALARM" => AlarmState::Alarm,
                    "OK" => AlarmState::Ok,
                    "INSUFFICIENT_DATA" => AlarmState::InsufficientData,
                    _ => return Err(format!("{word} is not a function")),
                };
                self.tokens = rest;
                Ok(Rule::State(state, alarm.clone()))
            }
            [Token::Word(word), rest @ ..] if ["TRUE", "FALSE"].contains(&word.to_ascii_uppercase().as_str()) => {
                self.tokens = rest;
                Ok(Rule::Constant(word.eq_ignore_ascii_case("TRUE")))
            }
            [Token::Word(word) | Token::Name(word), ..] => Err(format!("{word} is not expected there")),
            _ => Err("it is incomplete".to_owned()),
        }
    }

    fn takes(&mut self, word: &str) -> bool {
        match self.tokens {
            [Token::Word(next), rest @ ..] if next.eq_ignore_ascii_case(word) => {
                self.tokens = rest;
                true
            }
            _ => false,
        }
    }

    fn expect_close(&mut self) -> Result<(), String> {
        match self.tokens {
            [Token::Close, rest @ ..] => {
                self.tokens = rest;
                Ok(())
            }
            _ => Err("a parenthesis is open".to_owned()),
        }
    }
}

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let (token, after) = match first {
            '(' => (Token::Open, &rest[1..]),
            ')' => (Token::Close, &rest[1..]),
            '"' | '\'' => {
                let (name, after) = rest[1..].split_once(first).ok_or("a quotation mark is open")?;
                (Token::Name(name.to_owned()), after)
            }
            _ => {
                let end = rest.find(|one: char| one.is_whitespace() || "()".contains(one)).unwrap_or(rest.len());
                (Token::Word(rest[..end].to_owned()), &rest[end..])
            }
        };
        tokens.push(token);
        rest = after.trim_start();
    }
    Ok(tokens)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn rules_combine_the_states_of_alarms() {
        let state = |name: &str| match name {
            "a" => Some(AlarmState::Alarm),
            "b" => Some(AlarmState::Ok),
            _ => None,
        };
        for (rule, holds) in [
            ("ALARM(a)", true),
            ("ALARM(\"a\") AND OK('b')", true),
            ("ALARM(b) OR ALARM(a) AND OK(b)", true),
            ("(ALARM(b) OR ALARM(a)) AND NOT OK(b)", false),
            ("NOT (ALARM(b) OR INSUFFICIENT_DATA(c))", true),
            ("TRUE AND FALSE", false),
        ] {
            assert_eq!(Rule::parse(rule).unwrap().holds(&state), holds, "{rule}");
        }
        assert_eq!(Rule::parse("ALARM(a) OR NOT OK(b)").unwrap().alarms(), ["a", "b"]);
        for wrong in ["", "ALARM", "ALARM(a", "ALARM(a) OK(b)", "NEVER(a)", "ALARM(\"a)", "AND", &"(".repeat(300)] {
            assert!(Rule::parse(wrong).is_err(), "{wrong}");
        }
    }
}
