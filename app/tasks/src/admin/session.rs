//! Who is signed in: sessions in the database, so that every instance knows them and signing out ends them.

use actix_web::http::header::HeaderMap;
use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, ConnectionTrait, DatabaseConnection, DbErr, EntityTrait,
    ExprTrait, IntoActiveModel, QueryFilter, sea_query::Expr,
};
use sha2::{Digest, Sha256};

use super::{
    error::Failure,
    page::Section,
    permission::{Permissions, Verb},
    token::Token,
};
use crate::entity::{
    admin_session::{self, NOTICE_CHARACTERS},
    user,
};

/// How long a session lives without a request.
const IDLE: TimeDelta = TimeDelta::hours(1);
/// How long a session lives at most.
const LONGEST: TimeDelta = TimeDelta::hours(12);
/// How exactly the last request is recorded: one write per minute is enough.
const GRAIN: TimeDelta = TimeDelta::minutes(1);

/// A request of somebody who is signed in.
#[derive(Clone)]
pub(super) struct Visit {
    /// An active user of the staff.
    pub(super) user: user::Model,
    /// Their browser's token.
    pub(super) token: Token,
    /// What they may do.
    pub(super) permissions: Permissions,
    /// What they are to be told once.
    pub(super) notice: Option<String>,
}

impl Visit {
    /// Returns whether the user may do something with a model's rows.
    pub(super) fn may(&self, section: Section, verb: Verb) -> bool {
        self.permissions.allow(section, verb)
    }

    /// Refuses what the user may not do.
    ///
    /// # Errors
    /// [`Failure::Forbidden`].
    pub(super) fn require(&self, section: Section, verb: Verb) -> Result<(), Failure> {
        if self.may(section, verb) { Ok(()) } else { Err(Failure::Forbidden) }
    }
}

/// Signs a user in with a new token, so that one planted before is worth nothing. Clears away what has expired.
pub(super) async fn open(database: &DatabaseConnection, user: &user::Model) -> Result<Token, Failure> {
    let now = Utc::now();
    let expired = admin_session::Column::SeenAt.lt(now - IDLE).or(admin_session::Column::CreatedAt.lt(now - LONGEST));
    admin_session::Entity::delete_many().filter(expired).exec(database).await?;
    let token = Token::random()?;
    let session = admin_session::ActiveModel {
        token_digest: Set(token.digest()),
        user_id: Set(user.id),
        password_mark: Set(password_mark(user)),
        created_at: Set(now),
        seen_at: Set(now),
        notice: Set(None),
    };
    admin_session::Entity::insert(session).exec_without_returning(database).await?;
    Ok(token)
}

/// Finds out who makes a request. A notice is given once, to the request that can show it.
///
/// Nobody does when the session has expired, or the user is no longer active or staff or has another password.
pub(super) async fn visit(
    database: &DatabaseConnection,
    headers: &HeaderMap,
    shows_notice: bool,
) -> Result<Option<Visit>, Failure> {
    let Some(token) = Token::of(headers) else {
        return Ok(None);
    };
    let found = admin_session::Entity::find_by_id(token.digest()).find_also_related(user::Entity).one(database).await?;
    let Some((session, Some(user))) = found else {
        return Ok(None);
    };
    let now = Utc::now();
    if !is_alive(&session, now) || !user.is_active || !user.is_staff || session.password_mark != password_mark(&user) {
        session.into_active_model().delete(database).await?;
        return Ok(None);
    }
    let notice = session.notice.clone().filter(|_| shows_notice);
    if notice.is_some() || session.seen_at + GRAIN <= now {
        let shown = notice.is_some().then_some((admin_session::Column::Notice, Expr::value(Option::<String>::None)));
        let seen = (admin_session::Column::SeenAt, Expr::value(now));
        change(database, &token, [seen].into_iter().chain(shown)).await?;
    }
    let permissions = Permissions::of(database, &user).await?;
    Ok(Some(Visit { user, token, permissions, notice }))
}

/// Signs out.
pub(super) async fn close(database: &DatabaseConnection, visit: &Visit) -> Result<(), DbErr> {
    admin_session::Entity::delete_by_id(visit.token.digest()).exec(database).await.map(drop)
}

/// Leaves a message for the next page.
pub(super) async fn tell(database: &DatabaseConnection, visit: &Visit, notice: &str) -> Result<(), DbErr> {
    let notice: String = notice.chars().take(NOTICE_CHARACTERS).collect();
    change(database, &visit.token, [(admin_session::Column::Notice, Expr::value(notice))]).await
}

/// Lets the session go on when its own user changes their password.
pub(super) async fn go_on(database: &impl ConnectionTrait, visit: &Visit, user: &user::Model) -> Result<(), DbErr> {
    let mark = Expr::value(password_mark(user));
    change(database, &visit.token, [(admin_session::Column::PasswordMark, mark)]).await
}

async fn change(
    database: &impl ConnectionTrait,
    token: &Token,
    values: impl IntoIterator<Item = (admin_session::Column, Expr)>,
) -> Result<(), DbErr> {
    let update = admin_session::Entity::update_many().filter(admin_session::Column::TokenDigest.eq(token.digest()));
    let update = values.into_iter().fold(update, |update, (column, value)| update.col_expr(column, value));
    update.exec(database).await.map(drop)
}

fn is_alive(session: &admin_session::Model, now: DateTime<Utc>) -> bool {
    now < session.seen_at + IDLE && now < session.created_at + LONGEST
}

fn password_mark(user: &user::Model) -> String {
    hex::encode(Sha256::digest(&user.password_hash))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_ends_when_idle_and_in_any_case() {
        let start = DateTime::UNIX_EPOCH;
        let alive = |seen: TimeDelta, now: TimeDelta| {
            let session = admin_session::Model {
                token_digest: String::new(),
                user_id: 1,
                password_mark: String::new(),
                created_at: start,
                seen_at: start + seen,
                notice: None,
            };
            is_alive(&session, start + now)
        };
        let (second, zero) = (TimeDelta::seconds(1), TimeDelta::zero());
        assert!(alive(zero, IDLE - second));
        assert!(!alive(zero, IDLE));
        assert!(alive(LONGEST - second, LONGEST - second));
        assert!(!alive(LONGEST - second, LONGEST));
    }
}
