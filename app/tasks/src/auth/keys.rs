//! Access tokens and the keys that sign them.
//!
//! Every token's header names its key, so keys can be changed without signing anybody out: the newest signs, the
//! others still verify. With `AUTH_KEYS` that is: put a new key in front, start all instances anew, and take the old
//! one away when its last token has expired. Without, the keys are in the database, where `tasks rotate-keys` adds one
//! and takes away what no living token can be signed with; all instances follow by themselves. Whoever can read
//! that table can sign.

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

/// Who issues our tokens; a token of anybody else is none of ours.
const ISSUER: &str = "tasks";
/// The id of the key that the first instance makes. All instances that start at once agree on it.
const FIRST: &str = "first";
/// Fewest bytes of a secret: as many as HMAC with SHA-256 gives.
const SECRET_BYTES: usize = 32;
/// How often keys are looked for that were not known a moment ago.
const RELOAD: Duration = Duration::from_secs(1);

/// What an access token says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// Who issued it.
    pub iss: String,
    /// The user's id.
    pub sub: String,
    /// The user's name.
    pub name: String,
    /// When it was issued, in seconds since 1970.
    pub iat: i64,
    /// From when on it is refused, in seconds since 1970.
    pub exp: i64,
}

/// Why a token is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// It was good once.
    #[error("The access token has expired.")]
    Expired,
    /// It never was.
    #[error("The access token is not valid.")]
    Invalid,
}

/// Why there are no keys.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// `AUTH_KEYS` cannot be understood. It is not shown.
    #[error(
        "AUTH_KEYS: {0}; write <key id>:<base64 of at least 32 random bytes>, several with commas between, the one that signs first (it is not shown: it holds secrets)"
    )]
    Malformed(&'static str),
    /// Another setting is wrong.
    #[error(transparent)]
    Setting(#[from] SettingError),
    /// The operating system gives no random bytes.
    #[error("no randomness for a key: {0}")]
    Randomness(getrandom::Error),
    /// The database did not give or take the keys.
    #[error("the signing keys in the database cannot be used: {0}")]
    Database(#[from] DbErr),
    /// A key in the database is damaged.
    #[error("the signing key {0} in the database is damaged; delete that row of tasks_signing_key")]
    Damaged(String),
}

/// Ids and secrets from `AUTH_KEYS`, the one that signs first.
#[derive(Clone, PartialEq, Eq)]
pub struct FixedKeys(Vec<(String, Vec<u8>)>);

impl FixedKeys {
    /// Reads `AUTH_KEYS`.
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

/// The keys: one signs, all verify.
pub struct Keys {
    /// Where they are kept; `None` when `AUTH_KEYS` says them.
    database: Option<DatabaseConnection>,
    known: RwLock<Known>,
    /// When unknown keys were last looked for.
    looked: Mutex<Instant>,
}

struct Known {
    signing: (String, EncodingKey),
    verifying: HashMap<String, DecodingKey>,
}

impl Keys {
    /// Takes the keys of the settings, or those in the database; makes the first one when there is none.
    ///
    /// # Errors
    /// [`KeysError`] when the database does not give them.
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

    /// Signs a token for a user, with the newest key there is.
    ///
    /// # Errors
    /// What the database says when it is asked for the newest key.
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

    /// Tells whom a token was given to.
    ///
    /// # Errors
    /// [`TokenError`], and nothing else: a database that is away means that a new key stays unknown.
    pub async fn verify(&self, token: &str) -> Result<Claims, TokenError> {
        let kid = decode_header(token).ok().and_then(|header| header.kid).ok_or(TokenError::Invalid)?;
        if !self.knows(&kid)
            && let Err(error) = self.look_again().await
        {
            tracing::warn!(%error, "a token's key is looked for in vain");
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

    /// Looks for new keys, on behalf of all who wait for that, once a second at most: forged tokens must not make a
    /// query each, and no good one may be refused because of them.
    async fn look_again(&self) -> Result<(), KeysError> {
        let asked = Instant::now();
        let mut last = self.looked.lock().await;
        if self.database.is_none() || *last > asked {
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
    /// Takes at least one key, the one that signs first.
    fn new(keys: &[(String, Vec<u8>)]) -> Self {
        let (id, secret) = &keys[0];
        let verifying = keys.iter().map(|(id, secret)| (id.clone(), DecodingKey::from_secret(secret)));
        Self { signing: (id.clone(), EncodingKey::from_secret(secret)), verifying: verifying.collect() }
    }
}

/// Adds a key to those in the database, which signs from then on, and takes away those that were replaced longer ago
/// than access tokens live. Gives the new key's id.
///
/// # Errors
/// [`KeysError`]; then nothing is changed.
pub async fn rotate(database: &DatabaseConnection, access: Duration) -> Result<String, KeysError> {
    // Had the newest been made after the last token of an older one expired, then that one is needed no more.
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

/// The keys in the database, the newest first.
async fn load(database: &DatabaseConnection) -> Result<Vec<(String, Vec<u8>)>, KeysError> {
    let rows = Entity::find().order_by_desc(Column::CreatedAt).order_by_desc(Column::Id).all(database).await?;
    if rows.is_empty() {
        return Err(DbErr::RecordNotFound("tasks_signing_key is empty; start the service anew".into()).into());
    }
    let keys = rows.into_iter().map(|signing_key::Model { id, secret, .. }| {
        let secret = BASE64_STANDARD.decode(secret).ok().filter(|secret| secret.len() >= SECRET_BYTES);
        secret.map(|secret| (id.clone(), secret)).ok_or(KeysError::Damaged(id))
    });
    keys.collect()
}

/// Makes a key and stores it, unless there is one of that id.
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

/// Random bytes.
pub(super) fn random<const N: usize>() -> Result<[u8; N], KeysError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(KeysError::Randomness)?;
    Ok(bytes)
}
