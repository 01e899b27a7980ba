//! Refresh tokens: random, valid for one use, stored as hashes.

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

/// Creates the first token of a new family, after a sign-in. Deletes the expired tokens of the user.
///
/// # Errors
/// [`KeysError`] if there are no random bytes, or for an error of the database, also if the user was deleted.
pub async fn first(database: &DatabaseConnection, user_id: i64, lifetime: Duration) -> Result<String, KeysError> {
    let transaction = database.begin().await?;
    let expired = Column::UserId.eq(user_id).and(Column::ExpiresAt.lt(Utc::now()));
    Entity::delete_many().filter(expired).exec(&transaction).await?;
    let family = BASE64_URL_SAFE_NO_PAD.encode(random::<16>()?);
    let token = issue(&transaction, user_id, family, lifetime).await?;
    transaction.commit().await?;
    Ok(token)
}

/// Consumes a token, and returns its user and the next token. Returns `None` if the token is unknown, expired or used, or
/// if its user may no longer sign in. A second use means that the token was stolen, so its whole family is deleted.
///
/// # Errors
/// As [`first`]; the token stays valid.
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

/// Marks a valid token as used. Of several concurrent requests, only one succeeds.
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
    let token = issue(database, user.id, used.family, lifetime).await?;
    Ok(Some((user, token)))
}

async fn forget(database: &impl ConnectionTrait, family: String) -> Result<(), DbErr> {
    Entity::delete_many().filter(Column::Family.eq(family)).exec(database).await?;
    Ok(())
}

async fn issue(
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

/// Returns the hash of a token, which has 256 random bits and so needs no salt.
fn hash(token: &str) -> String {
    BASE64_STANDARD_NO_PAD.encode(Sha256::digest(token))
}
