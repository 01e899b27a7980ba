//! Creation of users, for the API, the command line and the start of the service.

use chrono::Utc;
use kit::{
    password::{self, PasswordError},
    settings::Variables,
};
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter, SqlErr,
};

use crate::{
    entity::{
        refresh_token,
        user::{self, USERNAME_CHARACTERS},
    },
    input::FieldErrors,
};

/// A valid new user, whose password is not hashed yet.
#[derive(Clone, PartialEq, Eq)]
pub struct NewUser {
    /// Valid name.
    pub username: String,
    /// Valid password.
    pub password: String,
    /// Rights in the admin site.
    pub role: Role,
}

/// Rights of a new user in the admin site.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// None.
    User,
    /// Sign-in, with the permissions that are granted later.
    Staff,
    /// All permissions.
    Superuser,
}

/// Error of the creation of a user.
#[derive(Debug, thiserror::Error)]
pub enum UserError {
    /// The name or the password is invalid, or the name is used.
    #[error("{0}")]
    Invalid(FieldErrors),
    /// The password cannot be hashed.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// The database returned an error.
    #[error(transparent)]
    Database(#[from] DbErr),
}

impl NewUser {
    /// Checks the name and the password.
    ///
    /// # Errors
    /// [`FieldErrors`] with every fault.
    pub fn new(username: &str, password: &str, role: Role) -> Result<Self, FieldErrors> {
        let mut errors = FieldErrors::default();
        errors.add("username", username_faults(username));
        errors.add("password", password::faults(password));
        errors.or(Self { username: username.into(), password: password.into(), role })
    }

    /// Stores the user as active.
    ///
    /// # Errors
    /// [`UserError::Invalid`] if the name is used.
    pub async fn create(self, database: &impl ConnectionTrait) -> Result<user::Model, UserError> {
        let Self { username, password, role } = self;
        let user = user::ActiveModel {
            username: Set(username),
            password_hash: Set(password::hash(password).await?),
            is_staff: Set(role != Role::User),
            is_superuser: Set(role == Role::Superuser),
            is_active: Set(true),
            created_at: Set(Utc::now()),
            last_sign_in: Set(None),
            ..Default::default()
        };
        user.insert(database).await.map_err(|error| match error.sql_err() {
            Some(SqlErr::UniqueConstraintViolation(_)) => UserError::Invalid(taken()),
            _ => UserError::Database(error),
        })
    }
}

/// The superuser to create at the start of the service: `ADMIN_USERNAME` and `ADMIN_PASSWORD`.
///
/// An existing user keeps its password and rights, so that later changes by the administrator are not reverted.
#[derive(Clone)]
pub struct Administrator(NewUser);

/// Error of the administrator's settings.
#[derive(Debug, thiserror::Error)]
pub enum AdministratorError {
    /// Only one of the two variables is set.
    #[error("{0} is set and {1} is not; set both, or neither")]
    Half(&'static str, &'static str),
    /// The name or the password is invalid. The message does not contain the password.
    #[error("ADMIN_USERNAME and ADMIN_PASSWORD cannot be used: {0}")]
    Unfit(FieldErrors),
}

impl Administrator {
    /// Reads the settings.
    ///
    /// # Errors
    /// [`AdministratorError`].
    pub fn from(variables: Variables) -> Result<Option<Self>, AdministratorError> {
        match (variables("ADMIN_USERNAME"), variables("ADMIN_PASSWORD")) {
            (None, None) => Ok(None),
            (Some(_), None) => Err(AdministratorError::Half("ADMIN_USERNAME", "ADMIN_PASSWORD")),
            (None, Some(_)) => Err(AdministratorError::Half("ADMIN_PASSWORD", "ADMIN_USERNAME")),
            (Some(username), Some(password)) => {
                let user = NewUser::new(&username, &password, Role::Superuser).map_err(AdministratorError::Unfit)?;
                Ok(Some(Self(user)))
            }
        }
    }

    /// Creates the user, unless one with that name exists. Several instances may do so at once.
    ///
    /// # Errors
    /// The error of the database.
    pub async fn ensure(self, database: &impl ConnectionTrait) -> Result<(), UserError> {
        if find(database, &self.0.username).await?.is_some() {
            return Ok(());
        }
        match self.0.create(database).await {
            // Another instance created the user first.
            Ok(_) | Err(UserError::Invalid(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// Returns the user with a name.
///
/// # Errors
/// The error of the database.
pub async fn find(database: &impl ConnectionTrait, username: &str) -> Result<Option<user::Model>, DbErr> {
    // No user has an invalid name, and PostgreSQL refuses null characters.
    if !username_faults(username).is_empty() {
        return Ok(None);
    }
    user::Entity::find().filter(user::Column::Username.eq(username)).one(database).await
}

/// Returns the faults of a name, with Django's messages.
pub fn username_faults(username: &str) -> Vec<String> {
    let mut faults = Vec::new();
    if username.is_empty() {
        return vec!["This field may not be blank.".into()];
    }
    if !username.chars().all(|character| character.is_ascii_alphanumeric() || "@.+-_".contains(character)) {
        let allowed = "This value may contain only letters, numbers, and @/./+/-/_ characters.";
        faults.push(format!("Enter a valid username. {allowed}"));
    }
    if username.chars().count() > USERNAME_CHARACTERS {
        faults.push(format!("Ensure this field has no more than {USERNAME_CHARACTERS} characters."));
    }
    faults
}

/// Returns the fault of a name that another user has.
pub(crate) fn taken() -> FieldErrors {
    let mut errors = FieldErrors::default();
    errors.add("username", vec!["A user with that username already exists.".into()]);
    errors
}

/// Deletes the refresh tokens of these users, which ends all their sessions.
pub(crate) async fn forget_refresh_tokens(
    database: &impl ConnectionTrait,
    users: impl IntoIterator<Item = i64>,
) -> Result<(), DbErr> {
    let of_users = refresh_token::Column::UserId.is_in(users);
    refresh_token::Entity::delete_many().filter(of_users).exec(database).await.map(drop)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn faults(username: &str, password: &str) -> String {
        match NewUser::new(username, password, Role::User) {
            Ok(_) => String::new(),
            Err(errors) => serde_json::to_string(&errors).unwrap(),
        }
    }

    #[test]
    fn faults_of_names_and_passwords_are_reported() {
        for fine in ["ana", "Ana-Maria+1@example.org", "_", &"x".repeat(150)] {
            assert_eq!(faults(fine, "correct horse"), "", "{fine}");
        }
        let allowed = "Enter a valid username. This value may contain only letters, numbers, and @/./+/-/_ characters.";
        for wrong in ["a b", "<b>", "ana\0", "açaí", "a'--", "a/b"] {
            assert_eq!(faults(wrong, "correct horse"), format!(r#"{{"username":["{allowed}"]}}"#), "{wrong}");
        }
        assert_eq!(
            faults("", "short"),
            r#"{"username":["This field may not be blank."],"password":["This password is too short. It must contain at least 8 characters."]}"#
        );
        assert_eq!(
            faults(&"x".repeat(151), "correct horse"),
            r#"{"username":["Ensure this field has no more than 150 characters."]}"#
        );
    }
}
