//! Expressions of the subset.

use sqlparser::ast::{
    BinaryOperator, CaseWhen, DuplicateTreatment, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList,
    FunctionArguments, InTarget, UnaryOperator, Value,
};

use super::{
    error::{SqlError, shortened},
    names::simple,
    writer::Writer,
};

/// Functions that a statement may call. All are defined by both databases, free of side effects, and return at most as much
/// as they receive.
pub const FUNCTIONS: &[&str] = &[
    "abs",
    "avg",
    "char_length",
    "coalesce",
    "count",
    "length",
    "lower",
    "max",
    "min",
    "nullif",
    "round",
    "sum",
    "upper",
];

impl Writer {
    pub(super) fn expression(&mut self, expression: &Expr) -> Result<(), SqlError> {
        match expression {
            Expr::Identifier(name) => self.column(name),
            Expr::CompoundIdentifier(names) => match &names[..] {
                [table, column] => self.qualified(table, column),
                _ => return Err(refused(expression)),
            },
            Expr::Value(value) => self.literal(&value.value)?,
            Expr::Nested(inner) => self.parenthesised(|writer| writer.expression(inner))?,
            Expr::UnaryOp { op, expr } => {
                self.put(match op {
                    UnaryOperator::Plus => "+ ",
                    UnaryOperator::Minus => "- ",
                    UnaryOperator::Not => "NOT ",
                    _ => return Err(refused(expression)),
                });
                self.expression(expr)?;
            }
            Expr::BinaryOp { left, op, right } => {
                let operator = binary(op).ok_or_else(|| refused(expression))?;
                self.expression(left)?;
                self.put(operator);
                self.expression(right)?;
            }
            Expr::Function(function) => self.function(function)?,
            Expr::Case { operand, conditions, else_result, .. } => {
                self.case(operand.as_deref(), conditions, else_result.as_deref())?;
            }
            Expr::Exists { subquery, negated } => {
                self.put(if *negated { "NOT EXISTS " } else { "EXISTS " });
                self.parenthesised(|writer| writer.query(subquery))?;
            }
            Expr::Subquery(subquery) => self.parenthesised(|writer| writer.query(subquery))?,
            _ => self.predicate(expression)?,
        }
        Ok(())
    }

    /// Writes an expression whose operator follows its first operand.
    fn predicate(&mut self, expression: &Expr) -> Result<(), SqlError> {
        let (operand, suffix) = match expression {
            Expr::IsNull(operand) => (operand, " IS NULL"),
            Expr::IsNotNull(operand) => (operand, " IS NOT NULL"),
            Expr::IsTrue(operand) => (operand, " IS TRUE"),
            Expr::IsNotTrue(operand) => (operand, " IS NOT TRUE"),
            Expr::IsFalse(operand) => (operand, " IS FALSE"),
            Expr::IsNotFalse(operand) => (operand, " IS NOT FALSE"),
            Expr::In { expr, negated, .. } => (expr, if *negated { " NOT IN " } else { " IN " }),
            Expr::Between { expr, negated, .. } => (expr, if *negated { " NOT BETWEEN " } else { " BETWEEN " }),
            Expr::Like { expr, negated, .. } => (expr, if *negated { " NOT LIKE " } else { " LIKE " }),
            _ => return Err(refused(expression)),
        };
        self.expression(operand)?;
        self.put(suffix);
        match expression {
            Expr::In { target: InTarget::List(items), .. } => {
                self.parenthesised(|writer| writer.list(items, Self::expression))
            }
            Expr::In { target: InTarget::Subquery(subquery), .. } => {
                self.parenthesised(|writer| writer.query(subquery))
            }
            Expr::In { .. } => Err(refused(expression)),
            Expr::Between { low, high, .. } => {
                self.expression(low)?;
                self.put(" AND ");
                self.expression(high)
            }
            Expr::Like { pattern, .. } => self.expression(pattern),
            _ => Ok(()),
        }
    }

    pub(super) fn literal(&mut self, value: &Value) -> Result<(), SqlError> {
        match value {
            Value::Number(number, false) => self.put(number),
            Value::SingleQuotedString(text) => self.quote(text),
            Value::Boolean(true) => self.put("TRUE"),
            Value::Boolean(false) => self.put("FALSE"),
            Value::Null => self.put("NULL"),
            other => return Err(SqlError::Expression { expression: shortened(&other.to_string()) }),
        }
        Ok(())
    }

    pub(super) fn parenthesised(
        &mut self,
        write: impl FnOnce(&mut Self) -> Result<(), SqlError>,
    ) -> Result<(), SqlError> {
        self.put("(");
        write(self)?;
        self.put(")");
        Ok(())
    }

    fn function(&mut self, function: &Function) -> Result<(), SqlError> {
        let name = simple(&function.name).map(|name| name.value.as_str());
        let Some(name) = name.filter(|name| FUNCTIONS.contains(name)) else {
            return Err(SqlError::Function { function: shortened(&function.name.to_string()) });
        };
        if function.over.is_some() {
            return Err(SqlError::Construct { construct: "A window function" });
        }
        let FunctionArguments::List(FunctionArgumentList { duplicate_treatment, args, .. }) = &function.args else {
            return Err(SqlError::Function { function: name.to_owned() });
        };
        self.put(name);
        self.parenthesised(|writer| {
            match duplicate_treatment {
                Some(DuplicateTreatment::Distinct) => writer.put("DISTINCT "),
                Some(DuplicateTreatment::All) => writer.put("ALL "),
                None => (),
            }
            writer.list(args, |writer, argument| match argument {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(expression)) => writer.expression(expression),
                FunctionArg::Unnamed(FunctionArgExpr::Wildcard) if name == "count" => {
                    writer.put("*");
                    Ok(())
                }
                other => Err(SqlError::Expression { expression: shortened(&other.to_string()) }),
            })
        })
    }

    fn case(
        &mut self,
        operand: Option<&Expr>,
        conditions: &[CaseWhen],
        else_result: Option<&Expr>,
    ) -> Result<(), SqlError> {
        self.put("CASE ");
        if let Some(operand) = operand {
            self.expression(operand)?;
            self.put(" ");
        }
        for CaseWhen { condition, result } in conditions {
            self.put("WHEN ");
            self.expression(condition)?;
            self.put(" THEN ");
            self.expression(result)?;
            self.put(" ");
        }
        if let Some(result) = else_result {
            self.put("ELSE ");
            self.expression(result)?;
            self.put(" ");
        }
        self.put("END");
        Ok(())
    }
}

/// Returns a binary operator that has the same meaning in all databases.
fn binary(operator: &BinaryOperator) -> Option<&'static str> {
    Some(match operator {
        BinaryOperator::Plus => " + ",
        BinaryOperator::Minus => " - ",
        BinaryOperator::Multiply => " * ",
        BinaryOperator::Divide => " / ",
        BinaryOperator::Modulo => " % ",
        BinaryOperator::Eq => " = ",
        BinaryOperator::NotEq => " <> ",
        BinaryOperator::Lt => " < ",
        BinaryOperator::Gt => " > ",
        BinaryOperator::LtEq => " <= ",
        BinaryOperator::GtEq => " >= ",
        BinaryOperator::And => " AND ",
        BinaryOperator::Or => " OR ",
        _ => return None,
    })
}

fn refused(expression: &Expr) -> SqlError {
    SqlError::Expression { expression: shortened(&expression.to_string()) }
}
