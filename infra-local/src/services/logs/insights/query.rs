//! Parsing of queries.

use super::condition::Condition;
use super::lexer::Token;
use super::parser::Parser;

/// A query: its commands in their order.
#[derive(Debug)]
pub(super) struct Query {
    pub(super) commands: Vec<Command>,
}

#[derive(Debug)]
pub(super) enum Command {
    /// `fields` and `display`.
    Fields(Vec<String>),
    Filter(Condition),
    Stats(Stats),
    /// Fields, and whether their order is descending.
    Sort(Vec<(String, bool)>),
    Limit(usize),
}

/// Aggregations of groups of records.
#[derive(Debug)]
pub(super) struct Stats {
    pub(super) aggregations: Vec<Aggregation>,
    pub(super) by: Vec<Group>,
}

#[derive(Debug)]
pub(super) struct Aggregation {
    /// `count`, `count_distinct`, `sum`, `avg`, `min` or `max`.
    pub(super) function: String,
    /// Field whose values are aggregated; `None` for `*`.
    pub(super) field: Option<String>,
    /// Name in the results.
    pub(super) name: String,
}

/// A key by which records are grouped.
#[derive(Debug)]
pub(super) enum Group {
    Field(String),
    /// Periods of this many milliseconds, with the name in the results.
    Bin(i64, String),
}

const FUNCTIONS: [&str; 6] = ["count", "count_distinct", "sum", "avg", "min", "max"];

impl Query {
    pub(super) fn parse(text: &str) -> Result<Query, String> {
        let mut parser = Parser::of(text)?;
        let mut commands = Vec::new();
        // A query may begin with a pipe.
        parser.takes("|");
        loop {
            commands.push(Command::parse(&mut parser)?);
            if parser.peek().is_none() {
                return Ok(Query { commands });
            }
            parser.expect("|")?;
        }
    }
}

impl Command {
    fn parse(parser: &mut Parser) -> Result<Command, String> {
        let name = parser.word("a command")?.to_lowercase();
        match name.as_str() {
            "fields" | "display" => Ok(Command::Fields(parser.list(|parser| parser.word("a field"))?)),
            "filter" => Ok(Command::Filter(Condition::parse(parser)?)),
            "stats" => Stats::parse(parser).map(Command::Stats),
            "sort" => Ok(Command::Sort(parser.list(|parser| {
                let field = parser.word("a field")?;
                let is_descending = parser.takes_word("desc");
                if !is_descending {
                    parser.takes_word("asc");
                }
                Ok((field, is_descending))
            })?)),
            "limit" | "head" => match parser.next() {
                Some(Token::Number(number)) if number >= 1.0 && number.fract() == 0.0 => {
                    Ok(Command::Limit(number as usize))
                }
                other => Err(format!("expected a number of results instead of {}", Parser::shown(other.as_ref()))),
            },
            other => Err(format!(
                "The local cloud has the commands fields, display, filter, stats, sort and limit, not '{other}'"
            )),
        }
    }
}

impl Stats {
    fn parse(parser: &mut Parser) -> Result<Stats, String> {
        let aggregations = parser.list(Aggregation::parse)?;
        let by = if parser.takes_word("by") { parser.list(Group::parse)? } else { Vec::new() };
        Ok(Stats { aggregations, by })
    }
}

impl Aggregation {
    fn parse(parser: &mut Parser) -> Result<Aggregation, String> {
        let function = parser.word("a function")?.to_lowercase();
        if !FUNCTIONS.contains(&function.as_str()) {
            let known = FUNCTIONS.join(", ");
            return Err(format!("The local cloud has the statistics {known}, not '{function}'"));
        }
        parser.expect("(")?;
        let field = if parser.takes("*") { None } else { Some(parser.word("a field")?) };
        parser.expect(")")?;
        if field.is_none() && function != "count" {
            return Err(format!("the function {function} needs a field"));
        }
        let plain = format!("{function}({})", field.as_deref().unwrap_or("*"));
        let name = if parser.takes_word("as") { parser.word("a name")? } else { plain };
        Ok(Aggregation { function, field, name })
    }
}

impl Group {
    fn parse(parser: &mut Parser) -> Result<Group, String> {
        let name = parser.word("a field")?;
        if name != "bin" || !parser.takes("(") {
            return Ok(Group::Field(name));
        }
        let period = parser.word("a period")?;
        parser.expect(")")?;
        let plain = format!("bin({period})");
        let milliseconds = milliseconds(&period).ok_or_else(|| format!("'{period}' is no period such as 5m"))?;
        let name = if parser.takes_word("as") { parser.word("a name")? } else { plain };
        Ok(Group::Bin(milliseconds, name))
    }
}

/// Returns the length of a period such as `30s`, `5m`, `1h` or `1d`.
fn milliseconds(period: &str) -> Option<i64> {
    let digits = period.find(|character: char| !character.is_ascii_digit())?;
    let (number, unit) = period.split_at(digits);
    let factor = match unit {
        "ms" => 1,
        "s" | "sec" => 1000,
        "m" | "min" => 60_000,
        "h" | "hr" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    number.parse::<i64>().ok().and_then(|number| number.checked_mul(factor)).filter(|period| *period > 0)
}
