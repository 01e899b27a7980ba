//! Access tokens and the keys that sign them.
//!
//! The header of a token names its key, so keys can be rotated without signing users out: the newest key signs, the others
//! still verify. With `AUTH_KEYS`, the administrator inserts a new key at the front, restarts all instances, and removes
//! the old key after its last token has expired. Without it, the keys are in the database, where `tasks rotate-keys` adds
//! one and deletes keys without valid tokens. Running instances load new keys automatically. A user who can read that table
//! can sign tokens.

use std::{
    collections::HashMap,
    sync::{PoisonError, RwLock},
    time::Duration,
};

use base64::{Engine, prelude::BASE64_STANDARD};
use chrono::Utc;
use jsonwebtoken::{
    Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, decode_header, encode, errors::ErrorKind,
};
use kit::settings::{SettingError, Variables};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, DatabaseConnection, DbErr, EntityTrait, QueryFilter, QueryOrder,
    sea_query::OnConflict,
};
use serde::{Deserialize, Serialize};
use tokio::{
    sync::Mutex,
    time::{Instant, sleep_until},
};

use super::signature;
use crate::entity::signing_key::{self, ActiveModel, Column, Entity};

/// Issuer of the tokens; tokens of another issuer are refused.
const ISSUER: &str = "tasks";
/// ID of the first key, on which instances that start at the same time agree.
const FIRST: &str = "first";
/// Minimum size of a secret, in bytes: the output of HMAC with SHA-256.
const SECRET_BYTES: usize = 32;
/// Minimum interval between searches for unknown keys.
const RELOAD: Duration = Duration::from_secs(1);

/// Claims of an access token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// Issuer.
    pub iss: String,
    /// The user's id.
    pub sub: String,
    /// The user's name.
    pub name: String,
    /// Time of issue, in seconds since 1970.
    pub iat: i64,
    /// Time of expiry, in seconds since 1970.
    pub exp: i64,
}

/// Reason of a refused token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// The token has expired.
    #[error("The access token has expired.")]
    Expired,
    /// The token is invalid.
    #[error("The access token is not valid.")]
    Invalid,
}

/// Error of the keys.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// `AUTH_KEYS` is malformed. The message does not contain it.
    #[error(
        "AUTH_KEYS: {0}; write <key id>:<base64 of at least 32 random bytes>, several with commas between, the one \
         that signs first (it is not shown, because it contains secrets)"
    )]
    Malformed(&'static str),
    /// Another setting is invalid.
    #[error(transparent)]
    Setting(#[from] SettingError),
    /// The operating system returned no random bytes.
    #[error("no random bytes for a key: {0}")]
    Randomness(getrandom::Error),
    /// The database returned an error.
    #[error("the signing keys in the database cannot be used: {0}")]
    Database(#[from] DbErr),
    /// A key in the database is malformed.
    #[error("the signing key {0} in the database is damaged; delete that row of tasks_signing_key")]
    Damaged(String),
}

/// IDs and secrets of `AUTH_KEYS`. The first key signs.
#[derive(Clone, PartialEq, Eq)]
pub struct FixedKeys(Vec<(String, Vec<u8>)>);

impl FixedKeys {
    /// Parses `AUTH_KEYS`.
    ///
    /// # Errors
    /// [`KeysError::Malformed`].
    pub fn from(variables: Variables) -> Result<Option<Self>, KeysError> {
        let Some(text) = variables("AUTH_KEYS") else {
            return Ok(None);
        };
        let mut keys: Vec<(String, Vec<u8>)> = Vec::new();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let (id, secret) = part.split_once(':').ok_or(KeysError::Malformed("a key has no id"))?;
            let secret = BASE64_STANDARD.decode(secret).map_err(|_| KeysError::Malformed("a key is not base64"))?;
            if id.is_empty() || id.len() > 64 {
                return Err(KeysError::Malformed("a key's id has not 1 to 64 characters"));
            }
            if secret.len() < SECRET_BYTES {
                return Err(KeysError::Malformed("a key has fewer than 32 bytes"));
            }
            if keys.iter().any(|(other, _)| other == id) {
                return Err(KeysError::Malformed("two keys have the same id"));
            }
            keys.push((id.to_owned(), secret));
        }
        if keys.is_empty() { Err(KeysError::Malformed("there is no key")) } else { Ok(Some(Self(keys))) }
    }
}

/// The keys. One signs, all verify.
pub struct Keys {
    /// Database with the keys; `None` with `AUTH_KEYS`.
    database: Option<DatabaseConnection>,
    known: RwLock<Known>,
    /// Time of the last search for unknown keys.
    looked: Mutex<Instant>,
}

struct Known {
    signing: (String, EncodingKey),
    verifying: HashMap<String, DecodingKey>,
}

impl Keys {
    /// Loads the keys of the settings, or those in the database. Creates the first key if there is none.
    ///
    /// # Errors
    /// [`KeysError`] if the database does not return them.
    pub async fn start(fixed: Option<FixedKeys>, database: &DatabaseConnection) -> Result<Self, KeysError> {
        signature::install();
        if let Some(FixedKeys(keys)) = fixed {
            return Ok(Self::new(None, &keys));
        }
        store(database, FIRST).await?;
        Ok(Self::new(Some(database.clone()), &load(database).await?))
    }

    fn new(database: Option<DatabaseConnection>, keys: &[(String, Vec<u8>)]) -> Self {
        Self { database, known: RwLock::new(Known::new(keys)), looked: Mutex::new(Instant::now()) }
    }

    /// Signs a token for a user, with the newest key.
    ///
    /// # Errors
    /// The error of the database, for the query of the newest key.
    pub async fn sign(&self, id: i64, name: &str, lifetime: Duration) -> Result<String, KeysError> {
        self.reload().await?;
        let iat = Utc::now().timestamp();
        let exp = iat.saturating_add_unsigned(lifetime.as_secs());
        let claims = Claims { iss: ISSUER.into(), sub: id.to_string(), name: name.into(), iat, exp };
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let (kid, key) = &known.signing;
        let header = Header { kid: Some(kid.clone()), ..Header::new(Algorithm::HS256) };
        encode(&header, &claims, key).map_err(|_| KeysError::Damaged(kid.clone()))
    }

    /// Returns the user of a token.
    ///
    /// # Errors
    /// [`TokenError`]. While the database is unavailable, a new key is unknown, and its tokens are invalid.
    pub async fn verify(&self, token: &str) -> Result<Claims, TokenError> {
        let kid = decode_header(token).ok().and_then(|header| header.kid).ok_or(TokenError::Invalid)?;
        if !self.knows(&kid)
            && let Err(error) = self.reload_rate_limited().await
        {
            tracing::warn!(%error, "the search for the key of a token failed");
        }
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let key = known.verifying.get(&kid).ok_or(TokenError::Invalid)?;
        let mut validation = Validation::new(Algorithm::HS256);
        validation.leeway = 0;
        validation.set_issuer(&[ISSUER]);
        validation.set_required_spec_claims(&["exp", "iss", "sub"]);
        match decode::<Claims>(token, key, &validation) {
            Ok(token) => Ok(token.claims),
            Err(error) if *error.kind() == ErrorKind::ExpiredSignature => Err(TokenError::Expired),
            Err(_) => Err(TokenError::Invalid),
        }
    }

    fn knows(&self, kid: &str) -> bool {
        self.known.read().unwrap_or_else(PoisonError::into_inner).verifying.contains_key(kid)
    }

    /// Searches for new keys, for all waiting requests, at most once a second: forged tokens must not cause a query each, nor
    /// the refusal of valid tokens.
    async fn reload_rate_limited(&self) -> Result<(), KeysError> {
        let requested_at = Instant::now();
        let mut last = self.looked.lock().await;
        if self.database.is_none() || *last > requested_at {
            return Ok(());
        }
        sleep_until(*last + RELOAD).await;
        *last = Instant::now();
        self.reload().await
    }

    async fn reload(&self) -> Result<(), KeysError> {
        if let Some(database) = &self.database {
            let known = Known::new(&load(database).await?);
            *self.known.write().unwrap_or_else(PoisonError::into_inner) = known;
        }
        Ok(())
    }
}

impl Known {
    /// Returns the keys of a non-empty list, whose first one signs.
    fn new(keys: &[(String, Vec<u8>)]) -> Self {
        let (id, secret) = &keys[0];
        let verifying = keys.iter().map(|(id, secret)| (id.clone(), DecodingKey::from_secret(secret)));
        Self { signing: (id.clone(), EncodingKey::from_secret(secret)), verifying: verifying.collect() }
    }
}

/// Adds a key to the database, which signs from then on, and deletes keys that were replaced longer ago than the lifetime
/// of access tokens. Returns the ID of the new key.
///
/// # Errors
/// [`KeysError`]; the keys are unchanged.
pub async fn rotate(database: &DatabaseConnection, access: Duration) -> Result<String, KeysError> {
    // An older key is needed until the tokens have expired that it signed before the newest key was created.
    let dead = Utc::now() - access;
    let newest = Entity::find().order_by_desc(Column::CreatedAt).one(database).await?;
    let id = format!("{}-{:08x}", Utc::now().format("%Y%m%d"), u32::from_be_bytes(random()?));
    store(database, &id).await?;
    if let Some(newest) = newest.filter(|key| key.created_at < dead) {
        let replaced = Entity::delete_many().filter(Column::CreatedAt.lt(newest.created_at));
        replaced.exec(database).await?;
    }
    Ok(id)
}

/// Returns the keys in the database, the newest first.
async fn load(database: &DatabaseConnection) -> Result<Vec<(String, Vec<u8>)>, KeysError> {
    let rows = Entity::find().order_by_desc(Column::CreatedAt).order_by_desc(Column::Id).all(database).await?;
    if rows.is_empty() {
        return Err(DbErr::RecordNotFound("tasks_signing_key is empty; restart the service".into()).into());
    }
    let keys = rows.into_iter().map(|signing_key::Model { id, secret, .. }| {
        let secret = BASE64_STANDARD.decode(secret).ok().filter(|secret| secret.len() >= SECRET_BYTES);
        secret.map(|secret| (id.clone(), secret)).ok_or(KeysError::Damaged(id))
    });
    keys.collect()
}

/// Creates and stores a key, unless one with this ID exists.
async fn store(database: &DatabaseConnection, id: &str) -> Result<(), KeysError> {
    if id == FIRST && Entity::find().one(database).await?.is_some() {
        return Ok(());
    }
    let secret = BASE64_STANDARD.encode(random::<SECRET_BYTES>()?);
    let key = ActiveModel { id: Set(id.into()), secret: Set(secret), created_at: Set(Utc::now()) };
    let nothing = OnConflict::column(Column::Id).do_nothing().to_owned();
    Entity::insert(key).on_conflict(nothing).exec_without_returning(database).await?;
    Ok(())
}

/// Returns random bytes.
pub(super) fn random<const N: usize>() -> Result<[u8; N], KeysError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(KeysError::Randomness)?;
    Ok(bytes)
}
