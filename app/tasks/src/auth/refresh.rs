//! Refresh tokens: random, good for one use, kept as hashes.

use std::time::Duration;

use base64::{
    Engine,
    prelude::{BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE_NO_PAD},
};
use chrono::Utc;
use sea_orm::{
    ActiveModelTrait,
    ActiveValue::Set,
    ColumnTrait, ConnectionTrait, DatabaseConnection, DbErr, EntityTrait, QueryFilter, TransactionTrait,
    sea_query::{Expr, ExprTrait},
};
use sha2::{Digest, Sha256};

use super::keys::{KeysError, random};
use crate::entity::{
    refresh_token::{self, ActiveModel, Column, Entity},
    user,
};

/// Gives out the first token of a new family: somebody signed in. Forgets the user's expired ones.
///
/// # Errors
/// [`KeysError`] when there is no randomness, or what the database says, also when the user has been deleted.
pub async fn first(database: &DatabaseConnection, user_id: i64, lifetime: Duration) -> Result<String, KeysError> {
    let transaction = database.begin().await?;
    let expired = Column::UserId.eq(user_id).and(Column::ExpiresAt.lt(Utc::now()));
    Entity::delete_many().filter(expired).exec(&transaction).await?;
    let family = BASE64_URL_SAFE_NO_PAD.encode(random::<16>()?);
    let token = give(&transaction, user_id, family, lifetime).await?;
    transaction.commit().await?;
    Ok(token)
}

/// Uses a token up; gives its user and the next one. `None` when it is unknown, expired or used, or its user may not
/// sign in any more. One that was used before was stolen from somebody: then its whole family is forgotten.
///
/// # Errors
/// As [`first`]; then the token is as good as before.
pub async fn next(
    database: &DatabaseConnection,
    token: &str,
    lifetime: Duration,
) -> Result<Option<(user::Model, String)>, KeysError> {
    let transaction = database.begin().await?;
    let given = match use_up(&transaction, &hash(token)).await? {
        Some(used) => renew(&transaction, used, lifetime).await?,
        None => None,
    };
    transaction.commit().await?;
    Ok(given)
}

/// Marks a token as used, if it is good. The database lets only one of several at once do so.
async fn use_up(database: &impl ConnectionTrait, hash: &str) -> Result<Option<refresh_token::Model>, DbErr> {
    let now = Utc::now();
    let good = Column::Hash.eq(hash).and(Column::UsedAt.is_null()).and(Column::ExpiresAt.gt(now));
    let mark = Entity::update_many().col_expr(Column::UsedAt, Expr::value(now)).filter(good);
    let marked = mark.exec(database).await?.rows_affected == 1;
    let found = Entity::find_by_id(hash).one(database).await?;
    if marked {
        return Ok(found);
    }
    if let Some(refresh_token::Model { family, user_id, used_at: Some(_), .. }) = found {
        tracing::warn!(user_id, "a refresh token was used twice; its family is revoked");
        forget(database, family).await?;
    }
    Ok(None)
}

async fn renew(
    database: &impl ConnectionTrait,
    used: refresh_token::Model,
    lifetime: Duration,
) -> Result<Option<(user::Model, String)>, KeysError> {
    let user = user::Entity::find_by_id(used.user_id).one(database).await?;
    let Some(user) = user.filter(|user| user.is_active) else {
        forget(database, used.family).await?;
        return Ok(None);
    };
    let token = give(database, user.id, used.family, lifetime).await?;
    Ok(Some((user, token)))
}

async fn forget(database: &impl ConnectionTrait, family: String) -> Result<(), DbErr> {
    Entity::delete_many().filter(Column::Family.eq(family)).exec(database).await?;
    Ok(())
}

async fn give(
    database: &impl ConnectionTrait,
    user_id: i64,
    family: String,
    lifetime: Duration,
) -> Result<String, KeysError> {
    let token = BASE64_URL_SAFE_NO_PAD.encode(random::<32>()?);
    let row = ActiveModel {
        hash: Set(hash(&token)),
        user_id: Set(user_id),
        family: Set(family),
        expires_at: Set(Utc::now() + lifetime),
        used_at: Set(None),
    };
    row.insert(database).await?;
    Ok(token)
}

/// The token has 256 random bits, so that a plain hash is enough.
fn hash(token: &str) -> String {
    BASE64_STANDARD_NO_PAD.encode(Sha256::digest(token))
}
