//! Users: registration, sign-in, and the administrator of the settings.

use std::net::IpAddr;

use chrono::Utc;
use kit::{
    endpoints::{Commit, Scope, TransactionError},
    limit::{RetryAfter, SignInLimits},
    password::{self, PasswordError},
    settings::Variables,
};
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter, QueryOrder,
    QuerySelect, SqlErr,
};

use crate::{
    entity::user::{self, EMAIL_CHARACTERS, NAME_CHARACTERS},
    input::{Faults, Given, REQUIRED, required_text},
};

/// Error of a registration or a sign-in.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// Sent values are invalid.
    #[error("{0}")]
    Invalid(Faults),
    /// Another user has the email address.
    #[error("A user with this email address exists already.")]
    Taken,
    /// There is no user with this email address and password. The message does not say which of them is wrong.
    #[error("The email address or the password is wrong.")]
    Wrong,
    /// There were too many attempts.
    #[error(transparent)]
    TooMany(#[from] RetryAfter),
    /// The password cannot be hashed or verified.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// The response to the commit was lost.
    #[error("The database did not confirm the registration. Sign in to check whether it took effect.")]
    UnknownOutcome(#[source] DbErr),
    /// The database returned an error.
    #[error(transparent)]
    Database(DbErr),
}

impl From<Faults> for AccountError {
    fn from(faults: Faults) -> Self {
        Self::Invalid(faults)
    }
}

impl From<DbErr> for AccountError {
    fn from(error: DbErr) -> Self {
        match error.sql_err() {
            Some(SqlErr::UniqueConstraintViolation(_)) => Self::Taken,
            _ => Self::Database(error),
        }
    }
}

impl TransactionError for AccountError {
    fn database(&self) -> Option<&DbErr> {
        match self {
            Self::Database(error) => Some(error),
            _ => None,
        }
    }

    fn unknown_outcome(error: DbErr) -> Self {
        Self::UnknownOutcome(error)
    }
}

/// A valid new user, whose password is not hashed yet.
#[derive(Clone, PartialEq, Eq)]
pub struct NewUser {
    name: String,
    email: String,
    password: String,
    is_admin: bool,
}

impl NewUser {
    /// Checks the name, the email address and the password.
    ///
    /// # Errors
    /// [`Faults`] with every fault.
    pub fn from(given: &Given) -> Result<Self, Faults> {
        let mut faults = Faults::default();
        let name = required_text(given.text("name"), NAME_CHARACTERS).unwrap_or_else(|message| {
            faults.add("name", message);
            String::new()
        });
        let email = email(given.text("email")).unwrap_or_else(|message| {
            faults.add("email", message);
            String::new()
        });
        let password = given.text("password");
        let mut password_faults = password::faults(password);
        if password.is_empty() {
            password_faults = vec![REQUIRED.to_owned()];
        }
        for fault in password_faults {
            faults.add("password", fault);
        }
        faults.or(Self { name, email, password: password.to_owned(), is_admin: false })
    }

    async fn hashed(self) -> Result<user::ActiveModel, PasswordError> {
        Ok(user::ActiveModel {
            name: Set(self.name),
            email: Set(self.email),
            password_hash: Set(password::hash(self.password).await?),
            is_admin: Set(self.is_admin),
            created_at: Set(Utc::now()),
            ..Default::default()
        })
    }
}

/// Registers a user.
///
/// # Errors
/// [`AccountError`].
pub async fn register(
    scope: &Scope,
    limits: &SignInLimits,
    given: &Given,
    client: Option<IpAddr>,
) -> Result<user::Model, AccountError> {
    let user = NewUser::from(given)?;
    limits.check(&user.email, client)?;
    let user = user.hashed().await?;
    scope.transaction(Commit::Once, async |transaction| Ok(user.clone().insert(transaction).await?)).await
}

/// Returns the user with an email address and a password.
///
/// # Errors
/// [`AccountError`].
pub async fn sign_in(
    scope: &Scope,
    limits: &SignInLimits,
    given: &Given,
    client: Option<IpAddr>,
) -> Result<user::Model, AccountError> {
    let email = normalised(given.text("email"));
    limits.check(&email, client)?;
    let user = scope.find(async |database| find_by_email(database, &email).await).await;
    let user = user.map_err(AccountError::Database)?;
    let hash = user.as_ref().map(|user| user.password_hash.clone());
    let password: String = given.text("password").chars().take(password::MAX_CHARACTERS + 1).collect();
    if !password::verify(password, hash).await? {
        return Err(AccountError::Wrong);
    }
    limits.forgive(&email);
    user.ok_or(AccountError::Wrong)
}

/// Returns the user with an ID.
///
/// # Errors
/// The error of the database.
pub async fn find(scope: &Scope, id: i64) -> Result<Option<user::Model>, DbErr> {
    scope.find(async |database| user::Entity::find_by_id(id).one(database).await).await
}

/// Returns a page of all users, ordered by ID, with one more user than a page has if there is a next page.
///
/// # Errors
/// The error of the database.
pub async fn list(scope: &Scope, offset: u64, size: u64) -> Result<Vec<user::Model>, DbErr> {
    let query = user::Entity::find().order_by_asc(user::Column::Id).offset(offset).limit(size + 1);
    scope.read(async |database| query.clone().all(database).await).await
}

async fn find_by_email(database: &impl ConnectionTrait, email: &str) -> Result<Option<user::Model>, DbErr> {
    // No user has an invalid address, and PostgreSQL refuses null characters.
    if self::email(email).is_err() {
        return Ok(None);
    }
    user::Entity::find().filter(user::Column::Email.eq(email)).one(database).await
}

fn normalised(email: &str) -> String {
    email.trim().to_lowercase()
}

/// Checks an email address: `name@domain`, without spaces. Returns it in lower case.
fn email(text: &str) -> Result<String, String> {
    let email = normalised(text);
    if email.is_empty() {
        return Err(REQUIRED.to_owned());
    }
    if email.chars().count() > EMAIL_CHARACTERS {
        return Err(format!("Use at most {EMAIL_CHARACTERS} characters."));
    }
    let has_space = email.chars().any(|character| character.is_whitespace() || character.is_control());
    match email.split_once('@') {
        Some((name, domain)) if !name.is_empty() && !domain.is_empty() && !domain.contains('@') && !has_space => {
            Ok(email)
        }
        _ => Err("Enter an email address such as ana@example.org.".to_owned()),
    }
}

/// The administrator to create at the start of the service: `ADMIN_EMAIL` and `ADMIN_PASSWORD`.
///
/// An existing user keeps its password and role.
#[derive(Clone)]
pub struct Administrator(NewUser);

/// Error of the administrator's settings.
#[derive(Debug, thiserror::Error)]
pub enum AdministratorError {
    /// Only one of the two variables is set.
    #[error("{0} is set and {1} is not; set both, or neither")]
    Half(&'static str, &'static str),
    /// The address or the password is invalid. The message does not contain the password.
    #[error("ADMIN_EMAIL and ADMIN_PASSWORD cannot be used: {0}")]
    Unfit(Faults),
}

impl Administrator {
    /// Reads the settings.
    ///
    /// # Errors
    /// [`AdministratorError`].
    pub fn from(variables: Variables) -> Result<Option<Self>, AdministratorError> {
        match (variables("ADMIN_EMAIL"), variables("ADMIN_PASSWORD")) {
            (None, None) => Ok(None),
            (Some(_), None) => Err(AdministratorError::Half("ADMIN_EMAIL", "ADMIN_PASSWORD")),
            (None, Some(_)) => Err(AdministratorError::Half("ADMIN_PASSWORD", "ADMIN_EMAIL")),
            (Some(email), Some(password)) => {
                let given = [("name", "Administrator"), ("email", &email), ("password", &password)];
                let user = NewUser::from(&Given::pairs(given)).map_err(AdministratorError::Unfit)?;
                Ok(Some(Self(NewUser { is_admin: true, ..user })))
            }
        }
    }

    /// Creates the user, unless one with that address exists. Several instances may do so at once.
    ///
    /// # Errors
    /// The error of the database.
    pub async fn ensure(self, database: &impl ConnectionTrait) -> Result<(), AccountError> {
        if find_by_email(database, &self.0.email).await.map_err(AccountError::Database)?.is_some() {
            return Ok(());
        }
        match self.0.hashed().await?.insert(database).await.map_err(AccountError::from) {
            // Another instance created the user first.
            Ok(_) | Err(AccountError::Taken) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn email_addresses_are_checked() {
        assert_eq!(email(" Ana@Example.ORG "), Ok("ana@example.org".to_owned()));
        let long = format!("{}@example.org", "x".repeat(150));
        for wrong in ["", "ana", "@example.org", "ana@", "a@b@c", "a na@example.org", "ana@exa\0mple.org", &long] {
            assert!(email(wrong).is_err(), "{wrong}");
        }
    }
}
