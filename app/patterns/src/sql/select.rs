//! Queries of the subset: `SELECT` with joins, subqueries, common table expressions and set operations.

use sqlparser::ast::{
    Cte, Distinct, Expr, GroupByExpr, Join, JoinConstraint, JoinOperator, LimitClause, Offset, OffsetRows, OrderByExpr,
    OrderByKind, OrderBySort, Query, Select, SelectItem, SetExpr, SetOperator, SetQuantifier, TableFactor,
    TableWithJoins, Value, With,
};

use super::{
    error::{SqlError, shortened},
    names::{check_alias, simple, star},
    writer::Writer,
};

/// Returns the error for a construct that is not part of the subset.
fn refused(construct: &'static str) -> SqlError {
    SqlError::Construct { construct }
}

impl Writer {
    /// Writes a query that is the whole statement.
    pub(super) fn statement(&mut self, query: &Query) -> Result<(), SqlError> {
        if let Some(With { recursive, cte_tables, .. }) = &query.with {
            if *recursive {
                return Err(refused("WITH RECURSIVE"));
            }
            self.put("WITH ");
            self.list(cte_tables, Self::common)?;
            self.put(" ");
        }
        self.without_common(query)
    }

    fn common(&mut self, Cte { alias, query, .. }: &Cte) -> Result<(), SqlError> {
        check_alias(&alias.name)?;
        self.put(&alias.name.value);
        self.define_columns(alias)?;
        self.put(" AS ");
        self.parenthesised(|writer| writer.query(query))?;
        let columns = match &alias.columns[..] {
            [] => self.names.of_query(&query.body),
            names => names.iter().map(|column| column.name.value.clone()).collect(),
        };
        // Only now: within its own query, the name could be a table of the system.
        self.names.define_common(&alias.name, columns);
        Ok(())
    }

    /// Writes a query within a statement.
    pub(super) fn query(&mut self, query: &Query) -> Result<(), SqlError> {
        if query.with.is_some() {
            return Err(refused("WITH in a subquery"));
        }
        self.without_common(query)
    }

    fn without_common(&mut self, query: &Query) -> Result<(), SqlError> {
        if !query.locks.is_empty() {
            return Err(refused("FOR UPDATE or FOR SHARE"));
        }
        if query.fetch.is_some() {
            return Err(refused("FETCH"));
        }
        self.set(&query.body)?;
        if let Some(order) = &query.order_by {
            let OrderByKind::Expressions(expressions) = &order.kind else {
                return Err(refused("ORDER BY ALL"));
            };
            self.put(" ORDER BY ");
            self.list(expressions, Self::order)?;
        }
        match &query.limit_clause {
            None => Ok(()),
            Some(LimitClause::LimitOffset { limit, offset, .. }) => {
                if let Some(limit) = limit {
                    self.put(" LIMIT ");
                    self.number(limit)?;
                }
                if let Some(Offset { value, rows }) = offset {
                    self.put(" OFFSET ");
                    self.number(value)?;
                    self.put(match rows {
                        OffsetRows::None => "",
                        OffsetRows::Row => " ROW",
                        OffsetRows::Rows => " ROWS",
                    });
                }
                Ok(())
            }
            Some(LimitClause::OffsetCommaLimit { .. }) => Err(refused("LIMIT with a comma")),
        }
    }

    fn number(&mut self, expression: &Expr) -> Result<(), SqlError> {
        match expression {
            Expr::Value(value) if matches!(value.value, Value::Number(..)) => self.literal(&value.value),
            _ => Err(refused("LIMIT or OFFSET without a number")),
        }
    }

    fn order(&mut self, OrderByExpr { expr, options, .. }: &OrderByExpr) -> Result<(), SqlError> {
        self.expression(expr)?;
        self.put(match options.sort {
            None => "",
            Some(OrderBySort::Asc) => " ASC",
            Some(OrderBySort::Desc) => " DESC",
            Some(OrderBySort::Using(_)) => return Err(refused("ORDER BY USING")),
        });
        self.put(match options.nulls_first {
            None => "",
            Some(true) => " NULLS FIRST",
            Some(false) => " NULLS LAST",
        });
        Ok(())
    }

    fn set(&mut self, set: &SetExpr) -> Result<(), SqlError> {
        match set {
            SetExpr::Select(select) => self.select(select),
            SetExpr::Query(query) => self.parenthesised(|writer| writer.query(query)),
            SetExpr::SetOperation { left, op, set_quantifier, right } => {
                self.set(left)?;
                self.put(match op {
                    SetOperator::Union => " UNION",
                    SetOperator::Except => " EXCEPT",
                    SetOperator::Intersect => " INTERSECT",
                    SetOperator::Minus => return Err(refused("MINUS")),
                });
                self.put(match set_quantifier {
                    SetQuantifier::None => " ",
                    SetQuantifier::All => " ALL ",
                    SetQuantifier::Distinct => " DISTINCT ",
                    _ => return Err(refused("BY NAME")),
                });
                self.set(right)
            }
            SetExpr::Values(_) => Err(refused("VALUES as a table")),
            SetExpr::Table(_) => Err(refused("TABLE")),
            SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_) => {
                Err(SqlError::WrongKind { allowed: "SELECT" })
            }
        }
    }

    fn select(&mut self, select: &Select) -> Result<(), SqlError> {
        if select.into.is_some() {
            return Err(refused("SELECT INTO"));
        }
        if !select.named_window.is_empty() {
            return Err(refused("WINDOW"));
        }
        self.put("SELECT ");
        match &select.distinct {
            None => (),
            Some(Distinct::All) => self.put("ALL "),
            Some(Distinct::Distinct) => self.put("DISTINCT "),
            Some(Distinct::On(_)) => return Err(refused("DISTINCT ON")),
        }
        self.list(&select.projection, Self::item)?;
        if !select.from.is_empty() {
            self.put(" FROM ");
            self.list(&select.from, Self::joined)?;
        }
        if let Some(condition) = &select.selection {
            self.put(" WHERE ");
            self.expression(condition)?;
        }
        match &select.group_by {
            GroupByExpr::Expressions(expressions, modifiers) if modifiers.is_empty() => {
                if !expressions.is_empty() {
                    self.put(" GROUP BY ");
                    self.list(expressions, Self::expression)?;
                }
            }
            _ => return Err(refused("GROUP BY with a modifier")),
        }
        if let Some(condition) = &select.having {
            self.put(" HAVING ");
            self.expression(condition)?;
        }
        Ok(())
    }

    fn item(&mut self, item: &SelectItem) -> Result<(), SqlError> {
        match item {
            SelectItem::UnnamedExpr(expression) => self.expression(expression),
            SelectItem::ExprWithAlias { expr, alias } => {
                self.expression(expr)?;
                self.put(" AS ");
                self.define_column(alias)
            }
            SelectItem::Wildcard(_) => {
                self.put("*");
                Ok(())
            }
            SelectItem::QualifiedWildcard(kind, _) => match star(kind) {
                Some(table) => {
                    self.all_columns(table);
                    Ok(())
                }
                None => Err(SqlError::Expression { expression: shortened(&item.to_string()) }),
            },
            SelectItem::ExprWithAliases { .. } => {
                Err(SqlError::Expression { expression: shortened(&item.to_string()) })
            }
        }
    }

    fn joined(&mut self, TableWithJoins { relation, joins }: &TableWithJoins) -> Result<(), SqlError> {
        self.relation(relation)?;
        for Join { relation, join_operator, .. } in joins {
            let (words, constraint) = match join_operator {
                JoinOperator::Join(constraint) => ("JOIN ", constraint),
                JoinOperator::Inner(constraint) => ("INNER JOIN ", constraint),
                JoinOperator::Left(constraint) => ("LEFT JOIN ", constraint),
                JoinOperator::LeftOuter(constraint) => ("LEFT OUTER JOIN ", constraint),
                JoinOperator::Right(constraint) => ("RIGHT JOIN ", constraint),
                JoinOperator::RightOuter(constraint) => ("RIGHT OUTER JOIN ", constraint),
                JoinOperator::CrossJoin(constraint) => ("CROSS JOIN ", constraint),
                _ => return Err(refused("This kind of JOIN")),
            };
            self.put(if matches!(constraint, JoinConstraint::Natural) { " NATURAL " } else { " " });
            self.put(words);
            self.relation(relation)?;
            match constraint {
                JoinConstraint::On(condition) => {
                    self.put(" ON ");
                    self.expression(condition)?;
                }
                JoinConstraint::Using(columns) => {
                    self.put(" USING (");
                    self.list(columns, |writer, name| match simple(name) {
                        Some(column) => {
                            writer.column(column);
                            Ok(())
                        }
                        None => Err(SqlError::Column { name: shortened(&name.to_string()) }),
                    })?;
                    self.put(")");
                }
                JoinConstraint::UsingAlias(..) => return Err(refused("USING with an alias")),
                JoinConstraint::Natural | JoinConstraint::None => (),
            }
        }
        Ok(())
    }

    fn relation(&mut self, relation: &TableFactor) -> Result<(), SqlError> {
        match relation {
            TableFactor::Table { name, args: Some(_), .. } => {
                Err(SqlError::Function { function: shortened(&name.to_string()) })
            }
            TableFactor::Table { name, alias, args: None, .. } => {
                self.table(name)?;
                self.alias(relation, alias.as_ref())
            }
            TableFactor::Derived { lateral: true, .. } => Err(refused("LATERAL")),
            TableFactor::Derived { lateral: false, subquery, alias, .. } => {
                self.parenthesised(|writer| writer.query(subquery))?;
                self.alias(relation, alias.as_ref())
            }
            TableFactor::NestedJoin { table_with_joins, alias } => {
                self.parenthesised(|writer| writer.joined(table_with_joins))?;
                self.alias(relation, alias.as_ref())
            }
            _ => Err(refused("A table other than the tables and subqueries")),
        }
    }
}
