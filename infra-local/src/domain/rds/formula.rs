//! Formulas as values of parameters: `LEAST({DBInstanceClassMemory/9531392},5000)`.

/// Evaluates a parameter's value for an instance with this memory. Other values than formulas are returned unchanged.
/// `None` for an invalid formula.
pub(crate) fn evaluate(value: &str, memory_bytes: u64) -> Option<String> {
    if !is_formula(value) {
        return Some(value.to_owned());
    }
    let compact: String = value.chars().filter(|character| !character.is_whitespace()).collect();
    let mut parser = Parser { rest: &compact, memory: memory_bytes as f64, depth: 0 };
    let number = parser.term()?;
    parser.rest.is_empty().then(|| format!("{:.0}", number.floor()))
}

/// Returns whether a value is a formula.
pub(crate) fn is_formula(value: &str) -> bool {
    value.contains('{')
}

struct Parser<'a> {
    rest: &'a str,
    memory: f64,
    /// Number of open functions.
    depth: usize,
}

/// Limit of nested functions.
const DEPTH_LIMIT: usize = 16;

impl Parser<'_> {
    fn term(&mut self) -> Option<f64> {
        for (name, choose) in [
            ("LEAST(", f64::min as fn(f64, f64) -> f64),
            ("GREATEST(", f64::max),
            ("SUM(", |one: f64, other: f64| one + other),
        ] {
            if self.takes(name) {
                self.depth += 1;
                if self.depth > DEPTH_LIMIT {
                    return None;
                }
                let mut value = self.term()?;
                while self.takes(",") {
                    value = choose(value, self.term()?);
                }
                self.depth -= 1;
                return self.takes(")").then_some(value);
            }
        }
        if self.takes("{") {
            let value = self.product()?;
            return self.takes("}").then_some(value);
        }
        self.number()
    }

    /// Evaluates factors from left to right.
    fn product(&mut self) -> Option<f64> {
        let mut value = self.factor()?;
        loop {
            if self.takes("/") {
                value /= self.factor().filter(|divisor| *divisor > 0.0)?;
            } else if self.takes("*") {
                value *= self.factor()?;
            } else {
                return Some(value);
            }
        }
    }

    fn factor(&mut self) -> Option<f64> {
        if self.takes("DBInstanceClassMemory") { Some(self.memory) } else { self.number() }
    }

    fn number(&mut self) -> Option<f64> {
        let end = self.rest.find(|character: char| !character.is_ascii_digit() && character != '.');
        let (digits, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = rest;
        digits.parse().ok()
    }

    fn takes(&mut self, text: &str) -> bool {
        match self.rest.strip_prefix(text) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formulas_are_evaluated_with_the_memory() {
        let evaluate = |value| evaluate(value, 1 << 30);
        assert_eq!(evaluate("LEAST({DBInstanceClassMemory/9531392}, 5000)").as_deref(), Some("112"));
        assert_eq!(evaluate("GREATEST({DBInstanceClassMemory*2/63963136},64)").as_deref(), Some("64"));
        assert_eq!(evaluate("SUM({DBInstanceClassMemory/1073741824},2)").as_deref(), Some("3"));
        assert_eq!(evaluate("on").as_deref(), Some("on"));
        for bad in ["{DBInstanceClassMemory/0}", "LEAST({DBInstanceClassMemory},", "{AllocatedStorage}", "{1}2"] {
            assert_eq!(evaluate(bad), None, "{bad}");
        }
    }
}
