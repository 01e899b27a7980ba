//! Metric math: expressions on the series of other queries.
//!
//! The functions are a part of those in
//! [Using math expressions](https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html); others
//! are refused by name.

use std::collections::{BTreeMap, BTreeSet};

/// Values by the start of their period, in milliseconds since 1970.
pub(super) type Series = BTreeMap<i64, f64>;

/// A parsed expression.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Expression {
    Number(f64),
    Id(String),
    Call(String, Vec<Expression>),
    Negative(Box<Expression>),
    Binary(&'static str, Box<Expression>, Box<Expression>),
}

/// A result.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Scalar(f64),
    Series(Series),
    /// Several series, from `METRICS()`.
    Array(Vec<Series>),
}

/// Operators by their precedence, the loosest first.
const OPERATORS: [&[&str]; 5] = [&["||"], &["&&"], &["==", "!=", "<=", ">=", "<", ">"], &["+", "-"], &["*", "/", "%"]];

/// A function of a value, with its name.
type OfValue = (&'static str, fn(f64) -> f64);

/// A function of several values, with its name.
type Reduction = (&'static str, fn(&[f64]) -> f64);

/// Functions of one series or number, applied to each value.
const OF_VALUES: &[OfValue] =
    &[("ABS", f64::abs), ("CEIL", f64::ceil), ("FLOOR", f64::floor), ("LOG", f64::ln), ("LOG10", f64::log10)];

/// Functions that reduce values to one.
const REDUCTIONS: &[Reduction] = &[
    ("SUM", |values| values.iter().sum()),
    ("AVG", |values| values.iter().sum::<f64>() / values.len() as f64),
    ("MIN", |values| values.iter().copied().fold(f64::INFINITY, f64::min)),
    ("MAX", |values| values.iter().copied().fold(f64::NEG_INFINITY, f64::max)),
];

/// Functions of one series that depend on neighbouring values.
const OF_SERIES: &[&str] = &["DIFF", "RATE", "RUNNING_SUM"];

/// Maximum depth of parentheses and functions.
const DEPTH: usize = 50;

impl Expression {
    /// Parses an expression, or returns the problem.
    pub(super) fn parse(text: &str) -> Result<Expression, String> {
        let mut parser = Parser { rest: text.trim(), depth: 0 };
        let parsed = parser.binary(0)?;
        if parser.rest.is_empty() { Ok(parsed) } else { Err(format!("'{}' is not expected there", parser.rest)) }
    }

    /// Returns the ids of the queries in the expression.
    pub(super) fn ids(&self) -> BTreeSet<&str> {
        match self {
            Expression::Number(_) => BTreeSet::new(),
            Expression::Id(id) => [id.as_str()].into(),
            Expression::Call(_, arguments) => arguments.iter().flat_map(Expression::ids).collect(),
            Expression::Negative(inner) => inner.ids(),
            Expression::Binary(_, one, other) => one.ids().into_iter().chain(other.ids()).collect(),
        }
    }

    /// Evaluates the expression with the series of queries. `metrics` are those of `METRICS()`.
    pub(super) fn evaluate(&self, known: &BTreeMap<String, Series>, metrics: &[Series]) -> Result<Value, String> {
        match self {
            Expression::Number(number) => Ok(Value::Scalar(*number)),
            Expression::Id(id) => {
                known.get(id).cloned().map(Value::Series).ok_or_else(|| format!("there is no query with the id {id}"))
            }
            Expression::Negative(inner) => Ok(inner.evaluate(known, metrics)?.each(|value| -value)),
            Expression::Binary(operator, one, other) => {
                combine(operator, one.evaluate(known, metrics)?, other.evaluate(known, metrics)?)
            }
            Expression::Call(name, arguments) => {
                let arguments: Result<Vec<Value>, String> =
                    arguments.iter().map(|argument| argument.evaluate(known, metrics)).collect();
                call(name, arguments?, metrics)
            }
        }
    }
}

struct Parser<'a> {
    rest: &'a str,
    depth: usize,
}

impl Parser<'_> {
    fn binary(&mut self, level: usize) -> Result<Expression, String> {
        let Some(operators) = OPERATORS.get(level) else { return self.power() };
        let mut left = self.binary(level + 1)?;
        while let Some(operator) = operators.iter().find(|operator| self.rest.starts_with(**operator)) {
            self.skip(operator.len());
            let right = self.binary(level + 1)?;
            left = Expression::Binary(operator, Box::new(left), Box::new(right));
        }
        Ok(left)
    }

    fn power(&mut self) -> Result<Expression, String> {
        self.depth += 1;
        if self.depth > DEPTH {
            return Err(format!("it has more than {DEPTH} levels"));
        }
        let base = self.single()?;
        let powered =
            if self.takes('^') { Expression::Binary("^", Box::new(base), Box::new(self.power()?)) } else { base };
        self.depth -= 1;
        Ok(powered)
    }

    fn single(&mut self) -> Result<Expression, String> {
        if self.takes('-') {
            return Ok(Expression::Negative(Box::new(self.power()?)));
        }
        if self.takes('(') {
            let inner = self.binary(0)?;
            return if self.takes(')') { Ok(inner) } else { Err("a parenthesis is open".to_owned()) };
        }
        let is_part = |character: char| character.is_ascii_alphanumeric() || "._".contains(character);
        let end = self.rest.find(|character| !is_part(character)).unwrap_or(self.rest.len());
        let word = self.rest[..end].to_owned();
        self.skip(end);
        if let Ok(number) = word.parse() {
            return Ok(Expression::Number(number));
        }
        if word.is_empty() {
            return Err(format!("'{}' is not expected there", self.rest));
        }
        if !self.takes('(') {
            return Ok(Expression::Id(word));
        }
        let mut arguments = Vec::new();
        while !self.takes(')') {
            arguments.push(self.binary(0)?);
            if !self.takes(',') && !self.rest.starts_with(')') {
                return Err("a parenthesis is open".to_owned());
            }
        }
        Ok(Expression::Call(word.to_ascii_uppercase(), arguments))
    }

    fn takes(&mut self, character: char) -> bool {
        let takes = self.rest.starts_with(character);
        if takes {
            self.skip(1);
        }
        takes
    }

    fn skip(&mut self, bytes: usize) {
        self.rest = self.rest[bytes..].trim_start();
    }
}

impl Value {
    fn each(self, change: impl Fn(f64) -> f64) -> Value {
        let changed = |series: Series| series.into_iter().map(|(time, value)| (time, change(value))).collect();
        match self {
            Value::Scalar(number) => Value::Scalar(change(number)),
            Value::Series(series) => Value::Series(changed(series)),
            Value::Array(all) => Value::Array(all.into_iter().map(changed).collect()),
        }
    }
}

fn combine(operator: &str, one: Value, other: Value) -> Result<Value, String> {
    let truth = |value: bool| f64::from(u8::from(value));
    let compute = |one: f64, other: f64| match operator {
        "+" => one + other,
        "-" => one - other,
        "*" => one * other,
        "/" => one / other,
        "%" => one % other,
        "^" => one.powf(other),
        "<" => truth(one < other),
        ">" => truth(one > other),
        "<=" => truth(one <= other),
        ">=" => truth(one >= other),
        "==" => truth((one - other).abs() < f64::EPSILON),
        "!=" => truth((one - other).abs() >= f64::EPSILON),
        "&&" => truth(one != 0.0 && other != 0.0),
        _ => truth(one != 0.0 || other != 0.0),
    };
    // Values without a partner, and quotients without a number, are dropped.
    let pairs = |one: &Series, other: &Series| -> Series {
        let pairs = one.iter().filter_map(|(time, value)| Some((*time, compute(*value, *other.get(time)?))));
        pairs.filter(|(_, value)| value.is_finite()).collect()
    };
    Ok(match (one, other) {
        (Value::Scalar(one), Value::Scalar(other)) => Value::Scalar(compute(one, other)),
        (Value::Series(one), Value::Series(other)) => Value::Series(pairs(&one, &other)),
        (Value::Array(all), Value::Series(other)) => Value::Array(all.iter().map(|one| pairs(one, &other)).collect()),
        (Value::Series(one), Value::Array(all)) => Value::Array(all.iter().map(|other| pairs(&one, other)).collect()),
        (Value::Array(_), Value::Array(_)) => return Err(format!("'{operator}' does not combine two arrays")),
        (values, Value::Scalar(number)) => values.each(|value| compute(value, number)),
        (Value::Scalar(number), values) => values.each(|value| compute(number, value)),
    })
}

fn call(name: &str, arguments: Vec<Value>, metrics: &[Series]) -> Result<Value, String> {
    let mut arguments = arguments.into_iter();
    let given = [arguments.next(), arguments.next(), arguments.next()];
    match (name, given) {
        ("METRICS", [None, ..]) => Ok(Value::Array(metrics.to_vec())),
        ("FILL", [Some(Value::Series(series)), Some(Value::Scalar(filler)), None]) => {
            let times: BTreeSet<i64> = metrics.iter().flat_map(|other| other.keys().copied()).collect();
            Ok(Value::Series(times.into_iter().map(|time| (time, *series.get(&time).unwrap_or(&filler))).collect()))
        }
        ("IF", [Some(condition), Some(then), otherwise]) => Ok(choose(condition, &then, otherwise.as_ref())),
        (_, [Some(value), None, None]) => of_one(name, value),
        _ => Err(unsupported(name)),
    }
}

/// Evaluates a function of one argument.
fn of_one(name: &str, value: Value) -> Result<Value, String> {
    if let Some((_, change)) = OF_VALUES.iter().find(|(known, _)| *known == name) {
        return Ok(value.each(change));
    }
    if let Some((_, reduce)) = REDUCTIONS.iter().find(|(known, _)| *known == name) {
        return Ok(match value {
            Value::Array(all) => Value::Series(across(&all, *reduce)),
            Value::Series(series) => Value::Scalar(reduce(&series.into_values().collect::<Vec<_>>())),
            Value::Scalar(number) => Value::Scalar(number),
        });
    }
    match value {
        Value::Series(series) if OF_SERIES.contains(&name) => Ok(Value::Series(neighbours(name, &series))),
        _ => Err(unsupported(name)),
    }
}

fn unsupported(name: &str) -> String {
    format!("the local cloud does not evaluate the function {name} with these arguments; use AWS")
}

/// Reduces the values of all series at each time.
fn across(all: &[Series], reduce: fn(&[f64]) -> f64) -> Series {
    let mut columns: BTreeMap<i64, Vec<f64>> = BTreeMap::new();
    for (time, value) in all.iter().flatten() {
        columns.entry(*time).or_default().push(*value);
    }
    columns.into_iter().map(|(time, values)| (time, reduce(&values))).collect()
}

fn neighbours(name: &str, series: &Series) -> Series {
    if name == "RUNNING_SUM" {
        let mut sum = 0.0;
        return series
            .iter()
            .map(|(time, value)| {
                sum += value;
                (*time, sum)
            })
            .collect();
    }
    let pairs = series.iter().zip(series.iter().skip(1));
    let changes = pairs.map(|((before, one), (time, other))| {
        let seconds = (time - before) as f64 / 1000.0;
        (*time, if name == "RATE" { (other - one) / seconds } else { other - one })
    });
    changes.collect()
}

/// Returns the values of `then` where the condition holds, and otherwise those of `otherwise`.
fn choose(condition: Value, then: &Value, otherwise: Option<&Value>) -> Value {
    let at = |value: &Value, time: i64| match value {
        Value::Scalar(number) => Some(*number),
        Value::Series(series) => series.get(&time).copied(),
        Value::Array(_) => None,
    };
    match condition {
        Value::Scalar(number) => {
            let chosen = if number == 0.0 { otherwise } else { Some(then) };
            chosen.cloned().unwrap_or(Value::Series(Series::new()))
        }
        Value::Series(series) => {
            let chosen = series.into_iter().filter_map(|(time, holds)| {
                let value = if holds == 0.0 { at(otherwise?, time) } else { at(then, time) };
                Some((time, value?))
            });
            Value::Series(chosen.collect())
        }
        Value::Array(_) => Value::Series(Series::new()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn evaluate(text: &str) -> Result<Value, String> {
        let one = Series::from([(0, 1.0), (1000, 4.0), (2000, 9.0)]);
        let other = Series::from([(0, 2.0), (2000, 3.0)]);
        let known = BTreeMap::from([("m1".to_owned(), one.clone()), ("m2".to_owned(), other.clone())]);
        Expression::parse(text)?.evaluate(&known, &[one, other])
    }

    fn series(values: &[(i64, f64)]) -> Value {
        Value::Series(values.iter().copied().collect())
    }

    #[test]
    fn expressions_combine_series_and_numbers() {
        for (text, expected) in [
            ("1 + 2 * 3 ^ 2", Value::Scalar(19.0)),
            ("-(2 - 5) % 2", Value::Scalar(1.0)),
            ("m1 / m2", series(&[(0, 0.5), (2000, 3.0)])),
            ("100 * m2", series(&[(0, 200.0), (2000, 300.0)])),
            ("m1 > 3", series(&[(0, 0.0), (1000, 1.0), (2000, 1.0)])),
            ("SUM(m1)", Value::Scalar(14.0)),
            ("SUM(METRICS())", series(&[(0, 3.0), (1000, 4.0), (2000, 12.0)])),
            ("MAX(METRICS()) - AVG(m2)", series(&[(0, -0.5), (1000, 1.5), (2000, 6.5)])),
            ("FILL(m2, 0)", series(&[(0, 2.0), (1000, 0.0), (2000, 3.0)])),
            ("IF(m1 > 3, m1, 0)", series(&[(0, 0.0), (1000, 4.0), (2000, 9.0)])),
            ("RATE(m1)", series(&[(1000, 3.0), (2000, 5.0)])),
            ("RUNNING_SUM(m2)", series(&[(0, 2.0), (2000, 5.0)])),
            ("ABS(0 - m2)", series(&[(0, 2.0), (2000, 3.0)])),
        ] {
            assert_eq!(evaluate(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn wrong_expressions_are_refused() {
        for wrong in ["", "m1 +", "(m1", "SUM(m1", "ANOMALY_DETECTION_BAND(m1)", "m3", "m1 m2", &"(".repeat(200)] {
            assert!(evaluate(wrong).is_err(), "{wrong}");
        }
        assert_eq!(Expression::parse("m1 + SUM(m2) * m1").unwrap().ids(), BTreeSet::from(["m1", "m2"]));
    }
}
