//! Votes for acts. Concurrent votes share a transaction, which is committed before any of them is acknowledged.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use kit::{batch::Batch, held::Held};
use sea_orm::{
    ColumnTrait, DatabaseConnection, DbErr, EntityTrait, QueryFilter, TransactionTrait,
    sea_query::{Expr, ExprTrait},
    sqlx,
};

use super::entity::act;

/// Votes for acts, for which all requests share statements: the statements of several threads would wait for each other,
/// because they change the same rows.
#[derive(Clone)]
pub(super) struct Upvotes(Batch<i64, bool>);

/// Adds votes. Rows are locked in the order of their IDs, so that concurrent statements do not block each other forever.
const VOTE: &str = "
    WITH voted AS (
        SELECT act.id, votes.number
        FROM selfieless_act AS act JOIN UNNEST($1::bigint[], $2::bigint[]) AS votes (act_id, number) USING (act_id)
        ORDER BY act.id
        FOR NO KEY UPDATE OF act
    )
    UPDATE selfieless_act AS act SET upvotes = act.upvotes + voted.number
    FROM voted WHERE act.id = voted.id
    RETURNING act.act_id";

impl Upvotes {
    /// Returns the votes in a database.
    pub(super) fn at(database: &DatabaseConnection) -> Self {
        let (database, held) = (database.clone(), Arc::new(Held::of(database)));
        let released = Arc::clone(&held);
        let run = move |act_ids: Vec<i64>| {
            let (database, held) = (database.clone(), Arc::clone(&held));
            async move {
                let mut votes = BTreeMap::<_, i64>::new();
                for act_id in &act_ids {
                    *votes.entry(*act_id).or_default() += 1;
                }
                let existing = match &*held {
                    Some(held) => with_one_statement(held, votes).await?,
                    None => with_a_transaction(&database, votes).await?,
                };
                Ok(act_ids.iter().map(|act_id| existing.contains(act_id)).collect())
            }
        };
        Self(Batch::new(run, move || released.iter().for_each(Held::release)))
    }

    /// Adds a vote to an act. Returns whether the act exists.
    pub(super) async fn add(&self, act_id: i64) -> Result<bool, DbErr> {
        self.0.run(act_id).await
    }
}

/// Adds these numbers of votes in PostgreSQL, and returns the acts that exist.
async fn with_one_statement(held: &Held, votes: BTreeMap<i64, i64>) -> Result<BTreeSet<i64>, DbErr> {
    let (act_ids, numbers): (Vec<_>, Vec<_>) = votes.into_iter().unzip();
    let vote = sqlx::query_scalar::<_, i64>(VOTE).bind(act_ids).bind(numbers);
    let existing = held.run(async |connection| vote.fetch_all(connection).await).await?;
    Ok(existing.into_iter().collect())
}

/// Adds these numbers of votes in any database, and returns the acts that exist.
async fn with_a_transaction(database: &DatabaseConnection, votes: BTreeMap<i64, i64>) -> Result<BTreeSet<i64>, DbErr> {
    let transaction = database.begin().await?;
    let mut existing = BTreeSet::new();
    for (act_id, number) in votes {
        let vote = act::Entity::update_many()
            .col_expr(act::Column::Upvotes, Expr::col(act::Column::Upvotes).add(number))
            .filter(act::Column::ActId.eq(act_id));
        if vote.exec(&transaction).await?.rows_affected > 0 {
            existing.insert(act_id);
        }
    }
    transaction.commit().await?;
    Ok(existing)
}
