//! Sessions of signed-in users, in the database, so that they are valid at every instance and end with the sign-out.

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

/// Lifetime of a session without requests.
const IDLE: TimeDelta = TimeDelta::hours(1);
/// Maximum lifetime of a session.
const LONGEST: TimeDelta = TimeDelta::hours(12);
/// Precision of the recorded time of the last request, which limits writes to one per minute.
const GRAIN: TimeDelta = TimeDelta::minutes(1);

/// Session of a request.
#[derive(Clone)]
pub(super) struct Visit {
    /// Active user of the staff.
    pub(super) user: user::Model,
    /// Token of the browser.
    pub(super) token: Token,
    /// Permissions of the user.
    pub(super) permissions: Permissions,
    /// Message to show once.
    pub(super) notice: Option<String>,
}

impl Visit {
    /// Returns whether the user may perform an operation on a model.
    pub(super) fn may(&self, section: Section, verb: Verb) -> bool {
        self.permissions.allow(section, verb)
    }

    /// Refuses an operation that the user may not perform.
    ///
    /// # Errors
    /// [`Failure::Forbidden`].
    pub(super) fn require(&self, section: Section, verb: Verb) -> Result<(), Failure> {
        if self.may(section, verb) { Ok(()) } else { Err(Failure::Forbidden) }
    }
}

/// Creates a session with a new token, which prevents session fixation. Deletes expired sessions.
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

/// Returns the session of a request. A notice is returned once, for a request that can show it.
///
/// Returns `None` if the session has expired, or if the user is no longer active or staff, or has a new password.
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
    if !is_valid(&session, now) || !user.is_active || !user.is_staff || session.password_mark != password_mark(&user) {
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

/// Ends the session.
pub(super) async fn close(database: &DatabaseConnection, visit: &Visit) -> Result<(), DbErr> {
    admin_session::Entity::delete_by_id(visit.token.digest()).exec(database).await.map(drop)
}

/// Stores a message for the next page.
pub(super) async fn set_notice(database: &DatabaseConnection, visit: &Visit, notice: &str) -> Result<(), DbErr> {
    let notice: String = notice.chars().take(NOTICE_CHARACTERS).collect();
    change(database, &visit.token, [(admin_session::Column::Notice, Expr::value(notice))]).await
}

/// Keeps the session valid after its user has changed the password.
pub(super) async fn keep_after_password_change(
    database: &impl ConnectionTrait,
    visit: &Visit,
    user: &user::Model,
) -> Result<(), DbErr> {
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

fn is_valid(session: &admin_session::Model, now: DateTime<Utc>) -> bool {
    now < session.seen_at + IDLE && now < session.created_at + LONGEST
}

fn password_mark(user: &user::Model) -> String {
    hex::encode(Sha256::digest(&user.password_hash))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_has_an_idle_and_a_maximum_lifetime() {
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
            is_valid(&session, start + now)
        };
        let (second, zero) = (TimeDelta::seconds(1), TimeDelta::zero());
        assert!(alive(zero, IDLE - second));
        assert!(!alive(zero, IDLE));
        assert!(alive(LONGEST - second, LONGEST - second));
        assert!(!alive(LONGEST - second, LONGEST));
    }
}
